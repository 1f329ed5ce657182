"""Enrolment over gRPC: an outcome per item, repetitions, low ERS, templates, bulk."""

from collections.abc import Callable

import grpc
import numpy as np
from ersgallery.v1 import enrollment_service_pb2 as pb
from ersgallery.v1 import face_input_pb2 as face
from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries

from tests.support.requests import axis, blurred, embedding, enroll, found, identify, item, template
from tests.support.server import RunningServer
from tests.support.statuses import read, refused

MakeGallery = Callable[..., str]


def test_every_item_has_an_outcome_in_its_place(server: RunningServer, new_gallery: MakeGallery) -> None:
    gallery = new_gallery()
    answer = enroll(
        server,
        gallery,
        item("ann", axis(1)),
        item("bad/name", axis(2)),
        item("bob", blurred(2)),
        item("nan", np.full(16, np.nan)),
        item("other-model", axis(3)),
        pb.Enrollment(subject_id="x", embedding=embedding(axis(3), model="another")),
        pb.Enrollment(subject_id="empty"),
    )
    kinds = [outcome.WhichOneof("outcome") for outcome in answer.outcomes]
    assert kinds == ["result", "error", "result", "error", "result", "error", "error"]
    dispositions = [answer.outcomes[i].result.disposition for i in (0, 2, 4)]
    assert dispositions == [pb.DISPOSITION_ACCEPTED, pb.DISPOSITION_LOW_ERS, pb.DISPOSITION_ACCEPTED]
    reasons = [read(answer.outcomes[i].error).reason for i in (1, 3, 5, 6)]
    assert reasons == ["INVALID_REQUEST", "INVALID_EMBEDDING", "MODEL_MISMATCH", "INVALID_REQUEST"]
    low = answer.outcomes[2].result
    assert low.faces[0].reasons == [pb.ENROLLMENT_REASON_LOW_ERS]
    assert low.warnings == [pb.ENROLLMENT_WARNING_SUBJECT_NOT_SEARCHABLE]
    assert found(identify(server, gallery, axis(1))) == ["ann", "other-model"]
    counts = server.galleries.GetGallery(galleries.GetGalleryRequest(name=f"galleries/{gallery}")).gallery.counts
    assert (counts.subjects, counts.faces, counts.searchable_faces) == (3, 3, 2)
    assert (counts.enrollment_attempts, counts.failures_to_enroll) == (7, 4)


def test_a_gallery_may_refuse_faces_of_low_ers(server: RunningServer, new_gallery: MakeGallery) -> None:
    gallery = new_gallery(low_ers=gallery_pb2.LOW_ERS_POLICY_REJECT)
    (outcome,) = enroll(server, gallery, item("bob", blurred(2))).outcomes
    assert outcome.result.disposition == pb.DISPOSITION_REJECTED
    assert outcome.result.faces[0].face == ""
    assert "gamma_gallery 0.500" in outcome.result.faces[0].detail
    assert not server.galleries.ListSubjects(galleries.ListSubjectsRequest(parent=f"galleries/{gallery}")).subjects


def test_a_template_is_stored_face_by_face_with_its_media(server: RunningServer, new_gallery: MakeGallery) -> None:
    gallery = new_gallery()
    members = template([axis(1), axis(1, (2, 0.1)), blurred(1)])
    for number, member in enumerate(members.members):
        member.media_id = f"video-{number // 2}"
    (outcome,) = enroll(server, gallery, pb.Enrollment(subject_id="ann", template=members)).outcomes
    assert outcome.result.disposition == pb.DISPOSITION_ACCEPTED
    assert [face.disposition for face in outcome.result.faces] == [
        pb.DISPOSITION_ACCEPTED,
        pb.DISPOSITION_ACCEPTED,
        pb.DISPOSITION_LOW_ERS,
    ]
    faces = server.galleries.ListFaces(galleries.ListFacesRequest(parent=f"galleries/{gallery}/subjects/ann")).faces
    assert [face.media_id for face in faces] == ["video-0", "video-0", "video-1"]
    assert [face.name for face in faces] == [face.face for face in outcome.result.faces]


def test_enrolment_warns_when_a_face_takes_a_subject_below_the_gate(
    server: RunningServer, new_gallery: MakeGallery
) -> None:
    gallery = new_gallery()
    enroll(server, gallery, item("ann", axis(1, (0, 0.5))))
    (outcome,) = enroll(server, gallery, item("ann", blurred(1))).outcomes
    assert outcome.result.warnings == [pb.ENROLLMENT_WARNING_LOWERS_SUBJECT_ERS]


def test_a_repeated_request_gets_the_first_answer_and_another_body_is_an_error(
    server: RunningServer, new_gallery: MakeGallery
) -> None:
    gallery = new_gallery()
    first = enroll(server, gallery, item("ann", axis(1)), request_id="once")
    assert enroll(server, gallery, item("ann", axis(1)), request_id="once") == first
    with refused() as refusal:
        enroll(server, gallery, item("bob", axis(2)), request_id="once")
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    assert len(found(identify(server, gallery, axis(1)))) == 1


def test_a_repetition_after_a_deletion_does_not_resurrect_the_face(
    server: RunningServer, new_gallery: MakeGallery
) -> None:
    gallery = new_gallery()
    first = enroll(server, gallery, item("ann", axis(1)), request_id="once")
    gone = server.galleries.DeleteSubject(galleries.DeleteSubjectRequest(name=f"galleries/{gallery}/subjects/ann"))
    assert (gone.revision, gone.deleted_faces) == (2, 1)
    assert enroll(server, gallery, item("ann", axis(1)), request_id="once") == first
    assert found(identify(server, gallery, axis(1))) == []
    with refused() as refusal:
        server.galleries.GetSubject(galleries.GetSubjectRequest(name=f"galleries/{gallery}/subjects/ann"))
    assert refusal.reason == "SUBJECT_NOT_FOUND"


def test_a_deleted_face_is_found_by_no_search_and_its_number_is_not_used_again(
    server: RunningServer, new_gallery: MakeGallery
) -> None:
    gallery = new_gallery()
    name = enroll(server, gallery, item("ann", axis(1))).outcomes[0].result.faces[0].face
    server.galleries.DeleteFace(galleries.DeleteFaceRequest(name=name))
    assert found(identify(server, gallery, axis(1))) == []
    again = enroll(server, gallery, item("ann", axis(1))).outcomes[0].result.faces[0].face
    assert int(again.rpartition("/")[2]) > int(name.rpartition("/")[2])
    assert found(identify(server, gallery, axis(1))) == ["ann"]


def test_a_stream_answers_every_batch_in_order(server: RunningServer, new_gallery: MakeGallery) -> None:
    gallery = new_gallery()

    def batch(number: int, parent: str) -> pb.StreamEnrollFacesRequest:
        items = [item(f"s{number}-{i}", axis(1 + i % 15)) for i in range(20)]
        return pb.StreamEnrollFacesRequest(
            sequence=number, batch=pb.EnrollFacesRequest(parent=parent, request_id=f"b{number}", enrollments=items)
        )

    requests = [batch(i, f"galleries/{gallery}" if i != 2 else "galleries/nowhere") for i in range(5)]
    answers = list(server.enrollment.StreamEnrollFaces(iter(requests)))
    assert [answer.sequence for answer in answers] == list(range(5))
    assert read(answers[2].error).reason == "GALLERY_NOT_FOUND"
    assert [answers[i].response.revision for i in (0, 1, 3, 4)] == [1, 2, 3, 4]


def test_a_stream_stores_what_comes_after_a_photograph_after_it(
    server: RunningServer, new_gallery: MakeGallery
) -> None:
    gallery = new_gallery()
    photograph = face.Image(content=b"none")
    template = face.Template(members=[face.TemplateMember(image=photograph)])
    enrollments = [
        item("ann", axis(1)),
        pb.Enrollment(subject_id="bob", image=photograph),
        item("cid", axis(2)),
        pb.Enrollment(subject_id="dan", template=template),
        item("eve", axis(3)),
    ]
    batches = [pb.EnrollFacesRequest(parent=f"galleries/{gallery}", enrollments=[each]) for each in enrollments]
    requests = [pb.StreamEnrollFacesRequest(sequence=i, batch=batch) for i, batch in enumerate(batches)]
    answers = list(server.enrollment.StreamEnrollFaces(iter(requests)))
    assert [answer.sequence for answer in answers] == list(range(5))
    assert [answers[i].response.revision for i in (0, 2, 4)] == [1, 2, 3]
    assert [read(answers[i].error).reason for i in (1, 3)] == ["MODEL_NOT_INSTALLED"] * 2


def test_limits_are_in_the_error(server: RunningServer, new_gallery: MakeGallery) -> None:
    gallery = new_gallery()
    with refused() as refusal:
        enroll(server, gallery, *(item("ann", axis(1)) for _ in range(1001)))
    assert (refusal.reason, "1001" in refusal.message, "1000" in refusal.message) == ("BATCH_TOO_LARGE", True, True)
    with refused() as refusal:
        enroll(server, gallery)
    assert (refusal.reason, refusal.fields) == ("INVALID_REQUEST", ["enrollments"])
    with refused() as refusal:
        enroll(server, gallery, item("ann", axis(1)), request_id="x" * 129)
    assert refusal.fields == ["request_id"]
    metadata = {str(i): "v" for i in range(33)}
    (outcome,) = enroll(server, gallery, item("ann", axis(1), metadata=metadata)).outcomes
    assert read(outcome.error).fields == ["enrollments[0].metadata"]


def test_an_image_without_an_installed_model_says_how_to_install_one(
    server: RunningServer, new_gallery: MakeGallery
) -> None:
    gallery = new_gallery()
    enrollment = pb.Enrollment(subject_id="ann")
    enrollment.image.content = b"\xff\xd8\xff some bytes"
    with refused() as refusal:
        enroll(server, gallery, enrollment)
    assert refusal.reason == "MODEL_NOT_INSTALLED"
    assert "models install" in refusal.message
