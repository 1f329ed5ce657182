"""The best rows of few probes, selected in many parts."""

import numpy as np
import pytest
from ersgallery_index.backends.accelerator import Matrix
from ersgallery_index.backends.lanes import Lane
from ersgallery_index.backends.selection import Selection

from tests.support.accelerators import HostAccelerator
from tests.support.indexes import unit_rows


def on_card(card: HostAccelerator, count: int, *, half: bool, seed: int) -> Matrix:
    rows = unit_rows(np.random.default_rng(seed).standard_normal((count, 16)))
    matrix = Matrix(0, count, 16, half)
    matrix = Matrix(card.allocate(count * matrix.row_bytes), count, 16, half)
    Lane(card, spare_bytes=0).write(matrix, 0, rows)
    return matrix


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("count", [400, 403, 407])
@pytest.mark.parametrize("probes", [1, 3])
@pytest.mark.parametrize("width", [1, 20, 50])
def test_parts_find_what_one_selection_finds(count: int, probes: int, width: int, *, half: bool) -> None:
    card = HostAccelerator()
    rows, asked = on_card(card, count, half=half, seed=count), on_card(card, probes, half=half, seed=probes)
    selection = Selection(card, scores_bytes=4 * 3 * 400, many_rows=400, parts=8)
    card.calls.clear()
    scores, positions = selection.nearest(asked, rows, width)
    calls = list(card.calls)
    expected, where = card.nearest(asked, rows, width)
    assert [call for call in calls if call == (8, 50)] == [(8, 50)] * probes
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-6)
    assert (np.diff(scores, axis=1) <= 0).all()
    assert [set(row) for row in positions.tolist()] == [set(row) for row in where.tolist()]


@pytest.mark.parametrize(
    ("probes", "rows", "width"),
    [(17, 800, 3), (1, 399, 3), (1, 800, 101), (4, 800, 3)],
    ids=["many probes", "few rows", "wide", "more scores than there is memory for"],
)
def test_what_parts_do_not_suit_is_selected_at_once(probes: int, rows: int, width: int) -> None:
    card = HostAccelerator()
    selection = Selection(card, scores_bytes=4 * 2 * 800, many_rows=400, parts=8)
    card.calls.clear()
    asked = on_card(card, probes, half=False, seed=1)
    scores, _ = selection.nearest(asked, on_card(card, rows, half=False, seed=2), width)
    assert scores.shape == (probes, width)
    assert card.calls == [(probes, rows)]


def test_no_memory_is_taken_where_parts_are_not_wanted() -> None:
    card = HostAccelerator()
    Selection(card, scores_bytes=0)
    assert not card.blocks
