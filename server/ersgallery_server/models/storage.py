"""Write files so that a crash, a full disk or a second process never leaves half of one behind."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ersgallery_server.models.errors import StorageFailed


@contextlib.contextmanager
def atomic_write(target: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `target` when the block ends, and vanishes when it raises.

    It is written beside `target`, synced, and renamed. Raises StorageFailed for a full disk or a folder that cannot be
    written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise _failed(target, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        raise _failed(target, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_file(target: Path, data: bytes) -> None:
    """Write `data` to `target` atomically. Raises StorageFailed."""
    with atomic_write(target) as stream:
        stream.write(data)


def require_space(folder: Path, wanted_bytes: int) -> None:
    """Raise StorageFailed unless the file system of `folder` (which need not exist yet) has this much room."""
    existing = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < wanted_bytes:
        raise StorageFailed(f"{folder} needs {wanted_bytes} bytes, but its disk has {free} bytes left")


def _sync_folder(folder: Path) -> None:
    # Not every system lets one open a folder; there the rename is as durable as it gets.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _failed(target: Path, error: OSError) -> StorageFailed:
    return StorageFailed(f"{target} cannot be written: {error.strerror or error}")
