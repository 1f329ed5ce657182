"""SHA-256 of files and bytes."""

import hashlib
from pathlib import Path

from ersgallery_server.models.errors import HashMismatch


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file, 64 lower-case hexadecimal digits. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def has_sha256(path: Path, expected: str) -> bool:
    """Tell whether `path` is a file with this SHA-256."""
    return path.is_file() and sha256_of_file(path) == expected


def require_sha256(data: bytes, expected: str, what: str) -> None:
    """Raise HashMismatch, naming `what`, unless the bytes have this SHA-256."""
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise HashMismatch(what, expected, found)
