"""Clients that ask for everything at once, each waiting for its answers, until nobody answers any more.

Every client has subjects of its own, so that it knows what is there of them. One changes the settings of the galleries,
and one makes and drops a gallery of its own.
"""

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import grpc
from ersgallery.v1 import enrollment_service_pb2 as enrollment
from ersgallery_index import Weighting
from grpc_status import rpc_status

from tests.crash.enrolling import Enroll, enroll_raw, with_other_body
from tests.crash.known import KnownGallery, Violation, World
from tests.crash.operation import TIMEOUT_S, Operation
from tests.crash.operations import (
    AnnotateFace,
    ChangeSettings,
    CreateSubject,
    DeleteFace,
    DeleteSubject,
    DropGallery,
    MakeGallery,
    RenameSubject,
)
from tests.crash.universe import POOL, Settings
from tests.support.requests import identify
from tests.support.server import RemoteServer
from tests.support.statuses import read

LASTING = ("faces", "templates")
PASSING = "passing"
MOST_FACES = 40
"""A client that has so many in a gallery deletes rather than enrols."""

_GONE = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


class Beacon:
    """Tells when some kind of call is being sent, so that the server can be killed in its midst."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waited_for = ""
        self._sent = False

    def sending(self, kind: str) -> None:
        """Say that a call of a kind is being sent now."""
        with self._changed:
            if kind == self._waited_for:
                self._sent = True
                self._changed.notify_all()

    def wait(self, kind: str, timeout_s: float) -> bool:
        """Wait for the next call of a kind."""
        with self._changed:
            self._waited_for, self._sent = kind, False
            return self._changed.wait_for(lambda: self._sent, timeout_s)


class Client(threading.Thread):
    """A caller with a random number generator, a name, and subjects of its own."""

    def __init__(self, number: int, world: World, server: RemoteServer, beacon: Beacon, seed: str) -> None:
        super().__init__(name=f"client{number}", daemon=True)
        self.world = world
        self.server = server
        self.rng = random.Random(f"{seed}-{number}")
        self._beacon = beacon
        self._ended = threading.Event()
        self._turn = f"{seed}-{number}"
        self._counter = 0
        self._subjects = [f"p{number}-{i}" for i in range(6)]
        self._last_revision = dict.fromkeys(world.galleries, 0)

    def stop(self) -> None:
        """Ask for nothing more."""
        self._ended.set()

    def run(self) -> None:
        try:
            while not self._ended.is_set():
                self.step()
        except grpc.RpcError as error:
            found: Any = error
            if found.code() not in _GONE and not self._is_behind(error):
                self.world.failures.append(Violation(self.name, f"a call failed in an unknown way: {found}"))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told after the round
            self.world.failures.append(error)

    def step(self) -> None:
        """Ask for something."""
        known = self.world.galleries[self.rng.choice(LASTING)]
        kinds: tuple[Callable[[KnownGallery], None], ...] = (
            self.enroll, self.enroll, self.enroll, self.stream, self.delete_face, self.delete_subject,
            self.create_subject, self.rename_subject, self.annotate_face, self.identify, self.repeat,
        )  # fmt: skip
        self.rng.choice(kinds)(known)

    def send(self, operation: Operation) -> None:
        """Send an operation and keep it as one of unknown outcome where no answer comes."""
        self._begin(type(operation).__name__, operation)
        try:
            operation.send(self.server, self.world)
        except grpc.RpcError as error:
            self._interrupted([operation], error)
            raise
        self._note("done", operation)
        self.world.tally["acknowledged"] += 1

    def unique(self) -> str:
        """Return a text that no other operation has."""
        self._counter += 1
        return f"{self._turn}-{self._counter}"

    def enroll(self, known: KnownGallery) -> None:
        """Enrol one face, several, or a template."""
        if self._is_full(known):
            self.delete_subject(known)
        else:
            self.send(self._batch(known))

    def stream(self, known: KnownGallery) -> None:
        """Enrol several batches in a stream."""
        if self._is_full(known):
            return
        stream = self.unique()
        batches = [replace(self._batch(known), stream=stream) for _ in range(self.rng.randint(2, 5))]
        left = list(batches)
        self._begin("Enroll", *batches)

        def requests() -> Iterator[enrollment.StreamEnrollFacesRequest]:
            for number, batch in enumerate(batches):
                yield enrollment.StreamEnrollFacesRequest(sequence=number, batch=batch.request)

        try:
            for answer in self.server.enrollment.StreamEnrollFaces(requests(), timeout=TIMEOUT_S):
                batch = left.pop(0)
                if answer.WhichOneof("outcome") != "response":
                    self._refused_in_stream(batch, answer)
                    continue
                batch.acknowledge(self.world, answer.response.SerializeToString(deterministic=True))
                self._note("done", batch)
                self.world.tally["acknowledged"] += 1
        except grpc.RpcError as error:
            self._interrupted(left, error)
            raise

    def delete_face(self, known: KnownGallery) -> None:
        """Delete one of the own faces."""
        if own := self._own_faces(known):
            self.send(DeleteFace(known.gallery_id, known.face_name(self.rng.choice(own))))

    def delete_subject(self, known: KnownGallery) -> None:
        """Delete one of the own subjects."""
        if own := self._own_subjects(known):
            self.send(DeleteSubject(known.gallery_id, self.rng.choice(own)))

    def create_subject(self, known: KnownGallery) -> None:
        """Make a subject that is not there."""
        if missing := [subject for subject in self._subjects if subject not in known.subjects]:
            self.send(CreateSubject(known.gallery_id, self.rng.choice(missing), self.unique()))

    def rename_subject(self, known: KnownGallery) -> None:
        """Rename a subject under its etag; under another one it must be refused."""
        if own := self._own_subjects(known):
            subject = self.rng.choice(own)
            version = known.subjects[subject].version
            rename = RenameSubject(known.gallery_id, subject, self.unique(), str(version))
            if self.rng.random() < 0.2:
                self._expect(grpc.StatusCode.ABORTED, replace(rename, etag=str(version + 1)))
            self.send(rename)

    def annotate_face(self, known: KnownGallery) -> None:
        """Give a face a note."""
        if own := self._own_faces(known):
            face_id = self.rng.choice(own)
            face = known.faces[face_id]
            metadata = tuple(face.metadata.items())
            name = known.face_name(face_id)
            self.send(AnnotateFace(known.gallery_id, name, self.unique(), str(face.version), metadata))

    def identify(self, known: KnownGallery) -> None:
        """Look for all own subjects: those with faces are found, the others are not; revisions never go back."""
        self._beacon.sending("Identify")
        wishes = {"gamma": 0.0, "gamma_gallery": 0.0, "max_candidates": 1024}
        answer = identify(self.server, known.gallery_id, self.rng.choice(POOL), **wishes)
        wanted = {known.faces[face_id].subject for face_id in self._own_faces(known)}
        found = {each.subject.rpartition("/")[2] for each in answer.identification.candidates} & {*self._subjects}
        if found != wanted:
            raise Violation(self._subjects[0][:-1], f"a search found {sorted(found)} and not {sorted(wanted)}")
        if answer.applied.revision < self._last_revision[known.gallery_id]:
            raise Violation(known.name, f"revision {answer.applied.revision} went back")
        self._last_revision[known.gallery_id] = answer.applied.revision
        self.world.tally["identified"] += 1

    def repeat(self, known: KnownGallery) -> None:
        """Send an enrolment again: it gets the first answer, and another body under its id an error."""
        with self.world.lock:
            own = [each for each in known.answers if each.startswith(self._turn)]
        if not own:
            return
        request, first = known.answers[self.rng.choice(own)]
        if enroll_raw(self.server, request) != first:
            raise Violation(request.request_id, "a repetition got another answer than the first")
        self.world.tally["repeated"] += 1
        if self.rng.random() < 0.3:
            require_code(
                lambda: enroll_raw(self.server, with_other_body(request)),
                grpc.StatusCode.ALREADY_EXISTS,
                request.request_id,
            )

    def _batch(self, known: KnownGallery) -> Enroll:
        many = self.rng.random() < 0.4
        items = tuple(self._item() for _ in range(self.rng.randint(2, 6) if many else 1))
        tag = self.unique()
        return Enroll(known.gallery_id, tag, items, f"{tag}-id" if self.rng.random() < 0.6 else "")

    def _item(self) -> tuple[str, tuple[int, ...]]:
        members = self.rng.randint(2, 4) if self.rng.random() < 0.2 else 1
        return self.rng.choice(self._subjects), tuple(self.rng.randrange(len(POOL)) for _ in range(members))

    def _own_subjects(self, known: KnownGallery) -> list[str]:
        return [subject for subject in self._subjects if subject in known.subjects]

    def _own_faces(self, known: KnownGallery) -> list[int]:
        with self.world.lock:
            return [face_id for face_id, face in known.faces.items() if face.subject in self._subjects]

    def _is_full(self, known: KnownGallery) -> bool:
        return len(self._own_faces(known)) > MOST_FACES

    def _begin(self, kind: str, *operations: Operation) -> None:
        for operation in operations:
            self._note("sent", operation)
        self._beacon.sending(kind)

    def _note(self, word: str, operation: Operation) -> None:
        self.world.note(f"{self.name} {word} {operation}")

    def _interrupted(self, operations: list[Any], error: grpc.RpcError) -> None:
        found: Any = error
        for operation in operations:
            self._note(f"got {found.code().name} for", operation)
        with self.world.lock:
            self.world.pending.extend(operations)
            if self._is_behind(error):
                self.world.behind.update(each.gallery for each in operations)

    def _is_behind(self, error: grpc.RpcError) -> bool:
        """Tell whether the database died between the commit of new settings and the rebuild of the index."""
        return self.world.database_dies and reason_of(error) == "INDEX_BEHIND"

    def _refused_in_stream(self, batch: Enroll, answer: enrollment.StreamEnrollFacesResponse) -> None:
        self._note(f"was refused {answer.error.message} for", batch)
        with self.world.lock:
            self.world.pending.append(batch)
        if answer.error.code != grpc.StatusCode.UNAVAILABLE.value[0]:
            raise Violation(batch.tag, f"a batch of a stream was refused: {answer.error.message}")

    def _expect(self, code: grpc.StatusCode, operation: Operation) -> None:
        require_code(lambda: operation.send(self.server, self.world), code, str(operation))


class SettingsClient(Client):
    """Changes the settings of the lasting galleries."""

    def step(self) -> None:
        known = self.world.galleries[self.rng.choice(LASTING)]
        settings = replace(known.settings, label=self.unique(), **self._change(by_template=known.settings.by_template))
        rebuilds = settings.profile != known.settings.profile or settings.enhance != known.settings.enhance
        self._beacon.sending("Rebuild" if rebuilds else "Policy")
        self.send(ChangeSettings(known.gallery_id, settings, str(known.version)))
        self._ended.wait(self.rng.uniform(0, 0.05))

    def _change(self, *, by_template: bool) -> dict[str, Any]:
        gates = (None, 0.0, 0.3, 0.5, 0.8, 1.0)
        policy = {
            "gamma": self.rng.choice(gates),
            "gamma_gallery": self.rng.choice(gates),
            "tau": self.rng.choice((-1.0, 0.2, 0.7)),
            "margin": self.rng.choice((None, 0.05, 0.4)),
        }
        if self.rng.random() < 0.5:
            return policy
        if by_template and self.rng.random() < 0.5:
            return {"weighting": self.rng.choice(list(Weighting)), "media_pooling": self.rng.random() < 0.5}
        return {"profile": self.rng.randrange(2), "enhance": self.rng.random() < 0.3}


class PassingClient(Client):
    """Makes a gallery, fills it and drops it."""

    def step(self) -> None:
        known = self.world.galleries[PASSING]
        if not known.exists:
            settings = Settings(label=self.unique(), by_template=self.rng.random() < 0.3)
            self.send(MakeGallery(PASSING, settings))
        elif self.rng.random() < 0.15:
            self._last_revision[PASSING] = 0
            self.send(DropGallery(PASSING))
        else:
            kinds = (self.enroll, self.enroll, self.stream, self.delete_subject, self.identify, self.repeat)
            self.rng.choice(kinds)(known)


def reason_of(error: grpc.RpcError) -> str:
    """Return the stable reason of an error; empty where it came from the transport."""
    call: Any = error  # at run time it is a grpc.Call too, which the types forbid
    status = rpc_status.from_call(call)
    return "" if status is None else read(status).reason


def require_code(call: Callable[[], object], code: grpc.StatusCode, resource: str) -> None:
    """Make a call that must fail; raises Violation where it does not, or otherwise, unless the server is gone."""
    try:
        call()
    except grpc.RpcError as error:
        found: Any = error
        if found.code() is code:
            return
        if found.code() in _GONE:
            raise
        raise Violation(resource, f"was refused with {found.code()} and not with {code}") from error
    raise Violation(resource, f"was not refused with {code}")
