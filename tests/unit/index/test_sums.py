"""Sums that do not depend on order."""

import math

import numpy as np
import pytest
from ersgallery_index.sums import order_free_sum, row_dots, row_norms


@pytest.mark.parametrize("dimension", [1, 2, 128, 512, 2048])
def test_a_dot_product_is_the_real_one_rounded_once(dimension: int) -> None:
    random = np.random.default_rng(dimension)
    left, right = (random.standard_normal((40, dimension)).astype(np.float32) for _ in range(2))
    left, right = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (left, right))
    products = left.astype(np.float64) * right.astype(np.float64)
    assert row_dots(left.astype(np.float64), right.astype(np.float64)).tolist() == [math.fsum(p) for p in products]


def test_terms_far_below_the_grids_are_not_lost() -> None:
    terms = np.array([[0.0, 1e-45, 0.0], [0.5, -0.5, 1e-40]])
    assert order_free_sum(terms).tolist() == [1e-45, 1e-40]


def test_the_order_of_the_terms_does_not_matter() -> None:
    random = np.random.default_rng(1)
    terms = random.standard_normal((1, 512)) / 20
    expected = order_free_sum(terms)[0]
    assert all(order_free_sum(random.permuted(terms, axis=1))[0] == expected for _ in range(200))
    # Which is not so for NumPy's own sum.
    assert len({float(random.permuted(terms, axis=1).sum()) for _ in range(200)}) > 1


def test_a_row_sums_to_the_same_in_every_batch() -> None:
    rows = np.random.default_rng(2).standard_normal((300, 512)) / 20
    assert [row_norms(rows[i : i + 1])[0] for i in range(300)] == row_norms(rows).tolist()


def test_sums_run_along_any_axis() -> None:
    terms = np.random.default_rng(3).standard_normal((7, 5)) / 5
    assert order_free_sum(terms, axis=0).tolist() == order_free_sum(np.ascontiguousarray(terms.T)).tolist()
