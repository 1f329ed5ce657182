"""Calls about enrolled faces."""

from collections.abc import Mapping

from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as pb

from ersgallery_client import rpcs
from ersgallery_client.call import Call, Page, Paging, call
from ersgallery_client.calls.masks import mask
from ersgallery_client.surface import Calls, Paged, Unary
from ersgallery_client.values.erasure import Erasure
from ersgallery_client.values.galleries import Face
from ersgallery_client.wire.erasure import read_erasure
from ersgallery_client.wire.galleries import read_face
from ersgallery_client.wire.names import ALL_SUBJECTS, face_name, subject_name


class FaceCalls(Calls):
    """Faces: get, image, list, update, delete. They are made by enrolment."""

    @Unary
    def get_face(self, gallery: str, subject: str, face: int) -> Call[Face]:
        """Return a face, without its embedding. Raises FaceNotFound."""
        request = pb.GetFaceRequest(name=face_name(gallery, subject, face))
        return call(rpcs.GET_FACE, request, lambda answer: read_face(answer.face))

    @Unary
    def get_face_image(self, gallery: str, subject: str, face: int) -> Call[bytes]:
        """Return the photograph of a face, as it was sent. Raises FaceNotFound, ImageNotStored."""
        request = pb.GetFaceImageRequest(name=face_name(gallery, subject, face))
        return call(rpcs.GET_FACE_IMAGE, request, lambda answer: answer.content)

    @Paged
    def list_faces(self, gallery: str, subject: str = ALL_SUBJECTS, *, page_size: int = 0) -> Paging[Face]:
        """Iterate the faces of a subject, or of the whole gallery, fetching page_size at a time (1 to 1,000; 0: 50)."""

        def page(token: str) -> Call[Page[Face]]:
            request = pb.ListFacesRequest(parent=subject_name(gallery, subject), page_size=page_size, page_token=token)
            return call(
                rpcs.LIST_FACES,
                request,
                lambda answer: Page(tuple(map(read_face, answer.faces)), answer.next_page_token),
            )

        return Paging(page)

    @Unary
    def update_face(
        self, gallery: str, subject: str, face: int, *, metadata: Mapping[str, str], etag: str = ""
    ) -> Call[Face]:
        """Replace the metadata of a face. etag: where given, must be the present one.

        Raises FaceNotFound, EtagMismatch, InvalidRequest.
        """
        changed = gallery_pb2.Face(name=face_name(gallery, subject, face), etag=etag, metadata=metadata)
        request = pb.UpdateFaceRequest(face=changed, update_mask=mask({"metadata": metadata}))
        return call(rpcs.UPDATE_FACE, request, lambda answer: read_face(answer.face))

    @Unary
    def delete_face(self, gallery: str, subject: str, face: int) -> Call[Erasure]:
        """Delete a face with its photograph; return the receipt, with the revision from which it is gone.

        Raises FaceNotFound.
        """
        request = pb.DeleteFaceRequest(name=face_name(gallery, subject, face))
        return call(rpcs.DELETE_FACE, request, lambda answer: read_erasure(answer.erasure, answer.revision))
