"""tau from a wanted FPIR at the gallery size that is intended, with an honest interval.

A non-mated probe is a false positive when it passes gamma and its best subject reaches tau:

    FPIR(tau, N) = searched share * (1 - (1 - G_m(tau)) ** (N / m)),  m = min(n, N)

G_m(tau) is the probability that the best of m subjects reaches tau, measured by searching probes in a gallery of n
others (`extremes.BlockMaxima`). Up to N = n nothing is assumed but that subjects are alike; from there on the best of N
subjects is the best of N / m such galleries. The exponent belongs to probes that are all alike. Where some look like
everybody, (1 - G) ** (N / m) of their average is below the average of what each would do, so that the FPIR is, if
anything, overstated; to first order in G the two are equal.

Probes should be a sample of strangers: up to 3 faces of each (`leave_one_subject_out`). With all photographs of all,
one person with 530 of them decided the FPIR, and tau let through 0.25 to 2 times the target on others.

Why best scores and not all comparisons, and why this tail: on 13,233 photographs of 5,749 people and two models, laws
fitted to each probe's own 5 to 50 best scores let through 1.7 to 30 times the target at ten times the people compared,
because a probe's bulk says nothing of its rare look-alikes; one Pareto law for all probes 1.4 to 3.7 times. A law of
all comparisons and one of the best scores did equally well, and the second needs one score for each probe. With a few
photographs of each, a tail that may end (shape < 0) let through 2.7 to 4.9 times the target there, one that may not 1.6
to 1.9 times, so the shape is at least 0. `tau_experiment` measures what is left.
"""

from dataclasses import dataclass

import numpy as np

from ersgallery_index.calibration.estimates import Estimate, ThresholdWarning
from ersgallery_index.calibration.extremes import LEAST_EXCEEDANCES, TailRule, larger_block, too_few_probes
from ersgallery_index.calibration.fpir_fit import GROUPS, FpirFit, Progress, Spread
from ersgallery_index.calibration.non_mated import NonMatedScores
from ersgallery_index.calibration.tau_warnings import UNSUPPORTED, tau_warnings, wide_interval
from ersgallery_index.errors import CalibrationFailed

__all__ = ["GROUPS", "Estimate", "TauChoice", "ThresholdWarning", "choose_tau", "fpir_at", "outgrown"]


@dataclass(frozen=True, slots=True)
class TauChoice:
    """tau for a target FPIR at an intended gallery size, and what it rests on.

    tau: the threshold with its 95 % interval. fpir: what is expected at tau.value and gallery_size.
    extrapolation: gallery_size / calibration_subjects. probes: in all; unsure: of them UNSURE. at_tau: expected number
    of the sample's probes whose best of `block` subjects reaches tau. supported: False where a warning says that the
    data cannot support the target. best_of_block: the probability of that for a probe that is searched, from which the
    FPIR at other gallery sizes follows.
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
    progress: Progress | None = None,
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
    if len(scores.top) * rule.share < 2 * LEAST_EXCEEDANCES:
        raise too_few_probes(len(scores.top), rule)
    fit = FpirFit.of(scores, gallery_size, rule)
    tau = fit.tau_at(target_fpir)
    spread = Spread.of(scores, fit, target_fpir, tau, rule, seed, progress or _ignore)
    best = spread.best_of_block(fit.maxima.exceeded(tau))
    fpir = _fpir(best, fit.share, gallery_size / fit.maxima.block)
    warnings = (*tau_warnings(scores, fit, target_fpir, tau), *wide_interval(target_fpir, fpir))
    return TauChoice(
        tau=spread.tau_interval(tau),
        target_fpir=target_fpir,
        gallery_size=gallery_size,
        fpir=fpir,
        calibration_subjects=scores.gallery_subjects,
        extrapolation=gallery_size / scores.gallery_subjects,
        probes=scores.probes,
        unsure=scores.unsure,
        at_tau=fit.maxima.exceeded(tau) * len(scores.top),
        supported=not any(warning.code in UNSUPPORTED for warning in warnings),
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


def _fpir(best: Estimate, share: float, ratio: float) -> Estimate:
    value, low, high = share * larger_block(np.array([best.value, best.low, best.high]), ratio)
    return Estimate(float(value), float(low), float(high))


def _ignore(_done: int, _total: int) -> None:
    pass


def _require(holds: bool, reason: str, message: str) -> None:
    if not holds:
        raise CalibrationFailed(reason, message)
