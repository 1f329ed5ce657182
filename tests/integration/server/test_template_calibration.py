"""tau of a gallery that is searched by template: probed with templates, and told so."""

import threading

import numpy as np
import pytest
from ersgallery.v1 import calibration_service_pb2 as pb
from ersgallery.v1 import face_input_pb2, gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery_index import Derivation, Profile, Representation, Template, Weighting, represent, represent_templates
from ersgallery_index.calibration.non_mated import non_mated_scores
from ersgallery_index.calibration.tau import TauChoice, choose_tau
from ersgallery_server.operations import Kind, Progress
from google.protobuf.field_mask_pb2 import FieldMask
from numpy.typing import NDArray

from tests.support.calibration_requests import ended, filled_gallery, people
from tests.support.requests import GAMMA, MODEL, axis, matrix
from tests.support.server import RunningServer

PEOPLE, FACES = 250, 4
UNIT = Derivation(Profile(MODEL, axis(0)[None, :].astype(np.float64), GAMMA, None))
TEMPLATE = gallery_pb2.SUBJECT_SEARCH_TEMPLATE


@pytest.fixture(scope="module")
def sets(server: RunningServer) -> str:
    filled_gallery(
        server,
        "sets",
        PEOPLE,
        FACES,
        subject_search=TEMPLATE,
        template_weighting=face_input_pb2.WEIGHTING_IDENTITY,
        template_media_pooling=False,
    )
    return "galleries/sets"


def templates() -> Representation:
    rows, who = people(PEOPLE, FACES)
    sets_of_faces = [rows[who == person] for person in range(PEOPLE)]
    return represent_templates(
        UNIT, [Template(faces, ("",) * len(faces), Weighting.IDENTITY, media_pooling=False) for faces in sets_of_faces]
    )


def chosen(probes: Representation, owners: NDArray[np.int64]) -> TauChoice:
    found = non_mated_scores(probes, owners, templates(), np.arange(PEOPLE), gamma=GAMMA, gamma_gallery=GAMMA)
    return choose_tau(found, 0.1, PEOPLE)


def calibrated(server: RunningServer, request: pb.CalibrateTauRequest) -> pb.TauCalibration:
    found = ended(server, server.calibration.CalibrateTau(request).operation)
    assert found.state == pb.OPERATION_STATE_SUCCEEDED, found.error
    return found.tau


def test_each_subject_is_one_template_searched_among_all_others(server: RunningServer, sets: str) -> None:
    found = calibrated(server, pb.CalibrateTauRequest(gallery=sets, target_fpir=0.1))
    wanted = chosen(templates(), np.arange(PEOPLE))
    assert (found.probes, found.unsure, found.calibration_subjects) == (PEOPLE, 0, PEOPLE - 1)
    assert found.tau.value == pytest.approx(wanted.tau.value, abs=1e-6)
    # Single faces would have given another tau: what is searched with templates needs one for templates.
    rows, who = people(PEOPLE, FACES)
    assert abs(chosen(represent(UNIT, rows), who).tau.value - found.tau.value) > 0.01
    assert found.method.endswith("; probed with one template of every subject, of all its faces")
    assert "SINGLE_FACE_PROBES" not in {warning.code for warning in found.warnings}


def test_strangers_are_searched_face_by_face_with_a_warning(server: RunningServer, sets: str) -> None:
    strangers, _ = people(400, 1, seed=9)
    found = calibrated(
        server, pb.CalibrateTauRequest(gallery=sets, target_fpir=0.1, non_mated_probes=matrix(strangers))
    )
    wanted = chosen(represent(UNIT, strangers), np.full(len(strangers), -1))
    assert found.tau.value == pytest.approx(wanted.tau.value, abs=1e-6)
    assert found.method.endswith("; probed with the faces given, one by one")
    assert found.warnings[-1].code == "SINGLE_FACE_PROBES"
    assert found.supported == wanted.supported


def test_a_gallery_searched_by_face_is_probed_with_faces(server: RunningServer) -> None:
    filled_gallery(server, "faces", PEOPLE, FACES)
    found = calibrated(server, pb.CalibrateTauRequest(gallery="galleries/faces", target_fpir=0.1))
    assert found.probes == PEOPLE * 3
    assert found.method.endswith("; probed with up to 3 faces of every subject")
    assert "SINGLE_FACE_PROBES" not in {warning.code for warning in found.warnings}


def test_a_gallery_that_is_searched_otherwise_meanwhile_fails_the_calibration(server: RunningServer) -> None:
    filled_gallery(server, "changing", 4, 1, subject_search=TEMPLATE)
    released = threading.Event()

    def hold(_progress: Progress) -> None:
        released.wait()

    server.service._operations.start(Kind.CALIBRATE_GAMMA, "held", hold)
    request = pb.CalibrateTauRequest(gallery="galleries/changing", target_fpir=0.1)
    waiting = server.calibration.CalibrateTau(request).operation
    changed = gallery_pb2.Gallery(
        name="galleries/changing",
        subject_search=TEMPLATE,
        template_weighting=face_input_pb2.WEIGHTING_UNIFORM,
    )
    mask = FieldMask(paths=["template_weighting"])
    server.galleries.UpdateGallery(galleries.UpdateGalleryRequest(gallery=changed, update_mask=mask))
    released.set()
    failed = ended(server, waiting)
    assert failed.state == pb.OPERATION_STATE_FAILED
    assert "kind of search" in failed.error.message
