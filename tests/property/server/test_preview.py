"""A preview of gamma_gallery says what follows when the gate is changed: it equals brute force over all faces."""

import itertools
from collections.abc import Iterator

import pytest
from ersgallery.v1 import calibration_service_pb2 as pb
from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.requests import axis, create_gallery, enroll, item
from tests.support.server import RunningServer, running_server
from tests.support.server import settings as server_settings

_numbers = itertools.count()
subjects = st.sampled_from(["ann", "bob", "eve", "kim"])
pulls = st.integers(0, 8)  # how strongly a face is pulled to the UI centroid; equal ones tie


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(server_settings(tmp_path_factory.mktemp("preview"))) as running:
        yield running


def stored_faces(server: RunningServer, gallery_id: str) -> list[tuple[str, float]]:
    """Return whose each face is, and its ERS."""
    request = galleries.ListFacesRequest(parent=f"galleries/{gallery_id}/subjects/-", page_size=1000)
    faces = server.galleries.ListFaces(request).faces
    return [(face.name.split("/")[3], face.recognizability.ers) for face in faces]


def previewed(server: RunningServer, gallery_id: str, gate: float) -> list[pb.PreviewGammaGalleryResponse]:
    """Return all pages."""
    request = pb.PreviewGammaGalleryRequest(gallery=f"galleries/{gallery_id}", gamma_gallery=gate, page_size=1)
    pages = [server.calibration.PreviewGammaGallery(request)]
    while pages[-1].next_page_token:
        request.page_token = pages[-1].next_page_token
        pages.append(server.calibration.PreviewGammaGallery(request))
    return pages


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(faces=st.lists(st.tuples(subjects, pulls), min_size=1, max_size=12), data=st.data())
def test_a_preview_equals_brute_force_over_the_faces(
    server: RunningServer, faces: list[tuple[str, int]], data: st.DataObject
) -> None:
    gallery_id = f"g{next(_numbers)}"
    create_gallery(server, gallery_id)
    enroll(server, gallery_id, *[item(who, axis(1, (0, pull / 4))) for who, pull in faces])
    stored = stored_faces(server, gallery_id)
    gates = st.sampled_from([0.0, 0.5, 1.0, *(ers for _, ers in stored)])
    present, proposed = data.draw(gates), data.draw(gates)
    changed = gallery_pb2.Gallery(name=f"galleries/{gallery_id}", gamma_gallery=present)
    mask = FieldMask(paths=["gamma_gallery"])
    server.galleries.UpdateGallery(galleries.UpdateGalleryRequest(gallery=changed, update_mask=mask))
    pages = previewed(server, gallery_id, proposed)
    now = {who for who, ers in stored if ers >= present}
    then = {who for who, ers in stored if ers >= proposed}
    first = pages[0]
    assert first.present_gamma_gallery == present
    assert first.faces == len(stored)
    assert first.excluded_faces == sum(present <= ers < proposed for _, ers in stored)
    assert first.admitted_faces == sum(proposed <= ers < present for _, ers in stored)
    assert first.searchable_faces == sum(ers >= proposed for _, ers in stored)
    assert (first.lost_subjects, first.gained_subjects) == (len(now - then), len(then - now))
    lost = [(each.subject.rpartition("/")[2], each.best_ers, each.faces) for page in pages for each in page.lost]
    assert lost == [
        (who, max(ers for other, ers in stored if other == who), sum(other == who for other, _ in stored))
        for who in sorted(now - then)
    ]
    changed.gamma_gallery = proposed
    gallery = server.galleries.UpdateGallery(galleries.UpdateGalleryRequest(gallery=changed, update_mask=mask)).gallery
    assert gallery.counts.searchable_faces == first.searchable_faces
