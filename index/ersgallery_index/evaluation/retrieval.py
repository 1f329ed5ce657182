"""Retrieval: how high the other images of a query's identity come in a ranking of a gallery (mAP, CMC, rank-k).

Gates are part of it. A query that is not answered (UNSURE) stays in every denominator, as one that found nothing. A
gallery row that is kept out is never ranked; whether it still counts as something to be found is the caller's choice,
so that a gate cannot improve a figure by hiding what is hard to find.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.embeddings import require_finite_rows
from ersgallery_index.sums import Float64

Mask = NDArray[np.bool_]

_BLOCK_SCORES = 1 << 22
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """What each of n queries found.

    relevant (n,) int64: gallery rows of its identity that there were to find. average_precision (n,): eq. AP = sum of
    the precisions at the ranks where they were found / relevant; 0 for a query without an answer.
    first_rank (n,) int64: rank of the first of them, from 1; 0 where none was found. answered (n,) bool.
    """

    relevant: NDArray[np.int64]
    average_precision: Float64
    first_rank: NDArray[np.int64]
    answered: Mask

    def found_within(self, k: int) -> Float64:
        """Return 1.0 for each query that has one of its identity among its first k, else 0.0: (n,)."""
        return ((self.first_rank >= 1) & (self.first_rank <= k)).astype(np.float64)

    def cmc(self, ranks: int) -> Float64:
        """Return the share of all queries that are right within rank 1, 2, ..., ranks: (ranks,)."""
        return np.array([float(self.found_within(k).mean()) for k in range(1, ranks + 1)])


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its 95 % interval."""

    value: float
    low: float
    high: float


def rank(
    queries: NDArray[np.float32],
    gallery: NDArray[np.float32],
    query_ids: NDArray[np.int64],
    gallery_ids: NDArray[np.int64],
    *,
    query_ok: Mask | None = None,
    gallery_ok: Mask | None = None,
    counted: Mask | None = None,
) -> Ranked:
    """Rank the gallery for each query by the dot product of their rows, the lower row first among equals.

    queries (n, d), gallery (m, d): derived unit rows. An identity below 0 is nobody's, so a gallery row with it is a
    distractor.
    query_ok (n,): False leaves a query without an answer. gallery_ok (m,): False keeps a row out of every ranking.
    counted (m,): False makes a row "junk" for queries of its own identity: neither to be found nor in the way, as
    re-identification benchmarks treat what nobody can recognize; for others it is ranked like any other row.
    Works in blocks of queries, about 100 MB at once. Raises InvalidEmbedding, ValueError for lengths that differ.
    """
    _require_rows(queries, gallery, query_ids, gallery_ids)
    searchable = _mask(gallery_ok, len(gallery))
    to_find = _mask(counted, len(gallery))
    result = _nothing_found(query_ids, gallery_ids[to_find], _mask(query_ok, len(queries)))
    shown = np.flatnonzero(searchable)
    rows, names, junk = gallery[shown].astype(np.float64).T, gallery_ids[shown], ~to_find[shown]
    answered = np.flatnonzero(result.answered & (query_ids >= 0))
    step = max(1, _BLOCK_SCORES // max(1, len(shown)))
    for start in range(0, len(answered), step):
        block = answered[start : start + step]
        scores = queries[block].astype(np.float64) @ rows
        same = names[None, :] == query_ids[block][:, None]
        scores[same & junk] = -np.inf
        _fill(result, block, scores, same & ~junk)
    return result


def mean_over_identities(
    values: Float64, identities: NDArray[np.int64], *, seed: int = 0, resamples: int = 1000
) -> Interval:
    """Return the mean of (n,) values, and its bootstrap interval over identities.

    Whole identities are drawn with all their values, because queries of one identity are not independent. A difference
    of two methods on the same queries is given as one value each. Raises ValueError without any value.
    """
    if len(values) == 0 or values.shape != identities.shape:
        raise ValueError("as many identities as values are needed, and at least one")
    _, group = np.unique(identities, return_inverse=True)
    sums = np.bincount(group, values)
    counts = np.bincount(group).astype(np.float64)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(sums), np.full(len(sums), 1.0 / len(sums)), size=resamples)
    means = (drawn @ sums) / (drawn @ counts)
    low, high = np.quantile(means, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])
    return Interval(float(values.mean()), float(low), float(high))


def _fill(result: Ranked, block: NDArray[np.int64], scores: Float64, relevant: Mask) -> None:
    """Enter what a block of queries found; scores and relevant are (block, searchable)."""
    if scores.shape[1] == 0:
        return
    order = np.argsort(-scores, axis=1, kind="stable")
    hits = np.take_along_axis(relevant, order, axis=1)
    ranks = np.arange(1, hits.shape[1] + 1)
    precision = np.cumsum(hits, axis=1) / ranks
    result.average_precision[block] = (precision * hits).sum(axis=1) / np.maximum(result.relevant[block], 1)
    result.first_rank[block] = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, 0)


def _nothing_found(query_ids: NDArray[np.int64], to_find: NDArray[np.int64], answered: Mask) -> Ranked:
    names, counts = np.unique(to_find[to_find >= 0], return_counts=True)
    relevant = np.zeros(len(query_ids), dtype=np.int64)
    if len(names):
        at = np.minimum(np.searchsorted(names, query_ids), len(names) - 1)
        relevant = np.where(names[at] == query_ids, counts[at], 0)
    return Ranked(relevant, np.zeros(len(query_ids)), np.zeros(len(query_ids), dtype=np.int64), answered.copy())


def _mask(given: Mask | None, length: int) -> Mask:
    mask = np.ones(length, dtype=np.bool_) if given is None else given
    if mask.shape != (length,):
        raise ValueError(f"a mask must have {length} entries, got {mask.shape}")
    return mask


def _require_rows(
    queries: NDArray[np.float32],
    gallery: NDArray[np.float32],
    query_ids: NDArray[np.int64],
    gallery_ids: NDArray[np.int64],
) -> None:
    dimension = gallery.shape[1] if gallery.ndim == 2 else -1
    require_finite_rows(gallery, dimension)
    require_finite_rows(queries, dimension)
    if query_ids.shape != (len(queries),) or gallery_ids.shape != (len(gallery),):
        raise ValueError("every row needs exactly one identity")
