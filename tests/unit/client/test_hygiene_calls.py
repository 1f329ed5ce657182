"""Hygiene: what is sent, and how reports and duplicates read."""

import grpc
import numpy as np
from ersgallery.v1 import calibration_service_pb2 as calibration
from ersgallery.v1 import enrollment_service_pb2 as enrollment
from ersgallery.v1 import face_input_pb2 as face
from ersgallery.v1 import gallery_pb2, hygiene_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery.v1 import hygiene_service_pb2 as pb
from ersgallery_client import (
    DuplicateCheck,
    DuplicateGroup,
    DuplicateOf,
    DuplicatePair,
    DuplicateReport,
    Enrollment,
    EnrollmentWarning,
    GalleryClient,
    LowErsSubject,
    LowErsSubjects,
    Magnet,
    MagnetAdvice,
    MagnetReport,
    errors,
)
from google.protobuf.timestamp_pb2 import Timestamp

from tests.support.wire_server import WireServer, status

TIME = Timestamp(seconds=1_700_000_000)
ROWS = np.array([[3.0, 4.0], [0.0, 1.0]], np.float32)
BEGUN = calibration.Operation(name="operations/a", gallery="galleries/g", create_time=TIME)


def ended(wire: WireServer, **result: object) -> None:
    operation = calibration.Operation(name="operations/a", create_time=TIME, end_time=TIME, **result)  # type: ignore[arg-type]
    wire.answer("WaitOperation", calibration.WaitOperationResponse(operation=operation))


def test_magnets_are_asked_for_with_probes_and_read(client: GalleryClient, wire: WireServer) -> None:
    wire.answer("FindMagnets", pb.FindMagnetsResponse(operation=BEGUN))
    found = hygiene_pb2.Magnet(
        face="galleries/g/subjects/ann/faces/7",
        subject="galleries/g/subjects/ann",
        ers=0.25,
        subjects=3,
        wins=4,
        low_ers_wins=2,
        neighbor_probes=5,
        mean_similarity=0.5,
        ui_wins=1,
        advice=hygiene_pb2.MAGNET_ADVICE_HIDDEN,
    )
    template = hygiene_pb2.Magnet(subject="galleries/g/subjects/bob")
    ended(wire, magnets=hygiene_pb2.MagnetReport(magnets=[found, template], winners=9, probes=2, revision=6))
    begun = client.find_magnets(
        "g",
        probes=ROWS,
        probe_subjects=["ann", "eve"],
        threshold=0.5,
        gamma_gallery=0.0,
        neighbors=3,
        max_magnets=4,
    )
    report = client.wait_operation(begun.id).result
    matrix = face.EmbeddingMatrix(packed=ROWS.astype("<f4").tobytes(), rows=2, dimension=2)
    assert wire.received[0] == pb.FindMagnetsRequest(
        gallery="galleries/g",
        probes=matrix,
        probe_subjects=["ann", "eve"],
        threshold=0.5,
        gamma_gallery=0.0,
        neighbors=3,
        max_magnets=4,
    )
    assert isinstance(report, MagnetReport)
    assert (report.winners, report.probes, report.revision) == (9, 2, 6)
    assert report.magnets[0] == Magnet("ann", 7, 0.25, 3, 4, 2, 5, 0.5, 1, MagnetAdvice.HIDDEN)
    assert (report.magnets[1].face_id, report.magnets[1].mean_similarity) == (None, None)


def test_duplicates_are_read_with_their_groups(client: GalleryClient, wire: WireServer) -> None:
    wire.answer("FindDuplicateSubjects", pb.FindDuplicateSubjectsResponse(operation=BEGUN))
    ann, bob = "galleries/g/subjects/ann", "galleries/g/subjects/bob"
    pair = hygiene_pb2.DuplicatePair(
        first=ann,
        second=bob,
        similarity=0.75,
        first_face=f"{ann}/faces/3",
        second_face=f"{bob}/faces/4",
        face_pairs=6,
        similar_face_pairs=5,
    )
    group = hygiene_pb2.DuplicateGroup(subjects=[ann, bob], pairs=1, similarity=0.75)
    ended(wire, duplicates=hygiene_pb2.DuplicateReport(pairs=[pair], groups=[group], cut=True, faces=8))
    begun = client.find_duplicate_subjects("g", threshold=0.5, max_pairs=1)
    report = client.wait_operation(begun.id).result
    assert wire.received[0] == pb.FindDuplicateSubjectsRequest(gallery="galleries/g", threshold=0.5, max_pairs=1)
    assert isinstance(report, DuplicateReport)
    assert report.pairs == (DuplicatePair("ann", "bob", 0.75, 3, 4, 6, 5),)
    assert report.groups == (DuplicateGroup(("ann", "bob"), 1, 0.75),)
    assert (report.cut, report.faces) == (True, 8)


def test_subjects_with_low_ers_are_one_page(client: GalleryClient, wire: WireServer) -> None:
    subject = pb.LowErsSubject(subject="galleries/g/subjects/ann", best_ers=0.5, template_ers=0.25, faces=2)
    answer = pb.FindLowErsSubjectsResponse(subjects=[subject], next_page_token="next", unfindable_subjects=7)
    wire.answer("FindLowErsSubjects", answer)
    report = client.find_low_ers_subjects("g", which=LowErsSubjects.UNFINDABLE, page_size=1, page_token="here")
    assert wire.received == [
        pb.FindLowErsSubjectsRequest(
            gallery="galleries/g", which=pb.LOW_ERS_SUBJECTS_UNFINDABLE, page_size=1, page_token="here"
        )
    ]
    assert report.subjects == (LowErsSubject("ann", 0.5, 0.25, 2, 0, findable=False),)
    assert (report.next_page_token, report.unfindable_subjects) == ("next", 7)


def test_a_duplicate_is_an_error_of_its_item_or_a_warning_that_names_the_other(
    client: GalleryClient, wire: WireServer
) -> None:
    told = {"subject": "galleries/g/subjects/ann", "similarity": "0.75", "threshold": "0.5"}
    refused = status(grpc.StatusCode.ALREADY_EXISTS, "DUPLICATE_SUBJECT", metadata=told)
    warned = enrollment.EnrollmentResult(
        disposition=enrollment.DISPOSITION_ACCEPTED,
        subject="galleries/g/subjects/eve",
        warnings=[enrollment.ENROLLMENT_WARNING_DUPLICATE_SUBJECT],
        duplicate_of=enrollment.DuplicateOf(subject="galleries/g/subjects/ann", similarity=0.75),
    )
    outcomes = [enrollment.EnrollmentOutcome(error=refused), enrollment.EnrollmentOutcome(result=warned)]
    wire.answer("EnrollFaces", enrollment.EnrollFacesResponse(outcomes=outcomes))
    first, second = client.enroll("g", [Enrollment("bob", ROWS[0]), Enrollment("eve", ROWS[1])]).outcomes
    assert isinstance(first.error, errors.DuplicateSubject)
    assert first.error.metadata == told
    assert second.warnings == (EnrollmentWarning.DUPLICATE_SUBJECT,)
    assert second.duplicate_of == DuplicateOf("ann", 0.75)


def test_the_check_is_a_setting_of_a_gallery(client: GalleryClient, wire: WireServer) -> None:
    made = gallery_pb2.Gallery(
        name="galleries/g", duplicate_check=gallery_pb2.DUPLICATE_CHECK_WARN, duplicate_threshold=0.25
    )
    wire.answer("CreateGallery", galleries.CreateGalleryResponse(gallery=made))
    wire.answer("UpdateGallery", galleries.UpdateGalleryResponse(gallery=gallery_pb2.Gallery(name="galleries/g")))
    found = client.create_gallery(
        "g", profile="p", tau=0.5, duplicate_check=DuplicateCheck.WARN, duplicate_threshold=0.25
    )
    changed = client.update_gallery("g", duplicate_check=DuplicateCheck.REFUSE, duplicate_threshold=None)
    created, updated = wire.received
    assert isinstance(created, galleries.CreateGalleryRequest)
    assert isinstance(updated, galleries.UpdateGalleryRequest)
    assert created.gallery.duplicate_check == gallery_pb2.DUPLICATE_CHECK_WARN
    assert updated.gallery.duplicate_check == gallery_pb2.DUPLICATE_CHECK_REFUSE
    assert list(updated.update_mask.paths) == ["duplicate_check", "duplicate_threshold"]
    assert (found.duplicate_check, found.duplicate_threshold) == (DuplicateCheck.WARN, 0.25)
    assert changed.duplicate_threshold is None
