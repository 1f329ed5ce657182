"""Make a recognizability profile: degrade real faces, find where their embeddings gather, and set gamma by clean ones.

Clean and degraded faces are clustered together by single linkage. The UI cluster is the largest one, and its normalised
mean the UI centroid (K = 1, as in the paper). Some models gather a kind of degradation, like noise, in a second place:
then the largest clusters are taken until the next one is small beside them (K > 1).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ersgallery_index.recognizability import Derivation
from numpy.typing import NDArray

from ersgallery_server.models.errors import CalibrationFailed
from ersgallery_server.models.manifest import ModelPackage, Role
from ersgallery_server.models.profile_file import ProfileFile, rounded
from ersgallery_server.profiling.aligned_faces import AlignedFaces
from ersgallery_server.profiling.figures import held_out_figures
from ersgallery_server.profiling.linkage import single_linkage
from ersgallery_server.profiling.samples import (
    Embed,
    Sample,
    Samples,
    SamplingPlan,
    choose_samples,
    embed_unit,
    unit_rows,
)

# Called with the faces embedded so far and how many there are altogether.
Progress = Callable[[int, int], None]
_GAMMA_STEPS = 10_000


@dataclass(frozen=True, slots=True)
class ProfilePlan:
    """What a sound profile needs.

    max_distance: greatest Euclidean step within a UI cluster. dominance: how many times larger than the next cluster it
    must be. max_centroids: greatest K. degraded_majority: least share of degraded faces in a UI cluster.
    max_clean_below: greatest share of held-out clean faces below gamma. min_identities: fewer say nothing about it.
    """

    seed: int = 0
    max_distance: float = 1.0
    dominance: float = 10.0
    max_centroids: int = 3
    degraded_majority: float = 0.9
    max_clean_below: float = 0.005
    min_identities: int = 400
    sampling: SamplingPlan = field(default_factory=SamplingPlan)


def make_profile(
    package: ModelPackage,
    faces: AlignedFaces,
    embed: Embed,
    plan: ProfilePlan,
    provenance: dict[str, Any],
    progress: Progress | None = None,
) -> ProfileFile:
    """Make the profile of a model from aligned clean faces.

    embed: (n, 112, 112, 3) uint8 RGB to (n, d) float32. provenance: what the caller knows (command, data, date);
    counts, seed and figures are added. Raises CalibrationFailed when no cluster stands out or the faces are too few.
    """
    samples = choose_samples(faces, plan.sampling, np.random.default_rng([plan.seed, 0]))
    if len(faces.by_identity()) < plan.min_identities:
        raise CalibrationFailed(
            f"{len(faces.by_identity())} identities were given; {plan.min_identities} are needed at least"
        )
    embedding = _Embedding(faces, embed, plan.seed, len(samples), progress)
    clean, degraded = embedding.run(samples.clean), embedding.run(samples.degraded)
    mean = rounded(clean.mean(axis=0)) if package.centred else None
    centroids, clusters = _ui_centroids(_centred(clean, mean), _centred(degraded, mean), samples, plan)
    draft = ProfileFile(package.profile.removesuffix(".json"), package.name, centroids, 0.0, mean, {})
    held_clean = _raw_ers(draft, embedding.run(samples.held_clean))
    held_degraded = _raw_ers(draft, embedding.run(samples.held_degraded))
    gamma = largest_gamma(np.clip(held_clean, 0.0, 1.0), plan.max_clean_below)
    made_of = {
        **provenance,
        "recognizer_sha256": package.file(Role.RECOGNIZER).sha256,
        "seed": plan.seed,
        "max_clean_below_gamma": plan.max_clean_below,
        "counts": _counts(faces, samples),
        "clusters": clusters,
        "figures": held_out_figures(held_clean, held_degraded, samples.held_degraded, gamma),
    }
    return ProfileFile(draft.name, draft.model, draft.centroids, gamma, mean, made_of)


def largest_gamma(clean_ers: NDArray[np.float64], max_share_below: float) -> float:
    """Return the largest gamma, to 4 decimals, with at most this share of the (n,) clean ERS values below it."""
    may_fall = math.floor(max_share_below * len(clean_ers))
    bound = float(np.sort(clean_ers)[min(may_fall, len(clean_ers) - 1)])
    return math.floor(bound * _GAMMA_STEPS) / _GAMMA_STEPS


class _Embedding:
    """Embeds one part after the other, each with its own seeded generator, and counts progress over all."""

    def __init__(self, faces: AlignedFaces, embed: Embed, seed: int, total: int, progress: Progress | None) -> None:
        self._faces, self._embed, self._seed, self._total, self._progress = faces, embed, seed, total, progress
        self._part = 0
        self._done = 0

    def run(self, samples: tuple[Sample, ...]) -> NDArray[np.float64]:
        self._part += 1
        rng = np.random.default_rng([self._seed, self._part])
        return embed_unit(samples, self._faces, self._embed, rng, self._report)

    def _report(self, count: int) -> None:
        self._done += count
        if self._progress:
            self._progress(self._done, self._total)


def _centred(unit: NDArray[np.float64], mean: NDArray[np.float64] | None) -> NDArray[np.float64]:
    return unit if mean is None else unit_rows(unit - mean)


def _ui_centroids(
    clean: NDArray[np.float64], degraded: NDArray[np.float64], samples: Samples, plan: ProfilePlan
) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Return (K, d) centroids and what is to be said about their clusters."""
    pool = np.concatenate([clean[: samples.pool_clean], degraded])
    labels = single_linkage(pool.astype(np.float32), plan.max_distance)
    sizes = np.bincount(labels)
    order = np.argsort(-sizes, kind="stable")
    standing_out = order[: _standing_out(sizes[order], plan)]
    members = [labels == cluster for cluster in standing_out]
    degraded_shares = [float(inside[samples.pool_clean :].sum() / inside.sum()) for inside in members]
    if min(degraded_shares) < plan.degraded_majority:
        raise CalibrationFailed(
            f"the largest clusters are not all of unrecognizable faces: {min(degraded_shares):.0%} of one are degraded"
        )
    centroids = np.stack([pool[inside].mean(axis=0) for inside in members])
    clusters = {
        "max_distance": plan.max_distance,
        "used": sizes[standing_out].tolist(),
        "next": int(sizes[order[len(standing_out)]]) if len(order) > len(standing_out) else 0,
        "degraded_share_of_used": [round(share, 4) for share in degraded_shares],
        "share_of_degraded_in_used": round(float(np.any(members, axis=0)[samples.pool_clean :].mean()), 4),
    }
    return rounded(unit_rows(centroids)), clusters


def _standing_out(falling_sizes: NDArray[np.int64], plan: ProfilePlan) -> int:
    """Return the smallest K whose K-th cluster dwarfs the one after it."""
    sizes = [*falling_sizes[: plan.max_centroids + 1].tolist(), 1]
    for count in range(1, min(plan.max_centroids, len(falling_sizes)) + 1):
        if sizes[count - 1] >= plan.dominance * max(sizes[count], 1):
            return count
    found = ", ".join(str(size) for size in sizes[:-1])
    raise CalibrationFailed(f"no cluster of unrecognizable faces stands out; the largest clusters have {found} faces")


def _raw_ers(profile: ProfileFile, unit: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(Derivation(profile.profile()).derive(unit.astype(np.float32)).raw_ers, np.float64)


def _counts(faces: AlignedFaces, samples: Samples) -> dict[str, int]:
    return {
        "photographs": len(faces.names),
        "identities": len(faces.by_identity()),
        "identities_making": len(samples.clean),
        "clustered_clean": samples.pool_clean,
        "clustered_degraded": len(samples.degraded),
        "held_out_clean": len(samples.held_clean),
        "held_out_degraded": len(samples.held_degraded),
    }
