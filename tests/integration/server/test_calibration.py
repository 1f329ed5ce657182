"""Calibrations over gRPC: they run beside the searches, tell how far they are, end when asked to, and apply."""

import threading
from collections.abc import Callable, Iterator

import grpc
import numpy as np
import pytest
from ersgallery.v1 import calibration_service_pb2 as pb
from ersgallery.v1 import face_input_pb2 as face_pb
from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery.v1 import recognizability_service_pb2 as recognizability
from ersgallery_index import Derivation, Profile
from ersgallery_index.calibration.gamma import gamma_trade
from ersgallery_index.calibration.non_mated import non_mated_scores
from ersgallery_index.calibration.tau import choose_tau
from ersgallery_index.representation import represent
from ersgallery_server.operations import Kind, Operation, Progress
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc import error_details_pb2, status_pb2

from tests.support.calibration_faces import World
from tests.support.calibration_requests import ended, filled_gallery, people
from tests.support.requests import (
    DIMENSION,
    GAMMA,
    MODEL,
    axis,
    blurred,
    create_profile,
    enroll,
    identify,
    item,
    matrix,
)
from tests.support.server import RunningServer, running_server, settings
from tests.support.statuses import read, refused

PEOPLE, FACES = 150, 3
UNKNOWN_OPERATION = "operations/" + "0" * 32
UNIT = Profile(MODEL, axis(0)[None, :].astype(np.float64), GAMMA, None)
State = pb.OperationState


@pytest.fixture(scope="module")
def filled(server: RunningServer) -> str:
    filled_gallery(server, "filled", PEOPLE, FACES)
    return "galleries/filled"


def set_tau(server: RunningServer, tau: float) -> None:
    changed = gallery_pb2.Gallery(name="galleries/filled", tau=tau)
    server.galleries.UpdateGallery(
        galleries.UpdateGalleryRequest(gallery=changed, update_mask=FieldMask(paths=["tau"]))
    )


class Hold:
    """Keeps the one worker busy until it is let go."""

    def __init__(self, server: RunningServer) -> None:
        self._released, self._begun = threading.Event(), threading.Event()
        self.operation: Operation = server.service._operations.start(Kind.CALIBRATE_GAMMA, "held", self._work)
        assert self._begun.wait(20)

    def _work(self, progress: Progress) -> None:
        progress(3, 10)
        self._begun.set()
        while not self._released.wait(0.005):
            progress(4, 10)

    def release(self) -> None:
        self._released.set()


@pytest.fixture
def hold(server: RunningServer) -> Iterator[Hold]:
    held = Hold(server)
    yield held
    held.release()


def test_gamma_from_a_gallery_is_that_of_the_library(server: RunningServer, filled: str) -> None:
    request = pb.CalibrateGammaRequest(gallery=filled, fars=[0.1, 0.01], gammas=[0.0, 0.5, 0.9])
    begun = server.calibration.CalibrateGamma(request).operation
    assert begun.kind == pb.OPERATION_KIND_CALIBRATE_GAMMA
    assert begun.gallery == filled
    found = ended(server, begun)
    assert found.state == State.OPERATION_STATE_SUCCEEDED, found.error
    rows, who = people(PEOPLE, FACES)
    wanted = gamma_trade(represent(Derivation(UNIT), rows), who, fars=(0.1, 0.01), gammas=(0.0, 0.5, 0.9))
    assert found.gamma.gamma == wanted.pick.gamma
    assert found.gamma.genuine_pairs == wanted.genuine == PEOPLE * 3
    assert found.gamma.impostor_pairs == wanted.impostor
    told = [(row.gamma, cell.far, cell.tau, cell.frr.value) for row in found.gamma.rows for cell in row.cells]
    figures = [(row.gamma, cell.far, cell.tau, cell.frr.value) for row in wanted.rows for cell in row.cells]
    np.testing.assert_allclose(told, figures, atol=1e-9)
    assert not found.gamma.HasField("application")


def test_gamma_from_given_faces_needs_none_in_the_gallery(
    server: RunningServer, new_gallery: Callable[..., str]
) -> None:
    rows, who = people(40, 2, seed=3)
    faces = pb.LabelledEmbeddings(embeddings=matrix(rows), subjects=[f"s{number}" for number in who])
    request = pb.CalibrateGammaRequest(gallery=f"galleries/{new_gallery()}", faces=faces, fars=[0.1])
    found = ended(server, server.calibration.CalibrateGamma(request).operation)
    assert found.state == State.OPERATION_STATE_SUCCEEDED, found.error
    assert (found.gamma.faces, found.gamma.identities) == (80, 40)


def test_tau_from_strangers_is_that_of_the_library(server: RunningServer, filled: str) -> None:
    strangers, _ = people(400, 1, seed=9)
    request = pb.CalibrateTauRequest(gallery=filled, target_fpir=0.1, non_mated_probes=matrix(strangers))
    found = ended(server, server.calibration.CalibrateTau(request).operation)
    assert found.state == State.OPERATION_STATE_SUCCEEDED, found.error
    rows, who = people(PEOPLE, FACES)
    derivation = Derivation(UNIT)
    scores = non_mated_scores(
        represent(derivation, strangers),
        np.full(len(strangers), -1),
        represent(derivation, rows),
        who,
        gamma=GAMMA,
        gamma_gallery=GAMMA,
    )
    wanted = choose_tau(scores, 0.1, PEOPLE)
    assert found.tau.tau.value == pytest.approx(wanted.tau.value, abs=1e-6)
    assert found.tau.unsure == wanted.unsure
    assert (found.tau.probes, found.tau.calibration_subjects, found.tau.gallery_size) == (400, PEOPLE, PEOPLE)
    assert {warning.code for warning in found.tau.warnings} == {warning.code for warning in wanted.warnings}
    assert found.tau.supported == wanted.supported


def test_tau_from_the_gallery_itself_leaves_each_subject_out(server: RunningServer, filled: str) -> None:
    request = pb.CalibrateTauRequest(gallery=filled, target_fpir=0.1, gallery_size=1000)
    found = ended(server, server.calibration.CalibrateTau(request).operation)
    assert found.state == State.OPERATION_STATE_SUCCEEDED, found.error
    # Its own faces are nearly equal: had they been met, no tau below 0.9 would keep the target.
    assert found.tau.tau.value < 0.9
    assert found.tau.calibration_subjects == PEOPLE - 1
    assert found.tau.extrapolation == pytest.approx(1000 / (PEOPLE - 1))
    assert found.tau.probes == PEOPLE * FACES


def test_a_supported_tau_is_applied(server: RunningServer, filled: str) -> None:
    set_tau(server, 0.11)
    strangers, _ = people(400, 1, seed=9)
    request = pb.CalibrateTauRequest(gallery=filled, target_fpir=0.1, non_mated_probes=matrix(strangers), apply=True)
    found = ended(server, server.calibration.CalibrateTau(request).operation)
    assert found.tau.supported, found
    assert found.tau.application.applied
    gallery = server.gallery("filled")
    assert (gallery.tau, gallery.tau_subjects) == (found.tau.tau.value, PEOPLE)
    assert gallery.etag == found.tau.application.etag


def test_what_changed_meanwhile_is_not_overwritten(server: RunningServer, filled: str, hold: Hold) -> None:
    strangers, _ = people(400, 1, seed=9)
    request = pb.CalibrateTauRequest(gallery=filled, target_fpir=0.1, non_mated_probes=matrix(strangers), apply=True)
    waiting = server.calibration.CalibrateTau(request).operation
    set_tau(server, 0.22)
    hold.release()
    found = ended(server, waiting)
    assert found.tau.supported
    assert not found.tau.application.applied
    assert read(found.tau.application.error).reason == "ETAG_MISMATCH"
    assert server.gallery("filled").tau == 0.22


def test_an_unsupported_result_is_told_and_not_applied(server: RunningServer, filled: str) -> None:
    set_tau(server, 0.33)
    request = pb.CalibrateTauRequest(gallery=filled, target_fpir=0.001, gallery_size=1_000_000, apply=True)
    found = ended(server, server.calibration.CalibrateTau(request).operation)
    assert found.state == State.OPERATION_STATE_SUCCEEDED, found.error
    assert not found.tau.supported
    assert {"FEW_FALSE_POSITIVES", "FAR_EXTRAPOLATION"} <= {warning.code for warning in found.tau.warnings}
    assert read(found.tau.application.error).reason == "CALIBRATION_FAILED"
    assert server.gallery("filled").tau == 0.33


def test_faces_that_yield_nothing_fail_the_operation_with_the_cause(
    server: RunningServer, new_gallery: Callable[..., str]
) -> None:
    gallery = new_gallery()
    enroll(server, gallery, item("ann", axis(1)), item("bob", axis(2)))
    for begun in (
        server.calibration.CalibrateGamma(pb.CalibrateGammaRequest(gallery=f"galleries/{gallery}")).operation,
        server.calibration.CalibrateTau(
            pb.CalibrateTauRequest(gallery=f"galleries/{gallery}", target_fpir=0.1)
        ).operation,
    ):
        failed = ended(server, begun)
        assert failed.state == State.OPERATION_STATE_FAILED
        assert read(failed.error).reason == "CALIBRATION_FAILED"


def test_a_profile_is_drafted_and_can_be_created(server: RunningServer) -> None:
    faces = World().draw(range(600), images=2, degraded=300)
    names = ["CLEAN" if kind < 0 else faces.kind_names[kind] for kind in faces.kinds.tolist()]
    labelled = pb.LabelledEmbeddings(embeddings=matrix(faces.rows), subjects=[str(who) for who in faces.identities])
    request = pb.CalibrateProfileRequest(model="toy", faces=labelled, kinds=names, seed=1)
    found = ended(server, server.calibration.CalibrateProfile(request).operation)
    assert found.state == State.OPERATION_STATE_SUCCEEDED, found.error
    draft = found.profile.profile
    assert (draft.model, draft.dimension, draft.name) == ("toy", 64, "")
    assert all(check.passed for check in found.profile.checks if check.HasField("passed"))
    assert found.profile.figures["auc_clean_against_degraded"] > 0.9
    made = server.recognizability.CreateProfile(
        recognizability.CreateProfileRequest(profile_id="drafted", profile=draft)
    ).profile
    assert made.gamma == draft.gamma


def test_progress_is_told_and_a_cancelled_operation_ends(server: RunningServer, filled: str, hold: Hold) -> None:
    name = f"operations/{hold.operation.operation_id}"
    running = server.calibration.GetOperation(pb.GetOperationRequest(name=name)).operation
    assert running.state == State.OPERATION_STATE_RUNNING
    assert 3 <= running.done_units < running.total_units == 10
    assert not running.HasField("end_time")
    waiting = server.calibration.CalibrateGamma(pb.CalibrateGammaRequest(gallery=filled)).operation
    assert waiting.state == State.OPERATION_STATE_WAITING
    dropped = server.calibration.CancelOperation(pb.CancelOperationRequest(name=waiting.name)).operation
    assert dropped.state == State.OPERATION_STATE_CANCELLED
    server.calibration.CancelOperation(pb.CancelOperationRequest(name=name))
    cancelled = ended(server, running)
    assert cancelled.state == State.OPERATION_STATE_CANCELLED
    assert read(cancelled.error).reason == "CANCELLED"
    listed = server.calibration.ListOperations(pb.ListOperationsRequest()).operations
    assert {name, waiting.name} <= {operation.name for operation in listed}
    server.calibration.DeleteOperation(pb.DeleteOperationRequest(name=name))
    with refused() as refusal:
        server.calibration.GetOperation(pb.GetOperationRequest(name=name))
    assert refusal.reason == "OPERATION_NOT_FOUND"


def test_searches_are_answered_while_a_calibration_runs(server: RunningServer, filled: str) -> None:
    begun = server.calibration.CalibrateTau(pb.CalibrateTauRequest(gallery=filled, target_fpir=0.1)).operation
    rows, _ = people(PEOPLE, FACES)
    answers = 0
    while not begun.HasField("end_time"):
        identify(server, "filled", rows[answers % len(rows)])
        answers += 1
        begun = server.calibration.GetOperation(pb.GetOperationRequest(name=begun.name)).operation
    assert answers >= 1
    assert begun.state == State.OPERATION_STATE_SUCCEEDED, begun.error


def test_as_many_operations_wait_as_the_limit_says(server: RunningServer, filled: str, hold: Hold) -> None:
    request = pb.CalibrateGammaRequest(gallery=filled)
    begun = [server.calibration.CalibrateGamma(request).operation for _ in range(7)]
    with refused() as refusal:
        server.calibration.CalibrateGamma(request)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OPERATIONS_FULL")
    assert refusal.retry_after_s
    for operation in begun:
        server.calibration.DeleteOperation(pb.DeleteOperationRequest(name=operation.name))


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.CalibrateGammaRequest(fars=[0.0]), "fars"),
        (pb.CalibrateGammaRequest(fars=[0.1] * 17), "fars"),
        (pb.CalibrateGammaRequest(gammas=[1.5]), "gammas"),
        (pb.CalibrateGammaRequest(fars=[0.1], pick_far=0.2), "pick_far"),
        (pb.CalibrateGammaRequest(pick_far=0.2), "pick_far"),
        (pb.CalibrateGammaRequest(set_faces=1001), "set_faces"),
        (pb.CalibrateGammaRequest(set_weighting=face_pb.WEIGHTING_SQUARE), "set_weighting"),
        (pb.CalibrateGammaRequest(set_faces=2, apply=True), "apply"),
        (
            pb.CalibrateGammaRequest(
                faces=pb.LabelledEmbeddings(embeddings=matrix([axis(1), axis(2)]), subjects=["ann"])
            ),
            "faces.subjects",
        ),
        (pb.CalibrateTauRequest(target_fpir=0.0), "target_fpir"),
        (pb.CalibrateTauRequest(target_fpir=0.1, gallery_size=-1), "gallery_size"),
        (
            pb.CalibrateTauRequest(target_fpir=0.1, non_mated_probes=matrix(np.ones((1, DIMENSION + 1)))),
            "embedding",
        ),
        (pb.CalibrateProfileRequest(model=""), "model"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_wrong_field_is_refused_before_anything_begins(
    server: RunningServer,
    filled: str,
    request_: pb.CalibrateGammaRequest | pb.CalibrateTauRequest | pb.CalibrateProfileRequest,
    field: str,
) -> None:
    with refused() as refusal:
        if isinstance(request_, pb.CalibrateProfileRequest):
            server.calibration.CalibrateProfile(request_)
        elif isinstance(request_, pb.CalibrateTauRequest):
            request_.gallery = filled
            server.calibration.CalibrateTau(request_)
        else:
            request_.gallery = filled
            server.calibration.CalibrateGamma(request_)
    assert refusal.fields == [field]


def test_an_unknown_operation_is_not_found_by_any_call(server: RunningServer) -> None:
    stub = server.calibration
    for ask in (
        lambda: stub.GetOperation(pb.GetOperationRequest(name=UNKNOWN_OPERATION)),
        lambda: stub.WaitOperation(pb.WaitOperationRequest(name=UNKNOWN_OPERATION)),
        lambda: stub.CancelOperation(pb.CancelOperationRequest(name=UNKNOWN_OPERATION)),
        lambda: stub.DeleteOperation(pb.DeleteOperationRequest(name=UNKNOWN_OPERATION)),
    ):
        with refused() as refusal:
            ask()
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "OPERATION_NOT_FOUND")


def test_a_preview_names_the_subjects_that_would_be_lost(
    server: RunningServer, new_gallery: Callable[..., str]
) -> None:
    gallery = new_gallery()
    middling = axis(1, (0, 0.45))
    enroll(
        server,
        gallery,
        item("ann", axis(2)),
        item("ann", middling),
        item("bob", middling),
        item("cy", middling),
        item("eve", blurred(3)),
    )
    asked = pb.PreviewGammaGalleryRequest(gallery=f"galleries/{gallery}", gamma_gallery=0.9, page_size=1)
    answer = server.calibration.PreviewGammaGallery(asked)
    assert answer.present_gamma_gallery == GAMMA
    assert (answer.faces, answer.searchable_faces) == (5, 1)
    assert (answer.excluded_faces, answer.admitted_faces) == (3, 0)
    assert (answer.lost_subjects, answer.gained_subjects) == (2, 0)
    asked.page_token = answer.next_page_token
    rest = server.calibration.PreviewGammaGallery(asked)
    assert [lost.subject.rpartition("/")[2] for lost in (*answer.lost, *rest.lost)] == ["bob", "cy"]
    assert rest.next_page_token == ""
    opened = server.calibration.PreviewGammaGallery(
        pb.PreviewGammaGalleryRequest(gallery=f"galleries/{gallery}", gamma_gallery=0.0)
    )
    assert (opened.admitted_faces, opened.gained_subjects, opened.excluded_faces) == (1, 1, 0)


def test_a_preview_of_a_gallery_of_templates_counts_subjects_by_their_mean(
    server: RunningServer, new_gallery: Callable[..., str]
) -> None:
    gallery = new_gallery(subject_search=gallery_pb2.SUBJECT_SEARCH_TEMPLATE, gamma_gallery=0.2)
    enroll(server, gallery, item("ann", axis(1)), item("ann", blurred(3)), item("bob", axis(2)))
    answer = server.calibration.PreviewGammaGallery(
        pb.PreviewGammaGalleryRequest(gallery=f"galleries/{gallery}", gamma_gallery=0.8)
    )
    assert [lost.subject.rpartition("/")[2] for lost in answer.lost] == ["ann"]
    assert 0.5 < answer.lost[0].best_ers < 0.6


def test_shutting_down_cancels_what_runs(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running_server(settings(tmp_path_factory.mktemp("closing"))) as server:
        held = Hold(server)
    last = server.service._operations.get(held.operation.operation_id)
    assert last.state.value == "CANCELLED"


def test_a_gallery_that_gets_another_profile_meanwhile_fails_the_operation(
    server: RunningServer, filled: str, hold: Hold
) -> None:
    waiting = server.calibration.CalibrateTau(pb.CalibrateTauRequest(gallery=filled, target_fpir=0.1)).operation
    take_profile(server, filled, create_profile(server, "other-axis", ui_axis=1, gamma=0.1))
    hold.release()
    failed = ended(server, waiting)
    take_profile(server, filled, "profiles/unit")
    assert failed.state == State.OPERATION_STATE_FAILED
    assert read(failed.error).reason == "CALIBRATION_FAILED"
    (info,) = [each for each in _infos(failed.error) if each.reason]
    assert info.metadata["calibration_reason"] == "GALLERY_CHANGED"


def take_profile(server: RunningServer, gallery: str, profile: str) -> None:
    changed = gallery_pb2.Gallery(name=gallery, profile=profile)
    mask = FieldMask(paths=["profile"])
    server.galleries.UpdateGallery(galleries.UpdateGalleryRequest(gallery=changed, update_mask=mask))


def _infos(error: status_pb2.Status) -> list[error_details_pb2.ErrorInfo]:
    found = []
    for detail in error.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            found.append(info)
    return found
