"""Galleries whose subjects are found by their ERS-weighted templates."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ersgallery.v1 import enrollment_service_pb2 as enrollment
from ersgallery.v1 import face_input_pb2, gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery_server.gallery.templates import REMEMBERED_FROM_FACES
from ersgallery_server.service import Service
from google.protobuf.field_mask_pb2 import FieldMask

from tests.support.requests import axis, blurred, create_gallery, enroll, identify, item, matrix, probe
from tests.support.server import RunningServer, settings

TEMPLATE = gallery_pb2.SUBJECT_SEARCH_TEMPLATE
ANN = "galleries/people/subjects/ann"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with Service(settings(tmp_path)) as service:
        running = RunningServer(service)
        with running.channel:
            yield running


def make(server: RunningServer, **wanted: object) -> gallery_pb2.Gallery:
    return create_gallery(server, "people", **{"subject_search": TEMPLATE, **wanted})


def similarity(server: RunningServer, vector: np.ndarray) -> float:
    (candidate,) = identify(server, "people", vector, gamma=0.0, gamma_gallery=0.0).identification.candidates
    assert candidate.face == ""
    return float(candidate.similarity)


def test_a_subject_is_one_candidate_by_the_weighted_mean_of_its_faces(server: RunningServer) -> None:
    make(server, template_weighting=face_input_pb2.WEIGHTING_UNIFORM)
    enroll(server, "people", item("ann", axis(1)), item("ann", axis(2)))
    assert similarity(server, axis(1)) == pytest.approx(np.sqrt(0.5))
    assert similarity(server, axis(1, (2, 1.0))) == pytest.approx(1.0)


def test_a_poor_face_hardly_moves_the_template(server: RunningServer) -> None:
    make(server)
    enroll(server, "people", item("ann", axis(1)), item("ann", blurred(5)))
    assert similarity(server, axis(1)) > 0.99


def test_the_template_follows_faces_that_come_and_go(server: RunningServer) -> None:
    make(server, template_weighting=face_input_pb2.WEIGHTING_UNIFORM)
    first = enroll(server, "people", item("ann", axis(1))).outcomes[0].result.faces[0].face
    second = enroll(server, "people", item("ann", axis(2))).outcomes[0].result.faces[0].face
    assert similarity(server, axis(2)) == pytest.approx(np.sqrt(0.5))
    server.galleries.DeleteFace(galleries.DeleteFaceRequest(name=first))
    assert similarity(server, axis(2)) == pytest.approx(1.0)
    server.galleries.DeleteFace(galleries.DeleteFaceRequest(name=second))
    assert not identify(server, "people", axis(2)).identification.candidates
    enroll(server, "people", item("ann", axis(3)))
    assert similarity(server, axis(3)) == pytest.approx(1.0)
    server.galleries.DeleteSubject(galleries.DeleteSubjectRequest(name=ANN))
    assert not identify(server, "people", axis(3)).identification.candidates


def test_faces_of_one_media_count_once_where_media_are_pooled(server: RunningServer) -> None:
    make(server, template_weighting=face_input_pb2.WEIGHTING_UNIFORM, template_media_pooling=True)
    film = [item("ann", axis(1), media_id="film") for _ in range(9)]
    enroll(server, "people", *film, item("ann", axis(2)))
    assert similarity(server, axis(2)) == pytest.approx(np.sqrt(0.5))
    update(server, "template_media_pooling")
    assert similarity(server, axis(2)) == pytest.approx(1 / np.sqrt(82))


def test_a_gate_sees_the_mean_ers_and_never_changes_the_template(server: RunningServer) -> None:
    make(server)
    enroll(server, "people", item("ann", axis(1)), item("ann", blurred(5)))
    subject = server.galleries.GetSubject(galleries.GetSubjectRequest(name=ANN)).subject
    assert 0.4 < subject.template_ers < 0.6
    inside = identify(server, "people", axis(1), gamma_gallery=0.4).identification.candidates[0]
    open_ = identify(server, "people", axis(1), gamma_gallery=0.0).identification.candidates[0]
    assert inside.similarity == open_.similarity
    assert inside.ers == pytest.approx(subject.template_ers)
    hidden = identify(server, "people", axis(1), gamma_gallery=0.9, include_filtered=True).identification
    assert not hidden.candidates
    assert [candidate.subject for candidate in hidden.filtered] == [ANN]


@pytest.mark.parametrize("faces", [3, 7, 40])
def test_a_subject_is_found_with_a_gate_at_its_own_ers_and_not_with_the_next_one(
    server: RunningServer, faces: int
) -> None:
    make(server, template_weighting=face_input_pb2.WEIGHTING_UNIFORM, gamma=0.0)
    shares = 10.0 ** np.random.default_rng(faces).uniform(-2.0, 2.0, (20, faces))
    for number, row in enumerate(shares):
        enroll(server, "people", *(item(f"s{number}", axis(1, (0, share))) for share in row))
    for number in range(len(shares)):
        name = f"galleries/people/subjects/s{number}"
        ers = server.galleries.GetSubject(galleries.GetSubjectRequest(name=name)).subject.template_ers
        for gate, there in ((ers, True), (float(np.nextafter(ers, 2.0)), False)):
            wishes = {"gamma_gallery": gate, "include_filtered": True, "max_candidates": 100}
            answer = identify(server, "people", axis(1), **wishes).identification
            assert (name in {candidate.subject for candidate in answer.candidates}) == there
            assert (name in {candidate.subject for candidate in answer.filtered}) != there


def remembered(server: RunningServer) -> int:
    return len(server.service._galleries.get("people")._templates.remembered)


def test_what_is_remembered_of_a_template_goes_with_its_subject(server: RunningServer) -> None:
    make(server)
    for name in ("ann", "bob"):
        enroll(server, "people", *(item(name, axis(1)) for _ in range(REMEMBERED_FROM_FACES)))
    assert remembered(server) == 2
    face = enroll(server, "people", item("bob", axis(2))).outcomes[0].result.faces[0].face
    server.galleries.DeleteFace(galleries.DeleteFaceRequest(name=face))
    server.galleries.DeleteSubject(galleries.DeleteSubjectRequest(name=ANN))
    assert remembered(server) == 1
    assert similarity(server, axis(1)) == pytest.approx(1.0, abs=1e-12)
    update(server, "subject_search", subject_search=gallery_pb2.SUBJECT_SEARCH_BEST_FACE)
    assert remembered(server) == 0


def test_enrolment_warns_of_a_template_below_the_gate(server: RunningServer) -> None:
    make(server, gamma_gallery=0.7)
    good = enroll(server, "people", item("ann", axis(1))).outcomes[0].result
    assert not good.warnings
    bad = enroll(server, "people", item("ann", blurred(5))).outcomes[0].result
    assert set(bad.warnings) == {
        enrollment.ENROLLMENT_WARNING_SUBJECT_NOT_SEARCHABLE,
        enrollment.ENROLLMENT_WARNING_LOWERS_SUBJECT_ERS,
    }
    assert not identify(server, "people", axis(1)).identification.candidates


def test_a_template_without_a_direction_is_not_searched_and_is_warned_of(server: RunningServer) -> None:
    make(server, gamma_gallery=0.7, template_weighting=face_input_pb2.WEIGHTING_UNIFORM)
    enroll(server, "people", item("ann", axis(1)))
    opposed = enroll(server, "people", item("ann", -axis(1))).outcomes[0].result
    assert list(opposed.warnings) == [enrollment.ENROLLMENT_WARNING_SUBJECT_NOT_SEARCHABLE]
    assert not identify(server, "people", axis(1)).identification.candidates
    assert not enroll(server, "people", item("ann", axis(2))).outcomes[0].result.warnings
    assert similarity(server, axis(2)) == pytest.approx(1.0)


def test_a_subject_may_have_a_thousand_faces(server: RunningServer) -> None:
    make(server, template_weighting=face_input_pb2.WEIGHTING_UNIFORM)
    for _ in range(4):
        enroll(server, "people", *(item("ann", axis(1)) for _ in range(250)))
    enroll(server, "people", item("ann", axis(2)))
    assert similarity(server, axis(2)) == pytest.approx(1 / np.sqrt(1 + 1000**2))


def test_verification_compares_with_the_template(server: RunningServer) -> None:
    make(server, template_weighting=face_input_pb2.WEIGHTING_UNIFORM)
    enroll(server, "people", item("ann", axis(1)), item("ann", axis(2)))
    request = pb.VerifyRequest(gallery="galleries/people", probe=probe(axis(1, (2, 1.0))), subject=ANN)
    answer = server.identification.Verify(request)
    assert (answer.decision, answer.reference_face) == (pb.DECISION_MATCH, "")
    assert answer.similarity == pytest.approx(1.0)


def test_columns_have_no_face_ids(server: RunningServer) -> None:
    make(server)
    enroll(server, "people", item("ann", axis(1)))
    request = pb.BatchIdentifyRequest(gallery="galleries/people", matrix=matrix([axis(1), axis(2)]))
    columns = server.identification.BatchIdentify(request).columns.candidates
    assert list(columns.face_ids) == [0, 0]
    assert list(columns.subjects) == [ANN]


def test_templates_are_there_after_a_restart_and_after_changing_the_search(tmp_path: Path) -> None:
    with Service(settings(tmp_path)) as service:
        server = RunningServer(service)
        make(server, template_weighting=face_input_pb2.WEIGHTING_UNIFORM)
        enroll(server, "people", item("ann", axis(1)), item("ann", axis(2)), item("bob", axis(3)))
        server.channel.close()
    with Service(settings(tmp_path)) as service:
        server = RunningServer(service)
        best = identify(server, "people", axis(1), tau=0.0).identification.candidates[0]
        assert (best.subject, best.face) == (ANN, "")
        assert best.similarity == pytest.approx(np.sqrt(0.5))
        update(server, "subject_search", subject_search=gallery_pb2.SUBJECT_SEARCH_BEST_FACE)
        best = identify(server, "people", axis(1)).identification.candidates[0]
        assert best.face.startswith(f"{ANN}/faces/")
        assert best.similarity == pytest.approx(1.0)
        server.channel.close()


def test_a_gallery_says_that_it_outgrew_its_tau(server: RunningServer) -> None:
    make(server, tau_subjects=1)
    enroll(server, "people", item("ann", axis(1)))
    assert not server.gallery("people").warnings
    enroll(server, "people", item("bob", axis(2)))
    assert list(server.gallery("people").warnings) == [gallery_pb2.GALLERY_WARNING_OUTGREW_TAU]
    update(server, "tau_subjects")
    assert not server.gallery("people").HasField("tau_subjects")
    assert not server.gallery("people").warnings


def update(server: RunningServer, *paths: str, **wanted: object) -> None:
    changed = gallery_pb2.Gallery(name="galleries/people")
    for name, value in wanted.items():
        setattr(changed, name, value)
    server.galleries.UpdateGallery(
        galleries.UpdateGalleryRequest(gallery=changed, update_mask=FieldMask(paths=paths or list(wanted)))
    )
