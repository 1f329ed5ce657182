"""Draw which photographs an evaluation uses, for what, and how each is degraded."""

from dataclasses import dataclass

import numpy as np
from ersgallery_index.calibration import BuildPlan

from ersgallery_server.evaluation.corpus import KINDS
from ersgallery_server.evaluation.plan import CorpusPlan, Part, Role
from ersgallery_server.faces.degrade import Degradation
from ersgallery_server.models.errors import CalibrationFailed
from ersgallery_server.profiling.aligned_faces import AlignedFaces

MIN_IDENTITIES = 40
"""Under a profile that is given, which needs nobody; with fewer the parts say nothing."""


@dataclass(frozen=True, slots=True)
class View:
    """One face to embed: a photograph, clean (kind None) or degraded."""

    name: str
    identity: int
    part: Part
    role: Role = Role.SINGLE
    kind: Degradation | None = None
    severity: float = 0.0


def require_people(count: int, plan: CorpusPlan, *, making_profile: bool) -> None:
    """Raise CalibrationFailed where so many people are too few, with how many are needed: known before any work."""
    needed = fewest_people(plan) if making_profile else MIN_IDENTITIES
    if count >= needed:
        return
    text = f"{count} identities were given; an evaluation needs {needed} at least"
    if making_profile:
        parts = f"{plan.making_share:.0%} of them make the profile and {plan.validation_share:.0%} choose gamma"
        text += f", for {parts}, and either part needs {BuildPlan().min_identities}"
        text += f"; under a profile that is given {MIN_IDENTITIES} are enough"
    raise CalibrationFailed(text)


def fewest_people(plan: CorpusPlan) -> int:
    """Return the least number of people of whom parts are drawn that can make a profile; ValueError without a part."""
    if min(plan.making_share, plan.validation_share) <= 0.0:
        raise ValueError("a share of people must make the profile, and another validate it")
    count = MIN_IDENTITIES
    while min(part_sizes(count, plan)) < BuildPlan().min_identities:
        count += 1
    return count


def part_sizes(count: int, plan: CorpusPlan) -> tuple[int, int]:
    """Return how many of so many people make the profile, and how many validate it; the rest is the test."""
    return round(plan.making_share * count), round(plan.validation_share * count)


def draw_views(faces: AlignedFaces, plan: CorpusPlan) -> tuple[tuple[str, ...], list[View]]:
    """Return the people and every view of their photographs.

    Of each photograph there is a clean view and one degraded at random; of people who make the profile one photograph
    is taken. Raises CalibrationFailed where there are too few identities to have three parts.
    """
    groups = faces.by_identity()
    require_people(len(groups), plan, making_profile=False)
    people = tuple(sorted(groups))
    rng = np.random.default_rng([plan.seed, 1])
    parts = _share_out(len(people), plan, rng)
    views: list[View] = []
    for identity, person in enumerate(people):
        most = 1 if parts[identity] is Part.MAKING else plan.photographs_per_identity
        names = [str(name) for name in rng.permutation(np.array(groups[person]))[:most]]
        for name in names:
            views += [View(name, identity, parts[identity]), _degraded(name, identity, parts[identity], plan, rng)]
        if parts[identity] is Part.TEST and len(names) > 1:
            views += _frames(names[: plan.frame_photographs_per_identity], identity, plan, rng)
    return people, views + _levels(views, plan, rng)


def _share_out(count: int, plan: CorpusPlan, rng: np.random.Generator) -> list[Part]:
    making, validation = part_sizes(count, plan)
    parts = [Part.TEST] * count
    for place, identity in enumerate(rng.permutation(count).tolist()):
        if place < making + validation:
            parts[identity] = Part.MAKING if place < making else Part.VALIDATION
    return parts


def _degraded(
    name: str, identity: int, part: Part, plan: CorpusPlan, rng: np.random.Generator, role: Role = Role.SINGLE
) -> View:
    kind = KINDS[int(rng.integers(len(KINDS)))]
    return View(name, identity, part, role, kind, float(rng.uniform(*plan.severities)))


def _frames(names: list[str], identity: int, plan: CorpusPlan, rng: np.random.Generator) -> list[View]:
    return [
        _degraded(name, identity, Part.TEST, plan, rng, Role.FRAME)
        for name in names
        for _ in range(plan.frames_per_photograph)
    ]


def _levels(views: list[View], plan: CorpusPlan, rng: np.random.Generator) -> list[View]:
    """Show one photograph of each of some test people with several at every kind and level."""
    firsts: dict[int, list[View]] = {}
    for view in views:
        if view.part is Part.TEST and view.kind is None:
            firsts.setdefault(view.identity, []).append(view)
    several = [shown[0] for shown in firsts.values() if len(shown) > 1]
    shown = min(plan.level_photographs, len(several))
    chosen: list[int] = rng.choice(len(several), shown, replace=False).tolist() if several else []
    return [
        View(several[i].name, several[i].identity, Part.TEST, Role.LEVEL, kind, level)
        for kind in KINDS
        for level in plan.levels
        for i in chosen
    ]
