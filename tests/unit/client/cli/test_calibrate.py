"""`calibrate`, `operations` and `gallery preview-gamma`: what is sent and shown, and how failures end them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from ersgallery.v1 import calibration_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

from tests.support.clients import Invoke
from tests.support.wire_server import WireServer, status

TIME = Timestamp(seconds=1_700_000_000)
FIGURE = pb.Estimate(value=0.5, low=0.25, high=0.75)
BEGUN = pb.Operation(name="operations/a1", gallery="galleries/staff", create_time=TIME)


def done(**result: Any) -> pb.WaitOperationResponse:
    operation = pb.Operation(
        name=BEGUN.name, gallery=BEGUN.gallery, create_time=TIME, start_time=TIME, end_time=TIME, **result
    )
    return pb.WaitOperationResponse(operation=operation)


@pytest.fixture
def tau_found(wire: WireServer) -> None:
    warning = pb.CalibrationWarning(code="FEW_IDENTITIES", message="the probes show 7 people")
    found = pb.TauCalibration(
        tau=FIGURE,
        target_fpir=0.01,
        gallery_size=900,
        probes=7,
        warnings=[warning],
        application=pb.Application(error=status(grpc.StatusCode.ABORTED, "ETAG_MISMATCH", "it changed")),
    )
    wire.answer("CalibrateTau", pb.CalibrateTauResponse(operation=BEGUN))
    wire.answer("WaitOperation", pb.WaitOperationResponse(operation=BEGUN), done(tau=found))


@pytest.mark.usefixtures("tau_found")
def test_tau_is_shown_with_its_warnings_and_whether_it_was_applied(
    invoke: Invoke, wire: WireServer, tmp_path: Path
) -> None:
    np.save(tmp_path / "strangers.npy", np.ones((2, 4), np.float32))
    result = invoke(
        "calibrate", "tau", "staff", "--fpir", "0.01", "--gallery-size", "900", "--apply",
        "--probes", tmp_path / "strangers.npy",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    sent = wire.received[0]
    assert isinstance(sent, pb.CalibrateTauRequest)
    assert (sent.gallery, sent.target_fpir, sent.gallery_size, sent.apply) == ("galleries/staff", 0.01, 900, True)
    assert sent.non_mated_probes.rows == 2
    for words in ("0.5000 (0.2500 to 0.7500)", "FEW_IDENTITIES", "the probes show 7 people", "no: it changed"):
        assert words in result.stdout


@pytest.mark.usefixtures("tau_found")
def test_tau_as_a_document(document: Callable[..., Any]) -> None:
    found = document("calibrate", "tau", "staff", "--fpir", "0.01")
    assert found["result"]["tau"]["value"] == 0.5
    assert found["result"]["application"]["error"]["reason"] == "ETAG_MISMATCH"


def test_gamma_is_shown_with_the_whole_trade(invoke: Invoke, wire: WireServer, tmp_path: Path) -> None:
    cells = [pb.GammaTradeCell(far=0.01, frr=FIGURE, supported=True), pb.GammaTradeCell(far=0.001, frr=FIGURE)]
    found = pb.GammaCalibration(gamma=0.625, far=0.01, frr=FIGURE, rows=[pb.GammaTradeRow(gamma=0.625, cells=cells)])
    wire.answer("CalibrateGamma", pb.CalibrateGammaResponse(operation=BEGUN))
    wire.answer("WaitOperation", done(gamma=found))
    np.savez(tmp_path / "own.npz", embedding=np.ones((2, 4), np.float32), subject=np.array(["ann", "bob"]))
    result = invoke("calibrate", "gamma", "staff", "--far", "0.01", "--far", "0.001", "--faces", tmp_path / "own.npz")
    assert result.exit_code == 0, result.output
    sent = wire.received[0]
    assert isinstance(sent, pb.CalibrateGammaRequest)
    assert (list(sent.fars), list(sent.faces.subjects)) == ([0.01, 0.001], ["ann", "bob"])
    for words in ("0.625", "FRR at FAR 0.001", "50.00% *"):
        assert words in result.stdout


def test_a_failed_calibration_ends_with_its_sentence(invoke: Invoke, wire: WireServer) -> None:
    wire.answer("CalibrateTau", pb.CalibrateTauResponse(operation=BEGUN))
    wire.answer(
        "WaitOperation",
        done(error=status(grpc.StatusCode.FAILED_PRECONDITION, "CALIBRATION_FAILED", "3 probes are too few")),
    )
    result = invoke("calibrate", "tau", "staff", "--fpir", "0.01")
    assert result.exit_code == 1
    assert "3 probes are too few (CALIBRATION_FAILED)" in result.stderr


def test_ctrl_c_cancels_the_operation(invoke: Invoke, wire: WireServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    # A signal cannot be sent to one test of many: only the wait itself is replaced.
    monkeypatch.setattr("ersgallery_client.client.GalleryClient.wait_operation", interrupt)
    wire.answer("CalibrateTau", pb.CalibrateTauResponse(operation=BEGUN))
    wire.answer("CancelOperation", pb.CancelOperationResponse(operation=BEGUN))
    assert invoke("calibrate", "tau", "staff", "--fpir", "0.01").exit_code != 0
    assert wire.received[-1] == pb.CancelOperationRequest(name="operations/a1")


def test_operations_are_listed_and_cancelled(invoke: Invoke, wire: WireServer) -> None:
    half = pb.Operation(
        name="operations/a1",
        kind=pb.OPERATION_KIND_CALIBRATE_GAMMA,
        state=pb.OPERATION_STATE_RUNNING,
        done_units=1,
        total_units=2,
        create_time=TIME,
        start_time=TIME,
    )
    wire.answer("ListOperations", pb.ListOperationsResponse(operations=[half]))
    wire.answer("CancelOperation", pb.CancelOperationResponse(operation=half))
    listed = invoke("operations", "list").stdout
    for words in ("a1", "calibrate_gamma", "running", "50%"):
        assert words in listed
    assert "a1 is cancelled" in invoke("operations", "cancel", "a1").stdout


def test_a_preview_names_who_would_be_lost(invoke: Invoke, wire: WireServer) -> None:
    lost = pb.LostSubject(subject="galleries/staff/subjects/ada", best_ers=0.5, faces=2)
    wire.answer(
        "PreviewGammaGallery",
        pb.PreviewGammaGalleryResponse(
            present_gamma_gallery=0.4, faces=9, searchable_faces=5, lost_subjects=1, lost=[lost]
        ),
    )
    result = invoke("gallery", "preview-gamma", "staff", "--gamma-gallery", "0.7", "--subjects", "3")
    assert result.exit_code == 0, result.output
    assert wire.received == [pb.PreviewGammaGalleryRequest(gallery="galleries/staff", gamma_gallery=0.7, page_size=3)]
    for words in ("gamma_gallery 0.7 in place of 0.4", "5 of 9", "ada"):
        assert words in result.stdout
