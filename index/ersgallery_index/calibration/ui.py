"""Find the unrecognizable identity: the cluster in which degraded faces of many people gather.

The paper's way is single linkage, largest cluster, its normalised mean (K = 1). Some models gather a kind of degradation in
a second place: then the largest clusters are taken until the next one is small beside them. A third way needs clean views of
the degraded people: the degraded faces that are no longer similar to their own clean view are the unrecognizable ones by
definition, and spherical k-means splits them into K places.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.calibration.faces import FaceSet, Progress
from ersgallery_index.calibration.linkage import single_linkage_grid
from ersgallery_index.errors import CalibrationFailed
from ersgallery_index.sums import Float64

_ITERATIONS = 100
_RESTARTS = 5
_REPORTED_SIZES = 200


@dataclass(frozen=True, slots=True)
class UiRules:
    """What makes a cluster the unrecognizable identity.

    max_distance: greatest Euclidean step within a cluster. grid: other distances that are looked at for stability.
    dominance: how many times larger than the next cluster the smallest one taken must be. max_clusters: most that are
    taken. degraded_majority, min_kinds, min_identities: least share of degraded faces, kinds of degradation and people in it.
    max_images_per_identity: most clean images of a person, on average; more tend to chain. min_stability: least cosine
    between its centroid and those of halves of the faces and of the distance below.
    """

    max_distance: float = 1.0
    grid: tuple[float, ...] = (0.7, 0.8, 0.9, 1.1, 1.2)
    dominance: float = 10.0
    max_clusters: int = 3
    degraded_majority: float = 0.9
    min_kinds: int = 3
    min_identities: int = 10
    max_images_per_identity: float = 2.0
    min_stability: float = 0.9


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that an expert looks at. passed: None where the labels do not allow to tell."""

    name: str
    passed: bool | None
    value: float | None
    limit: float | None
    text: str


@dataclass(frozen=True, slots=True)
class AtDistance:
    """What clustering at another distance gives. cosine: of its largest cluster's centroid to the chosen one's."""

    max_distance: float
    largest: int
    second: int
    cosine: float


@dataclass(frozen=True, slots=True, eq=False)
class UiClusters:
    """The clusters that were taken.

    members: a mask over the faces for each. sizes: of the largest clusters, falling. centroids (K, d). inside: mean cosine
    distance between two faces of each cluster. by_kind: faces of each kind in them.
    """

    members: tuple[NDArray[np.bool_], ...]
    sizes: tuple[int, ...]
    centroids: Float64
    inside: tuple[float, ...]
    by_kind: Mapping[str, int]
    by_distance: tuple[AtDistance, ...]
    checks: tuple[Check, ...] = field(default=())

    @property
    def everyone(self) -> NDArray[np.bool_]:
        """Return which faces are in one of the clusters."""
        return np.asarray(np.any(self.members, axis=0), np.bool_)


def find_ui(pool: FaceSet, vectors: Float64, rules: UiRules, progress: Progress | None = None) -> UiClusters:
    """Cluster faces, whose (centred) unit vectors (n, d) are given, and return the UI clusters with the checks on them.

    Raises CalibrationFailed: ONE_IMAGE, NO_UI_CLUSTER, EQUAL_CLUSTERS, CHAINED (ordinary people are in it), TOO_NARROW (few
    kinds or people are), UNSTABLE.
    """
    if len(pool) < 2:
        raise CalibrationFailed("ONE_IMAGE", f"{len(pool)} faces were given; a cluster needs 2 at least")
    unit = vectors.astype(np.float32)
    cuts = sorted({rules.max_distance, *rules.grid})
    labels = single_linkage_grid(unit, cuts, progress)
    found = _clusters(pool, vectors, labels[cuts.index(rules.max_distance)], rules)
    at = tuple(_at_distance(vectors, row, cut, found.centroids[0]) for cut, row in zip(cuts, labels, strict=True))
    checked = _with(found, at, _checks(pool, vectors, found, at, rules))
    _enforce(checked)
    return checked


def lost_identity(faces: FaceSet, vectors: Float64, far: float = 1e-3) -> NDArray[np.bool_]:
    """Return which degraded faces are no longer similar to a clean face of the same person.

    The least similarity is the one that a share `far` of the pairs of clean faces of different people exceeds.
    """
    clean = np.flatnonzero(faces.clean)
    own: dict[int, int] = dict(zip(faces.identities[clean].tolist(), clean.tolist(), strict=True))
    candidates = [row for row in np.flatnonzero(faces.degraded).tolist() if int(faces.identities[row]) in own]
    lost = np.zeros(len(faces), np.bool_)
    if candidates and len(own) > 1:
        references = [own[int(faces.identities[row])] for row in candidates]
        similar = np.einsum("ij,ij->i", vectors[candidates], vectors[references])
        lost[candidates] = similar < _impostor_quantile(vectors[list(own.values())], far)
    return lost


def split_ui(vectors: Float64, count: int, rng: np.random.Generator) -> Float64:
    """Return the (count, d) unit centroids of spherical k-means (Dhillon and Modha 2001), the best of a few starts."""
    best, best_fit = np.empty(0), -np.inf
    for start in range(_RESTARTS):
        centroids = _refine(vectors, _start(vectors, count, rng, at_mean=start == 0))
        fit = float((vectors @ centroids.T).max(axis=1).mean())
        if fit > best_fit:
            best, best_fit = centroids, fit
    return best


def unit_rows(vectors: Float64) -> Float64:
    """Return (n, d) vectors at unit length."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float64)


def mean_cosine_distance(unit: Float64) -> float:
    """Return the mean of 1 - <a, b> over all pairs of different rows: from the length of their sum, in O(n d)."""
    count = len(unit)
    total = unit.sum(axis=0)
    return float(1.0 - (total @ total - count) / (count * (count - 1))) if count > 1 else 0.0


def _clusters(pool: FaceSet, vectors: Float64, labels: NDArray[np.int64], rules: UiRules) -> UiClusters:
    sizes = np.bincount(labels)
    order = np.argsort(-sizes, kind="stable")
    falling = sizes[order]
    taken = order[: _standing_out(falling, rules)]
    members = tuple(labels == cluster for cluster in taken)
    everyone = np.any(members, axis=0)
    return UiClusters(
        members=members,
        sizes=tuple(falling[:_REPORTED_SIZES].tolist()),
        centroids=unit_rows(np.stack([vectors[inside].mean(axis=0) for inside in members])),
        inside=tuple(mean_cosine_distance(vectors[inside]) for inside in members),
        by_kind={name: int((everyone & (pool.kinds == kind)).sum()) for kind, name in enumerate(pool.kind_names)},
        by_distance=(),
    )


def _standing_out(falling: NDArray[np.int64], rules: UiRules) -> int:
    """Return the smallest K whose K-th cluster dwarfs the one after it."""
    sizes = [*falling[: rules.max_clusters + 1].tolist(), 1]
    for count in range(1, min(rules.max_clusters, len(falling)) + 1):
        if sizes[count - 1] >= rules.dominance * max(sizes[count], 1):
            return count
    found = ", ".join(str(size) for size in falling[:5].tolist())
    if len(falling) > 1 and falling[1] * 2 > falling[0] > 2:
        raise CalibrationFailed(
            "EQUAL_CLUSTERS",
            f"no cluster stands out: the largest have {found} faces, and two of them are alike in size",
        )
    raise CalibrationFailed(
        "NO_UI_CLUSTER",
        f"no cluster of unrecognizable faces stands out at a distance of {rules.max_distance:g}: the largest have {found} "
        f"faces; the first must have {rules.dominance:g} times as many as the next",
    )


def _at_distance(vectors: Float64, labels: NDArray[np.int64], cut: float, chosen: Float64) -> AtDistance:
    sizes = np.bincount(labels)
    order = np.argsort(-sizes, kind="stable")
    centroid = vectors[labels == order[0]].mean(axis=0)
    return AtDistance(
        max_distance=cut,
        largest=int(sizes[order[0]]),
        second=int(sizes[order[1]]) if len(order) > 1 else 0,
        cosine=float(centroid @ chosen / max(float(np.linalg.norm(centroid)), 1e-12)),
    )


def _checks(
    pool: FaceSet, vectors: Float64, found: UiClusters, at: tuple[AtDistance, ...], rules: UiRules
) -> tuple[Check, ...]:
    inside, labelled = found.everyone, bool((pool.kinds >= -1).all())
    taken = len(found.members)
    following = found.sizes[taken] if len(found.sizes) > taken else 1
    dominance = found.sizes[taken - 1] / following
    share = float((inside & pool.degraded).sum() / inside.sum()) if labelled else None
    kinds = float(sum(count > 0 for count in found.by_kind.values())) if labelled else None
    known = pool.identities >= 0
    people = float(len(np.unique(pool.identities[inside & known]))) if known.any() else None
    clean_people = pool.identities[pool.clean & known]
    images = len(clean_people) / len(np.unique(clean_people)) if len(clean_people) else None
    ordinary = mean_cosine_distance(vectors[~inside]) if (~inside).sum() > 1 else None
    halves = _halves_agree(pool, vectors, found)
    # A step further up even a sound cluster may swallow the ordinary faces: that is reported, and no fault.
    neighbours = [each.cosine for each in at if 0 < rules.max_distance - each.max_distance <= 0.11]
    return (
        _at_least("dominance", dominance, rules.dominance, "times as large as the next cluster"),
        _at_least("degraded_share", share, rules.degraded_majority, "of the cluster's faces are degraded ones"),
        _at_least("kinds", kinds, float(min(rules.min_kinds, len(pool.kind_names))), "kinds of degradation are in it"),
        _at_least("identities", people, float(rules.min_identities), "people are in it"),
        _at_most("images_per_identity", images, rules.max_images_per_identity, "clean images of a person, on average"),
        _at_most(
            "cosine_distance_inside", max(found.inside), ordinary, "mean cosine distance inside, ordinary outside"
        ),
        _at_least(
            "stability_over_halves", halves, rules.min_stability, "least cosine of its centroid to those of halves"
        ),
        _at_least(
            "stability_over_distances",
            min(neighbours) if neighbours else None,
            rules.min_stability,
            "cosine of its centroid to that at a distance 0.1 below",
        ),
    )


def _halves_agree(pool: FaceSet, vectors: Float64, found: UiClusters) -> float:
    """Return the least cosine between the centroids of two halves of a cluster; people are not divided."""
    least = 1.0
    groups = np.where(pool.identities >= 0, pool.identities, np.arange(len(pool)))
    for inside in found.members:
        people = np.unique(groups[inside])
        first = inside & np.isin(groups, people[np.random.default_rng(0).permutation(len(people)) % 2 == 0])
        second = inside & ~first
        if first.any() and second.any():
            one, other = unit_rows(np.stack([vectors[first].mean(axis=0), vectors[second].mean(axis=0)]))
            least = min(least, float(one @ other))
    return least


_REASONS = {
    "dominance": "NO_UI_CLUSTER",
    "degraded_share": "CHAINED",
    "kinds": "TOO_NARROW",
    "identities": "TOO_NARROW",
    "cosine_distance_inside": "CHAINED",
    "stability_over_halves": "UNSTABLE",
    "stability_over_distances": "UNSTABLE",
}


def _enforce(found: UiClusters) -> None:
    """Raise for the first check that failed; many images of a person are told and do no harm in themselves."""
    images = next(check for check in found.checks if check.name == "images_per_identity")
    for check in found.checks:
        if check.passed is False and check.name in _REASONS:
            hint = "; take about one clean image of each person" if images.passed is False else ""
            raise CalibrationFailed(
                _REASONS[check.name], f"the largest cluster is not to be trusted: {check.text}{hint}"
            )


def _at_least(name: str, value: float | None, limit: float, what: str) -> Check:
    if value is None:
        return Check(name, None, None, limit, f"not checked, for labels are missing: {what}")
    return Check(name, value >= limit, value, limit, f"{value:.3g} (at least {limit:g} wanted): {what}")


def _at_most(name: str, value: float | None, limit: float | None, what: str) -> Check:
    if value is None or limit is None:
        return Check(name, None, value, limit, f"not checked, for labels are missing: {what}")
    return Check(name, value <= limit, value, limit, f"{value:.3g} (at most {limit:.3g} wanted): {what}")


def _with(found: UiClusters, at: tuple[AtDistance, ...], checks: tuple[Check, ...]) -> UiClusters:
    return UiClusters(
        found.members, found.sizes, found.centroids, found.inside, found.by_kind, by_distance=at, checks=checks
    )


def _impostor_quantile(vectors: Float64, far: float, most: int = 4000) -> float:
    some = vectors[:most]
    products = (some @ some.T)[np.triu_indices(len(some), 1)]
    return float(np.quantile(products, 1.0 - far))


def _start(vectors: Float64, count: int, rng: np.random.Generator, *, at_mean: bool) -> Float64:
    """Choose starts far from each other (k-means++), the first one at the mean where that is wanted."""
    first = unit_rows(vectors.mean(axis=0)[None, :])[0] if at_mean else vectors[rng.integers(len(vectors))]
    centroids = [first]
    while len(centroids) < count:
        away = np.maximum(1.0 - (vectors @ np.stack(centroids).T).max(axis=1), 0.0) + 1e-12
        centroids.append(vectors[rng.choice(len(vectors), p=away / away.sum())])
    return np.stack(centroids)


def _refine(vectors: Float64, centroids: Float64) -> Float64:
    for _ in range(_ITERATIONS):
        nearest = (vectors @ centroids.T).argmax(axis=1)
        moved = np.stack(
            [vectors[nearest == k].mean(axis=0) if (nearest == k).any() else old for k, old in enumerate(centroids)]
        )
        moved = unit_rows(moved)
        if np.allclose(moved, centroids, atol=1e-9):
            break
        centroids = moved
    return centroids
