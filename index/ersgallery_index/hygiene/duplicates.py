"""Pairs of subjects that look like one person, gathered block by block, and who they connect."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ersgallery_index.hits import Found
from ersgallery_index.interface import Ids, Scores

_COMPACTED_FROM = 1 << 17
"""So many rows are gathered before only the best pairs are kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """n pairs of subjects, the most similar first, then by the lower keys; first < second (n,).

    scores (n,) float64: of the most similar two faces, first_faces and second_faces (n,). cut: less similar pairs were
    left out.
    """

    first: Ids
    second: Ids
    first_faces: Ids
    second_faces: Ids
    scores: Scores
    cut: bool

    def __len__(self) -> int:
        return len(self.scores)


class PairTable:
    """Keeps the most similar pairs of subjects, each with its most similar two faces, the lower face ids among equals.

    most: how many pairs. Where every face is searched for its most + 1 most similar other subjects, what is kept equals
    brute force over all pairs: a pair that none of its faces gave is less similar than `most` others of one face.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: list[Pairs] = []
        self._rows = 0
        self._cut = False

    def add(self, found: Found, subjects: Ids, faces: Ids) -> None:
        """Take hits of probes in other subjects; subjects, faces (q,): whose each probe is, and which face."""
        own, own_faces = subjects[found.probes], faces[found.probes]
        swapped = own > found.subject_ids
        self._waiting.append(
            Pairs(
                np.where(swapped, found.subject_ids, own),
                np.where(swapped, own, found.subject_ids),
                np.where(swapped, found.face_ids, own_faces),
                np.where(swapped, own_faces, found.face_ids),
                found.scores,
                cut=False,
            )
        )
        self._rows += len(found)
        if self._rows > _COMPACTED_FROM + self._most:
            self._waiting = [self.best()]
            self._rows = len(self._waiting[0])

    def best(self) -> Pairs:
        """Return the most similar pairs so far."""
        if not self._waiting:
            none = np.empty(0, np.int64)
            return Pairs(none, none, none, none, np.empty(0), cut=False)
        pairs = _concatenated(self._waiting)
        order = np.lexsort((pairs.second_faces, pairs.first_faces, -pairs.scores, pairs.second, pairs.first))
        pairs = _taken(pairs, order)
        changed = (np.diff(pairs.first, prepend=-1) != 0) | (np.diff(pairs.second, prepend=-1) != 0)
        pairs = _taken(pairs, np.flatnonzero(changed))
        pairs = _taken(pairs, np.lexsort((pairs.second, pairs.first, -pairs.scores)))
        self._cut = self._cut or len(pairs) > self._most
        return _taken(pairs, np.arange(min(len(pairs), self._most)), cut=self._cut)


def groups_of(first: Sequence[int], second: Sequence[int]) -> list[list[int]]:
    """Return the subjects that pairs connect, directly or through others; each group rising, by its first pair."""
    parents: dict[int, int] = {}

    def root(key: int) -> int:
        parents.setdefault(key, key)
        while parents[key] != key:
            parents[key] = parents[parents[key]]
            key = parents[key]
        return key

    for one, other in zip(first, second, strict=True):
        parents[root(other)] = root(one)
    groups: dict[int, set[int]] = {}
    for one, other in zip(first, second, strict=True):
        groups.setdefault(root(one), set()).update((one, other))
    return [sorted(group) for group in groups.values()]


def _concatenated(parts: Sequence[Pairs]) -> Pairs:
    return Pairs(
        np.concatenate([part.first for part in parts]),
        np.concatenate([part.second for part in parts]),
        np.concatenate([part.first_faces for part in parts]),
        np.concatenate([part.second_faces for part in parts]),
        np.concatenate([part.scores for part in parts]),
        cut=any(part.cut for part in parts),
    )


def _taken(pairs: Pairs, rows: Ids, *, cut: bool = False) -> Pairs:
    return Pairs(
        pairs.first[rows],
        pairs.second[rows],
        pairs.first_faces[rows],
        pairs.second_faces[rows],
        pairs.scores[rows],
        cut=cut,
    )
