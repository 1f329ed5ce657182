"""Calibrations from both clients and from the command line, on a real server."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from ersgallery_client import Enrollment, GalleryClient, GammaCalibration, Operation, TauCalibration, errors
from ersgallery_client.cli.app import app

from tests.support.calibration_faces import World
from tests.support.server import RunningServer
from tests.support.toy_faces import DIMENSION, clear_faces, poor_faces

PEOPLE = 120


@pytest.fixture
def filled(client: GalleryClient, gallery: str) -> str:
    faces = clear_faces(PEOPLE)
    near = faces + 0.02 * np.random.default_rng(5).normal(size=faces.shape).astype(np.float32)
    client.enroll(gallery, [Enrollment(f"p{i}", face) for rows in (faces, near) for i, face in enumerate(rows)])
    client.enroll(gallery, [Enrollment("blurred", poor_faces(1)[0])])
    return gallery


def test_tau_is_chosen_watched_and_applied(client: GalleryClient, filled: str) -> None:
    told: list[Operation] = []
    begun = client.calibrate_tau(filled, target_fpir=0.1, non_mated_probes=clear_faces(400, 9), apply=True)
    ended = client.wait_operation(begun.id, progress=told.append)
    found = ended.result
    assert isinstance(found, TauCalibration), ended.error
    assert told[-1].ended
    assert found.application is not None
    assert found.application.applied == found.supported
    now = client.get_gallery(filled)
    assert now.tau == (found.tau.value if found.supported else 0.5)
    strangers = client.identify_batch(filled, clear_faces(400, 10))
    matched = sum(decision == "MATCH" for decision in strangers.decisions)
    assert matched < 80


def test_a_cancelled_operation_says_so_and_a_forgotten_one_is_unknown(client: GalleryClient, filled: str) -> None:
    begun = client.calibrate_gamma(filled, fars=[0.1])
    ended = client.wait_operation(begun.id)
    assert isinstance(ended.result, GammaCalibration)
    assert client.cancel_operation(begun.id).state == "SUCCEEDED"
    assert begun.id in {operation.id for operation in client.list_operations()}
    client.delete_operation(begun.id)
    with pytest.raises(errors.OperationNotFound):
        client.get_operation(begun.id)


def test_a_preview_says_what_the_update_does(client: GalleryClient, filled: str) -> None:
    preview = client.preview_gamma_gallery(filled, 0.0)
    assert (preview.admitted_faces, preview.gained_subjects, preview.lost) == (1, 1, ())
    assert client.update_gallery(filled, gamma_gallery=0.0).counts.searchable_faces == preview.searchable_faces
    back = client.preview_gamma_gallery(filled, 0.5)
    assert [lost.id for lost in back.lost] == ["blurred"]


def test_gamma_from_the_command_line(server: RunningServer, filled: str) -> None:
    command = ["--server", server.address, "--json", "calibrate", "gamma", filled, "--far", "0.1"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["state"] == "SUCCEEDED"
    assert found["result"]["genuine_pairs"] == PEOPLE


def test_a_profile_is_built_and_stored_from_the_command_line(server: RunningServer, tmp_path: Path) -> None:
    world = World(dimension=DIMENSION)
    faces, poor = world.draw(range(600), images=2, degraded=300), world.draw(range(600, 900), degraded=300)
    kinds = ["CLEAN" if kind < 0 else faces.kind_names[kind] for kind in faces.kinds.tolist()]
    np.savez(tmp_path / "faces.npz", embedding=faces.rows, identity=faces.identities, kind=np.array(kinds))
    np.savez(tmp_path / "ui.npz", embedding=poor.take(poor.degraded).rows)
    command = ["--server", server.address, "--json", "calibrate", "profile", "toy", "--create", "built"]
    files = ["--faces", str(tmp_path / "faces.npz"), "--ui-set", str(tmp_path / "ui.npz")]
    result = CliRunner().invoke(app, [*command, *files])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["created"] == "built@1"
    assert found["result"]["figures"]["auc_clean_against_degraded"] > 0.9
    with GalleryClient(server.address) as client:
        stored = client.get_profile("built")
    np.testing.assert_array_equal(stored.centroids, np.array(found["result"]["centroids"], np.float32))
