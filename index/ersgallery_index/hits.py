"""Found faces in flat columns, and the one place that orders them and cuts them to k."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.interface import By, Hits, Ids, Scores


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Faces found for the probes of a batch, one row per probe and face: probes says whose row it is."""

    probes: Ids
    face_ids: Ids
    subject_ids: Ids
    scores: Scores
    ers: Scores

    def __len__(self) -> int:
        return len(self.probes)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Self:
        """Return the chosen rows."""
        return type(self)(
            self.probes[rows], self.face_ids[rows], self.subject_ids[rows], self.scores[rows], self.ers[rows]
        )

    def of_probes(self, numbers: Ids) -> Self:
        """Return the same rows for probes that are numbered differently elsewhere: i becomes numbers[i]."""
        return type(self)(numbers[self.probes], self.face_ids, self.subject_ids, self.scores, self.ers)

    @classmethod
    def empty(cls) -> Self:
        """Return no rows."""
        ids, scores = np.zeros(0, dtype=np.int64), np.zeros(0)
        return cls(ids, ids, ids, scores, scores)

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Return the rows of all parts."""
        if not parts:
            return cls.empty()
        return cls(
            np.concatenate([part.probes for part in parts]),
            np.concatenate([part.face_ids for part in parts]),
            np.concatenate([part.subject_ids for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.ers for part in parts]),
        )


def best_of(found: Found, k: int, by: By) -> Found:
    """Order by (probe, score falling, face id rising) and keep each probe's k best distinct subjects or faces."""
    ordered = found.take(np.lexsort((found.face_ids, -found.scores, found.probes)))
    names = ordered.subject_ids if by is By.SUBJECT else ordered.face_ids
    ordered = ordered.take(_first_of_each(ordered.probes, names))
    starts = np.searchsorted(ordered.probes, ordered.probes, side="left")
    return ordered.take(np.arange(len(ordered)) - starts < k)


def by_probe(parts: Sequence[Found]) -> Found:
    """Return parts that are ordered and share no probe as one, ordered."""
    found = Found.concatenate(parts)
    return found if len(parts) == 1 else found.take(np.argsort(found.probes, kind="stable"))


def kth_scores(best: Found, probes: int, k: int) -> Scores:
    """Return each probe's k-th best score (probes,), minus infinity where it has fewer; best is what best_of gave."""
    ends = np.searchsorted(best.probes, np.arange(probes), side="right")
    starts = np.searchsorted(best.probes, np.arange(probes), side="left")
    full = ends - starts >= k
    scores = np.full(probes, -np.inf)
    scores[full] = best.scores[starts[full] + k - 1]
    return scores


def to_hits(best: Found, probes: int) -> Hits:
    """Return ordered rows as ragged results of this many probes."""
    offsets = np.searchsorted(best.probes, np.arange(probes + 1), side="left").astype(np.int64)
    return Hits(offsets, best.face_ids, best.subject_ids, best.scores, best.ers)


def from_hits(hits: Hits) -> Found:
    """Return ragged results in flat columns."""
    probes = np.repeat(np.arange(len(hits.offsets) - 1), np.diff(hits.offsets))
    return Found(probes, hits.face_ids, hits.subject_ids, hits.scores, hits.ers)


def slice_hits(hits: Hits, start: int, stop: int) -> Hits:
    """Return the hits of probes start..stop-1."""
    offsets = hits.offsets[start : stop + 1]
    rows = slice(int(offsets[0]), int(offsets[-1]))
    return Hits(offsets - offsets[0], hits.face_ids[rows], hits.subject_ids[rows], hits.scores[rows], hits.ers[rows])


def concatenate_hits(parts: Sequence[Hits]) -> Hits:
    """Return the hits of the probes of all parts (at least one), in their order."""
    starts = np.cumsum([0, *(part.offsets[-1] for part in parts)])
    offsets = [part.offsets[1:] + start for part, start in zip(parts, starts[:-1], strict=True)]
    return Hits(
        np.concatenate([np.zeros(1, dtype=np.int64), *offsets]),
        np.concatenate([part.face_ids for part in parts]),
        np.concatenate([part.subject_ids for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.ers for part in parts]),
    )


def merge_hits(parts: Sequence[Hits], k: int, by: By) -> Hits:
    """Merge the answers of several indexes over disjoint faces to the same probes into one."""
    probes = len(parts[0].offsets) - 1
    return to_hits(best_of(Found.concatenate([from_hits(part) for part in parts]), k, by), probes)


def _first_of_each(probes: Ids, names: Ids) -> NDArray[np.bool_]:
    """Mark the first row of every (probe, name)."""
    order = np.lexsort((names, probes))
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (np.diff(probes[order]) != 0) | (np.diff(names[order]) != 0)
    marks = np.zeros(len(order), dtype=np.bool_)
    marks[order[first]] = True
    return marks
