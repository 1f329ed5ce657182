"""tau from a wanted FPIR at the gallery size that is intended, with an honest interval.

A non-mated probe is a false positive when it passes gamma and its best subject reaches tau:

    FPIR(tau, N) = searched share * (1 - (1 - G_m(tau)) ** (N / m)),  m = min(n, N)

G_m(tau) is the probability that the best of m subjects reaches tau, measured by searching probes in a gallery of n
others (`extremes.BlockMaxima`). Up to N = n nothing is assumed but that subjects are alike; from there on the best of N
subjects is the best of N / m such galleries. The exponent belongs to probes that are all alike. Where some are everybody's
look-alike (wolves), (1 - G) ** (N / m) on the average of all of them is never above the average of what each would do,
so the FPIR is, if anything, overstated, and equal to first order where G is small.

Why best scores and not all comparisons, why this tail: on 13,233 photographs of 5,749 people (two models, calibrated on
280 to 2,800 people, measured on others) per-probe laws fitted to each probe's 5 to 50 best scores let through 1.4 to 8
times what was wanted at N = 10 n, because a probe's own bulk says nothing of its rare look-alikes; a Pareto law of all
comparisons and one of the best scores did equally well, and the second needs one score for each probe. A tail that may end
(shape < 0) fits the bulk and let through more than twice as much beyond the sample, so the shape is at least 0.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from ersgallery_index.calibration.extremes import BlockMaxima, TailRule, block_chances, larger_block
from ersgallery_index.calibration.non_mated import NonMatedScores
from ersgallery_index.errors import CalibrationFailed
from ersgallery_index.sums import Float64

GROUPS = 20
FEWEST_FALSE_POSITIVES = 10
LARGEST_EXTRAPOLATION = 10.0
FEWEST_IDENTITIES = 100
_STUDENT_19 = 2.093
_WORST_MISFIT = 1.36
_MISSED_SHARE = 0.1
_BOUNDED = -np.inf


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ThresholdWarning:
    """Why a threshold rests on weak ground: a stable UPPER_SNAKE code, and a sentence for people."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class TauChoice:
    """tau for a target FPIR at an intended gallery size, and what it rests on.

    tau: the threshold with its 95 % interval. fpir: what is expected at tau.value and gallery_size.
    extrapolation: gallery_size / calibration_subjects. probes: in all; unsure: of them UNSURE. at_tau: how many
    probes of the sample had a best score at or above tau. supported: False where a warning says that the data cannot support the target.
    best_of_block: probability that a searched probe's best of `block` subjects reaches tau, for other gallery sizes.
    """

    tau: Estimate
    target_fpir: float
    gallery_size: int
    fpir: Estimate
    calibration_subjects: int
    extrapolation: float
    probes: int
    unsure: int
    at_tau: float
    supported: bool
    warnings: tuple[ThresholdWarning, ...]
    method: str
    block: int
    best_of_block: Estimate


def choose_tau(
    scores: NonMatedScores,
    target_fpir: float,
    gallery_size: int,
    *,
    rule: TailRule | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> TauChoice:
    """Choose the least tau with FPIR <= target_fpir (0..1, exclusive) at gallery_size (>= 1) enrolled subjects.

    The interval is a delete-a-group jackknife: GROUPS times a random twentieth of all people leaves, as probes and as
    enrolled subjects. (A bootstrap would draw people twice, and somebody who is there twice is no second chance of a
    false match.) The tail's form adds to it: other thresholds, and a tail that may end. Progress counts the fits.
    Raises CalibrationFailed: TOO_FEW_PROBES, BAD_TARGET.
    """
    _require(0.0 < target_fpir < 1.0, "BAD_TARGET", f"a target FPIR lies between 0 and 1, and {target_fpir:g} does not")
    _require(gallery_size >= 1, "BAD_TARGET", f"a gallery has at least 1 subject, not {gallery_size}")
    rule = rule or TailRule()
    fit = _Fit.of(scores, gallery_size, rule)
    tau = fit.tau_at(target_fpir)
    spread = _Spread.of(scores, fit, target_fpir, tau, rule, seed, progress or _ignore)
    best = spread.best_of_block(fit.maxima.exceeded(tau))
    warnings = _warnings(scores, fit, target_fpir, tau)
    return TauChoice(
        tau=spread.tau_interval(tau),
        target_fpir=target_fpir,
        gallery_size=gallery_size,
        fpir=_fpir(best, fit.share, gallery_size / fit.maxima.block),
        calibration_subjects=scores.gallery_subjects,
        extrapolation=gallery_size / scores.gallery_subjects,
        probes=scores.probes,
        unsure=scores.unsure,
        at_tau=fit.maxima.exceeded(tau) * len(scores.top),
        supported=not any(warning.code in _UNSUPPORTED for warning in warnings),
        warnings=warnings,
        method=fit.method(tau),
        block=fit.maxima.block,
        best_of_block=best,
    )


def fpir_at(choice: TauChoice, gallery_size: int) -> Estimate:
    """Return the FPIR to expect at choice.tau.value when the gallery has grown, or shrunk, to gallery_size subjects."""
    share = 1.0 - choice.unsure / choice.probes
    return _fpir(choice.best_of_block, share, gallery_size / choice.block)


def outgrown(choice: TauChoice, gallery_size: int) -> ThresholdWarning | None:
    """Return a warning GALLERY_OUTGROWN when the FPIR to expect at gallery_size is above the target, else None.

    A tenth above the target is tolerated, so that a gallery which is filled up as intended stays silent.
    """
    expected = fpir_at(choice, gallery_size)
    if gallery_size <= choice.gallery_size or expected.value <= 1.1 * choice.target_fpir:
        return None
    return ThresholdWarning(
        "GALLERY_OUTGROWN",
        f"tau {choice.tau.value:.4f} was chosen for {choice.gallery_size} subjects and an FPIR of "
        f"{choice.target_fpir:g}; with {gallery_size} subjects expect {expected.value:.3g} "
        f"({expected.low:.2g} to {expected.high:.2g})",
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """Block maxima of a sample, and how a gallery size is reached from them."""

    maxima: BlockMaxima
    share: float
    ratio: float

    @classmethod
    def of(cls, scores: NonMatedScores, gallery_size: int, rule: TailRule) -> Self:
        _require(len(scores.top) > 0, "TOO_FEW_PROBES", "no non-mated probe passed the gate")
        block = min(scores.gallery_subjects, gallery_size)
        maxima = BlockMaxima.of(scores.top, scores.gallery_subjects, block, rule)
        return cls(maxima, scores.searched_share, gallery_size / block)

    def needed(self, target: float) -> float:
        """Return how often the best of a block may reach tau; 1 where the gate alone keeps the target."""
        if target >= self.share:
            return 1.0
        return float(larger_block(target / self.share, 1.0 / self.ratio))

    def tau_at(self, target: float) -> float:
        return float(np.clip(self.maxima.tau_of(self.needed(target)), -1.0, 1.0))

    def method(self, tau: float) -> str:
        beyond = "generalised Pareto tail" if tau > self.maxima.threshold else "counted"
        return beyond + (f", extrapolated {self.ratio:.3g} times" if self.ratio > 1.0 else "")


@dataclass(frozen=True, slots=True, eq=False)
class _Spread:
    """How far tau and the probability at tau move: between groups of people (g,), and between forms of the tail (m,)."""

    group_taus: Float64
    group_best: Float64
    form_taus: Float64
    form_best: Float64

    @classmethod
    def of(
        cls,
        scores: NonMatedScores,
        fit: _Fit,
        target: float,
        tau: float,
        rule: TailRule,
        seed: int,
        progress: Callable[[int, int], None],
    ) -> Self:
        size = round(fit.ratio * fit.maxima.block)
        total = GROUPS + len(_FORMS)
        groups: list[tuple[float, float]] = []
        for part in _leaving_out(scores, seed):
            groups.append(_point(_Fit.of(part, size, rule), target, tau, fit.maxima.block))
            progress(len(groups), total)
        forms = [(tau, fit.maxima.exceeded(tau))]
        for share, least in _FORMS:
            try:
                other = _Fit.of(
                    scores, size, replace(rule, share=share * rule.share, most=share * rule.most, least_shape=least)
                )
            except CalibrationFailed:
                continue
            forms.append(_point(other, target, tau, fit.maxima.block))
            progress(GROUPS + len(forms) - 1, total)
        by_group, by_form = np.array(groups), np.array(forms)
        return cls(by_group[:, 0], by_group[:, 1], by_form[:, 0], by_form[:, 1])

    def tau_interval(self, tau: float) -> Estimate:
        reach = _STUDENT_19 * _jackknife_error(self.group_taus)
        low, high = float(self.form_taus.min() - reach), float(self.form_taus.max() + reach)
        return Estimate(tau, max(-1.0, low), min(1.0, high))

    def best_of_block(self, probability: float) -> Estimate:
        """Return the interval of a probability, on the scale of its logarithm, where it is about symmetric."""
        tiny = np.finfo(np.float64).tiny
        reach = np.exp(_STUDENT_19 * _jackknife_error(np.log(np.maximum(self.group_best, tiny))))
        low, high = float(self.form_best.min() / reach), float(self.form_best.max() * reach)
        return Estimate(probability, low, min(1.0, high))


_FORMS = ((0.5, 0.0), (2.0, 0.0), (1.0, _BOUNDED), (2.0, _BOUNDED))
"""Other tails that the data allow: share of the maxima in it beside the rule's, and its least shape."""

_UNSUPPORTED = frozenset(
    ("FEW_FALSE_POSITIVES", "FAR_EXTRAPOLATION", "FEW_IDENTITIES", "POOR_FIT", "FEW_NEIGHBOURS", "TAU_OUT_OF_RANGE")
)


def _point(fit: _Fit, target: float, tau: float, block: int) -> tuple[float, float]:
    exceeded = fit.maxima.exceeded(tau)
    return fit.tau_at(target), float(larger_block(exceeded, block / fit.maxima.block))


def _leaving_out(scores: NonMatedScores, seed: int) -> list[NonMatedScores]:
    """Return the scores GROUPS times, each time without a random twentieth of the people."""
    # A stranger is a person of its own.
    own_numbers = -2 - np.arange(len(scores.owners))
    owners = np.where(scores.owners < 0, own_numbers, scores.owners)
    people = np.union1d(owners, scores.subjects)
    dealt = np.random.default_rng(seed).permutation(len(people)) % GROUPS
    owner_group = dealt[np.searchsorted(people, owners)]
    subject_group = np.where(scores.subjects < 0, -1, dealt[np.searchsorted(people, scores.subjects)])
    return [_without(scores, owner_group == group, subject_group == group) for group in range(GROUPS)]


def _without(scores: NonMatedScores, owners: np.ndarray, subjects: np.ndarray) -> NonMatedScores:
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


def _fpir(best: Estimate, share: float, ratio: float) -> Estimate:
    value, low, high = share * larger_block(np.array([best.value, best.low, best.high]), ratio)
    return Estimate(float(value), float(low), float(high))


def _warnings(scores: NonMatedScores, fit: _Fit, target: float, tau: float) -> tuple[ThresholdWarning, ...]:
    expected = scores.probes * target
    extrapolation = fit.ratio * fit.maxima.block / scores.gallery_subjects
    at_tau = fit.maxima.exceeded(tau) * len(scores.top)
    people = len(np.unique(scores.owners[scores.owners >= 0])) + int((scores.owners < 0).sum())
    unseen = 1.0 - float(block_chances(scores.gallery_subjects, fit.maxima.block, scores.top.shape[1]).sum())
    missed = unseen * float((scores.top[:, -1] >= tau).mean())
    found = (
        (
            expected < FEWEST_FALSE_POSITIVES,
            "FEW_FALSE_POSITIVES",
            f"{scores.probes} probes hold {expected:.3g} false positives at an FPIR of {target:g}; at least "
            f"{FEWEST_FALSE_POSITIVES} are needed, so {int(np.ceil(FEWEST_FALSE_POSITIVES / target))} probes",
        ),
        (
            extrapolation > LARGEST_EXTRAPOLATION,
            "FAR_EXTRAPOLATION",
            f"the intended gallery is {extrapolation:.3g} times as large as the {scores.gallery_subjects} subjects that "
            f"were compared; beyond {LARGEST_EXTRAPOLATION:g} times the tail's form decides and not the data",
        ),
        (
            people < FEWEST_IDENTITIES,
            "FEW_IDENTITIES",
            f"the probes show {people} people; at least {FEWEST_IDENTITIES} are needed to know how people differ",
        ),
        (
            at_tau < FEWEST_FALSE_POSITIVES,
            "BEYOND_SAMPLE",
            f"only {at_tau:.2g} of the probes' best scores are expected at or above tau: it rests on the fitted tail",
        ),
        (
            tau > fit.maxima.threshold and fit.maxima.misfit > _WORST_MISFIT,
            "POOR_FIT",
            f"the tail does not follow its law (Kolmogorov-Smirnov {fit.maxima.misfit:.2f}, at most {_WORST_MISFIT})",
        ),
        (
            missed > _MISSED_SHARE * target,
            "FEW_NEIGHBOURS",
            f"{scores.top.shape[1]} subjects for each probe are too few to count false positives at {target:g}; keep more",
        ),
        (
            fit.needed(target) >= 1.0,
            "GATE_ALONE",
            f"only {fit.share:.1%} of the probes pass the gate, so the target is kept at any tau; it is the lowest best score",
        ),
        (
            fit.needed(target) < fit.maxima.exceeded(1.0),
            "TAU_OUT_OF_RANGE",
            "no tau up to 1 keeps the target: strangers are as similar as the same photograph would be",
        ),
    )
    return tuple(ThresholdWarning(code, text) for holds, code, text in found if holds)


def _ignore(_done: int, _total: int) -> None:
    pass


def _require(holds: bool, reason: str, message: str) -> None:
    if not holds:
        raise CalibrationFailed(reason, message)
