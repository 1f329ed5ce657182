"""A camera that goes out of focus is seen by the drift of ERS before its people are no longer found.

Real photographs through the real model and a running server; the threshold is that of the alert rule.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ersgallery.v1 import enrollment_service_pb2 as enrollment
from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery_server.faces import FacePipeline
from ersgallery_server.faces.degrade import Degradation, degrade
from numpy.typing import NDArray

from tests.support.requests import embedding, matrix
from tests.support.scraping import Scraped, scrape, value
from tests.support.server import RunningServer, running_server, settings

pytestmark = pytest.mark.real_faces

Rows = NDArray[np.float32]
TAU = 0.363
REPEATS = 20
"""So often are 120 photographs sent, so that nothing else is left in the window."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, photographs: Any) -> Iterator[RunningServer]:
    """Serve a gallery of the first photograph of everybody."""
    with running_server(settings(tmp_path_factory.mktemp("drift"), metrics_port=0)) as running:
        gallery = gallery_pb2.Gallery(profile="profiles/sface", tau=TAU)
        running.galleries.CreateGallery(galleries.CreateGalleryRequest(gallery_id="door", gallery=gallery))
        first = np.flatnonzero(~later(photographs))
        faces = [
            enrollment.Enrollment(subject_id=photographs.identities[row], embedding=embedding(photographs.unit[row]))
            for row in first
        ]
        running.enrollment.EnrollFaces(enrollment.EnrollFacesRequest(parent="galleries/door", enrollments=faces))
        yield running


def later(photographs: Any) -> NDArray[np.bool_]:
    """Tell which photographs are not the first of their person."""
    identities = photographs.identities
    return np.concatenate([[False], identities[1:] == identities[:-1]])


def out_of_focus(photographs: Any, pipeline: FacePipeline, severity: float) -> Rows:
    rng = np.random.default_rng(0)
    rows = np.flatnonzero(later(photographs))
    crops = [degrade(photographs.faces[row].aligned, Degradation.GAUSSIAN_BLUR, severity, rng) for row in rows]
    return pipeline.embed_aligned(np.stack(crops))


def found_share(server: RunningServer, photographs: Any, probes: Rows) -> float:
    """Identify probes until they fill the window; return the share that is found by the right name."""
    rows = np.tile(probes, (REPEATS, 1))
    answer = server.identification.BatchIdentify(pb.BatchIdentifyRequest(gallery="galleries/door", matrix=matrix(rows)))
    columns, found = answer.columns, answer.columns.candidates
    best = np.cumsum([0, *found.counts])  # the place of each probe's first candidate
    right = [
        columns.decisions[row] == pb.DECISION_MATCH
        and found.subjects[found.subject_index[best[row]]].endswith(f"/{name}")
        for row, name in enumerate(photographs.identities[later(photographs)])
    ]
    return float(np.mean(right))


def drift(told: Scraped) -> float:
    return value(told, "ersgallery_ers_drift_ratio", gallery="door", direction="down", reference="profile")


def threshold() -> float:
    path = Path(__file__).parents[3] / "docs" / "monitoring" / "alerts.yml"
    rules = {rule["alert"]: rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]}
    expression = rules["ErsgalleryProbesLessRecognizable"]["expr"]
    found = re.match(r'ersgallery_ers_drift_ratio\{direction="down"\} > ([\d.]+)\s', expression)
    assert found is not None
    return float(found[1])


def test_a_camera_going_out_of_focus_is_seen_before_its_people_are_no_longer_found(
    server: RunningServer, photographs: Any, pipeline: FacePipeline
) -> None:
    sharp = photographs.unit[later(photographs)]
    assert found_share(server, photographs, sharp) >= 0.95
    told = scrape(server)
    assert value(told, "ersgallery_ers_window_probes", gallery="door") > 200
    assert drift(told) < 0.6 * threshold()  # ordinary probes leave the alarm a distance

    assert found_share(server, photographs, out_of_focus(photographs, pipeline, 0.16)) >= 0.75
    told = scrape(server)
    assert drift(told) > threshold()
    assert value(told, "ersgallery_probes_below_gamma_ratio", gallery="door") < 0.03  # gamma sees nothing yet

    assert found_share(server, photographs, out_of_focus(photographs, pipeline, 0.3)) < 0.3
    told = scrape(server)
    assert drift(told) > 0.6
    assert value(told, "ersgallery_probes_below_gamma_ratio", gallery="door") > 0.3

    found_share(server, photographs, sharp)
    assert drift(scrape(server)) < threshold()  # and is forgotten once it is mended
