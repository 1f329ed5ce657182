"""Answers a batch of probes that waited together, each under its own policy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ersgallery_index import (
    ErsError,
    Identifications,
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
    policy: Policy
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
        policy=policy,
        device=state.index.device,
        precision=state.index.precision,
    )


def represent_probes(state: GalleryState, probes: ProbeSet) -> Representation:
    """Derive probes under the state's profile, so that they fit the index that will answer."""
    units = represent(state.derivation, probes.units)
    if not probes.templates:
        return units
    return Representation.concatenate([units, represent_templates(state.derivation, probes.templates)])


def answer_batch(
    state: GalleryState, jobs: Sequence[tuple[ProbeSet, PolicyOverrides]]
) -> list[SearchAnswer | ErsError]:
    """Answer jobs together; a job with an impossible policy gets its error, the others their answers."""
    policies = [_policy(state, overrides) for _, overrides in jobs]
    good = [(probes, policy) for (probes, _), policy in zip(jobs, policies, strict=True) if isinstance(policy, Policy)]
    answers = iter(_answer(state, good))
    return [next(answers) if isinstance(policy, Policy) else policy for policy in policies]


def _policy(state: GalleryState, overrides: PolicyOverrides) -> Policy | ErsError:
    try:
        return overrides.over(state.policy)
    except ErsError as error:
        return error


def _answer(state: GalleryState, jobs: Sequence[tuple[ProbeSet, Policy]]) -> list[SearchAnswer]:
    if not jobs:
        return []
    representation = Representation.concatenate([represent_probes(state, probes) for probes, _ in jobs])
    policies = [policy for probes, policy in jobs for _ in range(len(probes))]
    identifications = identify(state.index, representation, policies)
    stops = np.cumsum([len(probes) for probes, _ in jobs])
    return [
        _own_answer(state, identifications.slice(int(stop) - len(probes), int(stop)), policy)
        for (probes, policy), stop in zip(jobs, stops, strict=True)
    ]


def _own_answer(state: GalleryState, identifications: Identifications, policy: Policy) -> SearchAnswer:
    keys = set(identifications.hits.subject_ids.tolist())
    if identifications.filtered is not None:
        keys.update(identifications.filtered.subject_ids.tolist())
    return SearchAnswer(identifications, {key: state.subject_ids[key] for key in keys}, applied_to(state, policy))
