"""Our reading of YuNet's outputs equals OpenCV's own, on real photographs."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from ersgallery_server.faces.detection import Detection, DetectorSettings, FaceDetector
from ersgallery_server.faces.sessions import Inference
from ersgallery_server.models.catalogue import default_model
from ersgallery_server.models.installed import model_folder, read_model_file
from ersgallery_server.models.manifest import Role
from numpy.typing import NDArray

from tests.support.models import lfw_dir

pytestmark = pytest.mark.real_faces


@pytest.fixture(scope="module")
def detector(models_dir: Path) -> FaceDetector:
    settings = DetectorSettings(score_threshold=0.6)
    return FaceDetector(read_model_file(default_model(), Role.DETECTOR, models_dir), Inference(), settings)


@pytest.fixture(scope="module")
def oracle(models_dir: Path) -> Any:
    path = model_folder(default_model(), models_dir) / default_model().file(Role.DETECTOR).name
    return cv2.FaceDetectorYN.create(str(path), "", (250, 250), 0.6, 0.3, 5000)


def opencv_faces(oracle: Any, bgr: NDArray[np.uint8]) -> NDArray[np.float32]:
    oracle.setInputSize((bgr.shape[1], bgr.shape[0]))
    found = oracle.detect(bgr)[1]
    rows = np.zeros((0, 15), np.float32) if found is None else np.asarray(found, np.float32)
    return rows[np.argsort(-rows[:, 2] * rows[:, 3])]


def as_row(face: Detection) -> NDArray[np.float64]:
    return np.array([*face.box_px, *face.landmarks.ravel(), face.score])


@pytest.mark.parametrize("shape", [(250, 250), (224, 250), (250, 181), (160, 160)])
def test_boxes_landmarks_and_scores_equal_opencvs(detector: FaceDetector, oracle: Any, shape: tuple[int, int]) -> None:
    several = 0
    for path in sorted((lfw_dir() / "lfw_small").glob("*/*.jpg"))[::8]:
        bgr = np.asarray(cv2.imread(str(path)), np.uint8)[: shape[0], : shape[1]].copy()
        expected = opencv_faces(oracle, bgr)
        found = detector.detect(np.ascontiguousarray(bgr[:, :, ::-1]))
        if not len(expected):  # our second look may then find what OpenCV does not look for
            continue
        assert len(found) == len(expected), path
        several += len(found) > 1
        assert np.abs(np.stack([as_row(face) for face in found]) - expected).max() < 0.02, path
    assert several > 0
