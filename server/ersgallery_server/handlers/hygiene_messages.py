"""Translates what was found in a gallery into messages."""

from ersgallery.v1 import hygiene_pb2 as pb

from ersgallery_server.handlers.names import face_name, subject_name
from ersgallery_server.hygiene import DuplicateFindings, DuplicatePair, Magnet, MagnetFindings


def magnet_report(found: MagnetFindings) -> pb.MagnetReport:
    """Return the message of magnets."""
    return pb.MagnetReport(
        magnets=[_magnet(found.gallery_id, each) for each in found.magnets],
        winners=found.winners,
        probes=found.probes,
        low_ers_probes=found.low_ers_probes,
        won_probes=found.won_probes,
        low_ers_won_probes=found.low_ers_won_probes,
        threshold=found.threshold,
        gamma=found.gamma,
        gamma_gallery=found.gamma_gallery,
        neighbors=found.neighbors,
        revision=found.revision,
    )


def duplicate_report(found: DuplicateFindings) -> pb.DuplicateReport:
    """Return the message of subjects that look like one person."""
    return pb.DuplicateReport(
        pairs=[_pair(found.gallery_id, each) for each in found.pairs],
        groups=[
            pb.DuplicateGroup(
                subjects=[subject_name(found.gallery_id, subject) for subject in each.subjects],
                pairs=each.pairs,
                similarity=each.similarity,
            )
            for each in found.groups
        ],
        cut=found.cut,
        threshold=found.threshold,
        gate=found.gate,
        faces=found.faces,
        revision=found.revision,
    )


def _magnet(gallery_id: str, found: Magnet) -> pb.Magnet:
    return pb.Magnet(
        face=_face(gallery_id, found.subject_id, found.face_id),
        subject=subject_name(gallery_id, found.subject_id),
        ers=found.ers,
        subjects=found.people,
        wins=found.wins,
        low_ers_wins=found.low_ers_wins,
        neighbor_probes=found.neighbor_probes,
        mean_similarity=found.mean_similarity,
        ui_wins=found.ui_wins,
        advice=pb.MagnetAdvice.Value(f"MAGNET_ADVICE_{found.advice.value}"),
    )


def _pair(gallery_id: str, found: DuplicatePair) -> pb.DuplicatePair:
    return pb.DuplicatePair(
        first=subject_name(gallery_id, found.first),
        second=subject_name(gallery_id, found.second),
        similarity=found.similarity,
        first_face=_face(gallery_id, found.first, found.first_face),
        second_face=_face(gallery_id, found.second, found.second_face),
        face_pairs=found.face_pairs,
        similar_face_pairs=found.similar_face_pairs,
    )


def _face(gallery_id: str, subject_id: str, face_id: int | None) -> str:
    return "" if face_id is None else face_name(gallery_id, subject_id, face_id)
