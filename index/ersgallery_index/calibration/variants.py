"""Decide by measurement: whether a model's embeddings are centred, and how many UI centroids it gets."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.calibration.centres import centred, split_ui
from ersgallery_index.calibration.faces import FaceSet
from ersgallery_index.calibration.separation import auc, pair_accuracy
from ersgallery_index.sums import Float64

LEAST_LOST = 50
"""Fewer faces that lost their identity do not show where such faces gather."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A profile that could be made, and what it was measured to do on the validation faces.

    source: where its centroids come from. auc: of clean against degraded faces by raw ERS. pair_accuracy: of clean
    pairs, on genuine_pairs genuine ones. Each is None where the faces do not allow to measure it. failed: why it cannot
    be made.
    """

    centred: bool
    source: str
    centroids: int
    auc: float | None = None
    pair_accuracy: float | None = None
    genuine_pairs: int = 0
    failed: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """A choice: what about (centring or centroids), what was chosen, why, and all that was measured for it."""

    name: str
    chosen: Variant
    reason: str
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A variant with its centroids (K, d)."""

    variant: Variant
    centroids: Float64


@dataclass(frozen=True, slots=True)
class Margins:
    """By how much a variant must be better: gain in AUC; the most that the accuracy of pairs may lose for it."""

    gain: float = 0.002
    accuracy_loss: float = 0.001


def measure(candidate: Candidate, validation: FaceSet, mean: Float64 | None, seed: int) -> Candidate:
    """Return the candidate with its figures on the validation faces."""
    vectors = centred(validation.rows, mean)
    raw_ers = raw_ers_of(vectors, candidate.centroids)
    clean = validation.clean
    both = clean.any() and validation.degraded.any()
    accuracy = pair_accuracy(vectors[clean], validation.identities[clean], np.random.default_rng([seed, 3]))
    measured = replace(
        candidate.variant,
        auc=auc(raw_ers[clean], raw_ers[validation.degraded]) if both else None,
        pair_accuracy=accuracy[0] if accuracy else None,
        genuine_pairs=accuracy[1] if accuracy else 0,
    )
    return Candidate(measured, candidate.centroids)


def raw_ers_of(vectors: Float64, centroids: Float64) -> Float64:
    """Return raw ERS (n,) of (centred) unit vectors (n, d): eq. 1 without its cap."""
    return np.asarray(1.0 - (vectors @ centroids.T).max(axis=1), np.float64)


def decide_centring(plain: Variant, centring: Variant, margins: Margins) -> Decision:
    """Choose centring where it separates clearly better and costs no accuracy."""
    both = (plain, centring)
    if plain.failed or centring.failed:
        chosen, other = (centring, plain) if plain.failed else (plain, centring)
        return Decision("centring", chosen, f"the other way yields no profile: {other.failed}", both)
    if plain.auc is None or centring.auc is None:
        return Decision("centring", plain, "not measured, for no degraded faces were held out", both)
    gain = centring.auc - plain.auc
    if gain <= margins.gain:
        return Decision(
            "centring", plain, f"centring changes the AUC by {gain:+.4f}; +{margins.gain:g} is wanted", both
        )
    if plain.pair_accuracy is None or centring.pair_accuracy is None:
        return Decision("centring", centring, f"AUC {gain:+.4f}; by AUC alone, for no person has two clean faces", both)
    loss = plain.pair_accuracy - centring.pair_accuracy
    # One pair is the least that can be lost: where few were measured it says nothing.
    bearable = max(margins.accuracy_loss, 1.0 / (2 * plain.genuine_pairs))
    said = f"AUC {gain:+.4f}, accuracy of clean pairs {-loss:+.4f} ({bearable:.4f} may be lost)"
    return Decision("centring", centring if loss <= bearable + 1e-12 else plain, said, both)


def decide_centroids(candidates: Sequence[Candidate], margins: Margins) -> tuple[Candidate, Decision]:
    """Choose among candidates, the plainest first: a later one must raise the AUC clearly over the one it replaces."""
    best, reason = candidates[0], "the only one"
    if len(candidates) > 1:
        reason = f"none raises the AUC by more than {margins.gain:g}"
        if best.variant.auc is None:
            reason = "not measured, for no degraded faces were held out"
    for candidate in candidates[1:]:
        before, after = best.variant.auc, candidate.variant.auc
        if before is not None and after is not None and after > before + margins.gain:
            reason = f"AUC {after:.4f} against {before:.4f} for {best.variant.source}, K = {best.variant.centroids}"
            best = candidate
    return best, Decision("centroids", best.variant, reason, tuple(each.variant for each in candidates))


def offer(
    cluster_centroids: Float64, inside: Float64, lost: Float64, *, is_centred: bool, most: int, seed: int
) -> list[Candidate]:
    """Return what could be chosen, the plainest first: K = 1, all clusters, and k-means with up to `most` centroids.

    inside (n, d): vectors of the UI clusters; lost (m, d): of degraded faces that lost their identity. The way of
    the paper comes first.
    """

    def of(source: str, centroids: Float64) -> Candidate:
        return Candidate(Variant(is_centred, source, len(centroids)), centroids)

    found = [of("largest cluster", cluster_centroids[:1])]
    if 1 < len(cluster_centroids) <= most:
        found.append(of("clusters", cluster_centroids))
    rng = np.random.default_rng([seed, 4])
    found += [of("k-means of the clusters", split_ui(inside, k, rng)) for k in range(2, min(most, len(inside)) + 1)]
    if len(lost) >= LEAST_LOST:
        found += [of("k-means of lost identities", split_ui(lost, k, rng)) for k in range(1, most + 1)]
    return sorted(found, key=lambda each: each.variant.centroids)


def halve(faces: FaceSet, groups: NDArray[np.int64], seed: int) -> tuple[FaceSet, FaceSet]:
    """Return two halves of a set that share no group of `groups` (n,), drawn by the seed."""
    people = np.unique(groups)
    first = people[np.random.default_rng([seed, 1]).permutation(len(people)) % 2 == 0]
    inside = np.isin(groups, first)
    return faces.take(inside), faces.take(~inside)
