"""The bound on what half precision loses."""

import numpy as np
import pytest
from ersgallery_index.backends.precision import half_error
from ersgallery_index.sums import row_dots
from numpy.typing import NDArray

from tests.support.indexes import unit_rows

DIMENSIONS = [1, 2, 64, 128, 512, 2048]


def cut_sum(products: NDArray[np.float32], block: int) -> NDArray[np.float32]:
    """Return the sums of rows (n, d) as a tensor core adds: blocks with the sum so far, all cut off at 24 bits."""
    total = np.zeros(len(products))
    for start in range(0, products.shape[1], block):
        addends = np.concatenate([total[:, None], products[:, start : start + block].astype(np.float64)], axis=1)
        unit = np.spacing(np.abs(addends).max(axis=1, keepdims=True).astype(np.float32)).astype(np.float64)
        total = (np.trunc(addends / unit) * unit).sum(axis=1)
        unit = np.spacing(np.abs(total).astype(np.float32)).astype(np.float64)
        total = np.trunc(total / unit) * unit
    return total.astype(np.float32)


@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("block", [4, 8, 16])
def test_sums_as_tensor_cores_make_them_stay_within_the_bound(dimension: int, block: int) -> None:
    random = np.random.default_rng(dimension)
    rows, probes = (unit_rows(random.standard_normal((200, dimension))) for _ in range(2))
    rows[:100] = probes[:100]
    halves = [side.astype(np.float16).astype(np.float32) for side in (rows, probes)]
    exact = row_dots(rows.astype(np.float64), probes.astype(np.float64))
    assert np.abs(cut_sum(halves[0] * halves[1], block) - exact).max() <= half_error(dimension)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_the_worst_vectors_come_close_to_the_bound_and_never_pass_it(dimension: int) -> None:
    # Numbers just above the middle between two float16 numbers lose the most; all are about 1 / sqrt(d).
    number = np.float32(np.float16(dimension**-0.5))
    worst = np.full(
        (1, dimension), number * np.float32(1 + 0.999 * 2.0**-11 / (number / 2 ** np.floor(np.log2(number))))
    )
    half = worst.astype(np.float16).astype(np.float64)
    lost = abs(float((half * half).sum() - (worst.astype(np.float64) ** 2).sum()))
    length = float((worst.astype(np.float64) ** 2).sum())
    assert lost <= half_error(dimension) * max(1.0, length)
    assert lost > 0.4 * (2.0 * 2.0**-11)


def test_numbers_below_the_normal_ones_of_float16_stay_within_the_bound() -> None:
    random = np.random.default_rng(3)
    rows = unit_rows(random.standard_normal((300, 512)) * np.where(np.arange(512) < 2, 1.0, 2.0**-18))
    halves = rows.astype(np.float16).astype(np.float64)
    exact = row_dots(rows.astype(np.float64), rows[::-1].astype(np.float64))
    assert (np.abs((halves * halves[::-1]).sum(axis=1) - exact) <= half_error(512)).all()


def test_half_precision_is_known_to_lose_about_a_thousandth() -> None:
    assert 0.97e-3 < half_error(1) < half_error(512) < 1.2e-3
