"""Rows in files are searched as rows in memory are, and leave nothing behind."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from ersgallery_index import DeviceFull
from ersgallery_index.backends.exact_index import ExactIndex
from ersgallery_index.backends.memory import available_bytes
from ersgallery_index.backends.proposers import CpuBackend
from ersgallery_index.backends.rows_file import rows_on_disk
from ersgallery_index.interface import IndexKind

from tests.support.indexes import ask, put, unit_rows


def test_an_index_with_rows_in_files_answers_as_one_in_memory(tmp_path: Path) -> None:
    rows = unit_rows(np.random.default_rng(0).standard_normal((500, 16)))
    answers = []
    for folder in (None, tmp_path):
        index = ExactIndex(16, CpuBackend(128, 64, code_rows=32, rows_folder=folder))
        index.set_kind(IndexKind.FAST)
        put(index, [(i, i, 1.0) for i in range(500)], rows)
        put(index, [], [], removed=list(range(0, 500, 3)))
        while index.tidy():
            pass
        index.settle()
        answers.append(ask(index, rows[::50], k=7))
    assert answers[0].face_ids.tolist() == answers[1].face_ids.tolist()
    assert answers[0].scores.tolist() == answers[1].scores.tolist()
    assert list(tmp_path.iterdir()) == []  # the files have no names


def test_rows_on_disk_take_their_space_at_once(tmp_path: Path) -> None:
    before = os.statvfs(tmp_path).f_bfree
    rows = rows_on_disk(tmp_path, 1 << 14, 512)
    assert before - os.statvfs(tmp_path).f_bfree > 0
    rows[:] = 1.0
    assert rows.sum() == 512 << 14


def test_room_on_disk_is_counted_in_whole_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = CpuBackend(rows_folder=tmp_path)
    segment = 32768 * 512 * 4
    for free, rows in ((2 * segment - 1, 0), (2 * segment + 2048 * 10, 10)):
        usage = (1 << 40, 0, free)
        monkeypatch.setattr(shutil, "disk_usage", lambda _, usage=usage: shutil._ntuple_diskusage(*usage))
        assert backend.free_rows(512) == rows


def test_a_small_gallery_takes_little_of_the_disk(tmp_path: Path) -> None:
    before = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    index = ExactIndex(512, CpuBackend(rows_folder=tmp_path))
    put(index, [(1, 1, 1.0)], unit_rows([[1.0] * 512]))
    taken = before - os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    assert taken < 40 << 20  # others write to this disk too


def test_a_full_disk_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_file: int, _start: int, _size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DeviceFull, match="cannot take 1 MiB of rows: No space left on device"):
        rows_on_disk(tmp_path, 512, 512)


def test_memory_that_is_left_is_known_and_decides_how_many_rows_fit() -> None:
    free = available_bytes()
    assert free is not None
    assert free > 100 << 20
    large, small = (CpuBackend().free_rows(dimension) for dimension in (128, 512))
    assert large is not None
    assert small is not None
    assert 3 * small < large < 5 * small
