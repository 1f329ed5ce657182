"""Verification (1:1) of all pairs of labelled faces: FRR at FAR, with tau drawn anew in every resample of people.

At a low FAR a handful of impostor pairs sets tau, so most of the uncertainty of FRR is that of tau. The calibration's
trade of gamma holds tau, which compares gates on the same faces; a figure that is published needs this one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.calibration.pairs import impostor_pairs
from ersgallery_index.errors import CalibrationFailed
from ersgallery_index.evaluation.rates import FEWEST_ERRORS, Rate, rate_of, share_fewer
from ersgallery_index.interface import Ids
from ersgallery_index.representation import Representation
from ersgallery_index.sums import Float64

_BLOCK_ROWS = 1024
_SPARE = 4
_LEAST_KEPT = 1000


@dataclass(frozen=True, slots=True, eq=False)
class WorkingPoint:
    """FRR at one FAR.

    tau: the least at which the FAR is kept. frr: rejected or UNSURE share of all genuine pairs; supported: at least 10
    impostor pairs are allowed and 10 genuine ones rejected. drawn (r,): FRR in each resample, at the tau of the
    resample; the same people are drawn for every gate and FAR of a seed.
    """

    far: float
    tau: float
    frr: Rate
    drawn: Float64


@dataclass(frozen=True, slots=True, eq=False)
class Verification:
    """All pairs under one gamma: counts of pairs, shares of them with an UNSURE side, and points by rising FAR."""

    gamma: float
    genuine: int
    impostor: int
    genuine_unsure: float
    impostor_unsure: float
    points: tuple[WorkingPoint, ...]


def verify_pairs(
    faces: Representation,
    people: Ids,
    *,
    gammas: Sequence[float],
    fars: Sequence[float],
    resamples: int = 500,
    seed: int = 0,
) -> tuple[Verification, ...]:
    """Verify all pairs of n faces of people (n,) under each gamma, in the order given.

    An UNSURE pair is a reject and stays in every denominator (eq. 2). Intervals are by bootstrap over people: a person
    who is drawn w times counts w times in each genuine pair, and w * v times in each pair with one drawn v times. Time
    is n**2 / 2 products for each gamma; memory is O(n), a block, and a few times the impostor pairs that the largest
    FAR allows. Raises CalibrationFailed: LABELS_MISMATCH, TOO_FEW_IDENTITIES, NO_GENUINE_PAIR, BAD_TARGET.
    """
    _check(faces, people, fars)
    rising = sorted(set(fars))
    names, who = np.unique(people, return_inverse=True)
    who = who.reshape(-1)
    rng = np.random.default_rng(seed)
    times = rng.multinomial(len(names), np.full(len(names), 1.0 / len(names)), size=resamples)
    return tuple(_verify(faces, who, gamma, rising, times) for gamma in gammas)


def fewer(before: WorkingPoint, after: WorkingPoint) -> Rate | None:
    """Return by what share errors became fewer, as share_fewer does; both of one seed and people."""
    return share_fewer(before.frr, before.drawn, after.frr, after.drawn)


@dataclass(frozen=True, slots=True, eq=False)
class _Strongest:
    """The highest impostor pairs by falling score; complete: there is no other with both sides recognizable."""

    scores: Float64
    first: Ids
    second: Ids
    complete: bool

    def tau(self, allowed: float, weights: Ids) -> float | None:
        """Return the least tau at which pairs of weights (m,) weigh at most `allowed`; None if it is below them all."""
        over = int(np.searchsorted(np.cumsum(weights), allowed * (1.0 + 1e-12), side="right"))
        if over < len(self.scores):
            # All pairs with this score stay out: those before it alone could be kept, but no threshold parts them.
            return float(np.nextafter(self.scores[over], np.inf))
        return -1.0 if self.complete else None


def _verify(faces: Representation, who: Ids, gamma: float, fars: Sequence[float], times: Ids) -> Verification:
    total = impostor_pairs(who)
    passes = faces.passes(gamma)
    scores, owners = _genuine(faces, who, passes)
    keep = _SPARE * int(max(fars) * total) + _LEAST_KEPT
    taus = None
    while taus is None:
        taus = _taus(_strongest(faces, who, passes, keep), who, fars, times)
        keep *= _SPARE
    counted = np.concatenate([np.ones((1, times.shape[1]), np.int64), times])[:, owners]
    shares = _shares_below(scores, counted, taus)
    return Verification(
        gamma=gamma,
        genuine=len(scores),
        impostor=total,
        genuine_unsure=float(np.isneginf(scores).mean()),
        impostor_unsure=1.0 - impostor_pairs(who[passes]) / total,
        points=tuple(
            WorkingPoint(
                far,
                float(taus[0, at]),
                rate_of(
                    float(shares[0, at]),
                    shares[1:, at],
                    supported=far * total >= FEWEST_ERRORS and round(shares[0, at] * len(scores)) >= FEWEST_ERRORS,
                ),
                shares[1:, at],
            )
            for at, far in enumerate(fars)
        ),
    )


def _taus(strongest: _Strongest, who: Ids, fars: Sequence[float], times: Ids) -> Float64 | None:
    """Return tau for all people and for each draw (1 + r, f); None where too few pairs were kept to tell."""
    faces = np.bincount(who).astype(np.float64)
    found = np.empty((1 + len(times), len(fars)))
    for draw, weight in enumerate([np.ones(len(faces), np.int64), *times]):
        drawn = weight * faces
        total = (drawn.sum() ** 2 - (drawn**2).sum()) / 2.0
        weights = weight[strongest.first] * weight[strongest.second]
        for at, far in enumerate(fars):
            tau = strongest.tau(far * total, weights)
            if tau is None:
                return None
            found[draw, at] = tau
    return found


def _shares_below(scores: Float64, weights: Ids, taus: Float64) -> Float64:
    """Return the weighted share of genuine scores (g,) below each tau (d, f), under the weights of a draw (d, g)."""
    order = np.argsort(scores)
    rising = scores[order]
    shares = np.empty(taus.shape)
    for draw in range(len(taus)):
        below = np.concatenate([[0], np.cumsum(weights[draw][order])])
        shares[draw] = below[np.searchsorted(rising, taus[draw], side="left")] / max(1, int(below[-1]))
    return shares


def _genuine(faces: Representation, who: Ids, passes: NDArray[np.bool_]) -> tuple[Float64, Ids]:
    """Return the score of each genuine pair, minus infinity where a side is UNSURE, and whose it is."""
    order = np.argsort(who, kind="stable")
    found, owners = [], []
    for group in np.split(order, np.flatnonzero(np.diff(who[order])) + 1):
        first, second = np.triu_indices(len(group), 1)
        scores = (faces.vectors[group] @ faces.vectors[group].T)[first, second].astype(np.float64)
        sure = passes[group[first]] & passes[group[second]]
        found.append(np.where(sure, np.maximum(scores, -1.0), -np.inf))
        owners.append(np.full(len(first), who[group[0]]))
    return np.concatenate(found), np.concatenate(owners).astype(np.int64)


def _strongest(faces: Representation, who: Ids, passes: NDArray[np.bool_], keep: int) -> _Strongest:
    rows = np.flatnonzero(passes)
    vectors, people = faces.vectors[rows], who[rows]
    scores, first, second = np.empty(0, np.float32), np.empty(0, np.int64), np.empty(0, np.int64)
    floor, complete = -np.inf, True
    for left, right in _blocks(len(rows)):
        block = vectors[left] @ vectors[right].T
        wanted = (block >= floor) & (people[left][:, None] != people[right][None, :])
        if left.start == right.start:
            wanted = np.triu(wanted, 1)
        one, other = np.nonzero(wanted)
        scores = np.concatenate([scores, block[one, other]])
        first = np.concatenate([first, people[left][one]])
        second = np.concatenate([second, people[right][other]])
        if len(scores) > keep:
            best = np.argpartition(-scores, keep - 1)[:keep]
            scores, first, second = scores[best], first[best], second[best]
            floor, complete = float(scores.min()), False
    order = np.argsort(-scores, kind="stable")
    return _Strongest(np.maximum(scores[order].astype(np.float64), -1.0), first[order], second[order], complete)


def _blocks(rows: int) -> Iterator[tuple[slice, slice]]:
    for left in range(0, rows, _BLOCK_ROWS):
        for right in range(left, rows, _BLOCK_ROWS):
            yield slice(left, left + _BLOCK_ROWS), slice(right, right + _BLOCK_ROWS)


def _check(faces: Representation, people: Ids, fars: Sequence[float]) -> None:
    if len(people) != len(faces):
        raise CalibrationFailed("LABELS_MISMATCH", f"{len(people)} labels were given for {len(faces)} faces")
    if not fars or not all(0.0 < far < 1.0 for far in fars):
        raise CalibrationFailed("BAD_TARGET", "a FAR lies between 0 and 1")
    _, counts = np.unique(people, return_counts=True)
    if len(counts) < 2:
        raise CalibrationFailed("TOO_FEW_IDENTITIES", f"at least 2 identities are needed, and there are {len(counts)}")
    if counts.max() < 2:
        raise CalibrationFailed("NO_GENUINE_PAIR", "no identity has 2 faces, so there is no genuine pair")
