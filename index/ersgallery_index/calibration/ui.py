"""Find the unrecognizable identity: the cluster in which degraded faces of many people gather.

The paper's way is single linkage, largest cluster, its normalised mean (K = 1). Some models gather a kind of
degradation in a second place: then the largest clusters are taken until the next one is small beside them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.calibration.centres import direction, mean_cosine_distance
from ersgallery_index.calibration.checks import Check, at_least, at_most, enforce
from ersgallery_index.calibration.faces import UNKNOWN, FaceSet, Progress
from ersgallery_index.calibration.linkage import single_linkage_grid
from ersgallery_index.errors import CalibrationFailed
from ersgallery_index.sums import Float64

__all__ = ["AtDistance", "Check", "UiClusters", "UiRules", "find_ui", "groups_of", "halves_agree"]

_REPORTED_SIZES = 200
_NEIGHBOUR = 0.11


@dataclass(frozen=True, slots=True)
class UiRules:
    """What makes a cluster the unrecognizable identity.

    max_distance: greatest Euclidean step within a cluster. grid: other distances that are looked at for stability.
    dominance: how many times larger than the next cluster the smallest one taken must be. max_clusters: most that are
    taken. alike: share of the largest from which on the second one is its equal. degraded_majority, min_kinds,
    min_identities: least share of degraded faces, kinds of degradation and people in it. max_joined: greatest share of
    unlabelled faces that may be in it, at the next distance too. max_images_per_identity: most clean images of a
    person, on average; more tend to chain. min_stability: least cosine between its centroid and those of halves of it,
    and of the cluster at one of the nearest other distances.
    """

    max_distance: float = 1.0
    grid: tuple[float, ...] = (0.7, 0.8, 0.9, 1.1, 1.2, 1.3)
    dominance: float = 10.0
    max_clusters: int = 3
    alike: float = 0.5
    degraded_majority: float = 0.9
    min_kinds: int = 3
    min_identities: int = 10
    max_joined: float = 0.5
    max_images_per_identity: float = 2.0
    min_stability: float = 0.9


@dataclass(frozen=True, slots=True)
class AtDistance:
    """What clustering at another distance gives.

    largest, second: faces in its largest clusters. cosine: of the largest one's centroid to the chosen one's.
    degraded_share: of the largest one's faces; None without labels.
    """

    max_distance: float
    largest: int
    second: int
    cosine: float
    degraded_share: float | None


@dataclass(frozen=True, slots=True, eq=False)
class UiClusters:
    """The clusters that were taken.

    members: a mask over the faces for each. sizes: of the largest clusters, falling. centroids (K, d). inside: mean
    cosine distance between two faces of each cluster. by_kind: faces of each kind in them. identities: people in them.
    """

    members: tuple[NDArray[np.bool_], ...]
    sizes: tuple[int, ...]
    centroids: Float64
    inside: tuple[float, ...]
    by_kind: Mapping[str, int]
    identities: int
    by_distance: tuple[AtDistance, ...] = ()
    checks: tuple[Check, ...] = ()

    @property
    def everyone(self) -> NDArray[np.bool_]:
        """Return which faces are in one of the clusters."""
        return np.asarray(np.any(self.members, axis=0), np.bool_)


def find_ui(pool: FaceSet, vectors: Float64, rules: UiRules, progress: Progress | None = None) -> UiClusters:
    """Cluster faces, whose (centred) unit vectors (n, d) are given, and return the UI clusters with the checks on them.

    progress: gets pairs compared and all pairs. Raises CalibrationFailed: ONE_IMAGE, NO_UI_CLUSTER, EQUAL_CLUSTERS,
    CHAINED (ordinary people are in it), TOO_NARROW (few kinds or people are), UNSTABLE.
    """
    if len(pool) < 2:
        raise CalibrationFailed("ONE_IMAGE", f"{len(pool)} face was given; a cluster needs many")
    cuts = sorted({rules.max_distance, *rules.grid})
    labels = single_linkage_grid(vectors.astype(np.float32), cuts, progress)
    found = _clusters(pool, vectors, labels[cuts.index(rules.max_distance)], rules)
    at = tuple(_at_distance(pool, vectors, row, cut, found) for cut, row in zip(cuts, labels, strict=True))
    checked = replace(found, by_distance=at, checks=_checks(pool, vectors, replace(found, by_distance=at), rules))
    enforce(checked.checks)
    return checked


def halves_agree(groups: NDArray[np.int64], vectors: Float64) -> float:
    """Return the cosine between the centroids of two halves of (n, d) vectors; a group (n,) is not divided."""
    people = np.unique(groups)
    half = people[np.random.default_rng(0).permutation(len(people)) % 2 == 0]
    first = np.isin(groups, half)
    return float(direction(vectors[first]) @ direction(vectors[~first])) if first.any() and not first.all() else 1.0


def groups_of(faces: FaceSet) -> NDArray[np.int64]:
    """Return identities (n,) in which each unknown face is a person of its own."""
    return np.where(faces.identities >= 0, faces.identities, -1 - np.arange(len(faces)))


def _clusters(pool: FaceSet, vectors: Float64, labels: NDArray[np.int64], rules: UiRules) -> UiClusters:
    sizes = np.bincount(labels)
    order = np.argsort(-sizes, kind="stable")
    falling = sizes[order]
    members = tuple(labels == cluster for cluster in order[: _standing_out(falling, rules)])
    everyone = np.any(members, axis=0)
    return UiClusters(
        members=members,
        sizes=tuple(falling[:_REPORTED_SIZES].tolist()),
        centroids=np.stack([direction(vectors[inside]) for inside in members]),
        inside=tuple(mean_cosine_distance(vectors[inside]) for inside in members),
        by_kind={name: int((everyone & (pool.kinds == kind)).sum()) for kind, name in enumerate(pool.kind_names)},
        identities=len(np.unique(groups_of(pool)[everyone])),
    )


def _standing_out(falling: NDArray[np.int64], rules: UiRules) -> int:
    """Return the smallest K whose K-th cluster dwarfs the one after it."""
    found = ", ".join(str(size) for size in falling[:5].tolist())
    if len(falling) > 1 and falling[0] > rules.dominance and falling[1] > rules.alike * falling[0]:
        raise CalibrationFailed(
            "EQUAL_CLUSTERS",
            f"the largest clusters have {found} faces: two are alike, and neither can be told to be the unrecognizable "
            f"one; the second may have {rules.alike:.0%} of the first at most; more faces join what belongs together",
        )
    sizes = [*falling[: rules.max_clusters + 1].tolist(), 1]
    for count in range(1, min(rules.max_clusters, len(falling)) + 1):
        if sizes[count - 1] >= rules.dominance * sizes[count]:
            return count
    raise CalibrationFailed(
        "NO_UI_CLUSTER",
        f"no cluster of unrecognizable faces stands out at a distance of {rules.max_distance:g}: the largest have "
        f"{found} faces, and one of the first {rules.max_clusters} must have {rules.dominance:g} times as many as the "
        "next; give more faces, or a larger share of degraded ones",
    )


def _at_distance(
    pool: FaceSet, vectors: Float64, labels: NDArray[np.int64], cut: float, chosen: UiClusters
) -> AtDistance:
    sizes = np.bincount(labels)
    order = np.argsort(-sizes, kind="stable")
    inside = labels == order[0]
    return AtDistance(
        max_distance=cut,
        largest=int(sizes[order[0]]),
        second=int(sizes[order[1]]) if len(order) > 1 else 0,
        cosine=float(direction(vectors[inside]) @ chosen.centroids[0]),
        degraded_share=float(pool.degraded[inside].mean()) if _labelled(pool) else None,
    )


def _checks(pool: FaceSet, vectors: Float64, found: UiClusters, rules: UiRules) -> tuple[Check, ...]:
    inside, labelled = found.everyone, _labelled(pool)
    taken = len(found.members)
    following = found.sizes[taken] if len(found.sizes) > taken else 1
    share = float(pool.degraded[inside].mean()) if labelled else None
    kinds = float(sum(count > 0 for count in found.by_kind.values())) if labelled else None
    ordinary = mean_cosine_distance(vectors[~inside]) if (~inside).sum() > 1 else None
    groups = groups_of(pool)
    least = rules.min_stability
    return (
        at_least(
            "dominance", found.sizes[taken - 1] / following, rules.dominance, "times as large as the next cluster"
        ),
        at_least("degraded_share", share, rules.degraded_majority, "of the cluster's faces are known to be degraded"),
        at_most(
            "joins_ordinary_faces",
            _joined(pool, found, rules),
            rules.max_joined,
            "of all faces are joined here or at a distance 0.1 more",
            "labels decide instead",
        ),
        at_least("kinds", kinds, float(min(rules.min_kinds, len(pool.kind_names))), "kinds of degradation are in it"),
        at_least(
            "identities", float(found.identities), float(rules.min_identities), "people, or unlabelled faces, in it"
        ),
        at_most(
            "images_per_identity", _images(pool, inside), rules.max_images_per_identity, "ordinary images of a person"
        ),
        at_most(
            "cosine_distance_inside",
            max(found.inside),
            ordinary,
            "mean cosine distance inside; the limit is that of the other faces",
            "there are no others",
        ),
        at_least(
            "stability_over_halves",
            min(halves_agree(groups[one], vectors[one]) for one in found.members),
            least,
            "cosine between the centroids of two halves of its people",
        ),
        at_least(
            "stability_over_distances",
            _plateau(found, rules),
            least,
            "cosine to the centroid at a distance 0.1 less or more, whichever is nearer",
            "no distance near it was tried",
        ),
    )


def _joined(pool: FaceSet, found: UiClusters, rules: UiRules) -> float | None:
    """Return the share of faces in the largest cluster here and just above; None where labels tell more than that."""
    if _labelled(pool):
        return None
    near = [one.largest for one in found.by_distance if 0 <= one.max_distance - rules.max_distance <= _NEIGHBOUR]
    return max(near) / len(pool)


def _images(pool: FaceSet, inside: NDArray[np.bool_]) -> float | None:
    """Return how many images a person has that are not known to be degraded: of all or in the cluster, the more."""
    known = ~pool.degraded & (pool.identities >= 0)
    counted = [pool.identities[known], pool.identities[known & inside]]
    return max((len(people) / len(np.unique(people)) for people in counted if len(people)), default=None)


def _plateau(found: UiClusters, rules: UiRules) -> float | None:
    """Return the cosine to the better neighbour: below its distance a cluster falls apart, so one side must hold."""
    beside = [one.cosine for one in found.by_distance if 0 < abs(one.max_distance - rules.max_distance) <= _NEIGHBOUR]
    return max(beside) if beside else None


def _labelled(pool: FaceSet) -> bool:
    return not (pool.kinds == UNKNOWN).any()
