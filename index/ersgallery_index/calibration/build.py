"""Build a recognizability profile from faces: mean, UI centroids and gamma, with the reasons for each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.calibration.centres import centred, direction, lost_identity
from ersgallery_index.calibration.checks import Check, at_least, at_most, enforce
from ersgallery_index.calibration.faces import FaceSet, Progress
from ersgallery_index.calibration.given import check_ui_set
from ersgallery_index.calibration.inputs import require_usable
from ersgallery_index.calibration.separation import Histogram, auc, cross_checked, figures, histogram, largest_gamma
from ersgallery_index.calibration.ui import UiClusters, UiRules, find_ui, groups_of
from ersgallery_index.calibration.variants import (
    Candidate,
    Decision,
    Margins,
    Variant,
    decide_centring,
    decide_centroids,
    halve,
    measure,
    offer,
    raw_ers_of,
)
from ersgallery_index.errors import CalibrationFailed
from ersgallery_index.recognizability import Derivation, Profile
from ersgallery_index.sums import Float64

_DECIMALS = 6
_RECOGNIZABLE_COSINE = 0.9


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What a sound profile needs.

    centring: subtract the mean of clean faces; "auto" measures whether that helps. max_centroids: greatest K.
    max_clean_below: greatest share of held-out clean faces below gamma. min_identities: people in both sets together.
    min_held_out: clean held-out faces. min_auc: of clean against degraded held-out faces. margins: of the decisions.
    """

    rules: UiRules = field(default_factory=UiRules)
    centring: Literal["auto"] | bool = "auto"
    max_centroids: int = 3
    max_clean_below: float = 0.005
    min_identities: int = 400
    min_held_out: int = 50
    min_auc: float = 0.6
    margins: Margins = field(default_factory=Margins)
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class BuiltProfile:
    """A profile and how it came about.

    ui: the clusters, None where a set of unrecognizable faces was given. ui_members: mask over the making faces.
    decisions: on centring and on the number of centroids. figures: JSON values, of held-out faces that no decision saw.
    histograms: raw ERS of all held-out faces. recognizable_mean, ui_mean (d,): unit means of the un-centred clean and
    unrecognizable faces; recognizable_cosine: between them.
    """

    profile: Profile
    ui: UiClusters | None
    ui_members: NDArray[np.bool_]
    checks: tuple[Check, ...]
    decisions: tuple[Decision, ...]
    figures: Mapping[str, object]
    histograms: Histogram
    recognizable_mean: Float64
    ui_mean: Float64
    recognizable_cosine: float


@dataclass(frozen=True, slots=True, eq=False)
class _Way:
    """One way to treat embeddings, with a mean or without, and what was found: the first candidate is K = 1."""

    mean: Float64 | None
    ui: UiClusters | None
    checks: tuple[Check, ...]
    candidates: list[Candidate]


def build_profile(
    model: str, making: FaceSet, testing: FaceSet, plan: BuildPlan | None = None, progress: Progress | None = None
) -> BuiltProfile:
    """Find the unrecognizable identity among making faces, and set gamma by testing faces of other people.

    Half of the testing people decide on centring and the number of centroids; figures come from the other half. Raises
    CalibrationFailed, whose reason says what is wrong with the faces, and then there is no profile.
    """
    plan = plan or BuildPlan()
    require_usable(making, testing, plan.min_identities, plan.min_held_out)
    validation, report = halve(testing, groups_of(testing), plan.seed)
    steps = _Steps(progress, 2 if plan.centring == "auto" else 1)

    def look(mean: Float64 | None) -> _Way:
        vectors = centred(making.rows, mean)
        ui = find_ui(making, vectors, plan.rules, steps.next())
        lost = vectors[lost_identity(making, vectors)]
        offered = offer(
            ui.centroids,
            vectors[ui.everyone],
            lost,
            is_centred=mean is not None,
            most=plan.max_centroids,
            seed=plan.seed,
        )
        return _Way(mean, ui, ui.checks, [measure(each, validation, mean, plan.seed) for each in offered])

    ordinary = making.rows[~making.degraded]
    way, centring = _choose_way(look, ordinary, plan)
    members = way.ui.everyone if way.ui else np.zeros(len(making), np.bool_)
    return _finish(model, way, centring, members, making.rows[members], ordinary, (testing, report), plan)


def build_profile_from_ui_set(
    model: str, ui_rows: NDArray[np.float32], clean: FaceSet, testing: FaceSet, plan: BuildPlan | None = None
) -> BuiltProfile:
    """Build a profile from given unrecognizable faces (n, d), the paper's shortcut without clustering.

    clean: recognizable faces, for the mean. testing: as in build_profile. No ui_members are set. Raises
    CalibrationFailed.
    """
    plan = plan or BuildPlan()
    given = FaceSet.of_raw(ui_rows)
    require_usable(clean, testing, plan.min_identities, plan.min_held_out, given=given)
    validation, report = halve(testing, groups_of(testing), plan.seed)
    ordinary = clean.rows[~clean.degraded]

    def look(mean: Float64 | None) -> _Way:
        vectors = centred(given.rows, mean)
        checks = check_ui_set(vectors, centred(ordinary, mean), plan.rules)
        offered = offer(
            direction(vectors)[None, :],
            vectors,
            vectors[:0],
            is_centred=mean is not None,
            most=plan.max_centroids,
            seed=plan.seed,
        )
        return _Way(mean, None, checks, [measure(each, validation, mean, plan.seed) for each in offered])

    way, centring = _choose_way(look, ordinary, plan)
    nobody = np.zeros(len(clean), np.bool_)
    return _finish(model, way, centring, nobody, given.rows, ordinary, (testing, report), plan)


class _Steps:
    """Shows several passes of the same length as one."""

    def __init__(self, progress: Progress | None, passes: int) -> None:
        self._progress, self._passes, self._passed = progress, passes, -1

    def next(self) -> Progress | None:
        """Return the progress of the next pass."""
        self._passed += 1
        passed, report = self._passed, self._progress
        if report is None:
            return None
        return lambda done, total: report(passed * total + done, self._passes * total)


def _choose_way(
    look: Callable[[Float64 | None], _Way], ordinary: NDArray[np.float32], plan: BuildPlan
) -> tuple[_Way, Decision]:
    mean = np.round(ordinary.mean(axis=0, dtype=np.float64), _DECIMALS)
    if plan.centring != "auto":
        way = look(mean if plan.centring else None)
        variant = way.candidates[0].variant
        return way, Decision("centring", variant, "asked for", (variant,))
    ways: dict[bool, _Way] = {}
    variants: dict[bool, Variant] = {}
    failures: list[CalibrationFailed] = []
    for is_centred in (False, True):
        try:
            ways[is_centred] = look(mean if is_centred else None)
            variants[is_centred] = ways[is_centred].candidates[0].variant
        except CalibrationFailed as failure:
            failures.append(failure)
            variants[is_centred] = Variant(is_centred, "none", 0, failed=failure.message)
    if not ways:
        raise failures[0]
    decision = decide_centring(variants[False], variants[True], plan.margins)
    return ways[decision.chosen.centred], decision


def _finish(
    model: str,
    way: _Way,
    centring: Decision,
    members: NDArray[np.bool_],
    ui_rows: NDArray[np.float32],
    ordinary: NDArray[np.float32],
    held_out: tuple[FaceSet, FaceSet],
    plan: BuildPlan,
) -> BuiltProfile:
    testing, report = held_out
    best, number = decide_centroids(way.candidates, plan.margins)
    draft = Profile(model, np.round(best.centroids, _DECIMALS), 0.0, way.mean)
    raw_ers = np.asarray(Derivation(draft).derive(testing.rows).raw_ers, np.float64)
    gamma = largest_gamma(raw_ers[testing.clean], plan.max_clean_below)
    profile = Profile(model, draft.centroids, gamma, way.mean)
    report_ers = raw_ers_of(centred(report.rows, way.mean), profile.centroids)
    recognizable, unrecognizable = direction(ordinary.astype(np.float64)), direction(ui_rows.astype(np.float64))
    cosine = float(recognizable @ unrecognizable)
    checks = (*way.checks, *_held_out_checks(testing, report, report_ers, cosine, plan))
    enforce(checks)
    return BuiltProfile(
        profile=profile,
        ui=way.ui,
        ui_members=members,
        checks=checks,
        decisions=(centring, number),
        figures={
            **figures(report, report_ers, gamma),
            "clean_below_gamma_of_others": cross_checked(
                raw_ers[testing.clean], groups_of(testing)[testing.clean], plan.max_clean_below
            ),
        },
        histograms=histogram(testing, raw_ers),
        recognizable_mean=recognizable,
        ui_mean=unrecognizable,
        recognizable_cosine=cosine,
    )


def _held_out_checks(
    testing: FaceSet, report: FaceSet, report_ers: Float64, cosine: float, plan: BuildPlan
) -> tuple[Check, ...]:
    clean, degraded = report_ers[report.clean], report_ers[report.degraded]
    separation = auc(clean, degraded) if len(clean) and len(degraded) else None
    return (
        at_least("separates", separation, plan.min_auc, "AUC of clean against degraded faces that no decision saw"),
        at_least(
            "gamma_support",
            int(testing.clean.sum()) * plan.max_clean_below,
            1.0,
            "held-out clean faces that may lie below gamma",
        ),
        at_most(
            "away_from_recognizable",
            cosine,
            _RECOGNIZABLE_COSINE,
            "cosine of the mean unrecognizable to the mean clean face",
        ),
    )
