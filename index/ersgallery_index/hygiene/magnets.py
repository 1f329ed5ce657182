"""Which faces win the probes of people they do not show: counted block by block, ranked at the end."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.hits import Found
from ersgallery_index.interface import Ids, Scores

_COMPACTED_FROM = 1 << 20
"""So many neighbours are gathered before they are counted."""


@dataclass(frozen=True, slots=True, eq=False)
class MagnetRows:
    """n faces, the worst first: by people, then wins, then neighbour probes, falling, then by rising face id.

    people (n,): different people whose probes each won. wins, low_ers_wins (n,): probes of others. neighbor_probes
    (n,): probes of others that had it among their neighbours. mean_scores (n,): of the wins, NaN without any.
    """

    face_ids: Ids
    subject_ids: Ids
    ers: Scores
    people: Ids
    wins: Ids
    low_ers_wins: Ids
    neighbor_probes: Ids
    mean_scores: Scores

    def __len__(self) -> int:
        return len(self.face_ids)

    def take(self, rows: NDArray[np.intp]) -> Self:
        """Return some rows."""
        return type(self)(
            self.face_ids[rows],
            self.subject_ids[rows],
            self.ers[rows],
            self.people[rows],
            self.wins[rows],
            self.low_ers_wins[rows],
            self.neighbor_probes[rows],
            self.mean_scores[rows],
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Wins:
    """Probes that were won: by which face of whom, whose probe it was, how similar, whether below gamma."""

    face_ids: Ids
    subject_ids: Ids
    ers: Scores
    people: Ids
    scores: Scores
    low: NDArray[np.bool_]


class MagnetTally:
    """Counts what wins. threshold: similarity from which the nearest face wins a probe."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._wins: list[_Wins] = []
        self._counted = (np.empty(0, np.int64), np.empty(0, np.int64))
        self._neighbors: list[Ids] = []
        self._waiting = 0
        self.probes = self.low_ers_probes = 0

    def add(self, found: Found, people: Ids, low: NDArray[np.bool_]) -> None:
        """Take the nearest other subjects of q probes, each by its best face, in order.

        people (q,): whom each probe shows, one number for one person. low (q,): whether it is below gamma.
        """
        self.probes += len(people)
        self.low_ers_probes += int(low.sum())
        self._neighbors.append(found.face_ids)
        self._waiting += len(found)
        if self._waiting > _COMPACTED_FROM:
            self._counted = self._count()
            self._neighbors, self._waiting = [], 0
        nearest = np.ones(len(found), np.bool_)
        nearest[1:] = np.diff(found.probes) != 0
        won = found.take(nearest & (found.scores >= self._threshold))
        self._wins.append(
            _Wins(won.face_ids, won.subject_ids, won.ers, people[won.probes], won.scores, low[won.probes])
        )

    @property
    def won(self) -> tuple[int, int]:
        """Return how many probes were won, and how many of these were below gamma."""
        return sum(len(each.low) for each in self._wins), sum(int(each.low.sum()) for each in self._wins)

    def ranked(self) -> MagnetRows:
        """Return the faces that won a probe."""
        wins = self._all_wins()
        face_ids, first, inverse, counts = np.unique(
            wins.face_ids, return_index=True, return_inverse=True, return_counts=True
        )
        count = len(face_ids)
        pairs = np.unique(np.stack([inverse, wins.people]), axis=1)
        with np.errstate(invalid="ignore"):
            means = np.bincount(inverse, wins.scores, count) / counts
        rows = MagnetRows(
            face_ids,
            wins.subject_ids[first],
            wins.ers[first],
            np.bincount(pairs[0], minlength=count),
            counts.astype(np.int64),
            np.bincount(inverse[wins.low], minlength=count),
            self.neighbor_probes(face_ids),
            means,
        )
        return rows.take(np.lexsort((rows.face_ids, -rows.neighbor_probes, -rows.wins, -rows.people)))

    def neighbor_probes(self, face_ids: Ids) -> Ids:
        """Return for how many probes each of these faces was among the neighbours."""
        faces, counts = self._count()
        if not len(faces):
            return np.zeros(len(face_ids), np.int64)
        places = np.minimum(np.searchsorted(faces, face_ids), len(faces) - 1)
        return np.where(faces[places] == face_ids, counts[places], 0)

    def _count(self) -> tuple[Ids, Ids]:
        new, counts = np.unique(np.concatenate([np.empty(0, np.int64), *self._neighbors]), return_counts=True)
        faces = np.concatenate([self._counted[0], new])
        merged, inverse = np.unique(faces, return_inverse=True)
        totals = np.zeros(len(merged), np.int64)
        np.add.at(totals, inverse, np.concatenate([self._counted[1], counts]))
        return merged, totals

    def _all_wins(self) -> _Wins:
        ids, scores = np.empty(0, np.int64), np.empty(0)
        return _Wins(
            np.concatenate([ids, *(each.face_ids for each in self._wins)]),
            np.concatenate([ids, *(each.subject_ids for each in self._wins)]),
            np.concatenate([scores, *(each.ers for each in self._wins)]),
            np.concatenate([ids, *(each.people for each in self._wins)]),
            np.concatenate([scores, *(each.scores for each in self._wins)]),
            np.concatenate([np.empty(0, np.bool_), *(each.low for each in self._wins)]),
        )
