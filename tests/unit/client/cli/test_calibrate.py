"""`calibrate`, `operations` and `gallery preview-gamma`: what is sent and shown, and how failures end them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from ersgallery.v1 import calibration_service_pb2 as pb
from ersgallery.v1 import face_input_pb2 as face_pb
from ersgallery.v1 import recognizability_service_pb2 as recognizability_pb
from google.protobuf.timestamp_pb2 import Timestamp

from tests.support.clients import Invoke
from tests.support.wire_server import WireServer, status

AXIS = np.array([1, 0], "<f4").tobytes()
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


def test_gamma_on_sets_says_what_it_gates(invoke: Invoke, wire: WireServer) -> None:
    cells = [pb.GammaTradeCell(far=0.01, frr=FIGURE)]
    rows = [pb.GammaTradeRow(gamma=0.5, cells=cells)]
    found = pb.GammaCalibration(gamma=0.5, rows=rows, set_faces=5, set_weighting=face_pb.WEIGHTING_TOP_1)
    wire.answer("CalibrateGamma", pb.CalibrateGammaResponse(operation=BEGUN))
    wire.answer("WaitOperation", done(gamma=found))
    result = invoke("calibrate", "gamma", "staff", "--sets", "5", "--weighting", "top_1")
    assert result.exit_code == 0, result.output
    sent = wire.received[0]
    assert isinstance(sent, pb.CalibrateGammaRequest)
    assert (sent.set_faces, sent.set_weighting) == (5, face_pb.WEIGHTING_TOP_1)
    assert "templates of up to 5 faces, weighting top_1: it gates a template's ERS" in result.stdout
    refused = invoke("calibrate", "gamma", "staff", "--weighting", "top_1")
    assert refused.exit_code == 2
    assert "--weighting needs --sets" in refused.stderr


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


@pytest.fixture
def profile_found(wire: WireServer) -> None:
    draft = recognizability_pb.Profile(
        model="own", dimension=2, gamma=0.5, centroids=face_pb.EmbeddingMatrix(packed=AXIS, rows=1, dimension=2)
    )
    found = pb.ProfileCalibration(
        profile=draft,
        checks=[pb.CalibrationCheck(name="kinds", text="not checked because labels are missing: kinds")],
        decisions=["one centroid is enough"],
        figures={"auc_clean_against_degraded": 0.9375},
    )
    wire.answer("CalibrateProfile", pb.CalibrateProfileResponse(operation=BEGUN))
    wire.answer("WaitOperation", done(profile=found))
    made = recognizability_pb.Profile(
        name="profiles/mine@3", model="own", centroids=draft.centroids, gamma=0.5, create_time=TIME
    )
    wire.answer("CreateProfile", recognizability_pb.CreateProfileResponse(profile=made))


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    path = tmp_path / "faces.npz"
    people, kinds = np.array([b"ann", b"bob"]), np.array(["CLEAN", "BLUR"])
    np.savez(path, embedding=np.ones((2, 2), np.float32), identity=people, kind=kinds)
    return path


@pytest.mark.usefixtures("profile_found")
def test_a_profile_is_built_and_shown_with_its_checks_and_nothing_is_stored(
    invoke: Invoke, wire: WireServer, faces: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "ui.npy", np.ones((3, 2), np.float32))
    result = invoke(
        "calibrate", "profile", "own", "--faces", faces, "--ui-set", tmp_path / "ui.npy", "--no-centre", "--seed", "7"
    )
    assert result.exit_code == 0, result.output
    sent = wire.received[0]
    assert isinstance(sent, pb.CalibrateProfileRequest)
    assert (sent.model, list(sent.faces.subjects), list(sent.kinds)) == ("own", ["ann", "bob"], ["CLEAN", "BLUR"])
    assert (sent.ui_set.rows, sent.HasField("centre"), sent.centre, sent.seed) == (3, True, False, 7)
    for words in ("not checked", "one centroid is enough", "auc_clean_against_degraded", "0.938"):
        assert words in result.stdout
    assert not any(isinstance(each, recognizability_pb.CreateProfileRequest) for each in wire.received)


@pytest.mark.usefixtures("profile_found")
def test_a_profile_is_stored_where_a_name_is_given(document: Callable[..., Any], wire: WireServer, faces: Path) -> None:
    shown = document("calibrate", "profile", "own", "--faces", faces, "--create", "mine")
    assert shown["created"] == "mine@3"
    assert shown["result"]["centroids"] == [[1.0, 0.0]]
    sent = wire.received[-1]
    assert isinstance(sent, recognizability_pb.CreateProfileRequest)
    assert (sent.profile_id, sent.profile.model, sent.profile.gamma) == ("mine", "own", 0.5)
    assert sent.profile.centroids.packed == AXIS
    assert json.loads(sent.profile.description)["subjects"] == 2


def test_ctrl_c_cancels_the_building_of_a_profile(
    invoke: Invoke, wire: WireServer, faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    # As above.
    monkeypatch.setattr("ersgallery_client.client.GalleryClient.wait_operation", interrupt)
    wire.answer("CalibrateProfile", pb.CalibrateProfileResponse(operation=BEGUN))
    wire.answer("CancelOperation", pb.CancelOperationResponse(operation=BEGUN))
    assert invoke("calibrate", "profile", "own", "--faces", faces).exit_code != 0
    assert wire.received[-1] == pb.CancelOperationRequest(name="operations/a1")


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({}, "no array `subject`"),
        ({"subject": np.array(["ann"])}, "`subject` must have one label for each of the 2 embeddings"),
        ({"subject": np.array([0.5, 1.5])}, "must be words or whole numbers"),
        ({"subject": np.array(["ann", "bob"]), "kind": np.array(["BLUR"])}, "`kind` must have one label"),
    ],
)
def test_faces_without_labels_that_fit_are_refused_before_anything_is_sent(
    invoke: Invoke, wire: WireServer, tmp_path: Path, columns: dict[str, Any], sentence: str
) -> None:
    np.savez(tmp_path / "bad.npz", embedding=np.ones((2, 2), np.float32), **columns)
    result = invoke("calibrate", "profile", "own", "--faces", tmp_path / "bad.npz")
    assert result.exit_code == 1
    assert sentence in result.stderr
    assert not wire.received


def test_the_help_of_gamma_says_what_clean_faces_give(invoke: Invoke) -> None:
    words = " ".join(invoke("calibrate", "gamma", "--help").stdout.split())
    assert "Clean faces alone show no need of a gate and give 0" in words
    assert "A pick of 0 is shown and never applied." in words
