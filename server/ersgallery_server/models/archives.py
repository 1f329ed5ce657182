"""Take members out of wheels and sdists without trusting them: no links, no paths outside, no endless members."""

import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from ersgallery_server.models.errors import InvalidArchive, TooLarge
from ersgallery_server.models.hashing import require_sha256
from ersgallery_server.models.storage import write_file

_MAX_MEMBER_BYTES = 512 * 1024 * 1024
_MAX_TOTAL_BYTES = 1024 * 1024 * 1024


def read_member(archive: Path, member: str, *, sha256: str, max_bytes: int = _MAX_MEMBER_BYTES) -> bytes:
    """Return one member of a .whl, .zip or .tar.gz. Raises InvalidArchive, TooLarge, HashMismatch."""
    for name, size_bytes, read in _members(archive):
        if name == member:
            data = _read(archive, read, name, size_bytes, max_bytes)
            require_sha256(data, sha256, f"{member} in {archive.name}")
            return data
    raise InvalidArchive(f"{archive.name} has no member {member}")


def extract_members(
    archive: Path,
    into: Path,
    wanted: Callable[[str], bool],
    *,
    max_member_bytes: int = _MAX_MEMBER_BYTES,
    max_total_bytes: int = _MAX_TOTAL_BYTES,
) -> list[Path]:
    """Write the regular files whose member name is `wanted` below the folder `into`, under their own paths.

    Returns their paths in the archive's order. Raises InvalidArchive (also for a wanted name that is absolute or climbs
    out), TooLarge, StorageFailed.
    """
    paths: list[Path] = []
    total = 0
    for name, size_bytes, read in _members(archive):
        if not wanted(name):
            continue
        total += size_bytes
        if total > max_total_bytes:
            raise TooLarge(f"the members of {archive.name} have more than {max_total_bytes} bytes")
        paths.append(into / _safe(archive, name))
        write_file(paths[-1], _read(archive, read, name, size_bytes, max_member_bytes))
    return paths


_Opener = Callable[[], IO[bytes] | None]
_Member = tuple[str, int, _Opener]


def _members(archive: Path) -> Iterator[_Member]:
    """Yield name, size and opener of each regular file; turn every library's complaint into InvalidArchive."""
    with _as_invalid_archive(archive):
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                for entry in zipped.infolist():
                    if not entry.is_dir():
                        yield entry.filename, entry.file_size, partial(zipped.open, entry)
        else:
            with tarfile.open(archive, "r:*") as tarred:
                for member in tarred:
                    if member.isfile():
                        yield member.name, member.size, partial(tarred.extractfile, member)


@contextmanager
def _as_invalid_archive(archive: Path) -> Iterator[None]:
    try:
        yield
    except InvalidArchive:
        raise
    except Exception as error:  # zipfile, tarfile and what decompresses raise two dozen unrelated types
        raise InvalidArchive(f"{archive.name} cannot be unpacked: {error}") from error


def _read(archive: Path, read: _Opener, name: str, size_bytes: int, max_bytes: int) -> bytes:
    if size_bytes > max_bytes:
        raise TooLarge(f"{name} has {size_bytes} bytes; the limit is {max_bytes} bytes")
    with _as_invalid_archive(archive):
        stream = read()
        if stream is None:
            raise InvalidArchive(f"{name} is no regular file")
        with stream:
            # The size a header claims is no promise: never read more than it.
            data = stream.read(size_bytes + 1)
    if len(data) != size_bytes:
        raise InvalidArchive(f"{name} is not as long as its header says")
    return data


def _safe(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name or not path.parts:
        raise InvalidArchive(f"{archive.name} has a member with the unsafe name {name!r}")
    return path
