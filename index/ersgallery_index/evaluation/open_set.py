"""Open-set identification (1:N): FNIR at FPIR, rank-k, through the index and the decisions that a service uses."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.backends import open_index
from ersgallery_index.evaluation.rates import FEWEST_ERRORS, Rate, draw_people, rate_of
from ersgallery_index.identification import identify
from ersgallery_index.interface import Ids
from ersgallery_index.policy import Policy
from ersgallery_index.representation import Representation
from ersgallery_index.sums import Float64

RANKS = 20


@dataclass(frozen=True, slots=True, eq=False)
class Searches:
    """What q probes found without a threshold on similarity.

    people (q,): whom each shows. mated (q,): whether that person is enrolled. best (q,): the best similarity,
    minus infinity where the probe is UNSURE or finds nobody. ranks (q,): the own subject's rank from 1, 0 where it is
    not found.
    """

    people: Ids
    mated: NDArray[np.bool_]
    best: Float64
    ranks: Ids


def search_all(
    gallery: Representation, subjects: Ids, probes: Representation, people: Ids, *, gamma: float, gamma_gallery: float
) -> Searches:
    """Enrol n representations as subjects (n,) and search q probes of people (q,) under both gates.

    Below-gate and unusable gallery rows stay enrolled: their people are mated, and cannot be found.
    """
    index = open_index(gallery.vectors.shape[1], device="cpu")
    index.set_gate(gamma_gallery)
    kept = np.flatnonzero(gallery.usable)
    index.apply(
        1, np.empty(0, np.int64), kept.astype(np.int64), subjects[kept], gallery.ers[kept], gallery.vectors[kept]
    )
    answers = identify(index, probes, Policy(gamma, gamma_gallery, tau=-1.0, max_candidates=RANKS))
    offsets, found = answers.hits.offsets, answers.hits.subject_ids
    counts = np.diff(offsets)
    best = np.full(len(people), -np.inf)
    best[counts > 0] = answers.hits.scores[offsets[:-1][counts > 0]]
    ranks = np.zeros(len(people), np.int64)
    for probe in range(len(people)):
        own = np.flatnonzero(found[offsets[probe] : offsets[probe + 1]] == people[probe])
        ranks[probe] = own[0] + 1 if len(own) else 0
    return Searches(people, np.isin(people, subjects), best, ranks)


@dataclass(frozen=True, slots=True, eq=False)
class FnirDraws:
    """FNIR at one FPIR, with the same in every resample, so that two arms can be compared on the same draws."""

    tau: float
    rate: Rate
    drawn: Float64


def fnir_at(searches: Searches, fpir: float, resamples: int, seed: int) -> FnirDraws:
    """Return FNIR: the share of mated probes whose own subject is not the best one at or above tau.

    tau is the least at which at most a share `fpir` of all non-mated probes, UNSURE ones included, find somebody; it is
    found anew in every resample of people. supported: 10 false positives and 10 false negatives at least.
    """
    other = searches.best[~searches.mated]
    mated, right = searches.best[searches.mated], searches.ranks[searches.mated] == 1
    tau = _tau(np.sort(other), fpir, len(other))
    missed = ~(right & (mated >= tau))
    rng = np.random.default_rng(seed)
    drawn_other = draw_people(searches.people[~searches.mated], resamples, rng)
    drawn_mated = draw_people(searches.people[searches.mated], resamples, rng)
    shares = np.empty(resamples)
    order = np.argsort(other)
    for draw in range(resamples):
        repeated = np.repeat(other[order], drawn_other[draw][order])
        times = drawn_mated[draw]
        accepted = right & (mated >= _tau(repeated, fpir, len(repeated)))
        shares[draw] = 1.0 - float(times[accepted].sum()) / max(1, int(times.sum()))
    supported = fpir * len(other) >= FEWEST_ERRORS and int(missed.sum()) >= FEWEST_ERRORS
    return FnirDraws(tau, rate_of(float(missed.mean()), shares, supported=supported), shares)


def rank_error(searches: Searches, ranks: Sequence[int]) -> list[NDArray[np.bool_]]:
    """Return for each k which mated probes do not have their own subject among the first k."""
    found = searches.ranks[searches.mated]
    return [~((found >= 1) & (found <= k)) for k in ranks]


def _tau(rising: Float64, fpir: float, probes: int) -> float:
    """Return the least value above which at most a share of the (sorted) best similarities lies."""
    allowed = int(np.floor(fpir * probes + 1e-9))
    if allowed >= len(rising):
        return -1.0
    return float(np.nextafter(rising[len(rising) - 1 - allowed], np.inf))
