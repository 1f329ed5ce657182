"""How far UI centroids of different sources (the paper's table 4) and of different samples lie apart."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.calibration.centres import centred, compare_centroids, direction, mean_cosine_distance
from ersgallery_index.calibration.faces import FaceSet
from ersgallery_index.calibration.ui import UiRules, find_ui, groups_of
from ersgallery_index.errors import CalibrationFailed
from ersgallery_index.sums import Float64


@dataclass(frozen=True, slots=True, eq=False)
class UiSource:
    """Unrecognizable faces from one source, embedded by one model: rows (n, d) stored unit rows."""

    name: str
    rows: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SourceFigures:
    """What a source comes to.

    inside: mean cosine distance between its faces. distances: of its centroid to the others.
    """

    name: str
    faces: int
    inside: float
    distances: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SeedFigures:
    """What clustering some of the faces gave. cosine: of the centroid to that of all faces; None where it failed."""

    seed: int
    faces: int
    largest: int
    cosine: float | None
    failed: str | None


def compare_sources(sources: Sequence[UiSource], mean: Float64 | None = None) -> tuple[SourceFigures, ...]:
    """Return spread and centroid distances of sources; mean (d,): of the profile, where it centres.

    Raises CalibrationFailed: MIXED_DIMENSIONS, TOO_FEW_FACES for a source without faces.
    """
    if len({source.rows.shape[1] for source in sources}) > 1:
        raise CalibrationFailed("MIXED_DIMENSIONS", "the sources were not embedded by one model")
    for source in sources:
        if not len(source.rows):
            raise CalibrationFailed("TOO_FEW_FACES", f"the source {source.name} has no faces")
    vectors = [centred(source.rows, mean) for source in sources]
    centroids = [direction(each) for each in vectors]
    return tuple(
        SourceFigures(
            name=source.name,
            faces=len(source.rows),
            inside=mean_cosine_distance(own),
            distances={
                other.name: compare_centroids(centroid, away).greatest
                for other, away in zip(sources, centroids, strict=True)
                if other is not source
            },
        )
        for source, own, centroid in zip(sources, vectors, centroids, strict=True)
    )


def stability_over_seeds(
    pool: FaceSet, vectors: Float64, rules: UiRules, seeds: Iterable[int], share: float = 0.5
) -> tuple[SeedFigures, ...]:
    """Cluster a share of the people again for each seed, and compare its first centroid with that of all faces.

    vectors (n, d): (centred) unit vectors of the pool. Raises what find_ui raises for all faces.
    """
    whole = find_ui(pool, vectors, rules).centroids[0]
    return tuple(_one_seed(pool, vectors, rules, seed, share, whole) for seed in seeds)


def _one_seed(pool: FaceSet, vectors: Float64, rules: UiRules, seed: int, share: float, whole: Float64) -> SeedFigures:
    groups = groups_of(pool)
    people = np.unique(groups)
    drawn = np.random.default_rng(seed).permutation(people)[: max(1, round(share * len(people)))]
    inside = np.isin(groups, drawn)
    try:
        found = find_ui(pool.take(inside), vectors[inside], rules)
    except CalibrationFailed as failure:
        return SeedFigures(seed, int(inside.sum()), 0, None, failure.message)
    return SeedFigures(seed, int(inside.sum()), found.sizes[0], float(found.centroids[0] @ whole), None)
