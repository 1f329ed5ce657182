"""Build a recognizability profile from labelled faces: mean, UI centroids and gamma, each choice by measurement.

Faces that make the profile and faces that test it show different people. One half of the testing people decides between
the variants (centring or not, how many centroids) and sets gamma, the other half gives the figures that are reported.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.calibration.centres import centred, direction
from ersgallery_index.calibration.checks import Check, enforce
from ersgallery_index.calibration.choices import (
    LEAST_LOST,
    Candidate,
    Choice,
    Judge,
    Variant,
    choose_centring,
    choose_count,
    draft,
    raw_ers_of,
)
from ersgallery_index.calibration.expectations import (
    check_away_from_mean,
    check_held_out,
    check_ui_set,
    require_held_out,
    require_making,
)
from ersgallery_index.calibration.faces import FaceSet, Progress
from ersgallery_index.calibration.plan import BuildPlan
from ersgallery_index.calibration.separation import Histogram, figures, histogram, largest_gamma
from ersgallery_index.calibration.split import lost_identity, split_ui
from ersgallery_index.calibration.ui import UiClusters, UiRules, find_ui, groups_of
from ersgallery_index.errors import CalibrationFailed
from ersgallery_index.recognizability import Profile
from ersgallery_index.sums import Float64

__all__ = [
    "BuildPlan",
    "BuiltProfile",
    "Choice",
    "Variant",
    "build_profile",
    "build_profile_from_ui_set",
    "raw_ers_of",
]

_DECIMALS = 6

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class BuiltProfile:
    """A profile with everything that is to be said about it.

    ui: the clusters of the pool, None for a given UI set. pool: which making faces were clustered. ui_members: which
    making faces are in the UI set. recognizable_mean: unit mean of the clean faces, not centred; mean_to_ui: its cosine
    to the mean of the UI set. figures and histogram are of people who had no part in any choice. checks: on the
    clusters or the given set, and on what the profile does to those people.
    """

    profile: Profile
    ui: UiClusters | None
    pool: NDArray[np.bool_]
    ui_members: NDArray[np.bool_]
    choices: tuple[Choice, ...]
    figures: Mapping[str, object]
    histogram: Histogram
    recognizable_mean: Float64 | None
    mean_to_ui: tuple[float, ...]
    checks: tuple[Check, ...]


def build_profile(
    model: str, making: FaceSet, testing: FaceSet, plan: BuildPlan, progress: Progress | None = None
) -> BuiltProfile:
    """Find where a model's unrecognizable faces gather, and gamma.

    making: clean and degraded faces, or faces of unknown kind such as crops from the wild; of a person with a degraded
    view the clean one is kept out of the clustering, so that a person's own views do not chain. testing: clean and,
    better, degraded faces of other people. progress: gets the pairs compared, of all, then the numbers of centroids
    tried, of all. Raises CalibrationFailed with a stable reason for faces that cannot give a sound profile.
    """
    require_making(making, plan.min_identities)
    require_held_out(making, testing, plan.min_identities)
    deciding, reporting = _halves(testing, plan.seed)
    judge, pool, means = Judge(model, deciding), _pool(making), _means(making, plan)
    found: list[Candidate] = []
    failures: list[CalibrationFailed] = []
    for number, mean in enumerate(means):
        try:
            found.append(_by_linkage(judge, making, pool, mean, plan.rules, _part_of(progress, number, len(means))))
        except CalibrationFailed as error:
            failures.append(error)
    if not found:
        raise failures[0]
    base, centring = choose_centring(found, plan)
    best, count = choose_count(
        [*_fewer_clusters(judge, pool, base), base, *_split(judge, making, base, plan, progress)], plan
    )
    return _finish(model, best, (centring, count), making, pool, deciding, reporting, plan)


def build_profile_from_ui_set(
    model: str,
    ui_set: FaceSet,
    clean: FaceSet,
    testing: FaceSet,
    plan: BuildPlan,
    progress: Progress | None = None,
) -> BuiltProfile:
    """Build a profile from a given set of unrecognizable faces, without clustering: the paper's shortcut.

    The set may have been found with another model, of whose images this model made the embeddings. clean: faces whose
    mean is subtracted, where that helps. progress: gets the variants tried, of all. Raises CalibrationFailed as
    build_profile does.
    """
    if not len(ui_set):
        raise CalibrationFailed("NO_UI_CLUSTER", "the given set of unrecognizable faces is empty")
    making = FaceSet.concatenate([clean, ui_set])
    members = np.arange(len(making)) >= len(clean)
    require_held_out(making, testing, plan.min_identities)
    deciding, reporting = _halves(testing, plan.seed)
    judge = Judge(model, deciding)
    found = [
        judge.measure(mean, "given", direction(centred(ui_set.rows, mean))[None, :], members)
        for mean in _told(_means(making, plan), progress)
    ]
    base, centring = choose_centring(found, plan)
    tried = _split_members(judge, making, base, members, "given", plan, progress)
    best, count = choose_count([base, *tried], plan)
    return _finish(model, best, (centring, count), making, members, deciding, reporting, plan)


def _part_of(progress: Progress | None, number: int, parts: int) -> Progress | None:
    """Return the progress of one of several equal parts."""
    if progress is None:
        return None
    return lambda done, total: progress(number * total + done, parts * total)


def _told(variants: Sequence[T], progress: Progress | None) -> Iterator[T]:
    """Give variants one by one and tell before each, and at the end, how many were tried."""
    for number, variant in enumerate(variants):
        if progress is not None:
            progress(number, len(variants))
        yield variant
    if progress is not None:
        progress(len(variants), len(variants))


def _halves(testing: FaceSet, seed: int) -> tuple[FaceSet, FaceSet]:
    """Divide the testing people: those who decide, and those who are reported on."""
    groups = groups_of(testing)
    people = np.unique(groups)
    deciding = np.random.default_rng([seed, 3]).permutation(len(people)) % 2 == 0
    chosen = np.isin(groups, people[deciding])
    return testing.take(chosen), testing.take(~chosen)


def _pool(making: FaceSet) -> NDArray[np.bool_]:
    """Return the faces to cluster: all but the clean views of people with a degraded one."""
    return ~(making.clean & np.isin(making.identities, making.identities[making.degraded & (making.identities >= 0)]))


def _means(making: FaceSet, plan: BuildPlan) -> list[Float64 | None]:
    """Return what may be subtracted: of crops from the wild, the mean of them all."""
    ordinary = making.clean if making.clean.any() else ~making.degraded
    if plan.centring is False or not ordinary.any():
        return [None]
    mean = np.round(making.rows[ordinary].mean(axis=0, dtype=np.float64), _DECIMALS)
    return [mean] if plan.centring else [None, mean]


def _by_linkage(
    judge: Judge,
    making: FaceSet,
    pool: NDArray[np.bool_],
    mean: Float64 | None,
    rules: UiRules,
    progress: Progress | None,
) -> Candidate:
    clustered = making.take(pool)
    ui = find_ui(clustered, centred(clustered.rows, mean), rules, progress)
    return judge.measure(mean, "linkage", ui.centroids, _among(pool, ui.everyone), ui)


def _fewer_clusters(judge: Judge, pool: NDArray[np.bool_], base: Candidate) -> list[Candidate]:
    """Return the largest cluster alone, the paper's way, where several were taken."""
    if base.ui is None or len(base.centroids) == 1:
        return []
    members = _among(pool, base.ui.members[0])
    return [judge.measure(base.mean, "linkage", base.centroids[:1], members, base.ui)]


def _among(pool: NDArray[np.bool_], inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return as a mask over all making faces (n,) what `inside` says of those in the pool."""
    members = np.zeros(len(pool), np.bool_)
    members[np.flatnonzero(pool)[inside]] = True
    return members


def _split(
    judge: Judge, making: FaceSet, base: Candidate, plan: BuildPlan, progress: Progress | None
) -> list[Candidate]:
    """Return what splitting the faces that lost their identity gives, where enough clean views show which."""
    lost = lost_identity(making, centred(making.rows, base.mean))
    return _split_members(judge, making, base, lost, "split", plan, progress)


def _split_members(
    judge: Judge,
    making: FaceSet,
    base: Candidate,
    members: NDArray[np.bool_],
    method: str,
    plan: BuildPlan,
    progress: Progress | None,
) -> list[Candidate]:
    vectors = centred(making.rows[members], base.mean)
    counts = plan.counts if plan.centroids is None else (plan.centroids,)
    return [
        judge.measure(
            base.mean, method, split_ui(vectors, count, np.random.default_rng([plan.seed, 4, count])), members, base.ui
        )
        for count in _told(counts, progress)
        if len(vectors) >= LEAST_LOST * count and (count > 1 or method == "split")
    ]


def _finish(
    model: str,
    best: Candidate,
    choices: tuple[Choice, ...],
    making: FaceSet,
    pool: NDArray[np.bool_],
    deciding: FaceSet,
    reporting: FaceSet,
    plan: BuildPlan,
) -> BuiltProfile:
    ungated = draft(model, best.mean, best.centroids)
    clean_ers = raw_ers_of(ungated, deciding.take(deciding.clean))
    profile = replace(ungated, gamma=largest_gamma(clean_ers, plan.max_clean_below))
    raw_ers = raw_ers_of(profile, reporting)
    mean = direction(making.rows[making.clean].astype(np.float64)) if making.clean.any() else None
    mean_to_ui = () if mean is None else _cosines(making, best.members, mean)
    checks = (
        *(best.ui.checks if best.ui else _given_checks(making, best, plan.rules)),
        check_away_from_mean(mean_to_ui[0] if mean_to_ui else None),
        *check_held_out(len(clean_ers), plan.max_clean_below, reporting, raw_ers, plan.min_auc),
    )
    enforce(checks)
    return BuiltProfile(
        profile=profile,
        ui=best.ui,
        pool=pool,
        ui_members=best.members,
        choices=choices,
        figures=figures(reporting, raw_ers, profile.gamma),
        histogram=histogram(reporting, raw_ers),
        recognizable_mean=mean,
        mean_to_ui=mean_to_ui,
        checks=checks,
    )


def _given_checks(making: FaceSet, best: Candidate, rules: UiRules) -> tuple[Check, ...]:
    inside, ordinary = making.rows[best.members], making.rows[making.clean & ~best.members]
    return check_ui_set(centred(inside, best.mean), centred(ordinary, best.mean), rules)


def _cosines(making: FaceSet, members: NDArray[np.bool_], mean: Float64) -> tuple[float, ...]:
    """Return the cosine between the mean of clean faces and that of the UI set, neither centred (figure 1)."""
    if not members.any():
        return ()
    ui = making.rows[members].mean(axis=0, dtype=np.float64)
    return (float(ui @ mean / np.linalg.norm(ui)),)
