"""Galleries, subjects and faces, read from messages."""

from ersgallery.v1 import gallery_pb2 as pb

from ersgallery_client.values.galleries import Face, Gallery, GalleryCounts, IndexDescription, Subject
from ersgallery_client.values.policies import EffectivePolicy
from ersgallery_client.wire.enums import (
    DUPLICATE_CHECK,
    GALLERY_WARNING,
    INDEX_KIND,
    LOW_ERS,
    SEVERAL_FACES,
    SUBJECT_SEARCH,
    WEIGHTING,
)
from ersgallery_client.wire.names import last_part, split_face, split_subject
from ersgallery_client.wire.recognizability import read_recognizability
from ersgallery_client.wire.times import read_time


def read_gallery(message: pb.Gallery) -> Gallery:
    """Return a gallery."""
    return Gallery(
        id=last_part(message.name),
        display_name=message.display_name,
        profile=last_part(message.profile),
        model=message.model,
        dimension=message.dimension,
        gamma=message.gamma if message.HasField("gamma") else None,
        gamma_gallery=message.gamma_gallery if message.HasField("gamma_gallery") else None,
        tau=message.tau,
        margin=message.margin if message.HasField("margin") else None,
        enhance_features=message.enhance_features,
        several_faces=SEVERAL_FACES.read(message.several_faces),
        low_ers=LOW_ERS.read(message.low_ers),
        store_images=message.store_images,
        subject_search=SUBJECT_SEARCH.read(message.subject_search),
        template_weighting=WEIGHTING.read(message.template_weighting),
        template_media_pooling=message.template_media_pooling,
        tau_subjects=message.tau_subjects if message.HasField("tau_subjects") else None,
        index_kind=INDEX_KIND.read(message.index_kind),
        warnings=tuple(GALLERY_WARNING.read(warning) for warning in message.warnings),
        effective=read_effective_policy(message.effective),
        counts=_read_counts(message.counts),
        revision=message.revision,
        index=read_index(message.index),
        etag=message.etag,
        create_time=read_time(message.create_time),
        update_time=read_time(message.update_time),
        duplicate_check=DUPLICATE_CHECK.read(message.duplicate_check),
        duplicate_threshold=message.duplicate_threshold if message.HasField("duplicate_threshold") else None,
    )


def read_effective_policy(message: pb.EffectivePolicy) -> EffectivePolicy:
    """Return the gates and thresholds in force."""
    return EffectivePolicy(
        gamma=message.gamma,
        gamma_gallery=message.gamma_gallery,
        tau=message.tau,
        margin=message.margin if message.HasField("margin") else None,
    )


def read_index(message: pb.IndexDescription) -> IndexDescription:
    """Return which index answers."""
    return IndexDescription(
        kind=message.kind,
        device=message.device,
        precision=message.precision,
        capacity_faces=message.capacity_faces if message.HasField("capacity_faces") else None,
    )


def _read_counts(message: pb.GalleryCounts) -> GalleryCounts:
    return GalleryCounts(
        subjects=message.subjects,
        faces=message.faces,
        searchable_faces=message.searchable_faces,
        acquisition_attempts=message.acquisition_attempts,
        failures_to_acquire=message.failures_to_acquire,
        enrollment_attempts=message.enrollment_attempts,
        failures_to_enroll=message.failures_to_enroll,
    )


def read_subject(message: pb.Subject) -> Subject:
    """Return a subject."""
    gallery_id, subject_id = split_subject(message.name)
    return Subject(
        gallery_id=gallery_id,
        id=subject_id,
        display_name=message.display_name,
        metadata=dict(message.metadata),
        face_count=message.face_count,
        searchable_face_count=message.searchable_face_count,
        template_ers=message.template_ers,
        etag=message.etag,
        create_time=read_time(message.create_time),
        update_time=read_time(message.update_time),
    )


def read_face(message: pb.Face) -> Face:
    """Return a face."""
    gallery_id, subject_id, face_id = split_face(message.name)
    return Face(
        gallery_id=gallery_id,
        subject_id=subject_id,
        id=face_id,
        recognizability=read_recognizability(message.recognizability),
        searchable=message.searchable,
        media_id=message.media_id,
        metadata=dict(message.metadata),
        has_image=message.has_image,
        etag=message.etag,
        create_time=read_time(message.create_time),
    )
