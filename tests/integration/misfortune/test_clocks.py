"""The time of day is set forth and back by a year: nobody is refused, forgotten, doubled or replaced for it."""

import datetime as dt
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery_server.store import Forgetter, Retention, Store
from ersgallery_server.store.tables import REQUESTS
from sqlalchemy import update

from tests.support.postgres import postgres_database
from tests.support.requests import axis, create_gallery, enroll, found, identify, item
from tests.support.server import RemoteServer
from tests.support.server_process import command, free_port, kill
from tests.support.stores import create_gallery as create_stored_gallery
from tests.support.stores import enroll as enroll_stored

YEAR = dt.timedelta(days=365)


@pytest.fixture
def library() -> Path:
    for path in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"):
        return path
    pytest.skip("libfaketime is not installed (Debian: faketime)")


@pytest.fixture
def postgres_url(postgres_uri: str) -> Iterator[str]:
    with postgres_database(postgres_uri) as uri:
        yield uri


class Clock:
    """The time of day of processes that are started with it."""

    def __init__(self, library: Path, file: Path) -> None:
        self._file = file
        self.environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        self.jump("+0d")

    def jump(self, to: str) -> None:
        self._file.write_text(f"{to}\n")


def start(clock: Clock, folder: Path, *options: str) -> tuple[RemoteServer, "subprocess.Popen[str]"]:
    port = free_port()
    running = subprocess.Popen(
        command(folder, port, *options), stdout=subprocess.PIPE, text=True, env=clock.environment
    )
    assert running.stdout is not None
    assert running.stdout.readline().startswith("serving on ")
    return RemoteServer(f"127.0.0.1:{port}"), running


def subject(server: RemoteServer, name: str) -> gallery_pb2.Subject:
    request = galleries.GetSubjectRequest(name=f"galleries/g/subjects/{name}")
    return server.galleries.GetSubject(request, timeout=30).subject


def test_a_server_whose_clock_jumps_goes_on_as_if_nothing_had_been(
    library: Path, postgres_url: str, tmp_path: Path
) -> None:
    clock = Clock(library, tmp_path / "now")
    options = ("--database-url", postgres_url, "--lease-s", "2")
    server, running = start(clock, tmp_path / "data", *options)
    page = galleries.ListSubjectsRequest(parent="galleries/g", page_size=2)
    try:
        create_gallery(server, "g")
        first = {}
        token = ""
        for number, offset in enumerate(("+0d", "+365d", "-365d", "+0d")):
            clock.jump(offset)
            for name in (f"s{number}-a", f"s{number}-b"):
                first[name] = enroll(server, "g", item(name, axis(1 + number)), request_id=name)
            made = subject(server, f"s{number}-a").create_time.ToDatetime(dt.UTC) - dt.datetime.now(dt.UTC)
            assert abs(made - dt.timedelta(days=int(offset[:-1]))) < dt.timedelta(hours=1), "the clock did jump"
            assert found(identify(server, "g", axis(1 + number)))[:2] == [f"s{number}-a", f"s{number}-b"]
            answer = server.galleries.ListSubjects(page, timeout=30)
            assert [each.name.rpartition("/")[2] for each in answer.subjects] == ["s0-a", "s0-b"]
            if token:
                rest = galleries.ListSubjectsRequest(parent="galleries/g", page_size=2, page_token=token)
                assert server.galleries.ListSubjects(rest, timeout=30).subjects[0].name.endswith("s1-a")
            token = answer.next_page_token
            for name, answered in first.items():
                assert enroll(server, "g", item(name, axis(1 + int(name[1]))), request_id=name) == answered
        ahead = Clock(library, tmp_path / "ahead")
        ahead.jump("+3650d")
        second = subprocess.run(
            command(tmp_path / "other", 0, *options),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=ahead.environment,
        )
        assert second.returncode == 1
        assert "has owned this database since" in second.stderr
    finally:
        kill(running)
    clock.jump("-365d")
    server, running = start(clock, tmp_path / "data", *options)
    try:
        for name, answered in first.items():
            assert enroll(server, "g", item(name, axis(1 + int(name[1]))), request_id=name) == answered
        assert len(server.subjects("g")) == 8
    finally:
        kill(running)


def test_request_ids_are_not_forgotten_because_the_clock_was_set_forth(store_url: str) -> None:
    clock = dt.datetime.now(dt.UTC)

    def wall() -> dt.datetime:
        return clock

    with Store.open(store_url) as store:
        gallery = create_stored_gallery(store)
        for name in ("old", "young"):
            enroll_stored(store, gallery, name, request=(name, b"body"))
        forgetter = Forgetter(store, Retention(), every_s=0.01, wall=wall)
        clock += YEAR
        time.sleep(0.2)
        assert store.find_request(gallery.key, "young") is not None
        clock -= 2 * YEAR
        time.sleep(0.1)
        with store._engines.writing.begin() as connection:
            made = dt.datetime.now(dt.UTC) - dt.timedelta(days=8)
            connection.execute(update(REQUESTS).where(REQUESTS.c.request_id == "old").values(create_time=made))
        clock += 2 * YEAR
        end = time.monotonic() + 60
        while store.find_request(gallery.key, "old") is not None:
            assert time.monotonic() < end
            time.sleep(0.01)
        forgetter.close()
        assert store.find_request(gallery.key, "young") is not None
