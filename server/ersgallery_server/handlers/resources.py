"""Translates stored galleries, subjects and faces into messages."""

import datetime as dt

from ersgallery.v1 import face_input_pb2 as face_pb
from ersgallery.v1 import gallery_pb2 as pb
from ersgallery_index import Recognizability
from google.protobuf.timestamp_pb2 import Timestamp

from ersgallery_server.gallery.gallery import Gallery
from ersgallery_server.handlers.answers import effective_policy, index_description, recognizability
from ersgallery_server.handlers.names import face_name, gallery_name, subject_name
from ersgallery_server.store import GalleryTotals
from ersgallery_server.values import AcquisitionCounts, FaceRecord, GalleryRecord, GallerySettings, SubjectRecord


def gallery_message(gallery: Gallery, record: GalleryRecord, totals: GalleryTotals) -> pb.Gallery:
    """Return the message of a gallery as the store and its index have it."""
    settings, profile = record.settings, record.profile
    index = gallery.state.index
    return pb.Gallery(
        name=gallery_name(record.gallery_id),
        display_name=settings.display_name,
        profile=f"profiles/{profile.reference}",
        model=profile.profile.model,
        dimension=profile.profile.dimension,
        gamma=settings.gamma,
        gamma_gallery=settings.gamma_gallery,
        tau=settings.tau,
        margin=settings.margin,
        enhance_features=settings.enhance_features,
        several_faces=face_pb.SeveralFacesPolicy.Value(f"SEVERAL_FACES_POLICY_{settings.several_faces.value}"),
        low_ers=pb.LowErsPolicy.Value(f"LOW_ERS_POLICY_{settings.low_ers.value}"),
        store_images=settings.store_images,
        subject_search=pb.SubjectSearch.Value(f"SUBJECT_SEARCH_{settings.subject_search.value}"),
        template_weighting=face_pb.Weighting.Value(f"WEIGHTING_{settings.template_weighting.value}"),
        template_media_pooling=settings.template_media_pooling,
        tau_subjects=settings.tau_subjects,
        index_kind=pb.IndexKind.Value(f"INDEX_KIND_{settings.index_kind.value}"),
        duplicate_check=pb.DuplicateCheck.Value(f"DUPLICATE_CHECK_{settings.duplicate_check.value}"),
        duplicate_threshold=settings.duplicate_threshold,
        warnings=_warnings(settings, totals),
        effective=effective_policy(settings.policy(profile.profile)),
        counts=_counts(totals, record.counts + gallery.uncounted),
        revision=record.revision,
        index=index_description(index.kind, index.device, index.precision, index.capacity),
        etag=str(record.version),
        create_time=timestamp(record.create_time),
        update_time=timestamp(record.update_time),
    )


def subject_message(gallery_id: str, record: SubjectRecord) -> pb.Subject:
    """Return the message of a subject."""
    return pb.Subject(
        name=subject_name(gallery_id, record.subject_id),
        display_name=record.display_name,
        metadata=record.metadata,
        face_count=record.face_count,
        searchable_face_count=record.searchable_face_count,
        template_ers=record.template_ers,
        etag=str(record.version),
        create_time=timestamp(record.create_time),
        update_time=timestamp(record.update_time),
    )


def face_message(gallery_id: str, record: FaceRecord, gate: float) -> pb.Face:
    """Return the message of a face; it is searchable from the gate on."""
    score = Recognizability(record.ers, record.raw_ers)
    return pb.Face(
        name=face_name(gallery_id, record.subject_id, record.face_id),
        recognizability=recognizability(score, record.embedding_norm, record.box),
        searchable=record.ers >= gate,
        media_id=record.media_id,
        metadata=record.metadata,
        has_image=record.has_image,
        etag=str(record.version),
        create_time=timestamp(record.create_time),
    )


def timestamp(moment: dt.datetime) -> Timestamp:
    """Return the message of a moment."""
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def _warnings(settings: GallerySettings, totals: GalleryTotals) -> list[pb.GalleryWarning.ValueType]:
    outgrew = settings.tau_subjects is not None and totals.subjects > settings.tau_subjects
    return [pb.GALLERY_WARNING_OUTGREW_TAU] if outgrew else []


def _counts(totals: GalleryTotals, counts: AcquisitionCounts) -> pb.GalleryCounts:
    return pb.GalleryCounts(
        subjects=totals.subjects,
        faces=totals.faces,
        searchable_faces=totals.searchable_faces,
        acquisition_attempts=counts.acquisition_attempts,
        failures_to_acquire=counts.failures_to_acquire,
        enrollment_attempts=counts.enrollment_attempts,
        failures_to_enroll=counts.failures_to_enroll,
    )
