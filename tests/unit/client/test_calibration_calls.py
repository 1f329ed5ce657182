"""Calibrations: what is sent, how results read, and how long an operation is waited for."""

import grpc
import numpy as np
import pytest
from ersgallery.v1 import calibration_service_pb2 as pb
from ersgallery.v1 import face_input_pb2 as face
from ersgallery.v1 import recognizability_service_pb2 as recognizability
from ersgallery_client import (
    Estimate,
    GalleryClient,
    GammaCalibration,
    LostSubject,
    Operation,
    OperationKind,
    OperationState,
    ProfileCalibration,
    TauCalibration,
    errors,
)
from google.protobuf.timestamp_pb2 import Timestamp

from tests.support.wire_server import WireServer, status

TIME = Timestamp(seconds=1_700_000_000)
ROWS = np.array([[3.0, 4.0], [0.0, 1.0]], np.float32)
MATRIX = face.EmbeddingMatrix(packed=ROWS.astype("<f4").tobytes(), rows=2, dimension=2)
FIGURE = pb.Estimate(value=0.5, low=0.25, high=0.75)
RUNNING = pb.Operation(
    name="operations/a",
    kind=pb.OPERATION_KIND_CALIBRATE_TAU,
    gallery="galleries/g",
    state=pb.OPERATION_STATE_RUNNING,
    done_units=1,
    total_units=4,
    create_time=TIME,
    start_time=TIME,
)


def ended(**result: object) -> pb.Operation:
    operation = pb.Operation(end_time=TIME, state=pb.OPERATION_STATE_SUCCEEDED, **result)  # type: ignore[arg-type]
    whole = pb.Operation()
    whole.CopyFrom(RUNNING)
    whole.MergeFrom(operation)
    return whole


def test_a_calibration_of_gamma_sends_what_is_wanted(client: GalleryClient, wire: WireServer) -> None:
    wire.answer("CalibrateGamma", pb.CalibrateGammaResponse(operation=RUNNING))
    begun = client.calibrate_gamma(
        "g", faces=ROWS, subjects=["ann", "bob"], fars=[0.1, 0.01], gammas=[0.5], pick_far=0.1, apply=True
    )
    assert wire.received == [
        pb.CalibrateGammaRequest(
            gallery="galleries/g",
            faces=pb.LabelledEmbeddings(embeddings=MATRIX, subjects=["ann", "bob"]),
            fars=[0.1, 0.01],
            gammas=[0.5],
            pick_far=0.1,
            apply=True,
        )
    ]
    assert (begun.id, begun.kind, begun.state) == ("a", OperationKind.CALIBRATE_TAU, OperationState.RUNNING)
    assert (begun.gallery_id, begun.done_units, begun.total_units) == ("g", 1, 4)
    assert (begun.end_time, begun.result, begun.error, begun.ended) == (None, None, None, False)


def test_what_is_not_said_is_not_sent(client: GalleryClient, wire: WireServer) -> None:
    wire.answer("CalibrateGamma", pb.CalibrateGammaResponse(operation=RUNNING))
    wire.answer("CalibrateTau", pb.CalibrateTauResponse(operation=RUNNING))
    client.calibrate_gamma("g")
    client.calibrate_tau("g", target_fpir=0.01)
    assert wire.received == [
        pb.CalibrateGammaRequest(gallery="galleries/g"),
        pb.CalibrateTauRequest(gallery="galleries/g", target_fpir=0.01),
    ]


def test_a_calibration_of_a_profile_sends_labels_and_kinds(client: GalleryClient, wire: WireServer) -> None:
    wire.answer("CalibrateProfile", pb.CalibrateProfileResponse(operation=RUNNING))
    client.calibrate_profile(
        "sface", ROWS, subjects=["ann", "bob"], kinds=["", "BLUR"], ui_set=ROWS, centre=False, seed=7
    )
    assert wire.received == [
        pb.CalibrateProfileRequest(
            model="sface",
            faces=pb.LabelledEmbeddings(embeddings=MATRIX, subjects=["ann", "bob"]),
            kinds=["", "BLUR"],
            ui_set=MATRIX,
            centre=False,
            seed=7,
        )
    ]


def test_a_trade_reads_with_its_cells_and_its_application(client: GalleryClient, wire: WireServer) -> None:
    cell = pb.GammaTradeCell(far=0.1, tau=0.25, frr=FIGURE, supported=True)
    row = pb.GammaTradeRow(gamma=0.5, faces_unsure=0.1, genuine_unsure=0.2, impostor_unsure=0.3, cells=[cell])
    refused = pb.Application(error=status(grpc.StatusCode.ABORTED, "ETAG_MISMATCH"))
    found = pb.GammaCalibration(gamma=0.5, far=0.1, frr=FIGURE, rows=[row], faces=9, application=refused)
    wire.answer("GetOperation", pb.GetOperationResponse(operation=ended(gamma=found)))
    result = client.get_operation("a").result
    assert isinstance(result, GammaCalibration)
    assert (result.gamma, result.frr, result.faces) == (0.5, Estimate(0.5, 0.25, 0.75), 9)
    assert [(c.far, c.tau, c.supported) for c in result.rows[0].cells] == [(0.1, 0.25, True)]
    assert result.application is not None
    assert isinstance(result.application.error, errors.EtagMismatch)


def test_an_operation_is_waited_for_and_tells_how_far_it_is(client: GalleryClient, wire: WireServer) -> None:
    warning = pb.CalibrationWarning(code="FEW_IDENTITIES", message="too few")
    found = pb.TauCalibration(tau=FIGURE, probes=3, unsure=1, supported=True, warnings=[warning])
    wire.answer(
        "WaitOperation",
        pb.WaitOperationResponse(operation=RUNNING),
        pb.WaitOperationResponse(operation=RUNNING),
        pb.WaitOperationResponse(operation=ended(tau=found)),
    )
    told: list[Operation] = []
    operation = client.wait_operation("a", progress=told.append)
    assert [each.ended for each in told] == [False, False, True]
    assert [request.name for request in wire.received if isinstance(request, pb.WaitOperationRequest)] == [
        "operations/a"
    ] * 3
    assert isinstance(operation.result, TauCalibration)
    assert (operation.result.probes, operation.result.application) == (3, None)
    assert operation.result.warnings[0].code == "FEW_IDENTITIES"


def test_a_draft_reads_as_arrays_and_an_unchecked_check_as_none(client: GalleryClient, wire: WireServer) -> None:
    draft = recognizability.Profile(model="m", dimension=2, centroids=MATRIX, gamma=0.5)
    check = pb.CalibrationCheck(name="kinds", text="not checked", limit=3.0)
    found = pb.ProfileCalibration(profile=draft, checks=[check], decisions=["why"], figures={"auc": 0.75})
    wire.answer("GetOperation", pb.GetOperationResponse(operation=ended(profile=found)))
    result = client.get_operation("a").result
    assert isinstance(result, ProfileCalibration)
    np.testing.assert_array_equal(result.centroids, ROWS)
    assert result.mean is None
    assert (result.checks[0].passed, result.checks[0].value, result.checks[0].limit) == (None, None, 3.0)
    assert (result.decisions, result.figures) == (("why",), {"auc": 0.75})


def test_a_failed_operation_has_its_error_and_the_cause(client: GalleryClient, wire: WireServer) -> None:
    failure = status(
        grpc.StatusCode.FAILED_PRECONDITION, "CALIBRATION_FAILED", metadata={"calibration_reason": "TOO_FEW_PROBES"}
    )
    wire.answer("WaitOperation", pb.WaitOperationResponse(operation=ended(error=failure)))
    operation = client.wait_operation("a")
    assert isinstance(operation.error, errors.CalibrationFailed)
    assert operation.error.metadata["calibration_reason"] == "TOO_FEW_PROBES"


def test_operations_are_listed_cancelled_and_forgotten(client: GalleryClient, wire: WireServer) -> None:
    wire.answer("ListOperations", pb.ListOperationsResponse(operations=[RUNNING, ended()]))
    wire.answer("CancelOperation", pb.CancelOperationResponse(operation=RUNNING))
    wire.answer("DeleteOperation", pb.DeleteOperationResponse())
    assert [each.ended for each in client.list_operations()] == [False, True]
    assert client.cancel_operation("a").id == "a"
    client.delete_operation("a")
    wire.answer("GetOperation", status(grpc.StatusCode.NOT_FOUND, "OPERATION_NOT_FOUND"))
    with pytest.raises(errors.OperationNotFound):
        client.get_operation("a")


def test_a_preview_names_lost_subjects_by_their_ids(client: GalleryClient, wire: WireServer) -> None:
    lost = pb.LostSubject(subject="galleries/g/subjects/ann", best_ers=0.5, faces=2)
    wire.answer(
        "PreviewGammaGallery",
        pb.PreviewGammaGalleryResponse(present_gamma_gallery=0.25, excluded_faces=2, lost_subjects=1, lost=[lost]),
    )
    preview = client.preview_gamma_gallery("g", 0.75, page_size=1, page_token="t")
    assert wire.received == [
        pb.PreviewGammaGalleryRequest(gallery="galleries/g", gamma_gallery=0.75, page_size=1, page_token="t")
    ]
    assert (preview.present_gamma_gallery, preview.excluded_faces) == (0.25, 2)
    assert preview.lost == (LostSubject("ann", 0.5, 2),)
