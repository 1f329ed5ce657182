"""Arrays as bytes: always little-endian, whatever the machine."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def pack_float32_rows(rows: NDArray[np.float32], dimension: int) -> list[bytes]:
    """Return the bytes of each embedding; raises ValueError for another shape than (n, dimension)."""
    if rows.ndim != 2 or rows.shape[1] != dimension:
        raise ValueError(f"embeddings of shape {rows.shape} do not fit dimension {dimension}")
    packed: list[bytes] = np.ascontiguousarray(rows, dtype="<f4").view(f"V{4 * dimension}").ravel().tolist()
    return packed


def unpack_float32_rows(rows: Iterable[bytes], dimension: int) -> NDArray[np.float32]:
    """Return embeddings (n, dimension) float32, read-only; raises ValueError where the bytes do not fit."""
    packed = np.frombuffer(b"".join(rows), dtype="<f4").reshape(-1, dimension)
    return packed.astype(np.float32, copy=False)


def pack_float64(array: NDArray[np.float64]) -> bytes:
    """Return the bytes of an array of any shape."""
    return array.astype("<f8", copy=False).tobytes()


def unpack_float64(packed: bytes) -> NDArray[np.float64]:
    """Return a flat array, read-only."""
    return np.frombuffer(packed, dtype="<f8").astype(np.float64, copy=False)


def pack_ids(ids: NDArray[np.int64]) -> bytes:
    """Return the bytes of ids."""
    return ids.astype("<i8", copy=False).tobytes()


def unpack_ids(packed: bytes) -> NDArray[np.int64]:
    """Return ids (n,), read-only."""
    return np.frombuffer(packed, dtype="<i8").astype(np.int64, copy=False)
