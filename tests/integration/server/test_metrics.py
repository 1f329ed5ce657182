"""The metrics of a running server tell what was done, name nobody, stay few, and answer when nothing else does."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from ersgallery.v1 import face_input_pb2 as face
from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery_server.metrics.catalogue import METRICS, Kind

from tests.support.held import Held
from tests.support.images import encode, gradient
from tests.support.models import installed_models_dir, lfw_dir
from tests.support.requests import axis, blurred, create_gallery, embedding, enroll, identify, item, matrix, probe
from tests.support.scraping import labels_of, page, scrape, value
from tests.support.server import RunningServer, running_server, settings
from tests.support.statuses import refused
from tests.support.waiting import until

IDENTIFY = "IdentificationService/Identify"
NOT_IN_EVERY_SESSION = {
    *("ersgallery_model_", "ersgallery_acquisitions"),  # need a model
    *("ersgallery_ers_drift", "ersgallery_probes_below_gamma_expected"),  # need a catalogued profile
    *("ersgallery_snapshot_age", "ersgallery_snapshot_bytes"),  # need a snapshot
    "ersgallery_rpc_refused",
    "ersgallery_certificate_expiry",  # needs TLS
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running_server(settings(tmp_path, metrics_port=0, metrics_galleries=2)) as running:
        yield running


def stream(server: RunningServer, *galleries: str) -> list[pb.StreamIdentifyResponse]:
    batches = [pb.BatchIdentifyRequest(gallery=f"galleries/{name}", matrix=matrix([axis(1)] * 3)) for name in galleries]
    requests = [pb.StreamIdentifyRequest(sequence=i, batch=batch) for i, batch in enumerate(batches)]
    return list(server.identification.StreamIdentify(iter(requests)))


def test_what_was_done_is_what_is_told(server: RunningServer) -> None:
    create_gallery(server, "g")
    enroll(server, "g", item("ann", axis(1)), item("bob", blurred(2)), item("eve", np.zeros(16)))
    identify(server, "g", axis(1))
    identify(server, "g", axis(5))
    identify(server, "g", blurred(3))
    with refused():
        identify(server, "g", np.zeros(16))
    with refused():
        identify(server, "nowhere", axis(1))
    stream(server, "g", "nowhere")
    server.identification.Verify(
        pb.VerifyRequest(gallery="galleries/g", probe=probe(axis(1)), subject="galleries/g/subjects/ann")
    )
    told = scrape(server)

    def decided(decision: str, reason: str = "") -> float:
        return value(told, "ersgallery_decisions_total", gallery="g", decision=decision, reason=reason)

    assert decided("MATCH") == 1 + 3
    assert decided("NO_MATCH") == 1
    assert decided("UNSURE", "PROBE_UNRECOGNIZABLE") == 1
    assert value(told, "ersgallery_verifications_total", gallery="g", decision="MATCH", reason="") == 1
    assert value(told, "ersgallery_probe_ers_count", gallery="g") == 6
    assert value(told, "ersgallery_probe_ers_bucket", gallery="g", le="0.1") == 1  # the blurred one
    for disposition, count in (("ACCEPTED", 1), ("LOW_ERS", 1), ("ERROR", 1)):
        assert value(told, "ersgallery_enrolled_faces_total", gallery="g", disposition=disposition) == count
    for code, reason, count in (
        ("OK", "OK", 3),
        ("INVALID_ARGUMENT", "INVALID_EMBEDDING", 1),
        ("NOT_FOUND", "GALLERY_NOT_FOUND", 1),
    ):
        assert value(told, "ersgallery_rpc_handled_total", method=IDENTIFY, code=code, reason=reason) == count
    assert value(told, "ersgallery_rpc_duration_seconds_count", method=IDENTIFY) == 5
    batches = "ersgallery_rpc_stream_batches_total"
    assert value(told, batches, method="IdentificationService/StreamIdentify", reason="OK") == 1
    assert value(told, batches, method="IdentificationService/StreamIdentify", reason="GALLERY_NOT_FOUND") == 1
    assert value(told, "ersgallery_index_faces", gallery="g", state="searchable") == 1
    assert value(told, "ersgallery_index_faces", gallery="g", state="below_gate") == 1
    assert value(told, "ersgallery_gallery_revision", gallery="g") == server.gallery("g").revision
    assert value(told, "ersgallery_store_writes_total", outcome="done") >= 3
    assert value(told, "ersgallery_rpc_open_streams") == 0
    assert value(told, "ersgallery_ready") == value(told, "ersgallery_store_up") == 1


def test_a_removed_face_is_a_tombstone(server: RunningServer) -> None:
    create_gallery(server, "g")
    enroll(server, "g", *(item(f"s{n}", axis(1 + n)) for n in range(8)))
    server.galleries.DeleteSubject(galleries.DeleteSubjectRequest(name="galleries/g/subjects/s3"))
    told = scrape(server)
    assert value(told, "ersgallery_index_faces", gallery="g", state="searchable") == 7
    assert value(told, "ersgallery_index_faces", gallery="g", state="tombstone") == 1


def test_galleries_beyond_the_limit_are_counted_together(server: RunningServer) -> None:
    for name in ("first", "second", "third", "fourth"):
        create_gallery(server, name)
        enroll(server, name, item("ann", axis(1)))
        identify(server, name, axis(1))
    told = scrape(server)
    for name in ("ersgallery_decisions_total", "ersgallery_index_faces", "ersgallery_probe_ers_count"):
        assert labels_of(told, name, "gallery") == {"first", "second", "other"}
    assert value(told, "ersgallery_decisions_total", gallery="other", decision="MATCH", reason="") == 2
    assert value(told, "ersgallery_galleries") == 4
    assert labels_of(told, "ersgallery_gallery_revision", "gallery") == {"first", "second"}


def test_every_metric_that_is_documented_is_told_and_no_other(server: RunningServer) -> None:
    create_gallery(server, "g")
    enroll(server, "g", item("ann", axis(1)))
    identify(server, "g", axis(1))
    stream(server, "g")
    server.identification.Verify(
        pb.VerifyRequest(gallery="galleries/g", probe=probe(axis(1)), reference_probe=probe(axis(1)))
    )
    told = {name for name, _ in scrape(server) if name.startswith("ersgallery_")}
    wanted = set()
    for metric in METRICS:
        if not metric.name.startswith(tuple(NOT_IN_EVERY_SESSION)):
            ends = ("_bucket", "_count", "_sum") if metric.kind is Kind.HISTOGRAM else ("",)
            wanted |= {f"{metric.name}{end}" for end in ends}
    assert told == wanted


def test_nobody_is_named_and_no_number_of_a_face_is_told(server: RunningServer) -> None:
    create_gallery(server, "g")
    enroll(server, "g", item("ann-of-the-gables", axis(1), media_id="camera-seven", metadata={"badge": "b-4711"}))
    identify(server, "g", axis(1, (2, 0.123456)))
    for secret in ("ann-of", "camera-seven", "b-4711", "badge", "0.123456"):
        assert secret not in page(server)


def test_metrics_answer_while_every_thread_for_calls_is_busy(tmp_path: Path) -> None:
    with running_server(settings(tmp_path, unary_threads=1, max_streams=1, metrics_port=0)) as server:
        create_gallery(server, "g")
        with Held(server.service._store.submit):
            create = server.galleries.CreateSubject
            calls = [
                create.future(galleries.CreateSubjectRequest(parent="galleries/g", subject_id=f"s{n}"))
                for n in range(4)
            ]
            until(lambda: value(scrape(server), "ersgallery_rpc_waiting") == 2)
            assert value(scrape(server), "ersgallery_rpc_in_flight", method="GalleryService/CreateSubject") == 2
        assert all(call.result().subject.name for call in calls)


def test_without_a_port_there_are_no_metrics_and_a_taken_one_is_an_error(tmp_path: Path, server: RunningServer) -> None:
    with running_server(settings(tmp_path / "other")) as quiet:
        assert quiet.service.metrics_port is None
    taken = server.service.metrics_port
    with pytest.raises(OSError, match=f"{taken} cannot be bound for metrics"):
        running_server(settings(tmp_path / "third", metrics_port=taken)).__enter__()


def test_a_search_whose_caller_went_away_is_counted_as_dropped(server: RunningServer) -> None:
    create_gallery(server, "g")
    gallery = server.service._galleries.get("g")
    with Held(gallery._actor.ask):
        call = server.identification.Identify.future(
            pb.IdentifyRequest(gallery="galleries/g", probe=face.Probe(embedding=embedding(axis(1))))
        )
        until(lambda: len(gallery.figures.queue) == 1)
        call.cancel()
        until(gallery._actor._queue._jobs[0].answer.cancelled)
        with pytest.raises(grpc.FutureCancelledError):
            call.result()
    until(lambda: value(scrape(server), "ersgallery_search_dropped_total", gallery="g", cause="cancelled") == 1)
    told = scrape(server)
    assert value(told, "ersgallery_search_batch_probes_count", gallery="g") == 0


@pytest.mark.real_faces
def test_photographs_are_told_by_what_became_of_them(tmp_path: Path) -> None:
    photograph = next((lfw_dir() / "lfw_small").glob("*/*.jpg")).read_bytes()
    faceless = encode(gradient(240, 320), "PNG")
    with running_server(settings(tmp_path, installed_models_dir(), metrics_port=0)) as server:
        door = gallery_pb2.Gallery(profile="profiles/sface", tau=0.363)
        server.galleries.CreateGallery(galleries.CreateGalleryRequest(gallery_id="door", gallery=door))
        seen, unseen = (face.Probe(image=face.Image(content=content)) for content in (photograph, faceless))
        for one in (seen, unseen):
            server.identification.Identify(pb.IdentifyRequest(gallery="galleries/door", probe=one))
        server.identification.Verify(
            pb.VerifyRequest(gallery="galleries/door", probe=seen, reference_probe=unseen), timeout=60
        )
        told = scrape(server)
    assert value(told, "ersgallery_acquisitions_total", model="sface", outcome="FACE") == 2
    assert value(told, "ersgallery_acquisitions_total", model="sface", outcome="NO_FACE") == 2
    assert value(told, "ersgallery_model_batch_images_sum", model="sface") == 4
    assert value(told, "ersgallery_model_batch_duration_seconds_count", model="sface") == 3
    unsure = {"gallery": "door", "decision": "UNSURE", "reason": "NO_FACE"}
    assert value(told, "ersgallery_decisions_total", **unsure) == 1
    assert value(told, "ersgallery_verifications_total", **unsure) == 1
    assert value(told, "ersgallery_decisions_total", gallery="door", decision="NO_MATCH", reason="") == 1
    assert value(told, "ersgallery_probes_below_gamma_expected_ratio", gallery="door") < 0.01
