"""How faces are searched is a setting that changes no answer; what does not fit is refused before it is stored."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as pb
from ersgallery_index.backends.exact_index import ExactIndex
from ersgallery_server.gallery import state as state_module
from google.protobuf.field_mask_pb2 import FieldMask

from tests.support.indexes import AddOnlyBackend, CodedBackend
from tests.support.requests import DIMENSION, axis, create_gallery, enroll, identify, item
from tests.support.server import RunningServer, running_server, settings
from tests.support.statuses import refused

FACES = 200


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningServer]:
    """Run a server whose indexes are coded from a handful of faces on."""
    monkeypatch.setattr(state_module, "open_index", lambda dimension, **_: ExactIndex(dimension, CodedBackend()))
    with running_server(settings(tmp_path)) as running:
        yield running


def choose(server: RunningServer, kind: gallery_pb2.IndexKind.ValueType) -> gallery_pb2.Gallery:
    gallery = gallery_pb2.Gallery(name="galleries/g", index_kind=kind)
    request = pb.UpdateGalleryRequest(gallery=gallery, update_mask=FieldMask(paths=["index_kind"]))
    return server.galleries.UpdateGallery(request).gallery


def test_a_gallery_is_searched_as_it_says_and_answers_the_same(server: RunningServer) -> None:
    made = create_gallery(server, "g", gamma=0.0)
    assert (made.index_kind, made.index.kind) == (gallery_pb2.INDEX_KIND_AUTO, "exact")
    random = np.random.default_rng(0)
    faces = random.standard_normal((FACES, DIMENSION)).astype(np.float32)
    enroll(server, "g", *[item(f"s{number}", face) for number, face in enumerate(faces)])
    exact = identify(server, "g", faces[7] + 0.1 * faces[8])
    fast = choose(server, gallery_pb2.INDEX_KIND_FAST)
    assert (fast.index_kind, fast.index.kind) == (gallery_pb2.INDEX_KIND_FAST, "fast")
    for _ in range(20):  # while codes are being made, too
        answer = identify(server, "g", faces[7] + 0.1 * faces[8])
        assert answer.identification == exact.identification
        assert (answer.applied.index.kind, answer.applied.index.precision) == ("fast", "exact-float64")
    rough = choose(server, gallery_pb2.INDEX_KIND_APPROXIMATE)
    assert (rough.index.kind, rough.index.precision) == ("approximate", "approximate-float64")
    assert choose(server, gallery_pb2.INDEX_KIND_EXACT).index.kind == "exact"
    assert identify(server, "g", faces[7] + 0.1 * faces[8]).identification == exact.identification


def test_an_unknown_kind_is_refused(server: RunningServer) -> None:
    create_gallery(server, "g")
    with refused() as refusal:
        choose(server, 9)  # type: ignore[arg-type]
    assert refusal.fields == ["gallery.index_kind"]


def test_a_gallery_says_how_many_faces_fit(server: RunningServer) -> None:
    made = create_gallery(server, "g")
    assert made.index.capacity_faces > 1000


def test_faces_that_do_not_fit_are_refused_before_they_are_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = AddOnlyBackend()
    monkeypatch.setattr(state_module, "open_index", lambda dimension, **_: ExactIndex(dimension, device))
    with running_server(settings(tmp_path)) as server:
        create_gallery(server, "g")
        device.promised = 1
        with refused() as refusal:
            enroll(server, "g", item("ann", axis(1)), item("bob", axis(2)))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "DEVICE_FULL")
        assert "1 more" in refusal.message
        assert server.gallery("g").counts.faces == 0
        enroll(server, "g", item("ann", axis(1)))
        assert server.gallery("g").index.capacity_faces == 2
