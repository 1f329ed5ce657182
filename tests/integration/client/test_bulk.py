from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ersgallery_client import Disposition, Enrollment, GalleryClient, RetryPolicy

from tests.support.clients import MakeClient
from tests.support.proxy import Proxy
from tests.support.server import RunningServer
from tests.support.server_process import free_port, kill, serve
from tests.support.toy_faces import DIMENSION, clear_faces

COUNT = 3000


def items(seed: int = 0) -> Iterator[Enrollment]:
    return (Enrollment(f"subject-{i}", face) for i, face in enumerate(clear_faces(COUNT, seed)))


@pytest.fixture
def proxy(server: RunningServer) -> Iterator[Proxy]:
    proxy = Proxy(server.address)
    yield proxy
    proxy.close()


def test_a_bulk_enrolment_is_complete_in_order_and_searchable(client: GalleryClient, gallery: str) -> None:
    outcomes = list(client.enroll_stream(gallery, items(), batch_size=256))
    assert [outcome.subject_id for outcome in outcomes] == [f"subject-{i}" for i in range(COUNT)]
    assert {outcome.disposition for outcome in outcomes} == {Disposition.ACCEPTED}
    counts = client.get_gallery(gallery).counts
    assert (counts.subjects, counts.faces, counts.searchable_faces) == (COUNT, COUNT, COUNT)
    found = client.identify_batch(gallery, clear_faces(COUNT))
    first = found.candidates.offsets[:-1]
    best = np.array(found.candidates.subjects)[found.candidates.subject_index[first]]
    assert best.tolist() == [f"subject-{i}" for i in range(COUNT)]


def test_repeating_a_bulk_enrolment_with_its_request_id_stores_nothing_twice(
    client: GalleryClient, gallery: str
) -> None:
    first = list(client.enroll_stream(gallery, items(), batch_size=500, request_id="import"))
    again = list(client.enroll_stream(gallery, items(), batch_size=500, request_id="import"))
    assert [outcome.faces[0].face_id for outcome in again] == [outcome.faces[0].face_id for outcome in first]
    assert client.get_gallery(gallery).counts.faces == COUNT


@pytest.mark.parametrize("cuts", [[60_000], [200_000, 30_000, 90_000]], ids=["one cut", "three cuts"])
def test_a_bulk_enrolment_over_a_connection_that_breaks_is_complete_and_stores_nothing_twice(
    make_client: MakeClient, client: GalleryClient, gallery: str, proxy: Proxy, cuts: list[int]
) -> None:
    proxy.limits_bytes = list(cuts)
    through_proxy = make_client(proxy.address)
    outcomes = list(through_proxy.enroll_stream(gallery, items(), batch_size=100))
    assert proxy.connections == len(cuts) + 1
    assert [outcome.subject_id for outcome in outcomes] == [f"subject-{i}" for i in range(COUNT)]
    assert len({outcome.faces[0].face_id for outcome in outcomes}) == COUNT
    assert client.get_gallery(gallery).counts.faces == COUNT


def test_an_identification_stream_over_a_connection_that_breaks_misses_nothing(
    make_client: MakeClient, client: GalleryClient, gallery: str, proxy: Proxy
) -> None:
    client.enroll(gallery, [Enrollment("ada", clear_faces(1)[0])])
    probes = clear_faces(2000)
    proxy.limits_bytes = [100_000]
    answers = make_client(proxy.address).identify_stream(gallery, np.split(probes, 20))
    decisions = np.concatenate([batch.decisions for batch in answers])
    assert proxy.connections == 2
    assert decisions.tolist() == client.identify_batch(gallery, probes).decisions.tolist()


def test_a_bulk_enrolment_outlasts_a_server_that_is_killed_and_started_again(
    make_client: MakeClient, tmp_path: Path
) -> None:
    """Nothing acknowledged is lost, nothing is stored twice, and the caller notices nothing."""
    port = free_port()
    process = serve(tmp_path, port)
    try:
        client = make_client(f"127.0.0.1:{port}", retry=RetryPolicy())
        client.create_profile("toy", model="toy", centroids=np.eye(1, DIMENSION), gamma=0.5)
        client.create_gallery("g", profile="toy", tau=0.5)
        outcomes = []
        for outcome in client.enroll_stream("g", items(), batch_size=100):
            outcomes.append(outcome)
            if len(outcomes) == COUNT // 2:
                kill(process)
                process = serve(tmp_path, port)
        assert [outcome.subject_id for outcome in outcomes] == [f"subject-{i}" for i in range(COUNT)]
        assert {outcome.faces[0].face_id for outcome in outcomes} == {face.id for face in client.list_faces("g")}
    finally:
        kill(process)
