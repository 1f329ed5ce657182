"""What a server shows of a gallery: everything that it lists."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Self

import grpc
from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries

from tests.support.server import RemoteServer

PAGE_SIZE = 37  # several pages


@dataclass(frozen=True, slots=True)
class Seen:
    """A gallery as it is listed; by_tag: the faces of each enrolment."""

    exists: bool
    gallery: gallery_pb2.Gallery
    subjects: dict[str, gallery_pb2.Subject]
    faces: dict[int, gallery_pb2.Face]
    by_tag: dict[str, list[int]]

    @classmethod
    def nothing(cls) -> Self:
        """Return what there is of a gallery that is not there."""
        return cls(False, gallery_pb2.Gallery(), {}, {}, {})

    @classmethod
    def of(cls, server: RemoteServer, gallery_id: str) -> Self:
        """Read all of a gallery."""
        name = f"galleries/{gallery_id}"
        try:
            gallery = server.gallery(gallery_id)
        except grpc.RpcError as error:
            found: Any = error
            if found.code() is grpc.StatusCode.NOT_FOUND:
                return cls.nothing()
            raise
        subjects = {each.name.rpartition("/")[2]: each for each in _subjects(server, name)}
        faces = {int(face.name.rpartition("/")[2]): face for face in _faces(server, name)}
        by_tag: dict[str, list[int]] = defaultdict(list)
        for face_id, face in faces.items():
            by_tag[face.metadata["tag"]].append(face_id)
        return cls(True, gallery, subjects, faces, by_tag)


def _subjects(server: RemoteServer, parent: str) -> list[gallery_pb2.Subject]:
    found: list[gallery_pb2.Subject] = []
    request = galleries.ListSubjectsRequest(parent=parent, page_size=PAGE_SIZE)
    while True:
        page = server.galleries.ListSubjects(request)
        found += page.subjects
        request.page_token = page.next_page_token
        if not request.page_token:
            return found


def _faces(server: RemoteServer, parent: str) -> list[gallery_pb2.Face]:
    found: list[gallery_pb2.Face] = []
    request = galleries.ListFacesRequest(parent=f"{parent}/subjects/-", page_size=PAGE_SIZE)
    while True:
        page = server.galleries.ListFaces(request)
        found += page.faces
        request.page_token = page.next_page_token
        if not request.page_token:
            return found
