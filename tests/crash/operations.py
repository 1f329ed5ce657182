"""What clients ask for: how it is sent, what follows when it was done, and how it can be seen whether it was."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from ersgallery.v1 import enrollment_service_pb2 as enrollment
from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries
from google.protobuf.field_mask_pb2 import FieldMask

from tests.crash.known import KnownFace, KnownGallery, KnownSubject, Violation, World
from tests.crash.seen import Seen
from tests.crash.universe import POOL, Settings, media_of
from tests.support.requests import item, template
from tests.support.server import RemoteServer

TIMEOUT_S = 120.0
"""Nothing takes so long: whoever waits longer hangs."""


@dataclass(frozen=True)
class Operation(ABC):
    """Something that one client asks for, and waits for, in one gallery."""

    gallery: str

    @property
    def parent(self) -> str:
        """Return the gallery's resource name."""
        return f"galleries/{self.gallery}"

    @abstractmethod
    def send(self, server: RemoteServer, world: World) -> None:
        """Ask for it, and apply it to what is known once it is acknowledged. Raises grpc.RpcError."""

    @abstractmethod
    def happened(self, seen: Seen) -> bool:
        """Tell from what a restarted server shows whether it was done; raises Violation where it is half there."""

    @abstractmethod
    def apply(self, world: World, seen: Seen) -> None:
        """Take over what a restarted server shows of it."""


@dataclass(frozen=True)
class Enroll(Operation):
    """A batch; `items` are subjects with vectors of the pool, several for a template. Its faces carry its tag."""

    tag: str
    items: tuple[tuple[str, tuple[int, ...]], ...]
    request_id: str = ""
    stream: str = ""

    @property
    def request(self) -> enrollment.EnrollFacesRequest:
        """Return the message."""
        items = [_enrollment(self.tag, place, *each) for place, each in enumerate(self.items)]
        return enrollment.EnrollFacesRequest(parent=self.parent, request_id=self.request_id, enrollments=items)

    def send(self, server: RemoteServer, world: World) -> None:
        self.acknowledge(world, enroll_raw(server, self.request))

    def acknowledge(self, world: World, answer: bytes) -> None:
        """Take over an answer."""
        response = enrollment.EnrollFacesResponse.FromString(answer)
        with world.lock:
            known = world.galleries[self.gallery]
            if (self.gallery, response.revision) in world.revisions_seen:
                raise Violation(self.parent, f"revision {response.revision} was given twice")
            world.revisions_seen.add((self.gallery, response.revision))
            ids = self.ids_in(response)
            world.see_new_ids(self.tag, (face_id for own in ids for face_id in own))
            self._take(known, ids)
            if self.request_id:
                known.answers[self.request_id] = (self.request, answer)

    def ids_in(self, response: enrollment.EnrollFacesResponse) -> list[list[int]]:
        """Return the ids of its faces, item by item; raises Violation where some were not stored."""
        ids = [
            [int(face.face.rpartition("/")[2] or 0) for face in outcome.result.faces] for outcome in response.outcomes
        ]
        if [len(own) for own in ids] != [len(vectors) for _, vectors in self.items] or not all(map(all, ids)):
            raise Violation(self.tag, f"was answered with other faces: {response}")
        return ids

    def stored_ids(self, seen: Seen) -> list[list[int]]:
        """Return the faces with its tag, item by item, in their order."""
        ids: list[list[int]] = [[] for _ in self.items]
        for face_id in sorted(seen.by_tag.get(self.tag, ())):
            ids[int(seen.faces[face_id].metadata["place"])].append(face_id)
        return ids

    def happened(self, seen: Seen) -> bool:
        found = [len(own) for own in self.stored_ids(seen)]
        wanted = [len(vectors) for _, vectors in self.items]
        if found not in (wanted, [0] * len(wanted)):
            raise Violation(self.tag, f"is half there: {found} faces of {wanted}")
        return found == wanted

    def apply(self, world: World, seen: Seen) -> None:
        ids = self.stored_ids(seen)
        world.see_new_ids(self.tag, (face_id for own in ids for face_id in own))
        self._take(world.galleries[self.gallery], ids)

    def _take(self, known: KnownGallery, ids: list[list[int]]) -> None:
        for place, ((subject, vectors), own) in enumerate(zip(self.items, ids, strict=True)):
            known.subjects.setdefault(subject, KnownSubject(""))
            known.offered += len(vectors)
            for face_id, vector in zip(own, vectors, strict=True):
                known.faces[face_id] = KnownFace(subject, vector, {"tag": self.tag, "place": str(place)})
        known.revision += 1


@dataclass(frozen=True)
class DeleteFace(Operation):
    """A face is deleted."""

    name: str

    @property
    def face_id(self) -> int:
        """Return the last part of its name."""
        return int(self.name.rpartition("/")[2])

    def send(self, server: RemoteServer, world: World) -> None:
        server.galleries.DeleteFace(galleries.DeleteFaceRequest(name=self.name), timeout=TIMEOUT_S)
        with world.lock:
            self._take(world.galleries[self.gallery])

    def happened(self, seen: Seen) -> bool:
        return self.face_id not in seen.faces

    def apply(self, world: World, seen: Seen) -> None:
        self._take(world.galleries[self.gallery])

    def _take(self, known: KnownGallery) -> None:
        known.forget_face(self.face_id)
        known.revision += 1


@dataclass(frozen=True)
class DeleteSubject(Operation):
    """A subject is deleted with its faces."""

    subject: str

    def send(self, server: RemoteServer, world: World) -> None:
        request = galleries.DeleteSubjectRequest(name=f"{self.parent}/subjects/{self.subject}")
        deleted = server.galleries.DeleteSubject(request, timeout=TIMEOUT_S)
        with world.lock:
            known = world.galleries[self.gallery]
            if deleted.deleted_faces != len(known.faces_of(self.subject)):
                raise Violation(self.subject, f"had other faces than known when it was deleted: {deleted}")
            self._take(known)

    def happened(self, seen: Seen) -> bool:
        return self.subject not in seen.subjects

    def apply(self, world: World, seen: Seen) -> None:
        self._take(world.galleries[self.gallery])

    def _take(self, known: KnownGallery) -> None:
        for face_id in known.faces_of(self.subject):
            known.forget_face(face_id)
        del known.subjects[self.subject]
        known.revision += 1


@dataclass(frozen=True)
class CreateSubject(Operation):
    """A subject is made without a face."""

    subject: str
    label: str

    def send(self, server: RemoteServer, world: World) -> None:
        made = gallery_pb2.Subject(display_name=self.label)
        request = galleries.CreateSubjectRequest(parent=self.parent, subject_id=self.subject, subject=made)
        server.galleries.CreateSubject(request, timeout=TIMEOUT_S)
        with world.lock:
            world.galleries[self.gallery].subjects[self.subject] = KnownSubject(self.label)

    def happened(self, seen: Seen) -> bool:
        return self.subject in seen.subjects

    def apply(self, world: World, seen: Seen) -> None:
        world.galleries[self.gallery].subjects[self.subject] = KnownSubject(self.label)


@dataclass(frozen=True)
class RenameSubject(Operation):
    """A subject gets another display name, under its etag."""

    subject: str
    label: str
    etag: str

    def send(self, server: RemoteServer, world: World) -> None:
        name = f"{self.parent}/subjects/{self.subject}"
        changed = gallery_pb2.Subject(name=name, display_name=self.label, etag=self.etag)
        request = galleries.UpdateSubjectRequest(subject=changed, update_mask=FieldMask(paths=["display_name"]))
        server.galleries.UpdateSubject(request, timeout=TIMEOUT_S)
        with world.lock:
            self._take(world.galleries[self.gallery])

    def happened(self, seen: Seen) -> bool:
        return self.subject in seen.subjects and seen.subjects[self.subject].display_name == self.label

    def apply(self, world: World, seen: Seen) -> None:
        self._take(world.galleries[self.gallery])

    def _take(self, known: KnownGallery) -> None:
        subject = known.subjects[self.subject]
        subject.label, subject.version = self.label, subject.version + 1


@dataclass(frozen=True)
class AnnotateFace(Operation):
    """A face gets a note, under its etag."""

    name: str
    note: str
    etag: str
    metadata: tuple[tuple[str, str], ...]

    def send(self, server: RemoteServer, world: World) -> None:
        changed = gallery_pb2.Face(name=self.name, metadata=self._metadata, etag=self.etag)
        request = galleries.UpdateFaceRequest(face=changed, update_mask=FieldMask(paths=["metadata"]))
        server.galleries.UpdateFace(request, timeout=TIMEOUT_S)
        with world.lock:
            self._take(world.galleries[self.gallery])

    def happened(self, seen: Seen) -> bool:
        face = seen.faces.get(self._face_id)
        return face is not None and face.metadata.get("note") == self.note

    def apply(self, world: World, seen: Seen) -> None:
        self._take(world.galleries[self.gallery])

    @property
    def _face_id(self) -> int:
        return int(self.name.rpartition("/")[2])

    @property
    def _metadata(self) -> dict[str, str]:
        return {**dict(self.metadata), "note": self.note}

    def _take(self, known: KnownGallery) -> None:
        face = known.faces[self._face_id]
        face.metadata, face.version = self._metadata, face.version + 1


@dataclass(frozen=True)
class ChangeSettings(Operation):
    """A gallery gets other settings, under its etag."""

    settings: Settings
    etag: str

    def send(self, server: RemoteServer, world: World) -> None:
        wanted = self.settings.message(self.gallery)
        wanted.etag = self.etag
        request = galleries.UpdateGalleryRequest(gallery=wanted, update_mask=FieldMask(paths=self.settings.paths))
        server.galleries.UpdateGallery(request, timeout=TIMEOUT_S)
        with world.lock:
            self._take(world.galleries[self.gallery])

    def happened(self, seen: Seen) -> bool:
        return seen.gallery.display_name == self.settings.label

    def apply(self, world: World, seen: Seen) -> None:
        self._take(world.galleries[self.gallery])

    def _take(self, known: KnownGallery) -> None:
        # The settings are one change, and another profile's scores are a second one of the same transaction.
        steps = 1 if known.settings.profile == self.settings.profile else 2
        known.settings = self.settings
        known.version += steps
        known.revision += steps


@dataclass(frozen=True)
class MakeGallery(Operation):
    """A gallery is made."""

    settings: Settings

    def send(self, server: RemoteServer, world: World) -> None:
        request = galleries.CreateGalleryRequest(gallery_id=self.gallery, gallery=self.settings.message())
        server.galleries.CreateGallery(request, timeout=TIMEOUT_S)
        with world.lock:
            self._take(world.galleries[self.gallery])

    def happened(self, seen: Seen) -> bool:
        return seen.exists

    def apply(self, world: World, seen: Seen) -> None:
        self._take(world.galleries[self.gallery])

    def _take(self, known: KnownGallery) -> None:
        known.exists, known.settings = True, self.settings


@dataclass(frozen=True)
class DropGallery(Operation):
    """A gallery is deleted with all that it holds."""

    def send(self, server: RemoteServer, world: World) -> None:
        deleted = server.galleries.DeleteGallery(galleries.DeleteGalleryRequest(name=self.parent), timeout=TIMEOUT_S)
        with world.lock:
            known = world.galleries[self.gallery]
            if deleted.deleted_faces != len(known.faces):
                raise Violation(self.parent, f"had other faces than known when it was deleted: {deleted}")
            self._take(world)

    def happened(self, seen: Seen) -> bool:
        return not seen.exists

    def apply(self, world: World, seen: Seen) -> None:
        self._take(world)

    def _take(self, world: World) -> None:
        # Another gallery of its name begins anew.
        known = world.galleries[self.gallery]
        world.galleries[self.gallery] = KnownGallery(self.gallery, known.settings)
        world.revisions_seen = {seen for seen in world.revisions_seen if seen[0] != self.gallery}


def enroll_raw(server: RemoteServer, request: enrollment.EnrollFacesRequest) -> bytes:
    """Enrol a batch and return the answer as it came, byte for byte."""
    call = server.channel.unary_unary(
        "/ersgallery.v1.EnrollmentService/EnrollFaces", enrollment.EnrollFacesRequest.SerializeToString, bytes
    )
    return call(request, timeout=TIMEOUT_S)


def _enrollment(tag: str, place: int, subject: str, vectors: tuple[int, ...]) -> enrollment.Enrollment:
    metadata = {"tag": tag, "place": str(place)}
    if len(vectors) == 1:
        return item(subject, POOL[vectors[0]], media_id=media_of(vectors[0]), metadata=metadata)
    members = template([POOL[vector] for vector in vectors])
    for member, vector in zip(members.members, vectors, strict=True):
        member.media_id = media_of(vector)
    return enrollment.Enrollment(subject_id=subject, template=members, metadata=metadata)


def with_other_body(request: enrollment.EnrollFacesRequest) -> enrollment.EnrollFacesRequest:
    """Return a request with the same request_id and another body."""
    other = enrollment.EnrollFacesRequest()
    other.CopyFrom(request)
    other.enrollments[0].subject_display_name = "another"
    return other


