"""gamma measured on templates over gRPC."""

from collections.abc import Callable
from typing import Any

import numpy as np
from ersgallery.v1 import calibration_service_pb2 as pb
from ersgallery.v1 import face_input_pb2 as face_pb
from ersgallery.v1 import gallery_pb2
from ersgallery_index import Derivation, Profile, Weighting
from ersgallery_index.calibration.gamma import SetPlan
from ersgallery_index.calibration.gamma_of_sets import gamma_trade_of_sets

from tests.support.calibration_requests import ended, people
from tests.support.requests import GAMMA, MODEL, axis, matrix
from tests.support.server import RunningServer

UNIT = Profile(MODEL, axis(0)[None, :].astype(np.float64), GAMMA, None)


def test_gamma_from_templates_is_that_of_the_library_under_the_gallerys_weighting(
    server: RunningServer, new_gallery: Callable[..., str]
) -> None:
    templates = {"subject_search": gallery_pb2.SUBJECT_SEARCH_TEMPLATE, "template_weighting": face_pb.WEIGHTING_SOFTMAX}
    gallery = f"galleries/{new_gallery(**templates)}"
    rows, who = people(40, 6, seed=3)
    faces = pb.LabelledEmbeddings(embeddings=matrix(rows), subjects=[f"s{number:02}" for number in who])
    asked: dict[str, Any] = {"gallery": gallery, "faces": faces, "fars": [0.1], "gammas": [0.0, 0.5], "set_faces": 2}
    plan = SetPlan(2, Weighting.SOFTMAX)
    wanted = gamma_trade_of_sets(Derivation(UNIT), rows, who, plan, fars=(0.1,), gammas=(0.0, 0.5))
    unset = face_pb.WEIGHTING_UNSPECIFIED
    for weighting, told in ((unset, face_pb.WEIGHTING_SOFTMAX), (face_pb.WEIGHTING_TOP_1, face_pb.WEIGHTING_TOP_1)):
        request = pb.CalibrateGammaRequest(**asked, set_weighting=weighting)
        found = ended(server, server.calibration.CalibrateGamma(request).operation)
        assert found.state == pb.OPERATION_STATE_SUCCEEDED, found.error
        assert (found.gamma.set_faces, found.gamma.set_weighting) == (2, told)
        assert (found.gamma.faces, found.gamma.genuine_pairs) == (40 * 3, 40 * 3)
        same = found.gamma.rows[0].cells[0].tau == wanted.rows[0].cells[0].tau
        assert same == (told == face_pb.WEIGHTING_SOFTMAX)
