"""Answers to searches, read from messages."""

from ersgallery.v1 import face_input_pb2
from ersgallery.v1 import identification_service_pb2 as pb

from ersgallery_client.statuses import error_from_status
from ersgallery_client.values.identification import (
    Applied,
    Candidate,
    Identification,
    MemberOutcome,
    Verification,
)
from ersgallery_client.values.policies import SearchPolicy
from ersgallery_client.values.recognizability import Recognizability
from ersgallery_client.wire.enums import DECISION, SEVERAL_FACES, UNSURE_REASON
from ersgallery_client.wire.galleries import read_effective_policy, read_index
from ersgallery_client.wire.names import last_part
from ersgallery_client.wire.recognizability import read_recognizability


def write_policy(policy: SearchPolicy | None) -> pb.SearchPolicy | None:
    """Return a request's policy as a message; None for the gallery's."""
    if policy is None:
        return None
    return pb.SearchPolicy(
        gamma=policy.gamma,
        gamma_gallery=policy.gamma_gallery,
        tau=policy.tau,
        margin=policy.margin,
        max_candidates=policy.max_candidates,
        include_filtered=policy.include_filtered,
        several_faces=SEVERAL_FACES.write(policy.several_faces),
    )


def read_applied(message: pb.Applied) -> Applied:
    """Return what produced an answer."""
    return Applied(
        revision=message.revision,
        profile=last_part(message.profile),
        policy=read_effective_policy(message.policy),
        index=read_index(message.index),
    )


def read_identification(message: pb.Identification, applied: Applied) -> Identification:
    """Return the answer to one probe."""
    return Identification(
        decision=DECISION.read(message.decision),
        reasons=tuple(UNSURE_REASON.read(reason) for reason in message.reasons),
        candidates=tuple(_read_candidate(candidate) for candidate in message.candidates),
        filtered=tuple(_read_candidate(candidate) for candidate in message.filtered),
        probe=_optional(message.probe, there=message.HasField("probe")),
        members=tuple(_read_member(member) for member in message.members),
        applied=applied,
    )


def read_identify(message: pb.IdentifyResponse) -> Identification:
    """Return the answer of Identify."""
    return read_identification(message.identification, read_applied(message.applied))


def read_verify(message: pb.VerifyResponse) -> Verification:
    """Return the answer of Verify."""
    return Verification(
        decision=DECISION.read(message.decision),
        reasons=tuple(UNSURE_REASON.read(reason) for reason in message.reasons),
        similarity=message.similarity if message.HasField("similarity") else None,
        probe=_optional(message.probe, there=message.HasField("probe")),
        reference=_optional(message.reference, there=message.HasField("reference")),
        reference_face_id=int(last_part(message.reference_face)) if message.reference_face else None,
        applied=read_applied(message.applied),
    )


def _read_candidate(message: pb.Candidate) -> Candidate:
    return Candidate(
        subject_id=last_part(message.subject),
        face_id=int(last_part(message.face)) if message.face else 0,
        similarity=message.similarity,
        ers=message.ers,
    )


def _read_member(message: pb.MemberOutcome) -> MemberOutcome:
    if message.HasField("error"):
        return MemberOutcome(None, error_from_status(message.error))
    return MemberOutcome(read_recognizability(message.recognizability), None)


def _optional(message: face_input_pb2.Recognizability, *, there: bool) -> Recognizability | None:
    return read_recognizability(message) if there else None
