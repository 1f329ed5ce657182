"""GalleryService, the subjects and faces."""

import uuid

from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as pb

from ersgallery_server.call import Call
from ersgallery_server.errors import ImageNotStored
from ersgallery_server.gallery.galleries import Galleries
from ersgallery_server.gallery.gallery import Gallery
from ersgallery_server.handlers import checks, names, paging
from ersgallery_server.handlers.erasures import Receipts
from ersgallery_server.handlers.resources import face_message, subject_message
from ersgallery_server.store import Store
from ersgallery_server.values import FaceRecord, Metadata


class SubjectHandlers:
    """Makes, shows, changes and deletes subjects."""

    def __init__(self, store: Store, galleries: Galleries, receipts: Receipts) -> None:
        self._store = store
        self._galleries = galleries
        self._receipts = receipts

    def create_subject(self, request: pb.CreateSubjectRequest, call: Call) -> pb.CreateSubjectResponse:
        """Make a subject without faces."""
        gallery = self._galleries.get(names.parse_gallery("parent", request.parent))
        subject_id = names.subject_id("subject_id", request.subject_id or uuid.uuid4().hex)
        label, metadata = _label_and_metadata(request.subject)
        record = gallery.write(
            lambda transaction: transaction.create_subject(
                gallery.record.key, subject_id, display_name=label, metadata=metadata
            ),
            call,
        )
        return pb.CreateSubjectResponse(subject=subject_message(gallery.record.gallery_id, record))

    def get_subject(self, request: pb.GetSubjectRequest, call: Call) -> pb.GetSubjectResponse:
        """Return a subject."""
        gallery_id, subject_id = names.parse_subject("name", request.name)
        gallery = self._galleries.get(gallery_id)
        record = self._store.subject(gallery.record.key, subject_id, gallery.state.policy.gamma_gallery)
        return pb.GetSubjectResponse(subject=subject_message(gallery_id, record))

    def list_subjects(self, request: pb.ListSubjectsRequest, call: Call) -> pb.ListSubjectsResponse:
        """Return a page of subjects."""
        gallery = self._galleries.get(names.parse_gallery("parent", request.parent))
        page = self._store.list_subjects(
            gallery.record.key,
            gallery.state.policy.gamma_gallery,
            paging.page_size(request.page_size),
            paging.page_key(request.parent, request.page_token),
        )
        return pb.ListSubjectsResponse(
            subjects=[subject_message(gallery.record.gallery_id, record) for record in page.items],
            next_page_token=paging.page_token(request.parent, page.next_key),
        )

    def update_subject(self, request: pb.UpdateSubjectRequest, call: Call) -> pb.UpdateSubjectResponse:
        """Change the masked fields of a subject."""
        gallery_id, subject_id = names.parse_subject("subject.name", request.subject.name)
        gallery = self._galleries.get(gallery_id)
        changed = checks.mask(request.update_mask.paths, request.subject, ("display_name", "metadata"))
        label, metadata = _label_and_metadata(request.subject)
        record = gallery.write(
            lambda transaction: transaction.update_subject(
                gallery.record.key,
                subject_id,
                gate=gallery.state.policy.gamma_gallery,
                display_name=label if "display_name" in changed else None,
                metadata=metadata if "metadata" in changed else None,
                expected_version=checks.etag_version(request.subject.etag),
            ),
            call,
        )
        return pb.UpdateSubjectResponse(subject=subject_message(gallery_id, record))

    def delete_subject(self, request: pb.DeleteSubjectRequest, call: Call) -> pb.DeleteSubjectResponse:
        """Delete a subject with its faces."""
        gallery_id, subject_id = names.parse_subject("name", request.name)
        gallery = self._galleries.get(gallery_id)
        deleted = gallery.delete_subject(subject_id, call)
        return pb.DeleteSubjectResponse(
            revision=deleted.revision,
            deleted_faces=len(deleted.face_ids),
            erasure=self._receipts.of(subjects=1, faces=len(deleted.face_ids), images=deleted.images),
        )


class FaceHandlers:
    """Shows, changes and deletes faces."""

    def __init__(self, store: Store, galleries: Galleries, receipts: Receipts) -> None:
        self._store = store
        self._galleries = galleries
        self._receipts = receipts

    def get_face(self, request: pb.GetFaceRequest, call: Call) -> pb.GetFaceResponse:
        """Return a face."""
        gallery_id, subject_id, face_id = names.parse_face("name", request.name)
        gallery = self._galleries.get(gallery_id)
        return pb.GetFaceResponse(
            face=_face_message(gallery, self._store.face(gallery.record.key, subject_id, face_id))
        )

    def get_face_image(self, request: pb.GetFaceImageRequest, call: Call) -> pb.GetFaceImageResponse:
        """Return the photograph of a face."""
        gallery_id, subject_id, face_id = names.parse_face("name", request.name)
        content = self._store.face_image(self._galleries.get(gallery_id).record.key, subject_id, face_id)
        if content is None:
            raise ImageNotStored("no photograph of this face is kept")
        return pb.GetFaceImageResponse(content=content)

    def list_faces(self, request: pb.ListFacesRequest, call: Call) -> pb.ListFacesResponse:
        """Return a page of faces."""
        gallery_id, subject_id = names.parse_subject("parent", request.parent)
        gallery = self._galleries.get(gallery_id)
        listing = names.subject_name(gallery_id, subject_id)
        page = self._store.list_faces(
            gallery.record.key,
            None if subject_id == names.ANY_SUBJECT else subject_id,
            paging.page_size(request.page_size),
            paging.page_key(listing, request.page_token),
        )
        return pb.ListFacesResponse(
            faces=[_face_message(gallery, record) for record in page.items],
            next_page_token=paging.page_token(listing, page.next_key),
        )

    def update_face(self, request: pb.UpdateFaceRequest, call: Call) -> pb.UpdateFaceResponse:
        """Change the metadata of a face."""
        gallery_id, subject_id, face_id = names.parse_face("face.name", request.face.name)
        gallery = self._galleries.get(gallery_id)
        metadata = checks.check_metadata("face.metadata", request.face.metadata)
        changed = checks.mask(request.update_mask.paths, request.face, ("metadata",))
        record = gallery.write(
            lambda transaction: transaction.update_face(
                gallery.record.key,
                subject_id,
                face_id,
                metadata=metadata if changed else None,
                expected_version=checks.etag_version(request.face.etag),
            ),
            call,
        )
        return pb.UpdateFaceResponse(face=_face_message(gallery, record))

    def delete_face(self, request: pb.DeleteFaceRequest, call: Call) -> pb.DeleteFaceResponse:
        """Delete a face."""
        gallery_id, subject_id, face_id = names.parse_face("name", request.name)
        deleted = self._galleries.get(gallery_id).delete_face(subject_id, face_id, call)
        return pb.DeleteFaceResponse(
            revision=deleted.revision,
            erasure=self._receipts.of(
                faces=1,
                images=int(deleted.had_image),
                templates=0 if deleted.pooled is None else len(deleted.pooled.rows.face_ids),
            ),
        )


def _face_message(gallery: Gallery, record: FaceRecord) -> gallery_pb2.Face:
    return face_message(gallery.record.gallery_id, record, gallery.state.policy.gamma_gallery)


def _label_and_metadata(message: gallery_pb2.Subject) -> tuple[str, Metadata]:
    label = checks.check_text("subject.display_name", message.display_name, checks.MAX_LABEL_CHARACTERS)
    return label, checks.check_metadata("subject.metadata", message.metadata)
