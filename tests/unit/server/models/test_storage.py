"""Files appear whole or not at all."""

from pathlib import Path

import pytest
from ersgallery_server.models.errors import StorageFailed
from ersgallery_server.models.storage import atomic_write, require_space, write_file


def test_a_file_is_written_with_the_folders_above_it(tmp_path: Path) -> None:
    write_file(tmp_path / "a" / "b", b"content")
    assert (tmp_path / "a" / "b").read_bytes() == b"content"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_the_old_file_stays_when_writing_the_new_one_fails(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with pytest.raises(TypeError), atomic_write(target) as stream:
        stream.writelines([b"ne", "no bytes"])  # type: ignore[list-item] # breaks off half way on purpose
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageFailed, match="cannot be written"):
        write_file(tmp_path / "file" / "below", b"x")


def test_a_full_disk_is_known_before_the_download(tmp_path: Path) -> None:
    require_space(tmp_path / "not" / "yet", 1)
    with pytest.raises(StorageFailed, match="bytes left"):
        require_space(tmp_path / "not" / "yet", 1 << 60)
