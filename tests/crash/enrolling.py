"""Enrolments: batches of faces and templates that carry a tag, by which they are known again."""

from dataclasses import dataclass

from ersgallery.v1 import enrollment_service_pb2 as enrollment

from tests.crash.known import KnownFace, KnownGallery, KnownSubject, Violation, World
from tests.crash.operation import TIMEOUT_S, Operation
from tests.crash.seen import Seen
from tests.crash.universe import POOL, media_of
from tests.support.requests import item, template
from tests.support.server import RemoteServer


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

    def settle(self, world: World, seen: Seen) -> None:
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
