"""The duplicate check: a person is not enrolled twice, not even at the same moment, and blurred faces are nobody's."""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from ersgallery.v1 import enrollment_service_pb2 as pb
from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc import status_pb2

from tests.support.requests import axis, blurred, create_gallery, enroll, item, template
from tests.support.server import RunningServer, running_server, settings
from tests.support.statuses import read

WARN, REFUSE = gallery_pb2.DUPLICATE_CHECK_WARN, gallery_pb2.DUPLICATE_CHECK_REFUSE
DUPLICATE = pb.ENROLLMENT_WARNING_DUPLICATE_SUBJECT
NewGallery = Callable[..., str]


def reasons(answer: pb.EnrollFacesResponse) -> list[str]:
    """Return what refused each item, empty for an item that was stored."""
    return [read(each.error).reason if each.HasField("error") else "" for each in answer.outcomes]


def metadata(status: status_pb2.Status) -> dict[str, str]:
    return read(status).metadata


def test_a_similar_face_is_refused_with_the_name_of_the_other_subject(
    server: RunningServer, new_gallery: NewGallery
) -> None:
    gallery = new_gallery(duplicate_check=REFUSE)
    enroll(server, gallery, item("ada", axis(1)), item("bob", axis(2)))
    revision = server.gallery(gallery).revision
    answer = enroll(server, gallery, item("eve", axis(2, (3, 0.3))), item("cyd", axis(4)))
    assert reasons(answer) == ["DUPLICATE_SUBJECT", ""]
    told = metadata(answer.outcomes[0].error)
    assert told["subject"] == f"galleries/{gallery}/subjects/bob"
    assert float(told["similarity"]) == pytest.approx(1 / np.hypot(1, 0.3))
    assert float(told["threshold"]) == 0.8
    assert "0.958" in answer.outcomes[0].error.message
    assert "0.800" in answer.outcomes[0].error.message
    assert answer.revision == revision + 1
    assert server.subjects(gallery) == [("ada", 1), ("bob", 1), ("cyd", 1)]
    counts = server.gallery(gallery).counts
    assert (counts.enrollment_attempts, counts.failures_to_enroll) == (4, 1)


def test_a_warning_names_the_other_subject_and_stores_the_face(server: RunningServer, new_gallery: NewGallery) -> None:
    gallery = new_gallery(duplicate_check=WARN)
    first = enroll(server, gallery, item("ada", axis(1))).outcomes[0].result
    assert not first.warnings
    assert not first.HasField("duplicate_of")
    result = enroll(server, gallery, item("eve", axis(1, (3, 0.1)))).outcomes[0].result
    assert list(result.warnings) == [DUPLICATE]
    assert result.disposition == pb.DISPOSITION_ACCEPTED
    assert result.duplicate_of.subject == f"galleries/{gallery}/subjects/ada"
    assert result.duplicate_of.similarity == pytest.approx(1 / np.hypot(1, 0.1))
    assert server.subjects(gallery) == [("ada", 1), ("eve", 1)]


def test_further_faces_of_the_same_subject_are_no_duplicates(server: RunningServer, new_gallery: NewGallery) -> None:
    gallery = new_gallery(duplicate_check=REFUSE)
    answer = enroll(server, gallery, item("ada", axis(1)), item("ada", axis(1)), item("ada", axis(1, (2, 0.1))))
    assert reasons(answer) == ["", "", ""]
    assert reasons(enroll(server, gallery, item("ada", axis(1)))) == [""]


@pytest.mark.parametrize("check", [WARN, REFUSE])
def test_blurred_faces_are_never_duplicates(
    server: RunningServer, new_gallery: NewGallery, check: gallery_pb2.DuplicateCheck.ValueType
) -> None:
    gallery = new_gallery(duplicate_check=check)
    answer = enroll(server, gallery, item("ada", blurred(1)), item("bob", blurred(1)), item("cyd", axis(0, (1, 0.29))))
    assert reasons(answer) == ["", "", ""]
    assert not any(DUPLICATE in each.result.warnings for each in answer.outcomes)
    assert reasons(enroll(server, gallery, item("dan", blurred(1)))) == [""]


def test_the_probe_gate_protects_blurred_faces_where_the_gallery_gate_is_off(
    server: RunningServer, new_gallery: NewGallery
) -> None:
    gallery = new_gallery(duplicate_check=REFUSE, gamma_gallery=0.0)
    assert reasons(enroll(server, gallery, item("ada", blurred(1)), item("bob", blurred(1)))) == ["", ""]


def test_the_threshold_may_be_another_than_tau(server: RunningServer, new_gallery: NewGallery) -> None:
    gallery = new_gallery(duplicate_check=REFUSE, duplicate_threshold=0.99)
    similar = axis(1, (2, 0.3))
    assert reasons(enroll(server, gallery, item("ada", axis(1)), item("bob", similar))) == ["", ""]
    update(server, gallery, duplicate_threshold=0.5)
    assert reasons(enroll(server, gallery, item("cyd", axis(1, (3, 0.5))))) == ["DUPLICATE_SUBJECT"]
    assert server.gallery(gallery).duplicate_threshold == 0.5


def test_duplicates_within_a_batch_are_found_in_its_order(server: RunningServer, new_gallery: NewGallery) -> None:
    gallery = new_gallery(duplicate_check=REFUSE)
    answer = enroll(
        server,
        gallery,
        item("ada", axis(1)),
        item("bob", axis(1, (2, 0.5))),  # refused, and so no rival of the next, which ada is too far from
        item("cyd", axis(2, (1, 0.5))),
        item("dan", axis(1)),
    )
    assert reasons(answer) == ["", "DUPLICATE_SUBJECT", "", "DUPLICATE_SUBJECT"]
    assert metadata(answer.outcomes[3].error)["subject"].endswith("/ada")
    warned = new_gallery(duplicate_check=WARN)
    answer = enroll(server, warned, item("ada", axis(1)), item("bob", axis(1, (2, 0.1))), item("cyd", axis(1)))
    assert [each.result.duplicate_of.subject.rpartition("/")[2] for each in answer.outcomes] == ["", "ada", "ada"]


def test_a_template_is_refused_as_a_whole_by_one_recognizable_member(
    server: RunningServer, new_gallery: NewGallery
) -> None:
    gallery = new_gallery(duplicate_check=REFUSE)
    enroll(server, gallery, item("ada", axis(1)))
    mixed = pb.Enrollment(subject_id="eve", template=template([axis(5), blurred(1), axis(1)]))
    clean = pb.Enrollment(subject_id="fay", template=template([axis(6), blurred(1)]))
    assert reasons(enroll(server, gallery, mixed, clean)) == ["DUPLICATE_SUBJECT", ""]
    assert server.subjects(gallery) == [("ada", 1), ("fay", 2)]


def test_a_gallery_of_templates_compares_with_the_templates_of_subjects(
    server: RunningServer, new_gallery: NewGallery
) -> None:
    gallery = new_gallery(duplicate_check=REFUSE, subject_search=gallery_pb2.SUBJECT_SEARCH_TEMPLATE)
    enroll(server, gallery, item("ada", axis(1)), item("ada", axis(2)))
    # Its template lies between its faces: neither of them is similar enough, what lies between is.
    assert reasons(enroll(server, gallery, item("bob", axis(1, (3, 0.1))))) == [""]
    assert reasons(enroll(server, gallery, item("eve", axis(1, (2, 1.0))))) == ["DUPLICATE_SUBJECT"]


def test_a_repeated_request_gets_the_first_answer(server: RunningServer, new_gallery: NewGallery) -> None:
    gallery = new_gallery(duplicate_check=REFUSE)
    enroll(server, gallery, item("ada", axis(1)))
    batch = [item("eve", axis(1)), item("cyd", axis(4))]
    first = enroll(server, gallery, *batch, request_id="once")
    server.galleries.DeleteSubject(galleries.DeleteSubjectRequest(name=f"galleries/{gallery}/subjects/ada"))
    assert enroll(server, gallery, *batch, request_id="once") == first
    assert reasons(first) == ["DUPLICATE_SUBJECT", ""]
    assert reasons(enroll(server, gallery, *batch)) == ["", ""]


def test_a_stream_is_checked_batch_by_batch(server: RunningServer, new_gallery: NewGallery) -> None:
    gallery = new_gallery(duplicate_check=REFUSE)
    batches = [[item("ada", axis(1))], [item("bob", axis(1)), item("bob", axis(2))], [item("cyd", axis(2))]]
    requests = (
        pb.StreamEnrollFacesRequest(
            sequence=number, batch=pb.EnrollFacesRequest(parent=f"galleries/{gallery}", enrollments=batch)
        )
        for number, batch in enumerate(batches)
    )
    answers = [each.response for each in server.enrollment.StreamEnrollFaces(requests)]
    assert [reasons(answer) for answer in answers] == [[""], ["DUPLICATE_SUBJECT", ""], ["DUPLICATE_SUBJECT"]]


def test_the_setting_is_kept_over_a_restart_and_holds_from_the_next_enrolment_on(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    configured = settings(tmp_path_factory.mktemp("restarted"))
    with running_server(configured) as server:
        create_gallery(server, "staff")
        enroll(server, "staff", item("ada", axis(1)), item("bob", axis(1)))
        update(server, "staff", duplicate_check=REFUSE, duplicate_threshold=0.7)
    with running_server(configured) as server:
        found = server.gallery("staff")
        assert (found.duplicate_check, found.duplicate_threshold) == (REFUSE, 0.7)
        assert reasons(enroll(server, "staff", item("cyd", axis(1)))) == ["DUPLICATE_SUBJECT"]
        update(server, "staff", duplicate_check=gallery_pb2.DUPLICATE_CHECK_OFF)
        assert reasons(enroll(server, "staff", item("cyd", axis(1)))) == [""]


def test_an_unknown_check_and_a_threshold_out_of_range_are_refused(
    server: RunningServer, new_gallery: NewGallery
) -> None:
    gallery = new_gallery()
    for wrong in ({"duplicate_check": 9}, {"duplicate_threshold": 1.5}):
        with pytest.raises(grpc.RpcError, match=next(iter(wrong))):
            update(server, gallery, **wrong)


def test_enrolments_go_on_while_others_are_deleted_without_a_pause(
    server: RunningServer, new_gallery: NewGallery
) -> None:
    gallery = new_gallery(duplicate_check=REFUSE)
    enroll(server, gallery, *(item(f"s{number}", turned(number)) for number in range(56)))
    with ThreadPoolExecutor(4) as pool:
        deletions = pool.map(lambda number: delete(server, gallery, f"s{number}"), range(56))
        for number in range(5):
            assert reasons(enroll(server, gallery, item("ada", axis(9 + number)))) == [""]
        list(deletions)
    assert server.subjects(gallery) == [("ada", 5)]


@pytest.mark.parametrize("search", ["BEST_FACE", "TEMPLATE"])
def test_of_people_enrolled_under_several_names_at_once_one_name_each_is_stored(
    server: RunningServer, new_gallery: NewGallery, search: str
) -> None:
    gallery = new_gallery(
        duplicate_check=REFUSE, subject_search=gallery_pb2.SubjectSearch.Value(f"SUBJECT_SEARCH_{search}")
    )
    tries = [(f"{person}-{name}", person) for person in range(1, 7) for name in range(6)]
    np.random.default_rng(7).shuffle(tries)

    def attempt(subject_and_person: tuple[str, int]) -> str:
        subject, person = subject_and_person
        noise = 0.02 * np.random.default_rng(ord(subject[-1])).normal(size=16)
        noise[0] = 0.0
        return reasons(enroll(server, gallery, item(subject, axis(person) + noise)))[0]

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(attempt, [(str(subject), int(person)) for subject, person in tries]))
    assert outcomes.count("") == 6
    assert outcomes.count("DUPLICATE_SUBJECT") == 30
    stored = [subject for subject, _ in server.subjects(gallery)]
    assert sorted(subject[0] for subject in stored) == list("123456")


def test_a_check_that_is_switched_on_holds_for_enrolments_that_were_under_way(
    server: RunningServer, new_gallery: NewGallery
) -> None:
    gallery = new_gallery()
    numbers = itertools.count()

    def attempt(_: int) -> str:
        return reasons(enroll(server, gallery, item(f"p{next(numbers)}", axis(3))))[0]

    with ThreadPoolExecutor(8) as pool:
        before = pool.map(attempt, range(40))
        update(server, gallery, duplicate_check=REFUSE)
        stored_then = server.gallery(gallery).counts.subjects
        outcomes = list(before)
    stored = server.gallery(gallery).counts.subjects
    assert outcomes.count("") == stored
    # Whoever is stored after the update was answered had nobody to resemble.
    assert stored <= max(stored_then, 1)


def turned(number: int) -> np.ndarray:
    """Return one of 56 faces of which no two are similar by 0.8: pairs of axes, with both signs."""
    pairs = list(itertools.combinations(range(1, 9), 2))
    first, second = pairs[number // 2 % len(pairs)]
    return axis(first, (second, 1.0 if number % 2 else -1.0))


def update(server: RunningServer, gallery: str, **changes: object) -> None:
    changed = gallery_pb2.Gallery(name=f"galleries/{gallery}", **changes)  # type: ignore[arg-type]
    server.galleries.UpdateGallery(
        galleries.UpdateGalleryRequest(gallery=changed, update_mask=FieldMask(paths=list(changes)))
    )


def delete(server: RunningServer, gallery: str, subject: str) -> None:
    server.galleries.DeleteSubject(galleries.DeleteSubjectRequest(name=f"galleries/{gallery}/subjects/{subject}"))
