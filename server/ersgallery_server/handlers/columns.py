"""The answers to the rows of a matrix, column by column."""

from collections.abc import Mapping

import numpy as np
from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery_index import Hits, reasons_of
from numpy.typing import NDArray

from ersgallery_server.gallery.search import SearchAnswer
from ersgallery_server.handlers import answers
from ersgallery_server.handlers.names import subject_name
from ersgallery_server.status import to_status

DECISION_VALUES = np.array(answers.DECISION_VALUES)


def identification_columns(gallery_id: str, answer: SearchAnswer, rows: int) -> pb.IdentificationColumns:
    """Return the columns of `rows` rows, of which those in `errors` were not searched."""
    found, errors = answer.identifications, answer.errors
    good = np.setdiff1d(np.arange(rows), list(errors)) if errors else np.arange(rows)
    message = pb.IdentificationColumns(
        decisions=_spread(DECISION_VALUES[found.decisions], good, rows).tolist(),
        ers=_spread(found.ers, good, rows).tolist(),
        raw_ers=_spread(found.raw_ers, good, rows).tolist(),
        candidates=_candidates(gallery_id, found.hits, answer.subject_ids, good, rows),
    )
    if found.filtered is not None:
        message.filtered.CopyFrom(_candidates(gallery_id, found.filtered, answer.subject_ids, good, rows))
    for position in np.flatnonzero(found.reasons):
        reasons = answers.reasons(reasons_of(int(found.reasons[position])))
        message.reasons[int(good[position])].reasons.extend(reasons)
    for row, error in errors.items():
        message.errors[row].CopyFrom(to_status(error))
    return message


def _candidates(
    gallery_id: str, hits: Hits, subject_ids: Mapping[int, str], good: NDArray[np.int64], rows: int
) -> pb.CandidateColumns:
    keys, index = np.unique(hits.subject_ids, return_inverse=True)
    return pb.CandidateColumns(
        counts=_spread(np.diff(hits.offsets), good, rows).tolist(),
        subject_index=index.tolist(),
        face_ids=np.where(hits.face_ids == hits.subject_ids, 0, hits.face_ids).tolist(),
        similarities=hits.scores.tolist(),
        ers=hits.ers.tolist(),
        subjects=[subject_name(gallery_id, subject_ids[key]) for key in keys.tolist()],
    )


def _spread(values: NDArray[np.generic], good: NDArray[np.int64], rows: int) -> NDArray[np.generic]:
    """Put the values of the rows that were searched in their places, zeros in the others."""
    if len(values) == rows:
        return values
    spread = np.zeros(rows, values.dtype)
    spread[good] = values
    return spread
