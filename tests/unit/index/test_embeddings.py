"""Raw embeddings made into stored rows."""

import numpy as np
import pytest
from ersgallery_index import InvalidEmbedding, normalize


def test_rows_become_unit_vectors_and_keep_their_raw_norm() -> None:
    rows = normalize(np.array([[3.0, 4.0], [0.0, -2.0]], dtype=np.float32), 2)
    assert rows.vectors.dtype == np.float32
    assert rows.vectors.tolist() == np.array([[0.6, 0.8], [0.0, -1.0]], dtype=np.float32).tolist()
    assert rows.norms.tolist() == [5.0, 2.0]


@pytest.mark.parametrize("size", [1e-45, 1e-30, 1e30, 3e38])
def test_lengths_that_float32_cannot_square_are_no_problem(size: float) -> None:
    raw = np.array([[size, size]], dtype=np.float32)
    rows = normalize(raw, 2)
    assert rows.vectors[0] == pytest.approx([0.5**0.5, 0.5**0.5])
    assert rows.norms[0] == pytest.approx(float(raw[0, 0]) * 2**0.5)


def test_a_row_is_normalised_to_the_same_in_every_batch() -> None:
    raw = np.random.default_rng(0).standard_normal((200, 512)).astype(np.float32)
    alone = np.concatenate([normalize(raw[i : i + 1], 512).vectors for i in range(200)])
    assert np.array_equal(alone, normalize(raw, 512).vectors)


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ([np.nan, 1.0], "is not finite"),
        ([np.inf, 1.0], "is not finite"),
        ([1.0, -np.inf], "is not finite"),
        ([0.0, -0.0], "has zero norm"),
    ],
)
def test_the_first_unusable_row_is_named_with_its_problem(bad: list[float], problem: str) -> None:
    raw = np.array([[1.0, 0.0], bad, bad], dtype=np.float32)
    with pytest.raises(InvalidEmbedding) as caught:
        normalize(raw, 2)
    assert (caught.value.row, caught.value.problem) == (1, problem)


@pytest.mark.parametrize("shape", [(1, 3), (1, 1), (2,), (0, 3)])
def test_another_dimension_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidEmbedding, match="has a wrong dimension"):
        normalize(np.ones(shape, dtype=np.float32), 2)


def test_no_rows_are_no_problem() -> None:
    assert len(normalize(np.zeros((0, 2), dtype=np.float32), 2)) == 0
