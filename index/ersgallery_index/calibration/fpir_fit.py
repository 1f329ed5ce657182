"""FPIR at an intended gallery size from non-mated scores, and how far it could be off.

    FPIR(tau, N) = searched share * (1 - (1 - G_m(tau)) ** (N / m)),  m = min(n, N)

with G_m(tau) the probability that the best of m subjects reaches tau (`extremes.BlockMaxima`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.calibration.estimates import Estimate
from ersgallery_index.calibration.extremes import BlockMaxima, TailRule, block_chances, larger_block
from ersgallery_index.calibration.non_mated import NonMatedScores
from ersgallery_index.errors import CalibrationFailed
from ersgallery_index.sums import Float64

Progress = Callable[[int, int], None]
"""Told (fits done, fits in all); what it raises ends the work."""

GROUPS = 20
_STUDENT_19 = 2.093
_BOUNDED = -np.inf
_LEAST_RATIO = 1e-3
_RARE = 1e-4
_SPARE_COLUMNS = 8

_FORMS = ((0.5, 0.0), (2.0, 0.0), (1.0, _BOUNDED), (2.0, _BOUNDED))
"""Other tails that the data allow: share of the maxima in it beside the rule's, and its least shape."""


@dataclass(frozen=True, slots=True, eq=False)
class FpirFit:
    """Block maxima of a sample, the share of probes that is searched, and ratio = gallery size / block."""

    maxima: BlockMaxima
    share: float
    ratio: float

    @classmethod
    def of(cls, scores: NonMatedScores, gallery_size: int, rule: TailRule) -> Self:
        """Fit for gallery_size >= 1 subjects. Raises CalibrationFailed TOO_FEW_PROBES."""
        if len(scores.top) == 0:
            raise CalibrationFailed("TOO_FEW_PROBES", "no non-mated probe passed the gate")
        block = min(scores.gallery_subjects, gallery_size)
        maxima = BlockMaxima.of(scores.top, scores.gallery_subjects, block, rule)
        return cls(maxima, scores.searched_share, gallery_size / block)

    def needed(self, target: float) -> float:
        """Return how often the best of a block may reach tau; 1 where the gate alone keeps the target."""
        if target >= self.share:
            return 1.0
        return float(larger_block(target / self.share, 1.0 / self.ratio))

    def tau_at(self, target: float) -> float:
        """Return the least tau in -1..1 that keeps the target, or the nearest there is."""
        return float(np.clip(self.maxima.tau_of(self.needed(target)), -1.0, 1.0))

    def method(self, tau: float) -> str:
        """Return in words how the FPIR at tau was found."""
        beyond = "generalised Pareto tail" if tau > self.maxima.threshold else "counted"
        return beyond + (f", extrapolated {self.ratio:.3g} times" if self.ratio > 1.0 else "")


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """How far tau and the probability at tau move: between groups of people (g,) and forms of the tail (m,)."""

    group_taus: Float64
    group_best: Float64
    form_taus: Float64
    form_best: Float64

    @classmethod
    def of(
        cls,
        scores: NonMatedScores,
        fit: FpirFit,
        target: float,
        tau: float,
        rule: TailRule,
        seed: int,
        progress: Progress,
    ) -> Self:
        """Fit again without each group of people and with other tails. Raises as FpirFit.of does."""
        size = round(fit.ratio * fit.maxima.block)
        total = GROUPS + len(_FORMS)
        groups: list[tuple[float, float]] = []
        for part in _leaving_out(_narrowed(scores, fit.maxima.block), seed):
            groups.append(_point(FpirFit.of(part, size, rule), target, tau, fit.maxima.block))
            progress(len(groups), total)
        forms = [(tau, fit.maxima.exceeded(tau))]
        for share, least in _FORMS:
            try:
                other = FpirFit.of(
                    scores, size, replace(rule, share=share * rule.share, most=share * rule.most, least_shape=least)
                )
            except CalibrationFailed:
                continue
            forms.append(_point(other, target, tau, fit.maxima.block))
            progress(GROUPS + len(forms) - 1, total)
        by_group, by_form = np.array(groups), np.array(forms)
        return cls(by_group[:, 0], by_group[:, 1], by_form[:, 0], by_form[:, 1])

    def tau_interval(self, tau: float) -> Estimate:
        """Return tau with its interval."""
        reach = _STUDENT_19 * _jackknife_error(self.group_taus)
        low, high = float(self.form_taus.min() - reach), float(self.form_taus.max() + reach)
        return Estimate(tau, max(-1.0, low), min(1.0, high))

    def best_of_block(self, probability: float) -> Estimate:
        """Return the interval of a probability, on the scale of its logarithm, where it is about symmetric."""
        # A group without any score up there says little more than one with a thousandth of them.
        groups = np.maximum(self.group_best, max(_LEAST_RATIO * probability, np.finfo(np.float64).tiny))
        reach = np.exp(_STUDENT_19 * _jackknife_error(np.log(groups)))
        low, high = float(self.form_best.min() / reach), float(self.form_best.max() * reach)
        return Estimate(probability, low, min(1.0, high))


def counted_fpir(scores: NonMatedScores, tau: float, gallery_size: int, seed: int = 0) -> Estimate:
    """Count the FPIR at tau for gallery_size subjects out of those compared, without any law.

    gallery_size <= scores.gallery_subjects; the result is the average over all galleries of that size. The interval is
    the same jackknife over people, on the scale of the logarithm; without any false positive it is 0 to 3 / probes.
    """
    value = _counted(scores, tau, gallery_size)
    if value == 0.0:
        return Estimate(0.0, 0.0, 3.0 / scores.probes)
    groups = np.array([_counted(part, tau, gallery_size) for part in _leaving_out(scores, seed)])
    reach = np.exp(_STUDENT_19 * _jackknife_error(np.log(np.maximum(groups, _LEAST_RATIO * value))))
    return Estimate(value, float(value / reach), min(1.0, float(value * reach)))


def _counted(scores: NonMatedScores, tau: float, gallery_size: int) -> float:
    block = min(gallery_size, scores.gallery_subjects)
    chances = block_chances(scores.gallery_subjects, block, scores.top.shape[1])
    reached = np.cumsum(np.append(0.0, chances))[(scores.top >= tau).sum(axis=1)]
    return float(reached.sum()) / scores.probes


def _point(fit: FpirFit, target: float, tau: float, block: int) -> tuple[float, float]:
    exceeded = fit.maxima.exceeded(tau)
    return fit.tau_at(target), float(larger_block(exceeded, block / fit.maxima.block))


def _leaving_out(scores: NonMatedScores, seed: int) -> Iterator[NonMatedScores]:
    """Yield the scores GROUPS times, each time without a random twentieth of the people."""
    # A stranger is a person of its own.
    own_numbers = -2 - np.arange(len(scores.owners))
    owners = np.where(scores.owners < 0, own_numbers, scores.owners)
    people = np.union1d(owners, scores.subjects)
    dealt = np.random.default_rng(seed).permutation(len(people)) % GROUPS
    owner_group = dealt[np.searchsorted(people, owners)]
    subject_group = np.where(scores.subjects < 0, -1, dealt[np.searchsorted(people, scores.subjects)])
    for group in range(GROUPS):
        yield _without(scores, owner_group == group, subject_group == group)


def _narrowed(scores: NonMatedScores, block: int) -> NonMatedScores:
    """Return the scores without columns that are hardly ever the best of a block, which saves most of the time."""
    chances = block_chances(scores.gallery_subjects, block, scores.top.shape[1])
    columns = int(np.searchsorted(np.cumsum(chances), 1.0 - _RARE)) + 1 + _SPARE_COLUMNS
    return NonMatedScores(
        scores.top[:, :columns], scores.subjects[:, :columns], scores.owners, scores.gallery_subjects, scores.unsure
    )


def _without(scores: NonMatedScores, owners: NDArray[np.bool_], subjects: NDArray[np.bool_]) -> NonMatedScores:
    stay = ~owners
    top = np.where(subjects[stay], -np.inf, scores.top[stay])
    order = np.argsort(-top, axis=1, kind="stable")
    return NonMatedScores(
        top=np.take_along_axis(top, order, axis=1),
        subjects=np.take_along_axis(scores.subjects[stay], order, axis=1),
        owners=scores.owners[stay],
        gallery_subjects=max(2, round(scores.gallery_subjects * (1.0 - 1.0 / GROUPS))),
        unsure=round(scores.unsure * len(top) / len(scores.top)),
    )


def _jackknife_error(values: Float64) -> float:
    return float(np.sqrt((len(values) - 1) / len(values) * ((values - values.mean()) ** 2).sum()))
