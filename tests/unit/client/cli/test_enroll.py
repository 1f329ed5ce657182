from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from ersgallery.v1 import enrollment_service_pb2 as pb
from ersgallery.v1.face_input_pb2 import Recognizability

from tests.support.clients import Invoke
from tests.support.wire_server import WireServer, status

OUTCOMES = {
    b"ada/1.jpg": (pb.DISPOSITION_ACCEPTED, []),
    b"ada/2.PNG": (pb.DISPOSITION_LOW_ERS, [pb.ENROLLMENT_REASON_LOW_ERS]),
    b"bob/1.webp": (pb.DISPOSITION_REJECTED, [pb.ENROLLMENT_REASON_NO_FACE]),
}


def outcome(item: pb.Enrollment) -> pb.EnrollmentOutcome:
    if not item.HasField("image"):
        return pb.EnrollmentOutcome(error=status(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_EMBEDDING", "it has NaN"))
    disposition, reasons = OUTCOMES[item.image.content]
    face = pb.FaceOutcome(disposition=disposition, reasons=reasons, recognizability=Recognizability(ers=0.25))
    return pb.EnrollmentOutcome(
        result=pb.EnrollmentResult(
            disposition=disposition, subject=f"galleries/g/subjects/{item.subject_id}", faces=[face]
        )
    )


def answer(requests: Iterable[Any], _: grpc.ServicerContext) -> Iterator[Any]:
    for request in requests:
        outcomes = [outcome(item) for item in request.batch.enrollments]
        yield pb.StreamEnrollFacesResponse(
            sequence=request.sequence, response=pb.EnrollFacesResponse(outcomes=outcomes)
        )


@pytest.fixture(autouse=True)
def enrolling(wire: WireServer) -> None:
    wire.on("StreamEnrollFaces", answer)


def test_a_folder_is_enrolled_and_summed_up_for_people(invoke: Invoke, photographs: Path) -> None:
    result = invoke("enroll", "g", photographs)
    assert result.exit_code == 0
    lines = [[cell.strip() for cell in line.split("│")] for line in result.stdout.splitlines()]
    counts = {line[1]: line[2] for line in lines if len(line) == 5}
    assert (counts["ACCEPTED"], counts["LOW_ERS"], counts["REJECTED"]) == ("1", "1", "1")
    rejected = next(line for line in lines if "bob/1.webp" in "".join(line))
    assert rejected[2:5] == ["bob", "NO_FACE", "no face was found"]
    assert "2 other files were ignored" in result.stdout


def test_the_json_document_lists_what_was_not_accepted(document: Callable[..., Any], photographs: Path) -> None:
    found = document("enroll", "g", photographs)
    assert (found["gallery"], found["accepted"], found["low_ers"], found["rejected"]) == ("g", 1, 1, 1)
    assert found["subjects"] == 1
    assert found["rejected_items"] == [
        {
            "source": str(photographs / "bob/1.webp"),
            "subject_id": "bob",
            "reason": "NO_FACE",
            "detail": "no face was found",
            "ers": 0.25,
        }
    ]
    assert [item["reason"] for item in found["low_ers_items"]] == ["LOW_ERS"]


def test_a_photograph_that_cannot_be_read_is_rejected_and_the_others_are_enrolled(
    document: Callable[..., Any], photographs: Path
) -> None:
    (photographs / "ada/0.jpg").symlink_to("gone.jpg")
    table = photographs / "people.csv"
    table.write_text("subject,file\nada,ada/0.jpg\nada,ada/1.jpg\neve,never.jpg\n")
    found = document("enroll", "g", table)
    assert (found["accepted"], found["rejected"]) == (1, 2)
    assert [item["reason"] for item in found["rejected_items"]] == ["FILE_UNREADABLE"] * 2


def test_when_nothing_was_enrolled_the_exit_code_says_so(invoke: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "faces.npz"
    np.savez(file, embedding=np.full((2, 2), np.nan), subject=np.array(["ada", "bob"]))
    result = invoke("enroll", "g", file)
    assert result.exit_code == 1
    assert "it has NaN" in result.stdout
    assert "nothing was enrolled" in result.stderr


def test_a_gallery_that_is_not_there_is_one_sentence(invoke: Invoke, wire: WireServer, photographs: Path) -> None:
    def refuse(requests: Iterable[Any], _: grpc.ServicerContext) -> Iterator[Any]:
        for request in requests:
            error = status(grpc.StatusCode.NOT_FOUND, "GALLERY_NOT_FOUND", "there is no gallery g")
            yield pb.StreamEnrollFacesResponse(sequence=request.sequence, error=error)

    wire.on("StreamEnrollFaces", refuse)
    result = invoke("enroll", "g", photographs)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1] == "Error: there is no gallery g (GALLERY_NOT_FOUND)"
