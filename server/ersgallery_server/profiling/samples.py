"""Choose which faces make a profile and which ones test it, and embed them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ersgallery_server.faces.degrade import Degradation, degrade
from ersgallery_server.profiling.aligned_faces import AlignedFaces

Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
_BATCH = 32


@dataclass(frozen=True, slots=True)
class Sample:
    """One face to embed: a crop's name and, unless it stays clean, how it is degraded."""

    name: str
    kind: Degradation | None = None
    severity: float = 0.0


@dataclass(frozen=True, slots=True)
class SamplingPlan:
    """How many faces are taken, and how they are degraded.

    degraded_share: of the identities that make the profile, how many give a degraded face to the clustering; the
        others give a clean one. One face of each identity keeps an identity's own photographs from forming a chain
        from clean faces to spoilt ones.
    severities: bounds of the severity of those; held_severities: the levels that are tested.
    held_per_identity: most clean photographs of a held-out identity. held_per_level: degraded faces of each kind and
        level.
    """

    degraded_share: float = 0.6
    severities: tuple[float, float] = (0.2, 1.0)
    held_severities: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0)
    held_per_identity: int = 3
    held_per_level: int = 60


@dataclass(frozen=True, slots=True)
class Samples:
    """Who makes the profile and who tests it: the held-out samples show other identities than the rest.

    clean: one face of each identity that makes the profile. degraded: spoilt versions of the last of these.
    held_clean, held_degraded: the test.
    """

    clean: tuple[Sample, ...]
    degraded: tuple[Sample, ...]
    held_clean: tuple[Sample, ...]
    held_degraded: tuple[Sample, ...]

    @property
    def pool_clean(self) -> int:
        """How many of `clean` are clustered: those that are not also in `degraded`."""
        return len(self.clean) - len(self.degraded)

    def __len__(self) -> int:
        return sum(map(len, (self.clean, self.degraded, self.held_clean, self.held_degraded)))


def choose_samples(faces: AlignedFaces, plan: SamplingPlan, rng: np.random.Generator) -> Samples:
    """Draw the samples; half of the identities make the profile, the others test it."""
    groups = faces.by_identity()
    identities = [sorted(groups)[i] for i in rng.permutation(len(groups))]
    making, held = identities[: len(identities) // 2], identities[len(identities) // 2 :]
    clean = tuple(Sample(str(rng.choice(groups[identity]))) for identity in making)
    spoilt = clean[len(clean) - round(plan.degraded_share * len(clean)) :]
    held_names = [
        str(name) for identity in held for name in rng.permutation(np.array(groups[identity]))[: plan.held_per_identity]
    ]
    return Samples(
        clean=clean,
        degraded=tuple(
            Sample(sample.name, list(Degradation)[i % len(Degradation)], float(rng.uniform(*plan.severities)))
            for i, sample in enumerate(spoilt)
        ),
        held_clean=tuple(Sample(name) for name in held_names),
        held_degraded=tuple(
            Sample(str(name), kind, level)
            for kind in Degradation
            for level in plan.held_severities
            for name in rng.choice(np.array(held_names), min(plan.held_per_level, len(held_names)), replace=False)
        ),
    )


def embed_unit(
    samples: Sequence[Sample],
    faces: AlignedFaces,
    embed: Embed,
    rng: np.random.Generator,
    report: Callable[[int], None],
) -> NDArray[np.float64]:
    """Embed samples: (n, d) float64 unit vectors. `report` gets the number of faces done since its last call."""
    parts = []
    for start in range(0, len(samples), _BATCH):
        batch = samples[start : start + _BATCH]
        parts.append(embed(np.stack([_crop(sample, faces, rng) for sample in batch])).astype(np.float64))
        report(len(batch))
    return unit_rows(np.concatenate(parts))


def unit_rows(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n, d) vectors at unit length."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float64)


def _crop(sample: Sample, faces: AlignedFaces, rng: np.random.Generator) -> NDArray[np.uint8]:
    crop = faces.crop(sample.name)
    return crop if sample.kind is None else degrade(crop, sample.kind, sample.severity, rng)
