"""When the data cannot support a tau: stable codes, and sentences for people."""

import numpy as np

from ersgallery_index.calibration.estimates import Estimate, ThresholdWarning
from ersgallery_index.calibration.extremes import block_chances
from ersgallery_index.calibration.fpir_fit import FpirFit
from ersgallery_index.calibration.non_mated import NonMatedScores

FEWEST_FALSE_POSITIVES = 10
LARGEST_EXTRAPOLATION = 10.0
FEWEST_IDENTITIES = 100
_WORST_MISFIT = 1.36
_MISSED_SHARE = 0.1

WIDEST_INTERVAL = 10.0

UNSUPPORTED = frozenset(
    (
        "FEW_FALSE_POSITIVES",
        "FAR_EXTRAPOLATION",
        "FEW_IDENTITIES",
        "POOR_FIT",
        "FEW_NEIGHBOURS",
        "TAU_OUT_OF_RANGE",
        "WIDE_INTERVAL",
    )
)
"""Codes of which any one means that the data cannot support the target."""


def wide_interval(target: float, fpir: Estimate) -> tuple[ThresholdWarning, ...]:
    """Return a warning where the FPIR to expect may be many times the target."""
    if fpir.high <= WIDEST_INTERVAL * target:
        return ()
    return (
        ThresholdWarning(
            "WIDE_INTERVAL",
            f"the FPIR to expect lies between {fpir.low:.2g} and {fpir.high:.2g}: more than {WIDEST_INTERVAL:g} times "
            "the target is possible; look for people under two names, or measure on more people",
        ),
    )


def tau_warnings(scores: NonMatedScores, fit: FpirFit, target: float, tau: float) -> tuple[ThresholdWarning, ...]:
    """Return what weakens a tau that was chosen for a target FPIR, in a fixed order."""
    found = (*_sample_warnings(scores, fit, target), *_tail_warnings(scores, fit, target, tau))
    return tuple(ThresholdWarning(code, text) for holds, code, text in found if holds)


_Finding = tuple[bool, str, str]


def _sample_warnings(scores: NonMatedScores, fit: FpirFit, target: float) -> tuple[_Finding, ...]:
    expected = scores.probes * target
    extrapolation = fit.ratio * fit.maxima.block / scores.gallery_subjects
    people = len(np.unique(scores.owners[scores.owners >= 0])) + int((scores.owners < 0).sum())
    return (
        (
            expected < FEWEST_FALSE_POSITIVES,
            "FEW_FALSE_POSITIVES",
            (
                f"{scores.probes} probes hold {expected:.3g} false positives at an FPIR of {target:g}; at least "
                f"{FEWEST_FALSE_POSITIVES} are needed, so {int(np.ceil(FEWEST_FALSE_POSITIVES / target))} probes"
            ),
        ),
        (
            extrapolation > LARGEST_EXTRAPOLATION,
            "FAR_EXTRAPOLATION",
            (
                f"the intended gallery is {extrapolation:.3g} times as large as the {scores.gallery_subjects} subjects "
                f"compared; beyond {LARGEST_EXTRAPOLATION:g} times the form of the tail decides, not the data"
            ),
        ),
        (
            people < FEWEST_IDENTITIES,
            "FEW_IDENTITIES",
            f"the probes show {people} people; {FEWEST_IDENTITIES} are needed to know how people differ",
        ),
    )


def _tail_warnings(scores: NonMatedScores, fit: FpirFit, target: float, tau: float) -> tuple[_Finding, ...]:
    maxima = fit.maxima
    at_tau = maxima.exceeded(tau) * len(scores.top)
    kept = scores.top.shape[1]
    unseen = max(0.0, 1.0 - float(block_chances(scores.gallery_subjects, maxima.block, kept).sum()))
    missed = unseen * float((scores.top[:, -1] >= tau).mean())
    return (
        (
            at_tau < FEWEST_FALSE_POSITIVES,
            "BEYOND_SAMPLE",
            f"only {at_tau:.2g} of the probes' best scores are expected at or above tau: it rests on the fitted tail",
        ),
        (
            tau > maxima.threshold and maxima.misfit > _WORST_MISFIT,
            "POOR_FIT",
            f"the tail does not follow its law (Kolmogorov-Smirnov {maxima.misfit:.2f}, at most {_WORST_MISFIT})",
        ),
        (
            missed > _MISSED_SHARE * target,
            "FEW_NEIGHBOURS",
            f"{kept} subjects for each probe are too few to count false positives at {target:g}; keep more",
        ),
        (
            fit.needed(target) >= 1.0,
            "GATE_ALONE",
            f"{fit.share:.1%} of the probes pass the gate, so any tau keeps the target; it is the lowest best score",
        ),
        (
            fit.needed(target) < maxima.exceeded(1.0),
            "TAU_OUT_OF_RANGE",
            "no tau up to 1 keeps the target: strangers look like each other, or one person has two names",
        ),
    )
