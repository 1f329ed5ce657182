"""What was found in a gallery, read from messages."""

from ersgallery.v1 import hygiene_pb2, hygiene_service_pb2

from ersgallery_client.values.hygiene import (
    DuplicateGroup,
    DuplicatePair,
    DuplicateReport,
    LowErsReport,
    LowErsSubject,
    Magnet,
    MagnetReport,
)
from ersgallery_client.wire.enums import MAGNET_ADVICE
from ersgallery_client.wire.names import last_part


def read_magnets(message: hygiene_pb2.MagnetReport) -> MagnetReport:
    """Return a report of magnets."""
    return MagnetReport(
        magnets=tuple(map(_read_magnet, message.magnets)),
        winners=message.winners,
        probes=message.probes,
        low_ers_probes=message.low_ers_probes,
        won_probes=message.won_probes,
        low_ers_won_probes=message.low_ers_won_probes,
        threshold=message.threshold,
        gamma=message.gamma,
        gamma_gallery=message.gamma_gallery,
        neighbors=message.neighbors,
        revision=message.revision,
    )


def read_duplicates(message: hygiene_pb2.DuplicateReport) -> DuplicateReport:
    """Return a report of duplicates."""
    return DuplicateReport(
        pairs=tuple(map(_read_pair, message.pairs)),
        groups=tuple(
            DuplicateGroup(tuple(map(last_part, each.subjects)), each.pairs, each.similarity) for each in message.groups
        ),
        cut=message.cut,
        threshold=message.threshold,
        gate=message.gate,
        faces=message.faces,
        revision=message.revision,
    )


def read_low_ers(message: hygiene_service_pb2.FindLowErsSubjectsResponse) -> LowErsReport:
    """Return a page of subjects that cannot be found, or by one face alone."""
    return LowErsReport(
        subjects=tuple(
            LowErsSubject(
                id=last_part(each.subject),
                best_ers=each.best_ers,
                template_ers=each.template_ers,
                faces=each.faces,
                recognizable_faces=each.recognizable_faces,
                findable=each.findable,
            )
            for each in message.subjects
        ),
        next_page_token=message.next_page_token,
        unfindable_subjects=message.unfindable_subjects,
        one_face_subjects=message.one_face_subjects,
        gamma_gallery=message.gamma_gallery,
    )


def _read_magnet(message: hygiene_pb2.Magnet) -> Magnet:
    return Magnet(
        subject_id=last_part(message.subject),
        face_id=_face_id(message.face),
        ers=message.ers,
        subjects=message.subjects,
        wins=message.wins,
        low_ers_wins=message.low_ers_wins,
        neighbor_probes=message.neighbor_probes,
        mean_similarity=message.mean_similarity if message.HasField("mean_similarity") else None,
        ui_wins=message.ui_wins,
        advice=MAGNET_ADVICE.read(message.advice),
    )


def _read_pair(message: hygiene_pb2.DuplicatePair) -> DuplicatePair:
    return DuplicatePair(
        first=last_part(message.first),
        second=last_part(message.second),
        similarity=message.similarity,
        first_face_id=_face_id(message.first_face),
        second_face_id=_face_id(message.second_face),
        face_pairs=message.face_pairs,
        similar_face_pairs=message.similar_face_pairs,
    )


def _face_id(name: str) -> int | None:
    return int(last_part(name)) if name else None
