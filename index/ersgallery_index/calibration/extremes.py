"""The tail of best scores: how often the best of N strangers' faces reaches a threshold, also beyond the sample.

A *block maximum* is the best similarity of one probe among N subjects. Where N is at most what the sample holds, its
distribution needs no model: the j-th best of n subjects is the best of a random N of them with probability
C(n - j, N - 1) / C(n, N). Beyond the sample, and beyond its highest scores, a generalised Pareto law continues it
(peaks over a threshold; Pickands, Balkema and de Haan).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ersgallery_index.errors import CalibrationFailed
from ersgallery_index.sums import Float64

LEAST_EXCEEDANCES = 10
"""Fewer scores above the threshold do not determine two parameters."""

LARGEST_SHAPE = 0.5
"""Probability-weighted moments say nothing beyond it, and no similarity, which ends at 1, needs more."""

_EXPONENTIAL = 1e-9
_PLOTTING = 0.35


@dataclass(frozen=True, slots=True)
class GeneralizedPareto:
    """P(excess > y) = (1 + shape * y / scale) ** (-1 / shape); exp(-y / scale) at shape 0. scale > 0."""

    shape: float
    scale: float

    @classmethod
    def fit(cls, excesses: Float64, weights: Float64, least_shape: float = -np.inf) -> Self:
        """Fit excesses (m,) > 0 with weights (m,) > 0 by probability-weighted moments (Hosking and Wallis 1987).

        With a_0 = E[Y] and a_1 = E[Y (1 - F(Y))]: shape = 2 - a_0 / (a_0 - 2 a_1), scale = 2 a_0 a_1 / (a_0 - 2 a_1).
        A shape outside least_shape..LARGEST_SHAPE becomes the nearer end; scale = a_0 (1 - shape) keeps the mean.
        """
        order = np.argsort(excesses)
        values, shares = excesses[order], weights[order] / weights.sum()
        below = np.cumsum(shares) - _PLOTTING * shares
        mean = float(shares @ values)
        spread = mean - 2.0 * float(shares @ (values * (1.0 - below)))
        # Equal excesses have no spread to fit: the exponential law with their mean is the least that can be said.
        shape = 2.0 - mean / spread if spread > _EXPONENTIAL * mean else 0.0
        shape = min(max(shape, least_shape), LARGEST_SHAPE)
        return cls(shape=shape, scale=max(mean * (1.0 - shape), np.finfo(np.float64).tiny))

    def survival(self, excess: Float64 | float) -> Float64:
        """Return the probability of more than this excess (>= 0)."""
        scaled = np.asarray(excess, dtype=np.float64) / self.scale
        if abs(self.shape) < _EXPONENTIAL:
            return np.asarray(np.exp(-scaled))
        inside = np.maximum(1.0 + self.shape * scaled, 0.0)
        with np.errstate(divide="ignore"):
            return np.asarray(inside ** (-1.0 / self.shape))

    def excess_of(self, survival: float) -> float:
        """Return the excess that is passed with this probability, 0 < survival <= 1."""
        if abs(self.shape) < _EXPONENTIAL:
            return float(-self.scale * np.log(survival))
        return float(self.scale / self.shape * (survival**-self.shape - 1.0))


@dataclass(frozen=True, slots=True)
class TailRule:
    """Where the tail begins and what shape it may have: the values that did best in the experiment on real faces.

    share: of the block maxima that lie in the tail. most: but no more of them than this. least_shape: 0 never lets the
    tail end below a similarity that nobody has reached yet. A bounded tail fits the bulk of strangers better, and then
    misses the look-alikes and relatives that a larger gallery holds.
    """

    share: float = 0.1
    most: float = 100
    least_shape: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class BlockMaxima:
    """How the best of `block` subjects is distributed for a non-mated probe that is searched.

    scores (w,) falling; passed (w,): probability of a best score >= scores[i], in 0..1. From threshold on, reached with
    probability rate, the law of tail holds. misfit: largest distance between sample and law in the tail, in units of
    1 / sqrt(exceedances) (Kolmogorov-Smirnov). exceedances: how many probes' maxima the tail stands on.
    """

    block: int
    scores: Float64
    passed: Float64
    threshold: float
    rate: float
    tail: GeneralizedPareto
    exceedances: float
    misfit: float

    @classmethod
    def of(cls, top: Float64, subjects: int, block: int, rule: TailRule) -> Self:
        """Describe the best of `block` out of `subjects` from each probe's k best scores (p, k), falling, -inf padded.

        block <= subjects. Raises CalibrationFailed TOO_FEW_PROBES when less than LEAST_EXCEEDANCES of the best scores
        would lie in the tail, or are not equal to each other.
        """
        chances = block_chances(subjects, block, top.shape[1])
        weights = np.broadcast_to(chances, top.shape)
        used = np.isfinite(top) & (weights > 0.0)
        scores, weights = top[used], weights[used]
        order = np.argsort(-scores)
        scores, weights = scores[order], weights[order]
        passed = np.cumsum(weights) / len(top)
        wanted = min(rule.share, rule.most / len(top))
        first_below = int(np.searchsorted(passed, wanted, side="right"))
        threshold = float(scores[first_below]) if first_below < len(scores) else np.inf
        above = scores > threshold
        if weights[above].sum() < 0.9 * wanted * len(top) and (scores < threshold).any():
            # Many equal scores lie at the threshold, as those of twins would; they belong to the tail.
            threshold = float(scores[scores < threshold][0])
            above = scores > threshold
        if weights[above].sum() < LEAST_EXCEEDANCES:
            raise too_few_probes(len(top), rule)
        rate = float(weights[above].sum()) / len(top)
        tail = GeneralizedPareto.fit(scores[above] - threshold, weights[above], rule.least_shape)
        exceedances = rate * len(top)
        modelled = tail.survival(scores[above] - threshold)
        misfit = float(np.abs(passed[above] / rate - modelled).max() * np.sqrt(exceedances))
        return cls(block, scores, passed, threshold, rate, tail, exceedances, misfit)

    def exceeded(self, tau: float) -> float:
        """Return the probability that the best of `block` subjects is at or above tau."""
        if tau > self.threshold:
            return float(self.rate * self.tail.survival(tau - self.threshold))
        count = int(np.searchsorted(-self.scores, -tau, side="right"))
        return float(self.passed[count - 1]) if count else 0.0

    def tau_of(self, probability: float) -> float:
        """Return the least tau that the best of `block` subjects reaches with at most this probability (> 0)."""
        if probability < self.rate:
            excess = self.tail.excess_of(probability / self.rate)
            # The threshold itself belongs to what is counted, and would be one score more.
            return max(self.threshold + excess, float(np.nextafter(self.threshold, np.inf)))
        # From the first score that would be one too many, tau has to lie above it.
        count = int(np.searchsorted(self.passed, probability * (1.0 + 1e-12), side="right"))
        return float(np.nextafter(self.scores[count], np.inf)) if count < len(self.scores) else float(self.scores[-1])


def too_few_probes(probes: int, rule: TailRule) -> CalibrationFailed:
    """Return the error for a sample whose tail nothing can be said of."""
    return CalibrationFailed(
        "TOO_FEW_PROBES",
        f"{probes} non-mated probes that were searched are too few: about {int(2 * LEAST_EXCEEDANCES / rule.share)} "
        f"are needed, with best scores that differ",
    )


def block_chances(subjects: int, block: int, k: int) -> Float64:
    """Return for j = 0..k-1 the probability that the j-th best of all subjects is the best of a random block.

    C(n - 1 - j, N - 1) / C(n, N) with n subjects and N = block <= n; by recursion, so large n are no problem.
    """
    chances = np.zeros(k)
    chance = block / subjects
    for j in range(min(k, subjects - block + 1)):
        chances[j] = chance
        left = subjects - 1 - j
        chance *= (left - block + 1) / left if left > 0 else 0.0
    return chances


def larger_block(probability: Float64 | float, ratio: float) -> Float64:
    """Return 1 - (1 - p) ** ratio: how often the best of ratio times as many subjects passes what one block passes."""
    with np.errstate(divide="ignore"):
        return np.asarray(-np.expm1(ratio * np.log1p(-np.asarray(probability, dtype=np.float64))))
