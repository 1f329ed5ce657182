"""Answers a batch of probes that waited together, each under its own policy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ersgallery_index import (
    Derivation,
    Identifications,
    IndexKind,
    Policy,
    Representation,
    Template,
    identify,
    represent,
    represent_templates,
)
from numpy.typing import NDArray

from ersgallery_server.gallery.overrides import PolicyOverrides
from ersgallery_server.gallery.state import GalleryState


@dataclass(frozen=True, slots=True, eq=False)
class ProbeSet:
    """The probes of one job: unit embeddings (n, d) float32, then templates."""

    units: NDArray[np.float32]
    templates: tuple[Template, ...] = ()

    def __len__(self) -> int:
        return len(self.units) + len(self.templates)


@dataclass(frozen=True, slots=True)
class Applied:
    """What produced an answer."""

    revision: int
    profile: str
    derivation: Derivation
    policy: Policy
    kind: IndexKind
    device: str
    precision: str


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """The answers to one job's probes, with the ids of the subjects in them."""

    identifications: Identifications
    subject_ids: dict[int, str]
    applied: Applied


def applied_to(state: GalleryState, policy: Policy) -> Applied:
    """Return what produced an answer under a policy."""
    return Applied(
        revision=state.record.revision,
        profile=state.record.profile.reference,
        derivation=state.derivation,
        policy=policy,
        kind=state.index.kind,
        device=state.index.device,
        precision=state.index.precision,
    )


def represent_probes(state: GalleryState, probes: ProbeSet) -> Representation:
    """Derive probes under the state's profile, so that they fit the index that will answer."""
    units = represent(state.derivation, probes.units)
    if not probes.templates:
        return units
    return Representation.concatenate([units, represent_templates(state.derivation, probes.templates)])


def answer_batch(state: GalleryState, jobs: Sequence[tuple[ProbeSet, PolicyOverrides]]) -> list[SearchAnswer]:
    """Answer jobs together, each under its own policy; raises InvalidPolicy where one is impossible."""
    usual = state.policy
    policies = [overrides.over(usual) for _, overrides in jobs]
    counts = [len(probes) for probes, _ in jobs]
    repeated = [policy for policy, count in zip(policies, counts, strict=True) for _ in range(count)]
    representation = _represent_all(state, [probes for probes, _ in jobs])
    identifications = identify(state.index, representation, policies[0] if len(jobs) == 1 else repeated)
    stops = np.cumsum(counts).tolist()
    return [
        _own_answer(state, identifications.slice(stop - count, stop), policy)
        for policy, count, stop in zip(policies, counts, stops, strict=True)
    ]


def _represent_all(state: GalleryState, sets: Sequence[ProbeSet]) -> Representation:
    """Derive the probes of all sets, in their order, the embeddings of all sets at once."""
    if len(sets) == 1:
        return represent_probes(state, sets[0])
    together = ProbeSet(
        np.concatenate([each.units for each in sets]), tuple(template for each in sets for template in each.templates)
    )
    whole = represent_probes(state, together)
    if not together.templates:
        return whole
    units, templates = iter(range(len(together.units))), iter(range(len(together.units), len(together)))
    order = [
        next(rows)
        for each in sets
        for rows, count in ((units, len(each.units)), (templates, len(each.templates)))
        for _ in range(count)
    ]
    return Representation(whole.vectors[order], whole.ers[order], whole.raw_ers[order], whole.usable[order])


def _own_answer(state: GalleryState, identifications: Identifications, policy: Policy) -> SearchAnswer:
    keys = set(identifications.hits.subject_ids.tolist())
    if identifications.filtered is not None:
        keys.update(identifications.filtered.subject_ids.tolist())
    return SearchAnswer(identifications, {key: state.subject_ids[key] for key in keys}, applied_to(state, policy))
