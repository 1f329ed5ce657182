"""Single-linkage clusters of unit vectors: who is connected by steps no longer than a distance."""

import numpy as np
from numpy.typing import NDArray

_BLOCK_ROWS = 1024


def single_linkage(unit: NDArray[np.float32], max_distance: float) -> NDArray[np.int64]:
    """Return the cluster number of each of (n, d) unit vectors, numbered by their first member.

    Two vectors are in one cluster when a chain of vectors with Euclidean steps <= max_distance joins them. Every vector
    is compared once with those not yet reached: at most n^2 products, never held at once.
    """
    # |a - b|^2 = 2 - 2 <a, b> for unit vectors.
    least_cosine = 1.0 - max_distance**2 / 2.0
    labels = np.full(len(unit), -1, np.int64)
    for seed in range(len(unit)):
        if labels[seed] < 0:
            _spread(unit, labels, seed, least_cosine)
    return labels


def _spread(unit: NDArray[np.float32], labels: NDArray[np.int64], seed: int, least_cosine: float) -> None:
    label = labels.max() + 1
    labels[seed] = label
    waiting = np.array([seed])
    while len(waiting):
        block, waiting = waiting[:_BLOCK_ROWS], waiting[_BLOCK_ROWS:]
        open_rows = np.flatnonzero(labels < 0)
        near = (unit[open_rows] @ unit[block].T >= least_cosine).any(axis=1)
        labels[open_rows[near]] = label
        waiting = np.concatenate([waiting, open_rows[near]])
