"""T4 and an ablation: UI centroids from several sources and made in several ways, and what each is worth."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from ersgallery_index import Derivation, Profile, Representation
from ersgallery_index.calibration import (
    BuildPlan,
    CalibrationFailed,
    FaceSet,
    UiSource,
    build_profile,
    compare_sources,
)
from ersgallery_index.calibration.centres import centred, direction
from ersgallery_index.calibration.separation import largest_gamma
from ersgallery_index.calibration.ui import UiRules, find_ui
from numpy.typing import NDArray

from ersgallery_server.evaluation.bench import Bench, face_set, making, validating
from ersgallery_server.evaluation.corpus import CLEAN, KINDS, UNKNOWN
from ersgallery_server.evaluation.measuring import TAU_OF_TEST, frr_cells, number, separation, unmeasured, verify
from ersgallery_server.evaluation.plan import Part, Role
from ersgallery_server.evaluation.tables import Entry, Table

FARS = (1e-5, 1e-4, 1e-3)

_SOURCES = "UI centroids from several sources"

WORTH = ("gamma", "AUC", "AUC of bystanders", *(f"FRR at FAR {far:g}" for far in FARS))
"""The columns of what a profile is worth."""


@dataclass(frozen=True, slots=True, eq=False)
class _Way:
    """A profile made in one way, or why it could not be made."""

    name: str
    profile: Profile | None
    failed: str = ""


def run(bench: Bench) -> list[Table]:
    """Compare sources of the UI centroid, and single choices of the profile with the chosen one."""
    return [_sources(bench), _ablation(bench)]


def _sources(bench: Bench) -> Table:
    mean = bench.profile.mean
    found = _ui_sets(bench)
    if not found:
        return unmeasured("T4", _SOURCES, "no source here gives unrecognizable faces that gather")
    compared = compare_sources([UiSource(name, rows) for name, rows in found], mean)
    first = compared[0].name
    rows: list[tuple[Entry, ...]] = []
    for (name, members), source in zip(found, compared, strict=True):
        profile = _with_gamma(bench, direction(centred(members, mean))[None, :], mean)
        distance = 0.0 if name == first else source.distances[first]
        rows.append((name, source.faces, number(source.inside), number(distance), *worth(bench, profile)))
    return Table(
        key="T4",
        title=_SOURCES,
        columns=(
            "source",
            "faces",
            "cosine distance inside",
            "distance to the first",
            *WORTH,
        ),
        rows=tuple(rows),
        source="table 4",
        notes=(
            "Each source gives one centroid (K = 1), the mean of its faces; gamma comes from clean validation faces.",
            "AUC: of clean test faces against degraded ones, and against bystanders, by ERS.",
            "FRR is that of T1: all pairs of a mix of clean and degraded test faces.",
            TAU_OF_TEST,
        ),
    )


def _ui_sets(bench: Bench) -> list[tuple[str, NDArray[np.float32]]]:
    """Return the unrecognizable faces that each source gives; the first is that of the profile."""
    corpus, plan = bench.corpus, bench.plan
    chosen = making(corpus, plan)
    sets: list[tuple[str, NDArray[np.float32]]] = []
    # A profile that was given does not know its faces.
    if bench.built.ui_members.any():
        sets.append(("degraded faces", corpus.rows[chosen][bench.built.ui_members]))
    tenth = chosen & (corpus.clean | (bench.rng("tenth").random(len(corpus.people))[corpus.identities] < 0.2))
    sets += _clustered(bench, "degraded faces, one in ten", face_set(corpus, tenth))
    if bench.wild is not None:
        wild = bench.wild
        pool = FaceSet(
            wild.rows,
            wild.identities,
            np.full(len(wild), UNKNOWN, np.int16),
            wild.severities,
            tuple(kind.value for kind in KINDS),
        )
        sets += _clustered(bench, "bystanders, as they are", pool)
    for kind in KINDS:
        one = making(corpus, plan, [kind])
        members = one & (corpus.kinds != CLEAN)
        if members.any():
            sets += _clustered(bench, f"{bench.kind_name(KINDS.index(kind))} alone", face_set(corpus, one))
    return sets


def _clustered(bench: Bench, name: str, pool: FaceSet) -> list[tuple[str, NDArray[np.float32]]]:
    """Return the largest cluster of a pool, where it is a sound one."""
    rules = UiRules(min_kinds=1, dominance=3.0, min_stability=0.7)
    try:
        found = find_ui(pool, centred(pool.rows, bench.profile.mean), rules)
    except CalibrationFailed:
        return []
    return [(name, pool.rows[found.members[0]])]


def _ablation(bench: Bench) -> Table:
    rows: list[tuple[Entry, ...]] = []
    for way in _ways(bench):
        if way.profile is None:
            rows.append((f"{way.name}: {way.failed}", None, None, None, None, None, *(None for _ in FARS)))
            continue
        centring = "yes" if way.profile.mean is not None else "no"
        rows.append((way.name, len(way.profile.centroids), centring, *worth(bench, way.profile)))
    return Table(
        key="ablation",
        title="What each choice of the profile is worth",
        columns=(
            "profile",
            "K",
            "centred",
            *WORTH,
        ),
        rows=tuple(rows),
        notes=(
            "Choices were made on validation people; these figures are of the test, and of bystanders.",
            TAU_OF_TEST,
        ),
    )


def _ways(bench: Bench) -> Iterator[_Way]:
    plan = BuildPlan(max_clean_below=bench.plan.max_clean_below, seed=bench.plan.seed)
    chosen = face_set(bench.corpus, making(bench.corpus, bench.plan))
    yield _Way("as chosen by measurement", bench.profile)
    for name, centring in (("not centred", False), ("centred", True)):
        for count in (1, 2, 3, 4, 6, 8):
            changed = replace(plan, centring=centring, centroids=count)
            yield _build(bench, f"{name}, K = {count}", chosen, changed)
    for kind in KINDS:
        if kind not in bench.plan.unseen:
            others = [each for each in KINDS if each not in (kind, *bench.plan.unseen)]
            without = face_set(bench.corpus, making(bench.corpus, bench.plan, others))
            yield _build(bench, f"without {bench.kind_name(KINDS.index(kind))}", without, plan)


def _build(bench: Bench, name: str, chosen: FaceSet, plan: BuildPlan) -> _Way:
    try:
        built = build_profile(
            bench.corpus.model, chosen, face_set(bench.corpus, validating(bench.corpus, bench.plan)), plan
        )
    except CalibrationFailed as error:
        return _Way(name, None, error.reason)
    return _Way(name, built.profile)


def _with_gamma(bench: Bench, centroids: NDArray[np.float64], mean: NDArray[np.float64] | None) -> Profile:
    """Return a profile whose gamma comes from clean validation faces."""
    draft = Profile(bench.corpus.model, centroids, 0.0, mean)
    clean = validating(bench.corpus, bench.plan) & bench.corpus.clean
    ers = Derivation(draft).derive(bench.corpus.rows[clean]).ers
    return Profile(bench.corpus.model, centroids, largest_gamma(ers, bench.plan.max_clean_below), mean)


def worth(bench: Bench, profile: Profile) -> list[Entry]:
    """Return gamma, AUC of degraded test faces and of bystanders, and FRR of T1's pairs."""
    corpus, mixed = bench.corpus, bench.mixed
    derivation = Derivation(profile)
    single = corpus.of(Part.TEST, Role.SINGLE)
    clean = derivation.derive(corpus.rows[single & corpus.clean]).raw_ers
    degraded = derivation.derive(corpus.rows[single & ~corpus.clean]).raw_ers
    wild = None if bench.wild is None else derivation.derive(bench.wild.rows).raw_ers
    derived = derivation.derive(corpus.rows[mixed])
    faces = Representation(derived.vectors, derived.ers, derived.raw_ers, derived.usable)
    (found,) = verify(bench, faces, corpus.identities[mixed], (profile.gamma,), FARS)
    return [
        number(profile.gamma),
        separation(clean, degraded),
        None if wild is None else separation(clean, wild),
        *frr_cells(found),
    ]
