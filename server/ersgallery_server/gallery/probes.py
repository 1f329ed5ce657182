"""Prepares probes of any kind for one search, and keeps apart what needs none."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from ersgallery_index import InvalidEmbedding, Template, UnsureReason

from ersgallery_server.call import Call
from ersgallery_server.errors import ModelMismatch, NotAcquired
from ersgallery_server.gallery.acquisition import Acquired
from ersgallery_server.gallery.gallery import Gallery
from ersgallery_server.gallery.inputs import AcquiredEmbedding, Member, ProbeInput, TemplateInput
from ersgallery_server.gallery.search import ProbeSet
from ersgallery_server.values import SeveralFaces

UNSURE_WITHOUT_SEARCH = {reason.value: reason for reason in (UnsureReason.NO_FACE, UnsureReason.SEVERAL_FACES)}


@dataclass(frozen=True, slots=True, eq=False)
class PreparedProbe:
    """A probe ready to be searched, or why it is not.

    content: a unit embedding or a template; None where `reasons` say UNSURE or `error` says what is wrong.
    members: what became of each member of a template.
    """

    content: AcquiredEmbedding | Template | None = None
    reasons: tuple[UnsureReason, ...] = ()
    error: InvalidEmbedding | ModelMismatch | NotAcquired | None = None
    members: tuple[Acquired, ...] = ()


def prepare(
    gallery: Gallery, probes: Sequence[ProbeInput], several: SeveralFaces | None, call: Call
) -> list[PreparedProbe]:
    """Acquire all embeddings of all probes together; return one prepared probe each, in order."""
    members = [_members(probe) for probe in probes]
    acquired = iter(gallery.acquire([member.source for group in members for member in group], several, call))
    return [_prepare(probe, group, acquired) for probe, group in zip(probes, members, strict=True)]


def arrange(prepared: Sequence[PreparedProbe], dimension: int) -> tuple[ProbeSet, list[int | None]]:
    """Return what is to be searched, and for each probe its row in the answer, None where it is not searched."""
    units = [probe.content.unit for probe in prepared if isinstance(probe.content, AcquiredEmbedding)]
    templates = tuple(probe.content for probe in prepared if isinstance(probe.content, Template))
    unit_rows, template_rows = iter(range(len(units))), iter(range(len(units), len(units) + len(templates)))
    rows: list[int | None] = []
    for probe in prepared:
        if probe.content is None:
            rows.append(None)
        else:
            rows.append(next(template_rows if isinstance(probe.content, Template) else unit_rows))
    stacked = np.stack(units) if units else np.empty((0, dimension), np.float32)
    return ProbeSet(stacked, templates), rows


def _members(probe: ProbeInput) -> tuple[Member, ...]:
    return probe.members if isinstance(probe, TemplateInput) else (Member(probe),)


def _prepare(probe: ProbeInput, members: Sequence[Member], acquired: Iterator[Acquired]) -> PreparedProbe:
    outcomes = tuple(next(acquired) for _ in members)
    if isinstance(probe, TemplateInput):
        return _prepare_template(probe, outcomes)
    return _prepare_single(outcomes[0])


def _prepare_single(outcome: Acquired) -> PreparedProbe:
    if isinstance(outcome, AcquiredEmbedding):
        return PreparedProbe(outcome)
    if isinstance(outcome, NotAcquired) and outcome.reason in UNSURE_WITHOUT_SEARCH:
        return PreparedProbe(reasons=(UNSURE_WITHOUT_SEARCH[outcome.reason],))
    return PreparedProbe(error=outcome)


def _prepare_template(probe: TemplateInput, outcomes: tuple[Acquired, ...]) -> PreparedProbe:
    """Use the members that can be used; where none can, answer as the first would be answered alone."""
    usable = [
        (outcome, member.media_id)
        for outcome, member in zip(outcomes, probe.members, strict=True)
        if isinstance(outcome, AcquiredEmbedding)
    ]
    if not usable:
        alone = _prepare_single(outcomes[0])
        return PreparedProbe(reasons=alone.reasons, error=alone.error, members=outcomes)
    template = Template(
        np.stack([outcome.unit for outcome, _ in usable]),
        tuple(media_id for _, media_id in usable),
        probe.weighting,
        probe.media_pooling,
    )
    return PreparedProbe(template, members=outcomes)
