"""All pairs of a labelled set of faces, block by block, counted for many gates at once.

A pair passes a gate when both its faces do (eq. 2), so it belongs to the highest gate that its worse face passes, and
one pass over all pairs serves every gate. Impostor scores are counted in narrow bins, genuine pairs against thresholds
for each identity: memory is O(n) and a block.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.interface import Ids
from ersgallery_index.representation import Representation
from ersgallery_index.sums import Float64

Progress = Callable[[int, int], None]
"""Told (blocks done, blocks in all) after every block; what it raises ends the work."""

BINS = 1 << 16
"""Bins of similarity from -1 to 1: thresholds are multiples of 2**-15, about 3e-5."""

_BLOCK_ROWS = 1024
_TOLD_PEOPLE = 256


@dataclass(frozen=True, slots=True, eq=False)
class ImpostorCounts:
    """How many pairs of two people there are, and how they score.

    pairs: all of them. passing (g, BINS) int64: of those that pass a gate, how many score at or above the lower edge
    of each bin.
    """

    pairs: int
    passing: Ids

    def tau_at(self, gate: int, far: float) -> float:
        """Return the least threshold at which at most this share of all impostor pairs is accepted.

        It lies above 1 where too many pairs are in the last bin: nobody is accepted there.
        """
        enough = self.passing[gate] <= np.floor(far * self.pairs * (1.0 + 1e-12))
        # A score of 1 is in the last bin, so that the edge after that refuses it.
        first = int(np.argmax(enough)) if enough.any() else BINS + 1
        return 2.0 * first / BINS - 1.0


def gates_passed(faces: Representation, gates: Float64) -> Ids:
    """Return for each face how many of the rising gates it passes (n,); 0 where it is not usable."""
    passed = np.searchsorted(gates, faces.ers, side="right")
    return np.where(faces.usable, passed, 0).astype(np.int64)


def count_impostors(
    faces: Representation, identities: Ids, gates: Float64, progress: Progress | None = None
) -> ImpostorCounts:
    """Count the pairs of two people among n faces (identities (n,)) under rising gates (g,)."""
    levels = gates_passed(faces, gates)
    rows = np.flatnonzero(levels > 0)
    vectors, people, levels = faces.vectors[rows], identities[rows], levels[rows]
    exact = np.zeros((len(gates) + 1) * BINS, dtype=np.int64)
    blocks = list(_blocks(len(rows)))
    for number, (left, right) in enumerate(blocks):
        scores = vectors[left] @ vectors[right].T
        wanted = people[left][:, None] != people[right][None, :]
        if left.start == right.start:
            wanted &= np.triu(np.ones(wanted.shape, dtype=np.bool_), 1)
        level = np.minimum(levels[left][:, None], levels[right][None, :])[wanted]
        exact += np.bincount(level * BINS + _bin_of(scores[wanted]), minlength=len(exact))
        if progress is not None:
            progress(number + 1, len(blocks))
    by_level = exact.reshape(len(gates) + 1, BINS)[1:]
    from_gate = np.cumsum(by_level[::-1], axis=0)[::-1]
    return ImpostorCounts(impostor_pairs(identities), np.cumsum(from_gate[:, ::-1], axis=1)[:, ::-1])


@dataclass(frozen=True, slots=True, eq=False)
class GenuineCounts:
    """Genuine pairs of each identity that has any.

    pairs (i,) int64: all of them. unsure (i, g): of them a gate leaves unanswered. errors (i, g, t): of them are not
    accepted at the thresholds of the gate, unsure ones included.
    """

    pairs: Ids
    unsure: Ids
    errors: Ids


def count_genuine(
    faces: Representation, identities: Ids, gates: Float64, taus: Float64, progress: Progress | None = None
) -> GenuineCounts:
    """Count the genuine pairs that are errors under rising gates (g,) and thresholds taus (g, t).

    progress: gets identities done and identities in all, now and then.
    """
    levels = gates_passed(faces, gates)
    groups = _groups_of_several(identities)
    pairs = np.array([len(group) * (len(group) - 1) // 2 for group in groups], dtype=np.int64)
    unsure = np.zeros((len(groups), len(gates)), dtype=np.int64)
    errors = np.zeros((len(groups), *taus.shape), dtype=np.int64)
    for person, group in enumerate(groups):
        if progress is not None and person % _TOLD_PEOPLE == 0:
            progress(person, len(groups))
        answered = np.zeros(len(gates), dtype=np.int64)
        accepted = np.zeros(taus.shape, dtype=np.int64)
        for left, right in _blocks(len(group)):
            scores, level = _pair_block(faces, levels, group[left], group[right], left.start == right.start)
            for gate in range(len(gates)):
                passing = np.sort(scores[level > gate])
                answered[gate] += len(passing)
                accepted[gate] += len(passing) - np.searchsorted(passing, taus[gate], side="left")
        unsure[person] = pairs[person] - answered
        errors[person] = pairs[person] - accepted
    if progress is not None:
        progress(len(groups), len(groups))
    return GenuineCounts(pairs, unsure, errors)


def impostor_pairs(identities: Ids) -> int:
    """Return how many pairs of faces show two people."""
    _, counts = np.unique(identities, return_counts=True)
    total = len(identities)
    return (total * (total - 1) - int((counts * (counts - 1)).sum())) // 2


def _pair_block(
    faces: Representation, levels: Ids, first: Ids, second: Ids, diagonal: bool
) -> tuple[NDArray[np.float32], Ids]:
    scores = faces.vectors[first] @ faces.vectors[second].T
    level = np.minimum(levels[first][:, None], levels[second][None, :])
    if not diagonal:
        return scores.ravel(), level.ravel()
    above = np.triu_indices(len(first), 1)
    return scores[above], level[above]


def _groups_of_several(identities: Ids) -> list[Ids]:
    order = np.argsort(identities, kind="stable")
    edges = np.flatnonzero(np.diff(identities[order])) + 1
    return [group.astype(np.int64) for group in np.split(order, edges) if len(group) > 1]


def _bin_of(scores: NDArray[np.float32]) -> Ids:
    # In float64: adding 1 in float32 would lose the last bits of the score.
    bins = np.floor((scores.astype(np.float64) + 1.0) * (BINS / 2)).astype(np.int64)
    return np.clip(bins, 0, BINS - 1)


def _blocks(rows: int) -> Iterator[tuple[slice, slice]]:
    for left in range(0, rows, _BLOCK_ROWS):
        for right in range(left, rows, _BLOCK_ROWS):
            yield slice(left, min(left + _BLOCK_ROWS, rows)), slice(right, min(right + _BLOCK_ROWS, rows))
