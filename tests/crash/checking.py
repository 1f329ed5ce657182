"""Compares what a server shows after a kill with what its clients were told."""

import itertools
import random
import time
from collections.abc import Iterable, Sequence
from typing import Any

import grpc
import numpy as np
from ersgallery.v1 import enrollment_service_pb2 as enrollment
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery.v1 import identification_service_pb2 as pb

from tests.crash.clients import require_code
from tests.crash.enrolling import Enroll, enroll_raw, with_other_body
from tests.crash.known import KnownGallery, Violation, World
from tests.crash.operation import TIMEOUT_S, Operation
from tests.crash.operations import DropGallery, MakeGallery
from tests.crash.seen import Seen
from tests.crash.universe import POOL, PROFILE_NAMES
from tests.support import oracle
from tests.support.requests import identify, probe
from tests.support.server import RemoteServer

SAMPLE = 12
"""So many faces are asked for by their names, and so many enrolments are repeated."""

OPEN = {"gamma": 0.0, "gamma_gallery": 0.0, "max_candidates": 1024, "include_filtered": True}


def check(world: World, server: RemoteServer, rng: random.Random) -> None:
    """Find out what became of unknown outcomes, compare everything, and repeat enrolments. Raises Violation."""
    if world.failures:
        raise world.failures[0]
    unanswered = settle(world, server)
    await_those_behind(world, server)
    for known in world.galleries.values():
        compare(known, server, world, rng)
    repeat(world, server, unanswered, rng)
    for known in world.galleries.values():
        _compare_listing(known, Seen.of(server, known.gallery_id))


def settle(world: World, server: RemoteServer) -> list[Enroll]:
    """Find out which operations of unknown outcome were done, and apply them; return the enrolments among them."""
    pending, world.pending = world.pending, []
    _settle_galleries(world, server, [each for each in pending if isinstance(each, DropGallery | MakeGallery)])
    rest = [each for each in pending if not isinstance(each, DropGallery | MakeGallery)]
    seen = {name: Seen.of(server, name) for name in world.galleries}
    done = {id(each): each.happened(seen[each.gallery]) for each in rest}
    if not world.database_dies:  # whose stream goes on with the next batch where one could not be stored
        _require_order(rest, done)
    for each in rest:
        world.note(f"check {'done after all' if done[id(each)] else 'not done'} {each}")
        world.tally["unanswered"] += 1
        if done[id(each)]:
            world.tally["unanswered but done"] += 1
            each.settle(world, seen[each.gallery])
    return [each for each in rest if isinstance(each, Enroll)]


def await_those_behind(world: World, server: RemoteServer) -> None:
    """Wait until indexes that could not follow a database that died do so by themselves. Raises Violation."""
    behind, world.behind = world.behind, set()
    until_s = time.monotonic() + TIMEOUT_S
    for name in sorted(behind):
        known = world.galleries[name]
        while known.exists and identify(server, name, POOL[0]).applied.revision != known.revision:
            if time.monotonic() > until_s:
                raise Violation(known.name, "the index does not follow the database that came back")
            time.sleep(0.05)
        world.tally["indexes that followed later"] += 1


def _settle_galleries(world: World, server: RemoteServer, pending: Iterable[Operation]) -> None:
    for each in pending:
        seen = Seen.of(server, each.gallery)
        world.tally["unanswered"] += 1
        if each.happened(seen):
            world.tally["unanswered but done"] += 1
            each.settle(world, seen)


def _require_order(pending: Sequence[Operation], done: dict[int, bool]) -> None:
    """Raise Violation where a later batch of a stream is stored and an earlier one is not."""
    batches = [each for each in pending if isinstance(each, Enroll) and each.stream]
    for stream, group in itertools.groupby(batches, lambda batch: batch.stream):
        outcomes = [done[id(batch)] for batch in group]
        if outcomes != sorted(outcomes, reverse=True):
            raise Violation(stream, f"batches of a stream were stored out of order: {outcomes}")


def compare(known: KnownGallery, server: RemoteServer, world: World, rng: random.Random) -> None:
    """Compare a gallery with what is known of it: listed, asked for by name, and searched."""
    seen = Seen.of(server, known.gallery_id)
    _compare_listing(known, seen)
    if not known.exists:
        return
    _compare_by_name(known, server, rng)
    for wishes in ({}, OPEN):
        _compare_answers(known, server, seen, wishes)
    world.tally["identifications compared"] += 2 * len(POOL)
    stale = galleries.DeleteGalleryRequest(name=known.name, etag=str(known.version + 1))
    require_code(lambda: server.galleries.DeleteGallery(stale), grpc.StatusCode.ABORTED, known.name)


def _compare_listing(known: KnownGallery, seen: Seen) -> None:
    _require(known.name, "it exists", seen.exists, known.exists)
    if not known.exists:
        return
    gate = known.settings.policy().gamma_gallery
    scores = [known.settings.row(vector).ers for vector in range(len(POOL))]
    _compare_gallery(known, seen, sum(scores[face.vector] >= gate for face in known.faces.values()))
    _require(known.name, "subjects", sorted(seen.subjects), sorted(known.subjects))
    _require(known.name, "faces", sorted(seen.faces), sorted(known.faces))
    for subject_id, subject in known.subjects.items():
        shown, own = seen.subjects[subject_id], [scores[known.faces[i].vector] for i in known.faces_of(subject_id)]
        found = (shown.display_name, shown.etag, shown.face_count, shown.searchable_face_count)
        wanted = (subject.label, str(subject.version), len(own), sum(ers >= gate for ers in own))
        _require(subject_id, "label, etag and counts", found, wanted)
        if not np.isclose(shown.template_ers, np.mean(own) if own else 0.0, rtol=0, atol=1e-12):
            raise Violation(subject_id, f"template ERS {shown.template_ers} of faces with {own}")
    for face_id, face in known.faces.items():
        listed = seen.faces[face_id]
        found_face = (listed.name, dict(listed.metadata), listed.etag, listed.recognizability.ers, listed.searchable)
        ers = scores[face.vector]
        wanted_face = (known.face_name(face_id), dict(face.metadata), str(face.version), ers, ers >= gate)
        _require(face.metadata["tag"], "a face", found_face, wanted_face)


def _compare_gallery(known: KnownGallery, seen: Seen, searchable: int) -> None:
    shown, settings = seen.gallery, known.settings
    effective, policy = shown.effective, settings.policy()
    margin = effective.margin if effective.HasField("margin") else None
    _require(known.name, "label", shown.display_name, settings.label)
    _require(known.name, "profile", shown.profile, PROFILE_NAMES[settings.profile])
    found = (effective.gamma, effective.gamma_gallery, effective.tau, margin, shown.enhance_features)
    wanted = (policy.gamma, policy.gamma_gallery, policy.tau, policy.margin, settings.enhance)
    _require(known.name, "policy", found, wanted)
    counts = shown.counts
    totals = (counts.subjects, counts.faces, counts.searchable_faces, counts.enrollment_attempts)
    _require(known.name, "counts", totals, (len(known.subjects), len(known.faces), searchable, known.offered))
    _require(known.name, "failures to enrol", counts.failures_to_enroll, 0)
    _require(known.name, "etag", shown.etag, str(known.version))
    _require(known.name, "revision", shown.revision, known.revision)


def _compare_by_name(known: KnownGallery, server: RemoteServer, rng: random.Random) -> None:
    for face_id in rng.sample(sorted(known.faces), min(SAMPLE, len(known.faces))):
        name = known.face_name(face_id)
        face = server.galleries.GetFace(galleries.GetFaceRequest(name=name), timeout=TIMEOUT_S).face
        _require(name, "a face", face.name, name)
    for name in rng.sample(sorted(known.gone), min(SAMPLE, len(known.gone))):
        request = galleries.GetFaceRequest(name=name)
        require_code(lambda request=request: server.galleries.GetFace(request), grpc.StatusCode.NOT_FOUND, name)  # type: ignore[misc]


def _compare_answers(known: KnownGallery, server: RemoteServer, seen: Seen, wishes: dict[str, Any]) -> None:
    """Identify every vector of the pool, that of every enrolled face among them, and compare with brute force."""
    subjects, faces = known.numbered({name: each.create_time.ToNanoseconds() for name, each in seen.subjects.items()})
    rows, policy = known.settings.rows(faces), known.settings.policy(**wishes)
    batch = pb.BatchIdentifyRequest(
        gallery=known.name,
        list=pb.ProbeList(probes=[probe(vector) for vector in POOL]),
        policy=pb.SearchPolicy(**wishes),
    )
    answers = server.identification.BatchIdentify(batch, timeout=TIMEOUT_S)
    _require(known.name, "revision that answers", answers.applied.revision, known.revision)
    for vector, outcome in enumerate(answers.outcomes.outcomes):
        expected = oracle.identify(rows, known.settings.row(vector), policy)
        found, place = outcome.identification, f"the answer to vector {vector}"
        _require(known.name, place, pb.Decision.Name(found.decision), f"DECISION_{expected.decision.value}")
        for shown, wanted in ((found.candidates, expected.candidates), (found.filtered, expected.filtered)):
            _compare_candidates(known, place, shown, wanted, subjects)


def _compare_candidates(
    known: KnownGallery, place: str, shown: Sequence[pb.Candidate], wanted: Sequence[oracle.Hit], subjects: list[str]
) -> None:
    found = [(each.subject.rpartition("/")[2], int(each.face.rpartition("/")[2] or 0), each.ers) for each in shown]
    expected = [(subjects[hit.subject_id], 0 if known.settings.by_template else hit.face_id, hit.ers) for hit in wanted]
    _require(known.name, f"the candidates of {place}", found, expected)
    scores = [each.similarity for each in shown], [hit.score for hit in wanted]
    if not np.allclose(*scores, rtol=0, atol=1e-12):
        raise Violation(known.name, f"similarities in {place}: {scores[0]} and not {scores[1]}")


def repeat(world: World, server: RemoteServer, unanswered: Sequence[Enroll], rng: random.Random) -> None:
    """Repeat enrolments as clients do that got no answer, and some that got one: all get the first answer."""
    for batch in unanswered:
        known = world.galleries[batch.gallery]
        if batch.request_id and known.exists and rng.random() < 0.7:
            _repeat_unanswered(world, server, known, batch)
    for known in world.galleries.values():
        for request_id in rng.sample(sorted(known.answers), min(SAMPLE, len(known.answers))):
            request, first = known.answers[request_id]
            if enroll_raw(server, request) != first:
                raise Violation(request_id, "a repetition after a kill got another answer than the first")
            other = with_other_body(request)
            require_code(lambda other=other: enroll_raw(server, other), grpc.StatusCode.ALREADY_EXISTS, request_id)  # type: ignore[misc]
            world.tally["repeated"] += 1


def _repeat_unanswered(world: World, server: RemoteServer, known: KnownGallery, batch: Enroll) -> None:
    seen = Seen.of(server, batch.gallery)
    was_stored = batch.happened(seen)
    answer = enroll_raw(server, batch.request)
    world.note(f"check repeated {batch}")
    world.tally["resent"] += 1
    if not was_stored:
        batch.acknowledge(world, answer)
        return
    ids = batch.ids_in(enrollment.EnrollFacesResponse.FromString(answer))
    _require(batch.tag, "the ids in its first answer", ids, batch.stored_ids(seen))
    known.answers[batch.request_id] = (batch.request, answer)


def _require(resource: str, what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise Violation(resource, f"{what}: {found} and not {wanted}")
