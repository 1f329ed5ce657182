"""Arrays become bytes and come back, little-endian and bit by bit."""

import numpy as np
import pytest
from ersgallery_server.store.arrays import (
    pack_float32_rows,
    pack_float64,
    pack_ids,
    unpack_float32_rows,
    unpack_float64,
    unpack_ids,
)


def test_an_embedding_is_little_endian_float32_whatever_it_comes_as() -> None:
    row = np.array([1.0, -2.5, 1e-42, np.float32(0.1)], dtype=np.float32)
    packed = pack_float32_rows(np.stack([row, -row]), 4)
    assert packed == [row.astype("<f4").tobytes(), (-row).astype("<f4").tobytes()]
    assert packed[0][:4] == b"\0\0\x80\x3f"
    strided = np.stack([row, -row], axis=1).T
    assert pack_float32_rows(strided, 4) == packed
    assert pack_float32_rows(row.astype(">f4")[None], 4) == packed[:1]
    assert pack_float32_rows(np.empty((0, 4), np.float32), 4) == []


@pytest.mark.parametrize("shape", [(4,), (1, 3), (1, 5), (1, 1, 4), ()])
def test_embeddings_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="dimension 4"):
        pack_float32_rows(np.zeros(shape, dtype=np.float32), 4)


def test_rows_come_back_as_one_matrix() -> None:
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    unpacked = unpack_float32_rows((row.tobytes() for row in rows), 4)
    assert unpacked.dtype == np.float32
    assert np.array_equal(unpacked, rows)
    assert unpack_float32_rows([], 4).shape == (0, 4)


def test_bytes_that_are_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="reshape"):
        unpack_float32_rows([b"\0" * 20], 4)


def test_float64_and_ids_come_back() -> None:
    array = np.array([[0.1, -1e-300], [np.pi, 2.0]])
    assert np.array_equal(unpack_float64(pack_float64(array)).reshape(2, 2), array)
    ids = np.array([1, (1 << 63) - 1], dtype=np.int64)
    assert unpack_ids(pack_ids(ids)).tolist() == ids.tolist()
    assert unpack_ids(b"").tolist() == []
