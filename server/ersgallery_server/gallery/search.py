"""Answers a batch of probes that waited together, each under its own policy."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ersgallery_index import (
    Derivation,
    Identifications,
    IndexKind,
    InvalidEmbedding,
    Policy,
    Representation,
    Template,
    identify,
    normalize,
    represent,
    represent_templates,
)
from ersgallery_index.embeddings import UnitRows
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


@dataclass(frozen=True, slots=True, eq=False)
class RawProbes:
    """The probes of one job as their caller sent them: embeddings (n, d) float32 of the index's dimension."""

    rows: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.rows)


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


@dataclass(frozen=True, slots=True, eq=False)
class SearchAnswer:
    """The answers to one job's probes, start..stop-1 of those that were `together` in a batch.

    subject_ids: the ids of the subjects in the batch. norms: of the embeddings in `together` that came as they were
    (RawProbes). errors: rows of the job that are no embeddings and were not searched.
    """

    together: Identifications
    start: int
    stop: int
    subject_ids: dict[int, str]
    applied: Applied
    norms: NDArray[np.float64]
    errors: Mapping[int, InvalidEmbedding]

    @property
    def identifications(self) -> Identifications:
        """Return the answers to the job's own probes."""
        return self.together.slice(self.start, self.stop)


def part_of(probes: ProbeSet | RawProbes, start: int, rows: int) -> ProbeSet | RawProbes:
    """Return the probes from a place on, so many at most; templates stay with the last embedding."""
    stop = start + rows
    if isinstance(probes, RawProbes):
        return RawProbes(probes.rows[start:stop])
    return ProbeSet(probes.units[start:stop], probes.templates if stop >= len(probes.units) else ())


def joined(answers: Sequence[SearchAnswer]) -> SearchAnswer:
    """Return the answers to the parts of one job, which one state gave under one policy, as its answer."""
    sizes = [answer.stop - answer.start + len(answer.errors) for answer in answers]
    starts = itertools.accumulate(sizes, initial=0)
    found = Identifications.concatenate([answer.identifications for answer in answers])
    return SearchAnswer(
        together=found,
        start=0,
        stop=len(found),
        subject_ids={key: name for answer in answers for key, name in answer.subject_ids.items()},
        applied=answers[0].applied,
        norms=np.concatenate([answer.norms[answer.start : answer.stop] for answer in answers]),
        errors={
            start + row: InvalidEmbedding(error.problem, start + row)
            for start, answer in zip(starts, answers, strict=False)
            for row, error in answer.errors.items()
        },
    )


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


def answer_batch(
    state: GalleryState, jobs: Sequence[tuple[ProbeSet | RawProbes, PolicyOverrides]]
) -> list[SearchAnswer]:
    """Answer jobs together, each under its own policy; raises InvalidPolicy where one is impossible."""
    usual = state.policy
    policies = {overrides: overrides.over(usual) for overrides in {overrides for _, overrides in jobs}}
    applied = {overrides: applied_to(state, policy) for overrides, policy in policies.items()}
    prepared = _normalize_all(state, [probes for probes, _ in jobs])
    counts = [len(each.probes) for each in prepared]
    representation = _represent_all(state, [each.probes for each in prepared])
    found = identify(state.index, representation, _policy_rows([policies[overrides] for _, overrides in jobs], counts))
    subject_ids = _subject_ids(state, found)
    norms = np.concatenate([each.norms for each in prepared])
    stops = itertools.accumulate(counts)
    return [
        SearchAnswer(found, stop - count, stop, subject_ids, applied[overrides], norms, each.errors)
        for (_, overrides), each, count, stop in zip(jobs, prepared, counts, stops, strict=True)
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """A job's probes at unit length, the norms they had (zero where nobody asked), and which rows are no embeddings."""

    probes: ProbeSet
    norms: NDArray[np.float64]
    errors: Mapping[int, InvalidEmbedding]


def _normalize_all(state: GalleryState, jobs: Sequence[ProbeSet | RawProbes]) -> list[_Prepared]:
    """Bring the raw rows of all jobs to unit length at once."""
    raw = [job.rows for job in jobs if isinstance(job, RawProbes)]
    together = _normalized(raw, state.index.dimension) if raw else None
    start = 0
    prepared = []
    for job in jobs:
        if isinstance(job, ProbeSet):
            prepared.append(_Prepared(job, np.zeros(len(job)), {}))
        elif together is None:
            prepared.append(_normalize_each(job.rows, state.index.dimension))
        else:
            rows = slice(start, start := start + len(job))
            prepared.append(_Prepared(ProbeSet(together.vectors[rows]), together.norms[rows], {}))
    return prepared


def _normalized(raw: Sequence[NDArray[np.float32]], dimension: int) -> UnitRows | None:
    """Return all rows at unit length; None where one of them is no embedding, which is rare."""
    try:
        return normalize(np.concatenate(raw), dimension)
    except InvalidEmbedding:
        return None


def _normalize_each(raw: NDArray[np.float32], dimension: int) -> _Prepared:
    """Return the rows that are embeddings at unit length, and the error of every other row."""
    suspects = np.flatnonzero(~(np.isfinite(raw).all(axis=1) & raw.any(axis=1)))
    errors = {row: error for row in suspects.tolist() if (error := _row_error(raw, row, dimension))}
    good = normalize(np.delete(raw, list(errors), axis=0), dimension)
    return _Prepared(ProbeSet(good.vectors), good.norms, errors)


def _row_error(raw: NDArray[np.float32], row: int, dimension: int) -> InvalidEmbedding | None:
    try:
        normalize(raw[row : row + 1], dimension)
    except InvalidEmbedding as error:
        return InvalidEmbedding(error.problem, row)
    return None


def _policy_rows(policies: Sequence[Policy], counts: Sequence[int]) -> Policy | list[Policy]:
    """Return one policy where all jobs have the same, else one per probe."""
    if all(policy is policies[0] for policy in policies):
        return policies[0]
    return [policy for policy, count in zip(policies, counts, strict=True) for _ in range(count)]


def _subject_ids(state: GalleryState, found: Identifications) -> dict[int, str]:
    keys = found.hits.subject_ids.tolist()
    if found.filtered is not None:
        keys += found.filtered.subject_ids.tolist()
    ids = state.subject_ids
    return {key: ids[key] for key in keys}


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
