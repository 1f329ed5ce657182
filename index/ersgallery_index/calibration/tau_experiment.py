"""Check choose_tau: choose on some people, count false positives on others, at several gallery sizes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.calibration.estimates import Estimate
from ersgallery_index.calibration.fpir_fit import counted_fpir
from ersgallery_index.calibration.non_mated import NonMatedScores, leave_one_subject_out
from ersgallery_index.calibration.tau import choose_tau
from ersgallery_index.errors import CalibrationFailed
from ersgallery_index.interface import Ids
from ersgallery_index.recognizability import Derivation, Profile, normalize_residuals
from ersgallery_index.representation import Representation, represent

Progress = Callable[[int, int], None]
"""Told (thresholds chosen, thresholds in all)."""


@dataclass(frozen=True, slots=True)
class TauPlan:
    """What is tried.

    targets: FPIRs. calibration_subjects: numbers of people to choose tau on, from one half of all. gallery_sizes: for
    which tau is chosen and counted, on the other half. repetitions: how often people are dealt into halves anew.
    centre: subtract the mean of the calibration half where no profile is given. gamma, gamma_gallery: the gates.
    """

    targets: tuple[float, ...] = (1e-1, 1e-2, 1e-3)
    calibration_subjects: tuple[int, ...] = (280, 930, 2800)
    gallery_sizes: tuple[int, ...] = (280, 930, 2800)
    repetitions: int = 3
    seed: int = 0
    centre: bool = False
    gamma: float = 0.0
    gamma_gallery: float = 0.0


@dataclass(frozen=True, slots=True)
class TauCheck:
    """One threshold: chosen on calibration_subjects people for gallery_size, and the FPIR counted on others.

    expected: what the choice said, achieved: what came out. ratio: achieved.value / target. covered: the two differ by
    no more than their intervals allow, since the count on the others has an error of its own. warnings: their codes.
    """

    repetition: int
    target: float
    calibration_subjects: int
    gallery_size: int
    tau: Estimate
    expected: Estimate
    achieved: Estimate
    ratio: float
    covered: bool
    supported: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TauCheckSummary:
    """All repetitions of one (target, calibration_subjects, gallery_size).

    ratio: achieved FPIR, averaged, over the target; least and most: of the repetitions. covered, supported: shares.
    """

    target: float
    calibration_subjects: int
    gallery_size: int
    tau: float
    ratio: float
    least: float
    most: float
    covered: float
    supported: float


def tau_experiment(
    rows: NDArray[np.float32],
    identities: Ids,
    plan: TauPlan,
    *,
    profile: Profile | None = None,
    progress: Progress | None = None,
) -> list[TauCheck]:
    """Choose tau on some people and count on others: rows (n, d) stored unit rows, identities (n,).

    profile: derives the rows, and the gates need one; it should be made of other people. Up to 3 faces of everybody are
    probes against all other people of their half. Raises CalibrationFailed: LABELS_MISMATCH, TOO_FEW_IDENTITIES, and as
    choose_tau does.
    """
    if len(rows) != len(identities):
        raise CalibrationFailed("LABELS_MISMATCH", f"{len(identities)} labels were given for {len(rows)} faces")
    people = np.unique(identities)
    half = len(people) // 2
    needed = max(*plan.calibration_subjects, *plan.gallery_sizes) + 1
    if half < needed:
        message = f"{len(people)} people are too few: two halves of at least {needed} are needed"
        raise CalibrationFailed("TOO_FEW_IDENTITIES", message)
    checks: list[TauCheck] = []
    total = plan.repetitions * len(plan.calibration_subjects) * len(plan.gallery_sizes) * len(plan.targets)
    for repetition in range(plan.repetitions):
        dealt = np.random.default_rng((plan.seed, repetition)).permutation(people)
        making = np.isin(identities, dealt[:half])
        faces = _represent(rows, making, profile, plan.centre)
        testing = _scores(faces, identities, ~making, plan)
        for subjects in plan.calibration_subjects:
            # One more than compared, since a probe is not compared with itself.
            chosen = _scores(faces, identities, np.isin(identities, dealt[: subjects + 1]), plan)
            for size in plan.gallery_sizes:
                for target in plan.targets:
                    checks.append(_check(repetition, chosen, testing, target, size, plan.seed))
                    if progress is not None:
                        progress(len(checks), total)
    return checks


def summarize(checks: Sequence[TauCheck]) -> list[TauCheckSummary]:
    """Put the repetitions of each setting together, in the order of their first appearance."""
    settings = dict.fromkeys((check.target, check.calibration_subjects, check.gallery_size) for check in checks)
    result = []
    for target, subjects, size in settings:
        same = [c for c in checks if (c.target, c.calibration_subjects, c.gallery_size) == (target, subjects, size)]
        ratios = [check.ratio for check in same]
        result.append(
            TauCheckSummary(
                target=target,
                calibration_subjects=subjects,
                gallery_size=size,
                tau=float(np.mean([check.tau.value for check in same])),
                ratio=float(np.mean(ratios)),
                least=min(ratios),
                most=max(ratios),
                covered=float(np.mean([check.covered for check in same])),
                supported=float(np.mean([check.supported for check in same])),
            )
        )
    return result


def _check(
    repetition: int, chosen: NonMatedScores, testing: NonMatedScores, target: float, size: int, seed: int
) -> TauCheck:
    choice = choose_tau(chosen, target, size, seed=seed)
    achieved = counted_fpir(testing, choice.tau.value, size, seed)
    return TauCheck(
        repetition=repetition,
        target=target,
        calibration_subjects=chosen.gallery_subjects,
        gallery_size=size,
        tau=choice.tau,
        expected=choice.fpir,
        achieved=achieved,
        ratio=achieved.value / target,
        covered=_agree(choice.fpir, achieved),
        supported=choice.supported,
        warnings=tuple(warning.code for warning in choice.warnings),
    )


def _agree(expected: Estimate, achieved: Estimate) -> bool:
    """Tell whether two independent figures differ by no more than the root of their squared half intervals (logs)."""
    lower, upper = (achieved, expected) if achieved.value < expected.value else (expected, achieved)
    with np.errstate(divide="ignore", invalid="ignore"):
        allowed = np.hypot(np.log(lower.high / np.float64(lower.value)), np.log(upper.value / np.float64(upper.low)))
        return bool(np.log(upper.value / np.float64(lower.value)) <= allowed)


def _scores(faces: Representation, identities: Ids, wanted: NDArray[np.bool_], plan: TauPlan) -> NonMatedScores:
    part = Representation(faces.vectors[wanted], faces.ers[wanted], faces.raw_ers[wanted], faces.usable[wanted])
    return leave_one_subject_out(part, identities[wanted], gamma=plan.gamma, gamma_gallery=plan.gamma_gallery)


def _represent(
    rows: NDArray[np.float32], making: NDArray[np.bool_], profile: Profile | None, centre: bool
) -> Representation:
    if profile is not None:
        return represent(Derivation(profile), rows)
    vectors, usable = rows, np.ones(len(rows), dtype=np.bool_)
    if centre:
        unit, usable = normalize_residuals(rows.astype(np.float64) - rows[making].mean(axis=0, dtype=np.float64))
        vectors = unit.astype(np.float32)
    # Without UI centroids every face is as recognizable as can be.
    return Representation(vectors, np.ones(len(rows)), np.ones(len(rows)), usable)
