"""Choose which faces make a profile and which ones test it, and how each is degraded."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ersgallery_server.faces.degrade import Degradation, degrade
from ersgallery_server.profiling.aligned_faces import AlignedFaces
from ersgallery_server.profiling.amount import degraded_of

Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Turns (n, 112, 112, 3) uint8 RGB crops into (n, d) float32 raw embeddings."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One face to embed: a crop's name, who it shows, and, unless it stays clean, how it is degraded."""

    name: str
    identity: int
    kind: Degradation | None = None
    severity: float = 0.0

    @property
    def group(self) -> str:
        """How it is spoken of: its kind of degradation, or CLEAN."""
        return self.kind.value if self.kind else "CLEAN"


@dataclass(frozen=True, slots=True)
class SamplingPlan:
    """How many faces are taken, and how they are degraded.

    degraded_share: of the identities that make the profile, how many give a degraded face; None: as many, and as many
    faces of each, as are enough. kinds: of degradation. severities: bounds of the severity, 0..1. held_severities: the
    levels that are tested. held_per_identity: most clean photographs of a held-out identity. held_per_level: degraded
    faces of each kind and level.
    """

    degraded_share: float | None = None
    kinds: tuple[Degradation, ...] = tuple(Degradation)
    severities: tuple[float, float] = (0.2, 1.0)
    held_severities: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0)
    held_per_identity: int = 3
    held_per_level: int = 60


@dataclass(frozen=True, slots=True)
class Samples:
    """Who makes the profile and who tests it: other identities.

    making: one clean face of each identity, then the degraded views of some of them. testing: clean and degraded.
    unused: photographs of making identities beyond the one that is taken.
    """

    making: tuple[Sample, ...]
    testing: tuple[Sample, ...]
    unused: int


def choose_samples(faces: AlignedFaces, plan: SamplingPlan, seed: int, *, degraded: bool = True) -> Samples:
    """Draw the samples; half of the identities make the profile, the others test it.

    degraded: whether degraded views make the profile; they test it in any case.
    """
    rng = np.random.default_rng([seed, 0])
    groups = faces.by_identity()
    people = sorted(groups)
    order = rng.permutation(len(people)).tolist()
    making, held = order[: (len(order) + 1) // 2], order[(len(order) + 1) // 2 :]
    clean = tuple(Sample(str(rng.choice(groups[people[i]])), i) for i in making)
    amount = degraded_of(len(clean), plan.degraded_share)
    spoilt = clean[len(clean) - amount.people :] if degraded else ()
    tested = tuple(
        Sample(str(name), i)
        for i in held
        for name in rng.permutation(np.array(groups[people[i]]))[: plan.held_per_identity]
    )
    return Samples(
        making=clean + _at_any_level(spoilt, amount.views, plan, rng),
        testing=tested + _at_each_level(tested, plan, rng),
        unused=sum(len(groups[people[i]]) - 1 for i in making),
    )


def view(faces: AlignedFaces, sample: Sample, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return what a sample looks like: (112, 112, 3) uint8 RGB. Raises CalibrationFailed for a corrupt image."""
    crop = faces.crop(sample.name)
    return crop if sample.kind is None else degrade(crop, sample.kind, sample.severity, rng)


def _at_any_level(
    clean: tuple[Sample, ...], views: int, plan: SamplingPlan, rng: np.random.Generator
) -> tuple[Sample, ...]:
    return tuple(
        Sample(one.name, one.identity, plan.kinds[(i + number) % len(plan.kinds)], float(rng.uniform(*plan.severities)))
        for number in range(views)
        for i, one in enumerate(clean)
    )


def _at_each_level(clean: tuple[Sample, ...], plan: SamplingPlan, rng: np.random.Generator) -> tuple[Sample, ...]:
    return tuple(
        Sample(clean[i].name, clean[i].identity, kind, level)
        for kind in plan.kinds
        for level in plan.held_severities
        for i in rng.choice(len(clean), min(plan.held_per_level, len(clean)), replace=False)
    )
