"""Lets clients at once ask one gallery for things that get into each other's way, and records what they were told."""

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
from ersgallery.v1 import enrollment_service_pb2 as enrollment
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery_index import Decision, UnsureReason, Weighting
from google.protobuf.field_mask_pb2 import FieldMask

from tests.crash.operation import TIMEOUT_S
from tests.crash.specification import (
    Answered,
    Candidates,
    Changed,
    Enrolled,
    FaceDeleted,
    Identified,
    State,
    SubjectDeleted,
    step,
)
from tests.crash.universe import POOL, Settings, media_of
from tests.crash.wing_gong import Event, linearize
from tests.support.requests import identify, item
from tests.support.server import RemoteServer

SUBJECTS = ("ann", "bob", "eve")
VECTORS = (0, 1, 2, 3, 20, 21)  # the last two equal the first two: ties go to the lower face id
BODIES = {f"r{i}": (SUBJECTS[i % 3], (VECTORS[i], VECTORS[(i + 2) % 6])) for i in range(4)}
"""Every request_id has one body: two clients that send it at once repeat each other."""

OPEN = (("gamma", 0.0), ("gamma_gallery", 0.0), ("include_filtered", True))
SETTINGS = (
    Settings("plain"),
    Settings("strict", gamma_gallery=0.8, tau=0.9),
    Settings("margin", gamma=0.0, margin=0.4),
    Settings("other profile", profile=1),
    Settings("enhanced", enhance=True, gamma=0.0, gamma_gallery=0.0),
)


class NotLinearizable(Exception):
    """No order of the calls explains their answers; the text has the history and how far one gets."""


class Recorder:
    """One gallery, several clients, one history. Raises NotLinearizable at the end where it is none."""

    def __init__(self, server: RemoteServer, gallery_id: str, seed: int, *, by_template: bool = False) -> None:
        self.events: list[Event[Answered]] = []
        self._server = server
        self._gallery = gallery_id
        self._seed = seed
        self._first = Settings("plain", by_template=by_template)
        self._ids: list[tuple[str, int]] = []
        self._failures: list[Exception] = []
        request = galleries.CreateGalleryRequest(gallery_id=gallery_id, gallery=self._first.message())
        server.galleries.CreateGallery(request)

    def run(self, clients: int = 4, calls: int = 8) -> None:
        """Let so many clients make so many calls each, one after another."""
        start = threading.Barrier(clients)
        threads = [threading.Thread(target=self._client, args=(number, calls, start)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def check(self) -> None:
        """Raise NotLinearizable unless some order explains all answers."""
        longest, found = linearize(self.events, State(self._first), step)
        if not found:
            explained = set(map(id, longest))
            lines = [f"{event}" for event in longest] + ["--- not explained:"]
            lines += [f"{event}" for event in self.events if id(event) not in explained]
            raise NotLinearizable("\n".join([f"seed {self._seed}, {self._gallery}", *lines]))

    def _client(self, number: int, calls: int, start: threading.Barrier) -> None:
        rng = random.Random(f"{self._seed}-{number}")
        start.wait()
        try:
            for _ in range(calls):
                ask = self._choose(rng)
                sent_ns = time.monotonic_ns()
                answered = ask()
                self.events.append(Event(f"c{number}", answered, sent_ns, time.monotonic_ns()))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told after the run
            self._failures.append(error)

    def _choose(self, rng: random.Random) -> Callable[[], Answered]:
        """Choose what to ask for; all choices are made before the call is sent."""
        kind = rng.choices(("enroll", "repeat", "face", "subject", "identify", "settings"), (4, 3, 3, 1, 7, 2))[0]
        subject, vector, settings = rng.choice(SUBJECTS), rng.choice(VECTORS), rng.choice(SETTINGS)
        wishes = rng.choice(((), OPEN))
        if kind == "enroll":
            return lambda: self._enroll(subject, (vector,), "")
        if kind == "repeat":
            request_id = rng.choice(list(BODIES))
            owner, vectors = BODIES[request_id] if rng.random() < 0.85 else (subject, (vector,))
            return lambda: self._enroll(owner, vectors, request_id)
        if kind == "face" and self._ids:
            chosen = rng.choice(self._ids[-4:])
            return lambda: self._delete_face(*chosen)
        if kind == "subject":
            return lambda: self._delete_subject(subject)
        if kind == "settings":
            return lambda: self._change(self._suited(settings, rng))
        return lambda: self._identify(vector, wishes)

    def _suited(self, settings: Settings, rng: random.Random) -> Settings:
        if not self._first.by_template:
            return settings
        weighting = rng.choice((Weighting.SQUARE, Weighting.UNIFORM, Weighting.TOP_1))
        fields = (settings.label, settings.profile, settings.enhance, settings.gamma, settings.gamma_gallery)
        return Settings(*fields, settings.tau, settings.margin, by_template=True, weighting=weighting)

    def _enroll(self, subject: str, vectors: tuple[int, ...], request_id: str) -> Answered:
        items = [item(subject, POOL[vector], media_id=media_of(vector)) for vector in vectors]
        request = enrollment.EnrollFacesRequest(parent=self._name, request_id=request_id, enrollments=items)
        try:
            answer = self._server.enrollment.EnrollFaces(request, timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            _require(error, grpc.StatusCode.ALREADY_EXISTS)
            return Enrolled(subject, vectors, request_id, ())
        ids = tuple(int(outcome.result.faces[0].face.rpartition("/")[2]) for outcome in answer.outcomes)
        self._ids.extend((subject, face_id) for face_id in ids)
        return Enrolled(subject, vectors, request_id, ids, answer.revision)

    def _delete_face(self, subject: str, face_id: int) -> Answered:
        request = galleries.DeleteFaceRequest(name=f"{self._name}/subjects/{subject}/faces/{face_id}")
        try:
            revision = self._server.galleries.DeleteFace(request, timeout=TIMEOUT_S).revision
        except grpc.RpcError as error:
            _require(error, grpc.StatusCode.NOT_FOUND)
            return FaceDeleted(subject, face_id, None)
        return FaceDeleted(subject, face_id, revision)

    def _delete_subject(self, subject: str) -> Answered:
        request = galleries.DeleteSubjectRequest(name=f"{self._name}/subjects/{subject}")
        try:
            answer = self._server.galleries.DeleteSubject(request, timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            _require(error, grpc.StatusCode.NOT_FOUND)
            return SubjectDeleted(subject, 0, None)
        return SubjectDeleted(subject, answer.deleted_faces, answer.revision)

    def _change(self, settings: Settings) -> Answered:
        paths = FieldMask(paths=settings.paths)
        request = galleries.UpdateGalleryRequest(gallery=settings.message(self._gallery), update_mask=paths)
        answer = self._server.galleries.UpdateGallery(request, timeout=TIMEOUT_S)
        return Changed(settings, answer.gallery.revision)

    def _identify(self, vector: int, wishes: tuple[tuple[str, object], ...]) -> Answered:
        answer = identify(self._server, self._gallery, POOL[vector], **dict(wishes))
        found = answer.identification
        reasons = [UnsureReason(pb.UnsureReason.Name(each).removeprefix("UNSURE_REASON_")) for each in found.reasons]
        return Identified(
            vector,
            wishes,
            Decision(pb.Decision.Name(found.decision).removeprefix("DECISION_")),
            tuple(reasons),
            _candidates(found.candidates),
            _candidates(found.filtered),
            answer.applied.revision,
        )

    @property
    def _name(self) -> str:
        return f"galleries/{self._gallery}"


def _candidates(found: Any) -> Candidates:
    return tuple(
        (each.subject.rpartition("/")[2], int(each.face.rpartition("/")[2] or 0), each.similarity, each.ers)
        for each in found
    )


def _require(error: grpc.RpcError, code: grpc.StatusCode) -> None:
    """Raise an error again that is not the one which is an answer here."""
    call: Any = error
    if call.code() is not code:
        raise error
