"""Health says the truth: NOT_SERVING while galleries are loaded, and for what needs the store while it is away."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import psycopg
import pytest
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery_server.service import Service
from ersgallery_server.transport.server import NAMES
from ersgallery_server.values import GalleryRecord
from grpc_health.v1 import health_pb2, health_pb2_grpc
from psycopg import sql

from tests.support.postgres import postgres_database, postgres_server
from tests.support.requests import axis, create_gallery, enroll, found, identify, item
from tests.support.scraping import scrape, value
from tests.support.server import RemoteServer, RunningServer, running_server, settings
from tests.support.server_process import free_port
from tests.support.statuses import refused
from tests.support.waiting import until

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
IDENTIFICATION = "ersgallery.v1.IdentificationService"


def health(server: RemoteServer, service: str = "") -> int:
    stub: Any = health_pb2_grpc.HealthStub(server.channel)
    return int(stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=60, wait_for_ready=True).status)


class Watching(threading.Thread):
    """Collects the statuses that a Watch tells until the connection ends."""

    def __init__(self, server: RemoteServer, service: str) -> None:
        super().__init__(daemon=True)
        self.told: list[int] = []
        self.first = threading.Event()
        stub: Any = health_pb2_grpc.HealthStub(server.channel)
        self._answers = stub.Watch(health_pb2.HealthCheckRequest(service=service), wait_for_ready=True)
        self.start()

    def run(self) -> None:
        try:
            for answer in self._answers:
                self.told.append(answer.status)
                self.first.set()
        except grpc.RpcError:
            pass


def test_while_galleries_are_loaded_health_answers_and_calls_are_refused_with_a_reason(tmp_path: Path) -> None:
    with running_server(settings(tmp_path, snapshot_changed_faces=0)) as server:
        create_gallery(server, "g")
        enroll(server, "g", item("ann", axis(1)))
    configured = settings(tmp_path, snapshot_changed_faces=0, port=free_port(), metrics_port=0)
    remote = RemoteServer(f"127.0.0.1:{configured.port}")
    seen: list[str] = []
    watching: list[Watching] = []

    def look(record: GalleryRecord, _faces: int) -> None:
        watching.append(Watching(remote, IDENTIFICATION))
        assert watching[0].first.wait(60)
        assert {health(remote, name) for name in ("", *NAMES)} == {NOT_SERVING}
        with refused() as refusal:
            identify(remote, record.gallery_id, axis(1))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "NOT_READY")
        with refused() as refusal:
            remote.galleries.ListGalleries(galleries.ListGalleriesRequest())
        seen.append(refusal.reason)

    with Service(configured, look) as service:
        assert seen == ["NOT_READY"]
        assert {health(remote, name) for name in ("", *NAMES)} == {SERVING}
        assert found(identify(remote, "g", axis(1))) == ["ann"]
        told = scrape(RunningServer(service))
        assert value(told, "ersgallery_rpc_refused_total", reason="NOT_READY") == 2
        assert value(told, "ersgallery_start_duration_seconds") > 0
        until(lambda: len(watching[0].told) == 2)
    until(lambda: not watching[0].is_alive())
    assert watching[0].told == [NOT_SERVING, SERVING, NOT_SERVING]
    remote.channel.close()


def test_a_start_that_fails_while_loading_gives_back_the_port_and_the_directory(tmp_path: Path) -> None:
    with running_server(settings(tmp_path, snapshot_changed_faces=0)) as server:
        create_gallery(server, "g")
        enroll(server, "g", item("ann", axis(1)))
    configured = settings(tmp_path, snapshot_changed_faces=0, port=free_port())

    def stop(_record: GalleryRecord, _faces: int) -> None:
        raise KeyError("stopped while loading")

    with pytest.raises(KeyError):
        Service(configured, stop)
    with running_server(configured) as server:
        assert found(identify(server, "g", axis(1))) == ["ann"]


@contextmanager
def away(uri: str) -> Iterator[None]:
    """Let a database take no connections, and end those that there are, until the block is left."""
    text = urlsplit(uri).path[1:]
    name = sql.Identifier(text)
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
    with psycopg.connect(uri.replace(f"/{text}", "/postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        admin.execute(others, [text])
        yield
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))


def test_while_the_database_is_away_identification_serves_and_the_rest_says_that_it_does_not(tmp_path: Path) -> None:
    with postgres_server() as postgres, postgres_database(postgres) as uri:
        url = uri.replace("postgresql://", "postgresql+psycopg://", 1)
        with running_server(settings(tmp_path, metrics_port=0, database_url=url)) as server:
            create_gallery(server, "g")
            enroll(server, "g", item("ann", axis(1)))
            watching = Watching(server, "ersgallery.v1.EnrollmentService")
            assert watching.first.wait(60)
            with away(uri):
                until(lambda: watching.told == [SERVING, NOT_SERVING])
                assert {name for name in ("", *NAMES) if health(server, name) == SERVING} == {"", IDENTIFICATION}
                assert found(identify(server, "g", axis(1))) == ["ann"]
                assert value(scrape(server), "ersgallery_store_up") == 0
            until(lambda: watching.told == [SERVING, NOT_SERVING, SERVING])
            assert {health(server, name) for name in ("", *NAMES)} == {SERVING}
            assert value(scrape(server), "ersgallery_store_up") == 1
            assert enroll(server, "g", item("bob", axis(2))).outcomes[0].WhichOneof("outcome") == "result"


def test_a_drain_stays_not_serving_whatever_the_store_does(tmp_path: Path) -> None:
    with Service(settings(tmp_path)) as service:
        readiness = service._server.readiness
        remote = RemoteServer(service.address)
        watching = Watching(remote, IDENTIFICATION)
        assert watching.first.wait(60)
    readiness.check()
    assert not readiness.ready
    until(lambda: not watching.is_alive())
    assert watching.told == [SERVING, NOT_SERVING]
    remote.channel.close()


def test_watches_are_limited_and_no_name_that_a_stranger_sends_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ersgallery_server.transport.server.MAX_WATCHES", 3, raising=False)
    with running_server(settings(tmp_path, require_tokens=True)) as server:
        stub: Any = health_pb2_grpc.HealthStub(server.channel)
        health: Any = server.service._server._health
        kept = health._send_response_callbacks
        before = len(kept)

        def watch(name: str) -> Any:
            answers = stub.Watch(health_pb2.HealthCheckRequest(service=name), timeout=60)
            return answers, next(answers).status

        open_watches = [watch(name * 100_000) for name in "abc"]
        assert {status for _, status in open_watches} == {health_pb2.HealthCheckResponse.SERVICE_UNKNOWN}
        assert len(kept) <= before + 1
        with refused() as refusal:
            watch("d")
        assert (refusal.code, "3 health watches" in refusal.message) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)
        open_watches[0][0].cancel()
        until(lambda: sum(map(len, kept.values())) < 3)
        assert watch("")[1] == SERVING
