"""How well ERS tells clean faces from degraded ones, and the gamma that clean ones pass."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.calibration.faces import FaceSet
from ersgallery_index.sums import Float64

_GAMMA_STEPS = 10_000
_BINS = 80
_RAW_ERS_RANGE = (0.0, 1.6)
_LEVELS = 5
_MOST_PAIRS = 50_000


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Counts of raw ERS values: edges (b + 1,), counts of clean and of degraded faces (b,)."""

    edges: Float64
    clean: NDArray[np.int64]
    degraded: NDArray[np.int64]


def auc(higher: Float64, lower: Float64) -> float:
    """Return the probability that a value of `higher` exceeds one of `lower`; ties count half; NaN for empty ones."""
    if not len(higher) or not len(lower):
        return math.nan
    ordered = np.sort(lower)
    below = np.searchsorted(ordered, higher, "left") + np.searchsorted(ordered, higher, "right")
    return float(below.mean() / (2 * len(lower)))


def largest_gamma(clean_ers: Float64, max_share_below: float) -> float:
    """Return the largest gamma, to 4 decimals, with at most this share of the (n,) clean ERS values below it."""
    may_fall = math.floor(max_share_below * len(clean_ers))
    bound = float(np.sort(np.clip(clean_ers, 0.0, 1.0))[min(may_fall, len(clean_ers) - 1)])
    return math.floor(bound * _GAMMA_STEPS) / _GAMMA_STEPS


def cross_checked(clean_ers: Float64, groups: NDArray[np.int64], max_share_below: float) -> float | None:
    """Return the share of clean ERS values (n,) below the gamma that the other half of the groups (n,) sets."""
    people = np.unique(groups)
    half = np.isin(groups, people[np.random.default_rng(0).permutation(len(people)) % 2 == 0])
    if half.all() or not half.any():
        return None
    first = clean_ers[half] < largest_gamma(clean_ers[~half], max_share_below)
    second = clean_ers[~half] < largest_gamma(clean_ers[half], max_share_below)
    return _rounded(float(np.concatenate([first, second]).mean()))


def pair_accuracy(
    vectors: Float64, identities: NDArray[np.int64], rng: np.random.Generator
) -> tuple[float, int] | None:
    """Return the accuracy of 1:1 verification at its best tau, and the genuine pairs it was measured on.

    vectors (n, d) unit, identities (n,). All genuine pairs, and as many random impostor pairs, up to 50,000 of each;
    both kinds weigh the same. None where no person has two faces.
    """
    genuine = _genuine_pairs(identities)
    if not len(genuine) or len(np.unique(identities)) < 2:
        return None
    genuine = genuine[rng.permutation(len(genuine))[:_MOST_PAIRS]]
    draws = rng.integers(0, len(identities), (8 * len(genuine), 2))
    impostors = draws[identities[draws[:, 0]] != identities[draws[:, 1]]][: len(genuine)]
    same, other = _similarities(vectors, genuine), _similarities(vectors, impostors)
    taus = np.sort(np.concatenate([same, other]))
    missed = np.searchsorted(np.sort(same), taus, "left") / len(same)
    accepted = 1.0 - np.searchsorted(np.sort(other), taus, "left") / len(other)
    return float(1.0 - ((missed + accepted) / 2.0).min()), len(genuine)


def histogram(faces: FaceSet, raw_ers: Float64) -> Histogram:
    """Count raw ERS values of clean and degraded faces in equal bins; the end bins take what lies outside."""
    edges = np.linspace(*_RAW_ERS_RANGE, _BINS + 1)
    inside = np.clip(raw_ers, *_RAW_ERS_RANGE)
    return Histogram(
        edges=edges,
        clean=np.histogram(inside[faces.clean], edges)[0].astype(np.int64),
        degraded=np.histogram(inside[faces.degraded], edges)[0].astype(np.int64),
    )


def figures(faces: FaceSet, raw_ers: Float64, gamma: float) -> Mapping[str, object]:
    """Return what gamma does to labelled faces, as JSON values: shares below it, quantiles, AUC, kinds and levels."""
    clean, degraded = raw_ers[faces.clean], raw_ers[faces.degraded]
    level = np.ceil(np.nan_to_num(faces.severities) * _LEVELS - 1e-9) / _LEVELS
    return {
        "clean": len(clean),
        "degraded": len(degraded),
        "clean_below_gamma": _share(clean < gamma),
        "degraded_below_gamma": _share(degraded < gamma),
        "auc_clean_against_degraded": _rounded(auc(clean, degraded)),
        "clean_ers_quantiles": {
            str(q): _rounded(float(np.quantile(clean, q))) for q in (0.005, 0.05, 0.5, 0.95) if len(clean)
        },
        "auc_by_severity": {
            f"{one:g}": _rounded(auc(clean, raw_ers[faces.degraded & (level == one)]))
            for one in np.unique(level[faces.degraded]).tolist()
        },
        "degraded_below_gamma_by_kind_and_severity": {
            name: {
                f"{one:g}": _share(raw_ers[(faces.kinds == kind) & (level == one)] < gamma)
                for one in np.unique(level[faces.kinds == kind]).tolist()
            }
            for kind, name in enumerate(faces.kind_names)
            if (faces.kinds == kind).any()
        },
    }


def _genuine_pairs(identities: NDArray[np.int64]) -> NDArray[np.int64]:
    order = np.argsort(identities, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(identities[order]) != 0]) if len(order) else order
    pairs = [
        np.stack(np.triu_indices(len(members), 1), axis=1) + first
        for first, members in zip(starts.tolist(), np.split(order, starts[1:]), strict=True)
        if len(members) > 1 and identities[members[0]] >= 0
    ]
    return order[np.concatenate(pairs)] if pairs else np.empty((0, 2), np.int64)


def _similarities(vectors: Float64, pairs: NDArray[np.int64]) -> Float64:
    blocks = np.array_split(pairs, max(1, len(pairs) // 4096))
    return np.concatenate([np.einsum("ij,ij->i", vectors[block[:, 0]], vectors[block[:, 1]]) for block in blocks])


def _share(holds: NDArray[np.bool_]) -> float | None:
    return _rounded(float(holds.mean())) if len(holds) else None


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 5)
