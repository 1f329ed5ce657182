"""Changes of faces, subjects and galleries."""

from dataclasses import dataclass

from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries
from google.protobuf.field_mask_pb2 import FieldMask

from tests.crash.known import KnownGallery, KnownSubject, World
from tests.crash.operation import TIMEOUT_S, Change
from tests.crash.seen import Seen
from tests.crash.universe import Settings
from tests.support.server import RemoteServer


@dataclass(frozen=True)
class DeleteFace(Change):
    """A face is deleted."""

    name: str

    @property
    def face_id(self) -> int:
        """Return the last part of its name."""
        return int(self.name.rpartition("/")[2])

    def ask(self, server: RemoteServer) -> int | None:
        server.galleries.DeleteFace(galleries.DeleteFaceRequest(name=self.name), timeout=TIMEOUT_S)
        return None

    def happened(self, seen: Seen) -> bool:
        return self.face_id not in seen.faces

    def take(self, world: World) -> None:
        known = world.galleries[self.gallery]
        known.forget_face(self.face_id)
        known.revision += 1


@dataclass(frozen=True)
class DeleteSubject(Change):
    """A subject is deleted with its faces."""

    subject: str

    def ask(self, server: RemoteServer) -> int | None:
        request = galleries.DeleteSubjectRequest(name=f"{self.parent}/subjects/{self.subject}")
        return server.galleries.DeleteSubject(request, timeout=TIMEOUT_S).deleted_faces

    def concerned(self, known: KnownGallery) -> int | None:
        return len(known.faces_of(self.subject))

    def happened(self, seen: Seen) -> bool:
        return self.subject not in seen.subjects

    def take(self, world: World) -> None:
        known = world.galleries[self.gallery]
        for face_id in known.faces_of(self.subject):
            known.forget_face(face_id)
        del known.subjects[self.subject]
        known.revision += 1


@dataclass(frozen=True)
class CreateSubject(Change):
    """A subject is made without a face."""

    subject: str
    label: str

    def ask(self, server: RemoteServer) -> int | None:
        made = gallery_pb2.Subject(display_name=self.label)
        request = galleries.CreateSubjectRequest(parent=self.parent, subject_id=self.subject, subject=made)
        server.galleries.CreateSubject(request, timeout=TIMEOUT_S)
        return None

    def happened(self, seen: Seen) -> bool:
        return self.subject in seen.subjects

    def take(self, world: World) -> None:
        world.galleries[self.gallery].subjects[self.subject] = KnownSubject(self.label)


@dataclass(frozen=True)
class RenameSubject(Change):
    """A subject gets another display name, under its etag."""

    subject: str
    label: str
    etag: str

    def ask(self, server: RemoteServer) -> int | None:
        name = f"{self.parent}/subjects/{self.subject}"
        changed = gallery_pb2.Subject(name=name, display_name=self.label, etag=self.etag)
        request = galleries.UpdateSubjectRequest(subject=changed, update_mask=FieldMask(paths=["display_name"]))
        server.galleries.UpdateSubject(request, timeout=TIMEOUT_S)
        return None

    def happened(self, seen: Seen) -> bool:
        return self.subject in seen.subjects and seen.subjects[self.subject].display_name == self.label

    def take(self, world: World) -> None:
        known = world.galleries[self.gallery]
        subject = known.subjects[self.subject]
        subject.label, subject.version = self.label, subject.version + 1


@dataclass(frozen=True)
class AnnotateFace(Change):
    """A face gets a note, under its etag."""

    name: str
    note: str
    etag: str
    metadata: tuple[tuple[str, str], ...]

    def ask(self, server: RemoteServer) -> int | None:
        changed = gallery_pb2.Face(name=self.name, metadata=self._metadata, etag=self.etag)
        request = galleries.UpdateFaceRequest(face=changed, update_mask=FieldMask(paths=["metadata"]))
        server.galleries.UpdateFace(request, timeout=TIMEOUT_S)
        return None

    def happened(self, seen: Seen) -> bool:
        face = seen.faces.get(self._face_id)
        return face is not None and face.metadata.get("note") == self.note

    @property
    def _face_id(self) -> int:
        return int(self.name.rpartition("/")[2])

    @property
    def _metadata(self) -> dict[str, str]:
        return {**dict(self.metadata), "note": self.note}

    def take(self, world: World) -> None:
        known = world.galleries[self.gallery]
        face = known.faces[self._face_id]
        face.metadata, face.version = self._metadata, face.version + 1


@dataclass(frozen=True)
class ChangeSettings(Change):
    """A gallery gets other settings, under its etag."""

    settings: Settings
    etag: str

    def ask(self, server: RemoteServer) -> int | None:
        wanted = self.settings.message(self.gallery)
        wanted.etag = self.etag
        request = galleries.UpdateGalleryRequest(gallery=wanted, update_mask=FieldMask(paths=self.settings.paths))
        server.galleries.UpdateGallery(request, timeout=TIMEOUT_S)
        return None

    def happened(self, seen: Seen) -> bool:
        return seen.gallery.display_name == self.settings.label

    def take(self, world: World) -> None:
        known = world.galleries[self.gallery]
        # The settings are one change, and another profile's scores are a second one of the same transaction.
        steps = 1 if known.settings.profile == self.settings.profile else 2
        known.settings = self.settings
        known.version += steps
        known.revision += steps


@dataclass(frozen=True)
class MakeGallery(Change):
    """A gallery is made."""

    settings: Settings

    def ask(self, server: RemoteServer) -> int | None:
        request = galleries.CreateGalleryRequest(gallery_id=self.gallery, gallery=self.settings.message())
        server.galleries.CreateGallery(request, timeout=TIMEOUT_S)
        return None

    def happened(self, seen: Seen) -> bool:
        return seen.exists

    def take(self, world: World) -> None:
        known = world.galleries[self.gallery]
        known.exists, known.settings = True, self.settings


@dataclass(frozen=True)
class DropGallery(Change):
    """A gallery is deleted with all that it holds."""

    def ask(self, server: RemoteServer) -> int | None:
        request = galleries.DeleteGalleryRequest(name=self.parent)
        return server.galleries.DeleteGallery(request, timeout=TIMEOUT_S).deleted_faces

    def concerned(self, known: KnownGallery) -> int | None:
        return len(known.faces)

    def happened(self, seen: Seen) -> bool:
        return not seen.exists

    def take(self, world: World) -> None:
        # Another gallery of its name begins anew.
        known = world.galleries[self.gallery]
        world.galleries[self.gallery] = KnownGallery(self.gallery, known.settings)
        world.revisions_seen = {seen for seen in world.revisions_seen if seen[0] != self.gallery}
