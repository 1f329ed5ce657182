"""Hygiene over gRPC: operations that run beside searches, find what was planted, can be cancelled, and are limited."""

import threading
from collections.abc import Callable, Iterator

import grpc
import numpy as np
import pytest
from ersgallery.v1 import calibration_service_pb2 as calibration
from ersgallery.v1 import gallery_pb2, hygiene_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery.v1 import hygiene_service_pb2 as pb
from ersgallery_server.operations import Kind, Progress
from google.protobuf.field_mask_pb2 import FieldMask

from tests.support.calibration_requests import ended, filled_gallery, people
from tests.support.requests import axis, blurred, enroll, found, identify, item, matrix
from tests.support.server import RunningServer
from tests.support.statuses import read, refused

State = calibration.OperationState
NewGallery = Callable[..., str]


def magnets(server: RunningServer, gallery: str, **fields: object) -> hygiene_pb2.MagnetReport:
    request = pb.FindMagnetsRequest(gallery=f"galleries/{gallery}", **fields)  # type: ignore[arg-type]
    begun = server.hygiene.FindMagnets(request).operation
    assert (begun.kind, begun.gallery) == (calibration.OPERATION_KIND_FIND_MAGNETS, f"galleries/{gallery}")
    operation = ended(server, begun)
    assert operation.state == State.OPERATION_STATE_SUCCEEDED, operation.error
    return operation.magnets


def duplicates(server: RunningServer, gallery: str, **fields: object) -> hygiene_pb2.DuplicateReport:
    request = pb.FindDuplicateSubjectsRequest(gallery=f"galleries/{gallery}", **fields)  # type: ignore[arg-type]
    begun = server.hygiene.FindDuplicateSubjects(request).operation
    assert begun.kind == calibration.OPERATION_KIND_FIND_DUPLICATE_SUBJECTS
    operation = ended(server, begun)
    assert operation.state == State.OPERATION_STATE_SUCCEEDED, operation.error
    return operation.duplicates


def low_ers(server: RunningServer, gallery: str, **fields: object) -> pb.FindLowErsSubjectsResponse:
    request = pb.FindLowErsSubjectsRequest(gallery=f"galleries/{gallery}", **fields)  # type: ignore[arg-type]
    return server.hygiene.FindLowErsSubjects(request)


def last(name: str) -> str:
    return name.rpartition("/")[2]


def test_a_blurred_enrolment_is_a_magnet_where_the_gates_let_it(server: RunningServer, new_gallery: NewGallery) -> None:
    gallery = new_gallery(gamma_gallery=0.0)
    clear = [item(f"clear{number}", axis(number)) for number in range(1, 9)]
    poor = [item(f"poor{number}", axis(0, (number, 0.3))) for number in range(1, 6)]
    enroll(server, gallery, *clear, item("magnet", axis(0)), *poor)
    report = magnets(server, gallery)
    worst = report.magnets[0]
    assert worst.subject == f"galleries/{gallery}/subjects/magnet"
    assert worst.face.startswith(f"{worst.subject}/faces/")
    assert (worst.subjects, worst.wins, worst.low_ers_wins, worst.ui_wins) == (5, 5, 5, 1)
    assert worst.advice == hygiene_pb2.MAGNET_ADVICE_RAISE_GAMMA_GALLERY
    assert worst.mean_similarity == pytest.approx(1 / np.hypot(1, 0.3))
    assert (report.probes, report.low_ers_probes) == (14, 6)
    assert (report.won_probes, report.low_ers_won_probes) == (6, 6)
    assert (report.threshold, report.gamma, report.gamma_gallery, report.neighbors) == (0.8, 0.5, 0.0, 10)
    assert report.revision == server.gallery(gallery).revision


def test_the_gallery_gate_keeps_magnets_out_and_the_request_can_look_behind_it(
    server: RunningServer, new_gallery: NewGallery
) -> None:
    gallery = new_gallery()
    enroll(server, gallery, item("clear", axis(1)), item("magnet", axis(0)), item("poor", blurred(2)))
    assert not magnets(server, gallery).magnets
    (worst, *_) = magnets(server, gallery, gamma_gallery=0.0).magnets
    assert (last(worst.subject), worst.advice) == ("magnet", hygiene_pb2.MAGNET_ADVICE_HIDDEN)


def test_probes_of_the_request_count_by_whom_they_show(server: RunningServer, new_gallery: NewGallery) -> None:
    gallery = new_gallery()
    enroll(server, gallery, item("ada", axis(1)), item("bob", axis(2)))
    rows = matrix([axis(1, (3, 0.1)), axis(1, (4, 0.1)), axis(1, (5, 0.1)), axis(1)])
    (worst,) = magnets(server, gallery, probes=rows).magnets
    assert (last(worst.subject), worst.subjects, worst.wins) == ("ada", 4, 4)
    assert worst.advice == hygiene_pb2.MAGNET_ADVICE_REVIEW
    # Two of one stranger, one of another, and one of ada herself, which she may win.
    (worst,) = magnets(server, gallery, probes=rows, probe_subjects=["eve", "eve", "kim", "ada"]).magnets
    assert (last(worst.subject), worst.subjects, worst.wins) == ("ada", 2, 3)


def test_two_ids_of_one_person_and_a_misfiled_face_are_told_apart(
    server: RunningServer, new_gallery: NewGallery
) -> None:
    gallery = new_gallery()
    enroll(
        server,
        gallery,
        *(item("ada", axis(1, (2 + number, 0.1))) for number in range(3)),
        *(item("adah", axis(1, (6 + number, 0.1))) for number in range(2)),
        *(item("bob", axis(10 + number)) for number in range(3)),
        item("cyd", axis(13)),
        item("cyd", axis(10)),
        item("dan", blurred(4)),
        item("eve", blurred(4)),
    )
    report = duplicates(server, gallery)
    pairs = [(last(p.first), last(p.second), p.similar_face_pairs, p.face_pairs) for p in report.pairs]
    assert pairs == [("bob", "cyd", 1, 6), ("ada", "adah", 6, 6)]
    assert report.pairs[0].similarity == 1.0
    assert report.pairs[0].second_face.startswith(f"galleries/{gallery}/subjects/cyd/faces/")
    assert [[last(subject) for subject in group.subjects] for group in report.groups] == [
        ["bob", "cyd"],
        ["ada", "adah"],
    ]
    assert (report.cut, report.threshold, report.gate, report.faces) == (False, 0.8, 0.5, 10)
    shorter = duplicates(server, gallery, max_pairs=1)
    assert (len(shorter.pairs), shorter.cut) == (1, True)
    assert not duplicates(server, gallery, threshold=1.0).groups[1:]


def test_chains_of_similar_subjects_are_one_group(server: RunningServer, new_gallery: NewGallery) -> None:
    gallery = new_gallery()
    enroll(server, gallery, item("a", axis(1)), item("b", axis(1, (2, 0.6))), item("c", axis(2, (1, 0.6))))
    report = duplicates(server, gallery, threshold=0.85)
    assert [(last(p.first), last(p.second)) for p in report.pairs] == [("b", "c"), ("a", "b")]
    (group,) = report.groups
    assert [last(subject) for subject in group.subjects] == ["a", "b", "c"]
    assert group.pairs == 2


def test_templates_are_compared_in_a_gallery_of_templates(server: RunningServer, new_gallery: NewGallery) -> None:
    gallery = new_gallery(subject_search=gallery_pb2.SUBJECT_SEARCH_TEMPLATE)
    enroll(server, gallery, item("ada", axis(1)), item("ada", axis(2)), item("bob", axis(1, (2, 1.0))))
    (pair,) = duplicates(server, gallery).pairs
    assert (last(pair.first), last(pair.second), pair.first_face, pair.second_face) == ("ada", "bob", "", "")
    assert pair.similarity == pytest.approx(1.0)


def test_subjects_with_low_ers_come_page_by_page(server: RunningServer, new_gallery: NewGallery) -> None:
    gallery = new_gallery()
    enroll(
        server,
        gallery,
        item("ada", blurred(1)),
        item("bob", axis(1)),
        item("cyd", axis(2)),
        item("cyd", axis(3)),
        item("dan", blurred(2)),
        item("dan", blurred(3)),
    )
    first = low_ers(server, gallery, page_size=2)
    second = low_ers(server, gallery, page_size=2, page_token=first.next_page_token)
    told = [(last(s.subject), s.findable, s.recognizable_faces, s.faces) for s in (*first.subjects, *second.subjects)]
    assert told == [("ada", False, 0, 1), ("bob", True, 1, 1), ("dan", False, 0, 2)]
    assert (first.unfindable_subjects, first.one_face_subjects, first.gamma_gallery) == (2, 1, 0.5)
    assert not second.next_page_token
    only = low_ers(server, gallery, which=pb.LOW_ERS_SUBJECTS_UNFINDABLE).subjects
    assert [last(subject.subject) for subject in only] == ["ada", "dan"]
    assert low_ers(server, gallery, gamma_gallery=0.0).unfindable_subjects == 0
    with refused() as refusal:
        low_ers(server, gallery, page_token=first.next_page_token, gamma_gallery=0.1)
    assert refusal.reason == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("threshold", {"threshold": 1.5}),
        ("gamma_gallery", {"gamma_gallery": -0.1}),
        ("neighbors", {"neighbors": 101}),
        ("max_magnets", {"max_magnets": 1001}),
        ("probe_subjects", {"probe_subjects": ["ada"]}),
        ("probe_subjects", {"probes": matrix([axis(1)]), "probe_subjects": ["ada", "bob"]}),
        ("probe_subjects", {"probes": matrix([axis(1)]), "probe_subjects": [""]}),
        ("probes.rows", {"probes": matrix(np.zeros((0, 16)))}),
    ],
)
def test_what_is_out_of_its_limits_is_refused_by_name(
    server: RunningServer, new_gallery: NewGallery, field: str, fields: dict[str, object]
) -> None:
    with refused() as refusal:
        magnets(server, new_gallery(), **fields)
    assert (refusal.reason, refusal.fields) == ("INVALID_REQUEST", [field])


def test_a_gallery_must_be_there(server: RunningServer) -> None:
    for call in (magnets, duplicates, low_ers):
        with refused() as refusal:
            call(server, "nowhere")
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "GALLERY_NOT_FOUND")


def test_an_empty_gallery_has_nothing_to_find(server: RunningServer, new_gallery: NewGallery) -> None:
    gallery = new_gallery()
    assert (magnets(server, gallery).probes, len(duplicates(server, gallery).pairs)) == (0, 0)
    assert not low_ers(server, gallery).subjects


@pytest.fixture
def hold(server: RunningServer) -> Iterator[threading.Event]:
    """Keep the one worker of operations busy until the event is set."""
    release, begun = threading.Event(), threading.Event()

    def work(progress: Progress) -> None:
        begun.set()
        while not release.wait(0.005):
            progress(0, 0)

    server.service._operations.start(Kind.FIND_MAGNETS, "held", work)
    assert begun.wait(20)
    yield release
    release.set()


def test_searches_and_deletions_go_on_meanwhile_and_what_is_gone_is_not_told(
    server: RunningServer, new_gallery: NewGallery, hold: threading.Event
) -> None:
    gallery = new_gallery()
    enroll(server, gallery, item("ada", axis(1)), item("bob", axis(1)), item("cyd", axis(1)))
    request = pb.FindDuplicateSubjectsRequest(gallery=f"galleries/{gallery}")
    begun = server.hygiene.FindDuplicateSubjects(request).operation
    server.galleries.DeleteSubject(galleries.DeleteSubjectRequest(name=f"galleries/{gallery}/subjects/bob"))
    assert found(identify(server, gallery, axis(1))) == ["ada", "cyd"]
    hold.set()
    (pair,) = ended(server, begun).duplicates.pairs
    assert (last(pair.first), last(pair.second)) == ("ada", "cyd")


def test_a_search_that_was_begun_can_be_cancelled(
    server: RunningServer, new_gallery: NewGallery, hold: threading.Event
) -> None:
    request = pb.FindMagnetsRequest(gallery=f"galleries/{new_gallery()}")
    begun = server.hygiene.FindMagnets(request).operation
    server.calibration.CancelOperation(calibration.CancelOperationRequest(name=begun.name))
    hold.set()
    assert ended(server, begun).state == State.OPERATION_STATE_CANCELLED


def test_a_gallery_that_gets_another_kind_of_search_meanwhile_ends_it(
    server: RunningServer, new_gallery: NewGallery, hold: threading.Event
) -> None:
    gallery = new_gallery()
    enroll(server, gallery, item("ada", axis(1)))
    begun = server.hygiene.FindMagnets(pb.FindMagnetsRequest(gallery=f"galleries/{gallery}")).operation
    changed = gallery_pb2.Gallery(name=f"galleries/{gallery}", enhance_features=True)
    mask = FieldMask(paths=["enhance_features"])
    server.galleries.UpdateGallery(galleries.UpdateGalleryRequest(gallery=changed, update_mask=mask))
    hold.set()
    operation = ended(server, begun)
    assert operation.state == State.OPERATION_STATE_FAILED
    assert read(operation.error).metadata == {"calibration_reason": "GALLERY_CHANGED"}


def test_many_subjects_that_are_all_similar_are_found_however_few_are_asked_for_at_first(
    server: RunningServer, new_gallery: NewGallery
) -> None:
    gallery = new_gallery()
    noise = 0.01 * np.random.default_rng(3).normal(size=(40, 16))
    noise[:, 0] = 0.0
    enroll(server, gallery, *(item(f"s{number:02}", axis(1) + row) for number, row in enumerate(noise)))
    report = duplicates(server, gallery, max_pairs=1000)
    assert len(report.pairs) == 40 * 39 // 2
    assert not report.cut
    (group,) = report.groups
    assert len(group.subjects) == 40


def test_ordinary_people_are_no_duplicates(server: RunningServer) -> None:
    filled_gallery(server, "ordinary", 30, 2, tau=0.97)
    rows, _ = people(30, 2)
    similar = rows[::2].astype(float) @ rows[::2].T.astype(float)
    assert (similar[np.triu_indices(30, 1)] < 0.97).all()
    assert not duplicates(server, "ordinary").pairs
