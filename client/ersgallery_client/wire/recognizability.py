"""Recognizability, scores and profiles, read from messages."""

from collections.abc import Sequence
from itertools import chain

from ersgallery.v1 import face_input_pb2
from ersgallery.v1 import recognizability_service_pb2 as pb

from ersgallery_client.statuses import error_from_status
from ersgallery_client.values.recognizability import FaceBox, FaceScore, Profile, Recognizability, Scores
from ersgallery_client.wire.inputs import unpack, unpack_matrix
from ersgallery_client.wire.names import last_part
from ersgallery_client.wire.times import read_time


def read_recognizability(message: face_input_pb2.Recognizability) -> Recognizability:
    """Return how recognizable a face is."""
    return Recognizability(
        ers=message.ers,
        raw_ers=message.raw_ers,
        embedding_norm=message.embedding_norm,
        box=_read_box(message.box) if message.HasField("box") else None,
    )


def _read_box(message: face_input_pb2.FaceBox) -> FaceBox:
    return FaceBox(
        x_px=message.x_px,
        y_px=message.y_px,
        width_px=message.width_px,
        height_px=message.height_px,
        detector_score=message.detector_score,
        face_count=message.face_count,
    )


def read_score(message: pb.ScoreOutcome) -> FaceScore:
    """Return the score of one face, or its error."""
    if message.HasField("error"):
        return FaceScore(None, recognizable=False, embedding=None, error=error_from_status(message.error))
    score = message.score
    return FaceScore(
        read_recognizability(score.recognizability),
        recognizable=score.recognizable,
        embedding=unpack(score.embedding) if score.HasField("embedding") else None,
        error=None,
    )


def read_scores(message: pb.ScoreResponse) -> Scores:
    """Return the scores of one call."""
    return Scores(
        faces=tuple(read_score(outcome) for outcome in message.outcomes),
        profile=last_part(message.profile),
        gamma=message.gamma,
    )


def join_scores(parts: Sequence[Scores]) -> Scores:
    """Return the scores of several calls as those of one."""
    return Scores(tuple(chain.from_iterable(part.faces for part in parts)), parts[0].profile, parts[0].gamma)


def read_profile(message: pb.Profile) -> Profile:
    """Return a profile with its mean and centroids as arrays."""
    profile_id, _, version = last_part(message.name).partition("@")
    return Profile(
        id=profile_id,
        version=int(version),
        model=message.model,
        dimension=message.dimension,
        mean=unpack(message.mean) if message.HasField("mean") else None,
        centroids=unpack_matrix(message.centroids),
        gamma=message.gamma,
        description=message.description,
        sha256=message.sha256,
        create_time=read_time(message.create_time),
    )
