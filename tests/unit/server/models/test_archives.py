"""Archives are not trusted."""

import hashlib
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from ersgallery_server.models.archives import extract_members, read_member
from ersgallery_server.models.errors import HashMismatch, InvalidArchive, TooLarge

from tests.support.package_index import sdist, wheel

Build = Callable[[dict[str, bytes]], bytes]
BOTH = pytest.mark.parametrize(("name", "build"), [("a.whl", wheel), ("a.tar.gz", sdist)])


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def written(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


@BOTH
def test_a_member_is_read_when_its_hash_fits(tmp_path: Path, name: str, build: Build) -> None:
    archive = written(tmp_path, name, build({"x/other": b"1", "x/model": b"weights"}))
    assert read_member(archive, "x/model", sha256=sha256(b"weights")) == b"weights"
    with pytest.raises(HashMismatch, match="x/model"):
        read_member(archive, "x/model", sha256=sha256(b"others"))


@BOTH
def test_a_missing_member_is_an_error_that_names_it(tmp_path: Path, name: str, build: Build) -> None:
    archive = written(tmp_path, name, build({"x/model": b"weights"}))
    with pytest.raises(InvalidArchive, match="no member model"):
        read_member(archive, "model", sha256=sha256(b"weights"))


@BOTH
def test_a_member_above_the_limit_is_not_unpacked(tmp_path: Path, name: str, build: Build) -> None:
    archive = written(tmp_path, name, build({"bomb": bytes(100_000)}))
    with pytest.raises(TooLarge, match="100000 bytes"):
        read_member(archive, "bomb", sha256="0" * 64, max_bytes=99_999)


@BOTH
def test_wanted_members_are_extracted_under_their_paths(tmp_path: Path, name: str, build: Build) -> None:
    archive = written(tmp_path, name, build({"p/a.jpg": b"1", "p/b.py": b"2", "p/q/c.jpg": b"3"}))
    paths = extract_members(archive, tmp_path / "out", lambda member: member.endswith(".jpg"))
    assert [path.relative_to(tmp_path / "out").as_posix() for path in paths] == ["p/a.jpg", "p/q/c.jpg"]
    assert [path.read_bytes() for path in paths] == [b"1", b"3"]
    assert not (tmp_path / "out" / "p" / "b.py").exists()


@BOTH
@pytest.mark.parametrize("member", ["../up", "/absolute", "a/../../up", "c:\\windows", "a\\..\\b"])
def test_names_that_leave_the_folder_are_refused(tmp_path: Path, name: str, build: Build, member: str) -> None:
    archive = written(tmp_path, name, build({member: b"evil"}))
    with pytest.raises(InvalidArchive, match="unsafe"):
        extract_members(archive, tmp_path / "out", lambda _: True)
    assert not list((tmp_path / "out").rglob("*"))


@BOTH
def test_all_members_together_have_a_limit_too(tmp_path: Path, name: str, build: Build) -> None:
    archive = written(tmp_path, name, build({"a": bytes(600), "b": bytes(600)}))
    with pytest.raises(TooLarge, match="more than 1000 bytes"):
        extract_members(archive, tmp_path / "out", lambda _: True, max_total_bytes=1000)


def test_links_are_never_followed_or_made(tmp_path: Path) -> None:
    archive = written(tmp_path, "a.tar.gz", sdist({"a": b"1"}, links={"link": "/etc/passwd"}))
    assert extract_members(archive, tmp_path / "out", lambda _: True) == [tmp_path / "out" / "a"]
    with pytest.raises(InvalidArchive, match="no member link"):
        read_member(archive, "link", sha256="0" * 64)


@pytest.mark.parametrize("data", [b"", b"no archive", sdist({"a": bytes(range(256)) * 99})[:200]])
def test_a_corrupt_archive_is_an_error(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InvalidArchive):
        extract_members(written(tmp_path, "a.tar.gz", data), tmp_path / "out", lambda _: True)


def test_a_wheel_with_a_damaged_member_is_an_error(tmp_path: Path) -> None:
    data = bytearray(wheel({"a": b"abcdefgh" * 100}))
    data[40] ^= 0xFF
    with pytest.raises(InvalidArchive):
        extract_members(written(tmp_path, "a.whl", bytes(data)), tmp_path / "out", lambda _: True)


@pytest.mark.parametrize("name", ["", "a"])
def test_a_wheel_with_a_nameless_member_or_one_beyond_its_end_is_an_error(tmp_path: Path, name: str) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x", b"content")
    data = bytearray(buffer.getvalue())
    entry = data.rindex(b"PK\x01\x02")
    if name:
        data[entry + 42 : entry + 46] = struct.pack("<I", 1 << 31)
    else:  # the name becomes the comment
        data[entry + 28 : entry + 30], data[entry + 32 : entry + 34] = struct.pack("<H", 0), struct.pack("<H", 1)
    path = written(tmp_path, "x.whl", bytes(data))
    with pytest.raises(InvalidArchive):
        extract_members(path, tmp_path / "into", lambda _: True)
