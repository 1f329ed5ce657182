"""Single linkage by blocks equals scipy's."""

import itertools

import numpy as np
import pytest
from ersgallery_index.calibration import linkage
from ersgallery_index.calibration.linkage import single_linkage, single_linkage_grid
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster
from scipy.cluster.hierarchy import linkage as scipy_linkage


def unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def scipy_clusters(rows: NDArray[np.float32], distance: float) -> NDArray[np.int64]:
    """Return scipy's clusters, numbered by their first member."""
    labels = fcluster(scipy_linkage(rows.astype(np.float64), "single"), distance, "distance")
    first = {label: number for number, label in enumerate(dict.fromkeys(labels.tolist()))}
    return np.array([first[label] for label in labels.tolist()])


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linkage, "BLOCK_ROWS", 7)


@given(
    seed=st.integers(0, 10_000),
    count=st.integers(2, 60),
    dimension=st.integers(2, 6),
    distance=st.floats(0.05, 1.9),
    duplicates=st.integers(0, 10),
)
def test_clusters_equal_scipys(seed: int, count: int, dimension: int, distance: float, duplicates: int) -> None:
    rng = np.random.default_rng(seed)
    rows = unit(rng.normal(size=(count, dimension)))
    rows = np.concatenate([rows, rows[rng.integers(0, count, duplicates)]])
    np.testing.assert_array_equal(single_linkage(rows, distance), scipy_clusters(rows, distance))


@given(seed=st.integers(0, 10_000), pair=st.tuples(st.integers(0, 19), st.integers(0, 19)))
def test_a_distance_that_a_pair_has_exactly_joins_it_as_scipy_does(seed: int, pair: tuple[int, int]) -> None:
    rows = unit(np.random.default_rng(seed).normal(size=(20, 4)))
    difference = rows[pair[0]].astype(np.float64) - rows[pair[1]]
    distance = float(np.sqrt(np.einsum("i,i->", difference, difference)))
    for cut in (np.nextafter(distance, 0.0) - 1e-12, distance, distance + 1e-12):
        expected = scipy_clusters(rows, float(cut) if cut != distance else distance)
        if cut == distance and expected[pair[0]] != expected[pair[1]]:
            continue  # scipy's own sum differs from ours in the last bit
        np.testing.assert_array_equal(single_linkage(rows, float(cut)), expected)


def test_a_grid_is_the_single_cuts() -> None:
    rows = unit(np.random.default_rng(3).normal(size=(50, 4)))
    cuts = [0.2, 0.5, 0.9]
    np.testing.assert_array_equal(single_linkage_grid(rows, cuts), [single_linkage(rows, cut) for cut in cuts])


def test_a_long_chain_across_blocks_is_one_cluster() -> None:
    angles = np.linspace(0, 3, 40)
    rows = unit(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    order = np.random.default_rng(0).permutation(40)
    assert single_linkage(rows[order], 0.08).max() == 0
    assert single_linkage(rows[order], 0.07).max() == 39


def test_progress_counts_every_pair_once_and_may_stop_the_work() -> None:
    rows = unit(np.random.default_rng(0).normal(size=(20, 3)))
    seen: list[tuple[int, int]] = []
    single_linkage(rows, 0.5, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (210, 210)
    assert all(before[0] < after[0] for before, after in itertools.pairwise(seen))

    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        single_linkage(rows, 0.5, stop)
