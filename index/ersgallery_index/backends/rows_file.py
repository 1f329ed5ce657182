"""Rows that live in a file without a name, so that memory need only hold those that are looked at."""

import mmap
import os
import tempfile
from pathlib import Path

import numpy as np

from ersgallery_index.errors import DeviceFull, DeviceUnavailable
from ersgallery_index.interface import FloatRows


def rows_on_disk(folder: Path, rows: int, dimension: int) -> FloatRows:
    """Return writable rows (rows, dimension) that a file in the folder holds, for as long as they are referenced.

    The file has no name, is gone with the process, and its space is taken at once: a disk that fills up later cannot
    fail a write to it. Raises DeviceFull where there is no space, DeviceUnavailable on systems that cannot do this.
    """
    if not (hasattr(os, "posix_fallocate") and hasattr(mmap, "MADV_RANDOM")):
        raise DeviceUnavailable("this operating system cannot keep rows on disk; Linux can")
    size = rows * dimension * np.dtype(np.float32).itemsize
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
            mapped = mmap.mmap(file.fileno(), size)
        except OSError as error:
            raise DeviceFull(f"{folder} cannot take {size >> 20} MiB of rows: {error.strerror}") from error
    mapped.madvise(mmap.MADV_RANDOM)  # re-scoring reads single rows, and what surrounds them is of no use
    return np.frombuffer(mapped, dtype=np.float32).reshape(rows, dimension)
