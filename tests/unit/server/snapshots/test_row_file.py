"""A file of rows: what was written is read, what was erased is nowhere, and what is damaged is refused."""

import dataclasses
import json
import os
import stat
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ersgallery_index import IndexRows
from ersgallery_server.snapshots import Header, Origin, RowFile, SnapshotRefused, read_rows
from ersgallery_server.snapshots.layout import FORMAT_VERSION, pack_header
from hypothesis import given
from hypothesis import strategies as st

from tests.support.stores import unit_rows

DIMENSION = 5
BLOCK_ROWS = 4
ORIGIN = Origin("1.0", 2, "2026-01-01T00:00:00+00:00", 1, "ab", DIMENSION, "BEST_FACE False")


def rows(count: int, first: int = 10) -> IndexRows:
    """Return rows with every second face id from `first` on."""
    ids = np.arange(first, first + 2 * count, 2)
    return IndexRows(ids, ids % 3 + 1, np.linspace(0, 1, count), unit_rows(count, first, DIMENSION))


def written(path: Path, every: IndexRows, erased: tuple[int, ...] = ()) -> RowFile:
    """Write a complete file and open it again."""
    file = RowFile.create(path, 7, BLOCK_ROWS, DIMENSION)
    for start in range(0, len(every.face_ids), BLOCK_ROWS):
        cut = slice(start, start + BLOCK_ROWS)
        assert file.append(IndexRows(every.face_ids[cut], every.subject_ids[cut], every.ers[cut], every.vectors[cut]))
    file.erase(np.array(erased, np.int64))
    assert file.complete(Header(ORIGIN, 7, "mark", BLOCK_ROWS, file.rows))
    file.close()
    return RowFile.open(path)[0]


def read(file: RowFile) -> tuple[list[int], list[int], list[float], list[list[float]]]:
    """Return all rows that are there."""
    parts = list(read_rows(file))
    return (
        [face_id for part in parts for face_id in part.face_ids.tolist()],
        [subject_id for part in parts for subject_id in part.subject_ids.tolist()],
        [ers for part in parts for ers in part.ers.tolist()],
        [vector for part in parts for vector in part.vectors.tolist()],
    )


@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 43])
def test_rows_are_read_as_they_were_written(tmp_path: Path, count: int) -> None:
    every = rows(count)
    path = tmp_path / "g.snapshot"
    file = written(path, every)
    columns = (every.face_ids, every.subject_ids, every.ers, every.vectors)
    assert read(file) == tuple(column.tolist() for column in columns)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    file.close()


def test_erased_rows_are_zero_on_the_disk_and_the_others_stay(tmp_path: Path) -> None:
    every = rows(11)
    path = tmp_path / "g.snapshot"
    file = written(path, every)
    gone = [0, 3, 4, 10]
    assert file.erase(np.append(every.face_ids[gone], [-5, 11, 1 << 40])) == 4
    assert file.erase(every.face_ids[gone]) == 0, "they are erased already"
    held = path.read_bytes()
    assert [every.vectors[row].tobytes() in held for row in range(11)] == [row not in gone for row in range(11)]
    assert read(file)[0] == np.delete(every.face_ids, gone).tolist()
    file.close()
    again, header = RowFile.open(path)
    assert (header.rows, again.revision) == (11, 7)
    assert read(again)[3] == np.delete(every.vectors, gone, axis=0).tolist()
    again.close()


def test_what_is_erased_while_a_file_grows_does_not_come_with_a_later_block(tmp_path: Path) -> None:
    every = rows(6)
    file = RowFile.create(tmp_path / "g.growing", 7, BLOCK_ROWS, DIMENSION)
    assert file.erase(every.face_ids[[1, 5]]) == 0
    file.append(IndexRows(every.face_ids[:4], every.subject_ids[:4], every.ers[:4], every.vectors[:4]))
    file.append(IndexRows(every.face_ids[4:], every.subject_ids[4:], every.ers[4:], every.vectors[4:]))
    assert read(file)[0] == np.delete(every.face_ids, [1, 5]).tolist()
    assert every.vectors[5].tobytes() not in (tmp_path / "g.growing").read_bytes()
    file.close()


def test_nothing_follows_a_block_that_was_not_full(tmp_path: Path) -> None:
    file = RowFile.create(tmp_path / "g.growing", 7, BLOCK_ROWS, DIMENSION)
    file.append(rows(3))
    with pytest.raises(ValueError, match="last block"):
        file.append(rows(4, 100))
    file.close()


def test_a_closed_file_takes_nothing_and_has_nothing_to_erase(tmp_path: Path) -> None:
    file = RowFile.create(tmp_path / "g.growing", 7, BLOCK_ROWS, DIMENSION)
    file.append(rows(4))
    file.close()
    assert not file.append(rows(4, 100))
    assert not file.complete(Header(ORIGIN, 7, "mark", BLOCK_ROWS, 4))
    assert file.erase(rows(4).face_ids) == 0
    file.close()


def test_a_file_without_its_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.growing"
    file = RowFile.create(path, 7, BLOCK_ROWS, DIMENSION)
    file.append(rows(4))
    file.close()
    with pytest.raises(SnapshotRefused, match="is no snapshot"):
        RowFile.open(path)


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.snapshot"
    written(path, rows(4)).close()
    content = bytearray(path.read_bytes())
    content[8] = FORMAT_VERSION + 1
    path.write_bytes(content)
    with pytest.raises(SnapshotRefused, match=f"format {FORMAT_VERSION + 1} and not {FORMAT_VERSION}"):
        RowFile.open(path)


@given(data=st.data())
def test_a_flipped_bit_is_refused_or_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("flipped") / "g.snapshot"
    every = rows(6)
    written(path, every, (int(every.face_ids[2]),)).close()
    content = bytearray(path.read_bytes())
    # Three of four flips hit what is not padding.
    place = data.draw(st.integers(0, 400) | st.integers(4096, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    try:
        file, _ = RowFile.open(path)
        found = read(file)
    except SnapshotRefused:
        return
    file.close()
    assert found[0] == np.delete(every.face_ids, 2).tolist()
    assert found[3] == np.delete(every.vectors, 2, axis=0).tolist()


@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_that_was_cut_short_is_refused(tmp_path_factory: pytest.TempPathFactory, share: float) -> None:
    path = tmp_path_factory.mktemp("short") / "g.snapshot"
    written(path, rows(6)).close()
    os.truncate(path, int(share * path.stat().st_size))
    with pytest.raises(SnapshotRefused, match="is cut short"):
        RowFile.open(path)


def test_a_block_damaged_after_the_file_was_opened_is_not_erased_in_but_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.snapshot"
    every = rows(6)
    file = written(path, every)
    with path.open("r+b") as other:
        other.seek(-3, os.SEEK_END)
        other.write(b"\xff")
    with pytest.raises(SnapshotRefused, match="damaged block"):
        file.erase(every.face_ids[-1:])
    with pytest.raises(SnapshotRefused, match="damaged block"):
        read(file)
    file.close()


def test_origins_differ_by_the_first_field_that_does() -> None:
    assert ORIGIN.difference(ORIGIN) is None
    assert ORIGIN.difference(replace(ORIGIN, profile_key=3, recipe="TEMPLATE")) == "profile_key"


def test_a_header_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="too long"):
        pack_header(Header(replace(ORIGIN, recipe="x" * 5000), 1, "mark", 4, 4))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rows", -1),
        ("rows", 1e308),
        ("rows", 1 << 63),
        ("block_rows", 0),
        ("revision", None),
        ("salt", 12),
        ("mark", None),
        ("other", 1),
        ("origin", []),
    ],
)
def test_a_header_of_another_program_is_refused_although_its_checksum_fits(
    tmp_path: Path, field: str, value: object
) -> None:
    said = {**dataclasses.asdict(Header(ORIGIN, 7, "mark", BLOCK_ROWS, 4)), field: value}
    text = json.dumps(said).encode()
    packed = struct.pack("<8sIII", b"ERSGSNAP", FORMAT_VERSION, len(text), zlib.crc32(text)) + text
    (tmp_path / "f").write_bytes(packed.ljust(4096, b"\0"))
    with pytest.raises(SnapshotRefused, match="has a header"):
        RowFile.open(tmp_path / "f")
