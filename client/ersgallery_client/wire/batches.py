"""Answers to batches of probes, read from messages into columns and joined."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
from ersgallery.v1 import identification_service_pb2 as pb
from numpy.typing import ArrayLike, NDArray

from ersgallery_client.errors import GalleryError
from ersgallery_client.statuses import error_from_status
from ersgallery_client.values.identification import (
    Applied,
    Candidate,
    CandidateColumns,
    Decision,
    IdentificationBatch,
)
from ersgallery_client.wire.enums import DECISION, UNSURE_REASON
from ersgallery_client.wire.identification import read_applied, read_identification
from ersgallery_client.wire.names import last_part


def read_batch(message: pb.BatchIdentifyResponse) -> IdentificationBatch:
    """Return the answers of BatchIdentify."""
    applied = read_applied(message.applied)
    if message.HasField("columns"):
        return _from_columns(message.columns, applied)
    return _from_outcomes(message.outcomes, applied)


def read_streamed_batch(message: pb.StreamIdentifyResponse) -> IdentificationBatch | GalleryError:
    """Return the answers to a batch of a stream, or why it was refused as a whole."""
    if message.HasField("error"):
        return error_from_status(message.error)
    return read_batch(message.response)


def join(batches: Sequence[IdentificationBatch]) -> IdentificationBatch:
    """Return one batch of all probes of several, in their order."""
    if len(batches) == 1:
        return batches[0]
    starts = np.cumsum([0, *(len(batch) for batch in batches)]).tolist()
    numbered = list(zip(starts, batches, strict=False))
    return IdentificationBatch(
        decisions=np.concatenate([batch.decisions for batch in batches]),
        ers=np.concatenate([batch.ers for batch in batches]),
        raw_ers=np.concatenate([batch.raw_ers for batch in batches]),
        reasons={start + i: reasons for start, batch in numbered for i, reasons in batch.reasons.items()},
        candidates=_join_candidates([batch.candidates for batch in batches]),
        filtered=_join_candidates([batch.filtered for batch in batches]),
        errors={start + i: error for start, batch in numbered for i, error in batch.errors.items()},
        applied=tuple(chain.from_iterable(batch.applied for batch in batches)),
        rows=tuple(chain.from_iterable(batch.rows for batch in batches)),
    )


def _from_columns(message: pb.IdentificationColumns, applied: Applied) -> IdentificationBatch:
    size = len(message.decisions)
    return IdentificationBatch(
        decisions=_decisions([DECISION.read(decision) for decision in message.decisions]),
        ers=_float64(message.ers),
        raw_ers=_float64(message.raw_ers),
        reasons={
            row: tuple(UNSURE_REASON.read(reason) for reason in unsure.reasons)
            for row, unsure in sorted(message.reasons.items())
        },
        candidates=_read_candidates(message.candidates, size),
        filtered=_read_candidates(message.filtered, size),
        errors={row: error_from_status(status) for row, status in sorted(message.errors.items())},
        applied=(applied,) * size,
    )


def _from_outcomes(message: pb.IdentifyOutcomes, applied: Applied) -> IdentificationBatch:
    rows = tuple(
        None if outcome.HasField("error") else read_identification(outcome.identification, applied)
        for outcome in message.outcomes
    )
    probes = [row.probe if row is not None else None for row in rows]
    return IdentificationBatch(
        decisions=_decisions([Decision.UNSPECIFIED if row is None else row.decision for row in rows]),
        ers=_float64([np.nan if probe is None else probe.ers for probe in probes]),
        raw_ers=_float64([np.nan if probe is None else probe.raw_ers for probe in probes]),
        reasons={i: row.reasons for i, row in enumerate(rows) if row is not None and row.reasons},
        candidates=_gather_candidates([() if row is None else row.candidates for row in rows]),
        filtered=_gather_candidates([() if row is None else row.filtered for row in rows]),
        errors={
            i: error_from_status(outcome.error)
            for i, outcome in enumerate(message.outcomes)
            if outcome.HasField("error")
        },
        applied=(applied,) * len(rows),
        rows=rows,
    )


def _read_candidates(message: pb.CandidateColumns, size: int) -> CandidateColumns:
    counts = message.counts if len(message.counts) else [0] * size
    return CandidateColumns(
        offsets=_offsets(counts),
        subject_index=np.array(message.subject_index, dtype=np.int64),
        face_ids=np.array(message.face_ids, dtype=np.int64),
        similarities=_float64(message.similarities),
        ers=_float64(message.ers),
        subjects=tuple(last_part(subject) for subject in message.subjects),
    )


def _gather_candidates(rows: Sequence[tuple[Candidate, ...]]) -> CandidateColumns:
    flat = list(chain.from_iterable(rows))
    positions = _positions([candidate.subject_id for candidate in flat])
    return CandidateColumns(
        offsets=_offsets([len(row) for row in rows]),
        subject_index=np.array([positions[candidate.subject_id] for candidate in flat], dtype=np.int64),
        face_ids=np.array([candidate.face_id for candidate in flat], dtype=np.int64),
        similarities=_float64([candidate.similarity for candidate in flat]),
        ers=_float64([candidate.ers for candidate in flat]),
        subjects=tuple(positions),
    )


def _join_candidates(parts: Sequence[CandidateColumns]) -> CandidateColumns:
    positions = _positions(list(chain.from_iterable(part.subjects for part in parts)))
    moved = [np.array([positions[subject] for subject in part.subjects], dtype=np.int64) for part in parts]
    return CandidateColumns(
        offsets=_offsets(np.concatenate([np.diff(part.offsets) for part in parts])),
        subject_index=np.concatenate([new[part.subject_index] for new, part in zip(moved, parts, strict=True)]),
        face_ids=np.concatenate([part.face_ids for part in parts]),
        similarities=np.concatenate([part.similarities for part in parts]),
        ers=np.concatenate([part.ers for part in parts]),
        subjects=tuple(positions),
    )


def _positions(subjects: Sequence[str]) -> dict[str, int]:
    """Give each subject a position, by first appearance."""
    return {subject: position for position, subject in enumerate(dict.fromkeys(subjects))}


def _offsets(counts: ArrayLike) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(np.asarray(counts, dtype=np.int64))])


def _decisions(decisions: Sequence[Decision]) -> NDArray[np.str_]:
    return np.array(decisions, dtype=f"U{max(map(len, Decision))}")


def _float64(values: ArrayLike) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)
