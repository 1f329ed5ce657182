"""`hygiene`: what is sent, and how reports look for people and for programs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ersgallery.v1 import calibration_service_pb2 as calibration
from ersgallery.v1 import enrollment_service_pb2 as enrollment
from ersgallery.v1 import gallery_pb2, hygiene_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery.v1 import hygiene_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

from tests.support.clients import Invoke
from tests.support.wire_server import WireServer

TIME = Timestamp(seconds=1_700_000_000)
BEGUN = calibration.Operation(name="operations/a1", gallery="galleries/staff", create_time=TIME)
ANN, BOB, CYD = (f"galleries/staff/subjects/{name}" for name in ("ann", "bob", "cyd"))


def magnets_found(wire: WireServer) -> None:
    worst = hygiene_pb2.Magnet(
        face=f"{ANN}/faces/7",
        subject=ANN,
        ers=0.125,
        subjects=31,
        wins=44,
        low_ers_wins=42,
        mean_similarity=0.875,
        advice=hygiene_pb2.MAGNET_ADVICE_RAISE_GAMMA_GALLERY,
    )
    report = hygiene_pb2.MagnetReport(magnets=[worst], winners=3, probes=90, low_ers_probes=60, won_probes=50)
    wire.answer("FindMagnets", pb.FindMagnetsResponse(operation=BEGUN))
    answer_wait(wire, magnets=report)


def answer_wait(wire: WireServer, **result: Any) -> None:
    operation = calibration.Operation(name=BEGUN.name, create_time=TIME, end_time=TIME, **result)
    wire.answer("WaitOperation", calibration.WaitOperationResponse(operation=operation))


def test_magnets_are_a_table_with_what_to_do(invoke: Invoke, wire: WireServer, tmp_path: Path) -> None:
    magnets_found(wire)
    np.savez(tmp_path / "p.npz", embedding=np.ones((2, 4), np.float32), subject=np.array(["ann", "eve"]))
    result = invoke("hygiene", "magnets", "staff", "--gamma-gallery", "0", "--probes", tmp_path / "p.npz")
    assert result.exit_code == 0, result.output
    sent = wire.received[0]
    assert isinstance(sent, pb.FindMagnetsRequest)
    assert (sent.HasField("gamma_gallery"), sent.HasField("threshold")) == (True, False)
    assert (sent.probes.rows, list(sent.probe_subjects)) == (2, ["ann", "eve"])
    for words in ("ann", "0.125", "31", "44", "42", "0.875", "raise gamma_gallery", "90, 60 of them below gamma"):
        assert words in result.stdout


def test_unlabelled_probes_are_strangers(invoke: Invoke, wire: WireServer, tmp_path: Path) -> None:
    magnets_found(wire)
    np.save(tmp_path / "p.npy", np.ones((3, 4), np.float32))
    assert invoke("hygiene", "magnets", "staff", "--probes", tmp_path / "p.npy").exit_code == 0
    sent = wire.received[0]
    assert isinstance(sent, pb.FindMagnetsRequest)
    assert (sent.probes.rows, len(sent.probe_subjects)) == (3, 0)


def test_magnets_as_a_document(document: Callable[..., Any], wire: WireServer) -> None:
    magnets_found(wire)
    found = document("hygiene", "magnets", "staff")
    assert (found["magnets"][0]["subject_id"], found["magnets"][0]["advice"]) == ("ann", "RAISE_GAMMA_GALLERY")


def test_duplicates_are_pairs_and_larger_groups(invoke: Invoke, wire: WireServer) -> None:
    pairs = [
        hygiene_pb2.DuplicatePair(first=ANN, second=BOB, similarity=0.75, face_pairs=6, similar_face_pairs=5),
        hygiene_pb2.DuplicatePair(first=BOB, second=CYD, similarity=0.625, face_pairs=2, similar_face_pairs=2),
    ]
    group = hygiene_pb2.DuplicateGroup(subjects=[ANN, BOB, CYD], pairs=2, similarity=0.75)
    wire.answer("FindDuplicateSubjects", pb.FindDuplicateSubjectsResponse(operation=BEGUN))
    answer_wait(wire, duplicates=hygiene_pb2.DuplicateReport(pairs=pairs, groups=[group], cut=True, threshold=0.5))
    result = invoke("hygiene", "duplicates", "staff", "--threshold", "0.5", "--limit", "2")
    assert result.exit_code == 0, result.output
    assert wire.received[0] == pb.FindDuplicateSubjectsRequest(gallery="galleries/staff", threshold=0.5, max_pairs=2)
    for words in ("0.750", "5 of 6", "ann, bob, cyd", "2 from similarity 0.5 on, and there are more"):
        assert words in result.stdout


def test_subjects_with_low_ers_are_listed(invoke: Invoke, wire: WireServer) -> None:
    subject = pb.LowErsSubject(subject=ANN, best_ers=0.375, faces=2)
    answer = pb.FindLowErsSubjectsResponse(
        subjects=[subject], next_page_token="n", unfindable_subjects=7, one_face_subjects=5
    )
    wire.answer("FindLowErsSubjects", answer)
    result = invoke("hygiene", "low-ers", "staff", "--only", "one-face", "--limit", "1")
    assert result.exit_code == 0, result.output
    request = pb.FindLowErsSubjectsRequest(gallery="galleries/staff", which=pb.LOW_ERS_SUBJECTS_ONE_FACE, page_size=1)
    assert wire.received == [request]
    for words in ("ann", "0.375", "7", "5", "and more"):
        assert words in result.stdout


def test_the_check_is_set_and_shown(invoke: Invoke, wire: WireServer) -> None:
    made = gallery_pb2.Gallery(
        name="galleries/staff", tau=0.5, duplicate_check=gallery_pb2.DUPLICATE_CHECK_REFUSE, duplicate_threshold=0.625
    )
    wire.answer("CreateGallery", galleries.CreateGalleryResponse(gallery=made))
    wire.answer("UpdateGallery", galleries.UpdateGalleryResponse(gallery=made))
    arguments = ("--duplicate-check", "refuse", "--duplicate-threshold", "0.625")
    result = invoke("gallery", "create", "staff", "--profile", "p", "--tau", "0.5", *arguments)
    assert result.exit_code == 0, result.output
    assert "refuse from similarity 0.625 on" in result.stdout
    assert invoke("gallery", "update", "staff", "--duplicate-threshold", "default").exit_code == 0
    created, updated = wire.received
    assert isinstance(created, galleries.CreateGalleryRequest)
    assert isinstance(updated, galleries.UpdateGalleryRequest)
    assert created.gallery.duplicate_check == gallery_pb2.DUPLICATE_CHECK_REFUSE
    assert list(updated.update_mask.paths) == ["duplicate_threshold"]
    assert not updated.gallery.HasField("duplicate_threshold")


def test_an_enrolment_tells_of_perhaps_duplicates(invoke: Invoke, wire: WireServer, tmp_path: Path) -> None:
    warned = enrollment.EnrollmentResult(
        disposition=enrollment.DISPOSITION_ACCEPTED,
        subject="galleries/staff/subjects/eve",
        warnings=[enrollment.ENROLLMENT_WARNING_DUPLICATE_SUBJECT],
        duplicate_of=enrollment.DuplicateOf(subject=ANN, similarity=0.75),
    )
    answer = enrollment.EnrollFacesResponse(outcomes=[enrollment.EnrollmentOutcome(result=warned)])
    wire.on(
        "StreamEnrollFaces",
        lambda requests, _: (
            enrollment.StreamEnrollFacesResponse(sequence=each.sequence, response=answer) for each in requests
        ),
    )
    np.savez(tmp_path / "e.npz", embedding=np.ones((1, 4), np.float32), subject=np.array(["eve"]))
    result = invoke("enroll", "staff", tmp_path / "e.npz")
    assert result.exit_code == 0, result.output
    assert "similar to ann, 0.750" in result.stdout
