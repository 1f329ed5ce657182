"""Only one server writes to a database; one that lost it writes nothing more, whatever it wakes up to do."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from ersgallery_server.store import Applicant, DatabaseOwned, NotOwner, Store
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy import text

from tests.support.postgres import postgres_database
from tests.support.requests import axis, create_gallery, enroll, identify, item
from tests.support.server import RemoteServer
from tests.support.server_process import command, free_port, kill, serve
from tests.support.stores import create_gallery as create_stored_gallery
from tests.support.stores import enroll as enroll_stored
from tests.support.stores import stored_ids

ELSEWHERE = Applicant("elsewhere", 77, "", lease_s=1.0)


@pytest.fixture
def postgres_url(postgres_uri: str) -> Iterator[str]:
    with postgres_database(postgres_uri) as uri:
        yield uri


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something holds; a minute says that it never will."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_second_owner_is_refused_with_the_name_of_the_first_until_that_closes(store_url: str) -> None:
    with Store.open(store_url, applicant=ELSEWHERE) as store:
        gallery = create_stored_gallery(store)
        with pytest.raises(DatabaseOwned, match="process 77 on elsewhere has owned this database since 20"):
            Store.open(store_url, applicant=Applicant.of())
        enroll_stored(store, gallery, "a")
    with Store.open(store_url, applicant=Applicant.of()) as store:
        assert enroll_stored(store, gallery, "b").revision == 2


def test_an_owner_whose_token_is_not_the_last_writes_nothing_and_knows_it(store_url: str) -> None:
    told: list[str] = []
    with Store.open(store_url, applicant=ELSEWHERE) as store:
        gallery = create_stored_gallery(store)
        kept = enroll_stored(store, gallery, "a").face_ids.tolist()
        assert store.ownership is not None
        store.ownership.on_loss(lambda: told.append("lost"))
        with store._engines.owning.begin() as connection:
            connection.execute(text("UPDATE owner SET token = token + 1"))
        with pytest.raises(NotOwner, match="another server"):
            enroll_stored(store, gallery, "b")
        assert store.ownership.is_lost
        assert told == ["lost"]
        assert stored_ids(store, gallery) == kept
    with Store.open(store_url, applicant=ELSEWHERE) as store:
        enroll_stored(store, gallery, "c")


def test_a_dead_owner_elsewhere_is_waited_for_and_replaced(postgres_url: str) -> None:
    first = Store.open(postgres_url, applicant=ELSEWHERE)
    gallery = create_stored_gallery(first)
    assert first.ownership is not None
    first.ownership._stop.set()  # it renews nothing any more
    with Store.open(postgres_url, applicant=Applicant.of()) as store:
        enroll_stored(store, gallery, "a")
        with pytest.raises(NotOwner):
            enroll_stored(first, gallery, "b")
        first.close()
        enroll_stored(store, gallery, "c")
        assert len(stored_ids(store, gallery)) == 2


def test_whoever_holds_the_same_lock_need_not_wait(postgres_url: str, tmp_path: Path) -> None:
    lock = tmp_path / "server.lock"
    lock.touch()
    first = Store.open(postgres_url, applicant=Applicant.of(lock, lease_s=3600.0))
    with Store.open(postgres_url, applicant=Applicant.of(lock, lease_s=3600.0)) as store:
        create_stored_gallery(store)
    first.close()
    other = tmp_path / "copied.lock"
    other.write_bytes(lock.read_bytes())
    assert Applicant.of(other).lock != Applicant.of(lock).lock


@contextmanager
def process(folder: Path, *options: str) -> Iterator[tuple[RemoteServer, "subprocess.Popen[str]"]]:
    port = free_port()
    running = serve(folder, port, *options)
    try:
        yield RemoteServer(f"127.0.0.1:{port}"), running
    finally:
        kill(running)


def readiness(server: RemoteServer) -> int:
    stub: Any = health_pb2_grpc.HealthStub(server.channel)
    return int(stub.Check(health_pb2.HealthCheckRequest(service="")).status)


def test_a_paused_server_that_wakes_up_after_another_took_over_serves_nothing_more(
    tmp_path: Path, postgres_url: str
) -> None:
    options = ("--database-url", postgres_url, "--lease-s", "1")
    with process(tmp_path / "a", *options) as (first, paused):
        create_gallery(first, "g")
        enroll(first, "g", item("ann", axis(1)))
        os.kill(paused.pid, signal.SIGSTOP)
        with process(tmp_path / "b", *options) as (second, _):
            enroll(second, "g", item("ben", axis(2)))
            os.kill(paused.pid, signal.SIGCONT)
            wait_for(lambda: readiness(first) == health_pb2.HealthCheckResponse.NOT_SERVING)
            for call in (
                lambda: enroll(first, "g", item("cyd", axis(3))),
                lambda: identify(first, "g", axis(2)),
            ):
                with pytest.raises(grpc.RpcError) as refused:
                    call()
                assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
                assert "another server" in str(refused.value.details())
            assert readiness(second) == health_pb2.HealthCheckResponse.SERVING
            assert sorted(name for name, _ in second.subjects("g")) == ["ann", "ben"]
            paused.terminate()
            assert paused.wait(timeout=60) == 0


def test_a_second_server_on_one_sqlite_file_says_who_holds_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shared.db"
    (tmp_path / "linked.db").symlink_to(tmp_path / "shared.db")
    with process(tmp_path / "a", "--database-url", url) as (_, first):
        options = ("--database-url", f"sqlite:///{tmp_path}/linked.db")
        second = subprocess.run(
            command(tmp_path / "b", 0, *options), capture_output=True, text=True, timeout=60, check=False
        )
    assert second.returncode == 1
    assert f"process {first.pid} on" in second.stderr
    assert "Traceback" not in second.stderr
