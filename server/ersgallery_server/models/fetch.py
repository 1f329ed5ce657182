"""Fetch files and archives by URL or from a Python package index, and keep only bytes whose SHA-256 was pinned.

An archive that is in the folder already, with the right hash, is not fetched again, so a second run needs no network.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import requests

from ersgallery_server.models.errors import HashMismatch, SourceUnavailable, TooLarge
from ersgallery_server.models.hashing import has_sha256
from ersgallery_server.models.package_index import (
    TIMEOUT_S,
    PackageIndex,
    configured_index,
    describe_failure,
    find_archive,
    open_session,
)
from ersgallery_server.models.storage import atomic_write, require_space

# Called with the bytes done so far and the total, None where the server does not say.
Progress = Callable[[int, int | None], None]

_CHUNK_BYTES = 1 << 18
_DEFAULT_MAX_BYTES = 512 * 1024 * 1024


def fetch_archive(
    project: str,
    version: str,
    filename: str,
    *,
    sha256: str,
    into: Path,
    max_bytes: int = _DEFAULT_MAX_BYTES,
    progress: Progress | None = None,
    index: PackageIndex | None = None,
) -> Path:
    """Return the path of a wheel or sdist in the folder `into`, fetched from a package index if it is not there yet.

    index: by default the one pip is configured for. Raises SourceUnavailable, HashMismatch, TooLarge, StorageFailed.
    """
    target = into / filename
    if has_sha256(target, sha256):
        return target
    source = index or configured_index()
    with open_session(source) as session:
        package = find_archive(source, session, project, version, filename)
        _download(session, package.url, filename, target, sha256, max_bytes, progress)
    return target


def fetch_url(
    url: str, target: Path, *, sha256: str, max_bytes: int = _DEFAULT_MAX_BYTES, progress: Progress | None = None
) -> Path:
    """Fetch a URL to the path `target`, unless it is there already with the right hash.

    Raises SourceUnavailable, HashMismatch, TooLarge, StorageFailed.
    """
    if not has_sha256(target, sha256):
        with open_session(PackageIndex(url)) as session:
            _download(session, url, target.name, target, sha256, max_bytes, progress)
    return target


def _download(
    session: requests.Session,
    url: str,
    what: str,
    target: Path,
    sha256: str,
    max_bytes: int,
    progress: Progress | None,
) -> None:
    try:
        with session.get(url, stream=True, timeout=TIMEOUT_S) as response:
            response.raise_for_status()
            _store(response, what, target, sha256, max_bytes, progress)
    except (requests.RequestException, ValueError) as error:
        raise SourceUnavailable(f"{what} cannot be fetched: {describe_failure(error)}") from error


def _store(
    response: requests.Response, what: str, target: Path, sha256: str, max_bytes: int, progress: Progress | None
) -> None:
    announced = response.headers.get("Content-Length", "")
    total = int(announced) if announced.isdecimal() else None
    if total is not None:
        _require_size(total, what, max_bytes)
        require_space(target.parent, total)
    digest, done = hashlib.sha256(), 0
    with atomic_write(target) as stream:
        for chunk in _chunks(response, what):
            done += len(chunk)
            _require_size(done, what, max_bytes)
            digest.update(chunk)
            stream.write(chunk)
            if progress:
                progress(done, total)
        if digest.hexdigest() != sha256:
            raise HashMismatch(what, sha256, digest.hexdigest())


def _chunks(response: requests.Response, what: str) -> Iterator[bytes]:
    try:
        yield from response.iter_content(_CHUNK_BYTES)
    except requests.RequestException as error:  # an OSError, which must not pass for a failure of the disk
        raise SourceUnavailable(f"{what} broke off: {describe_failure(error)}") from error


def _require_size(size_bytes: int, what: str, max_bytes: int) -> None:
    if size_bytes > max_bytes:
        raise TooLarge(f"{what} has more than {max_bytes} bytes")
