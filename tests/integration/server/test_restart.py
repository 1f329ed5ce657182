"""A server process that is killed or told to stop, and started again on the same data."""

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from ersgallery.v1 import enrollment_service_pb2 as enrollment
from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries

from tests.support.requests import axis, blurred, create_gallery, create_profile, enroll, found, identify, item
from tests.support.server import RemoteServer
from tests.support.server_process import command, free_port, kill, serve


@contextmanager
def server_process(folder: Path, *options: str) -> Iterator[tuple[RemoteServer, "subprocess.Popen[str]"]]:
    """Run `ersgallery-server serve` on a free port until the block is left."""
    port = free_port()
    process = serve(folder, port, *options)
    try:
        yield RemoteServer(f"127.0.0.1:{port}"), process
    finally:
        kill(process)


def test_a_killed_server_answers_the_same_after_its_restart(tmp_path: Path) -> None:
    probes = [axis(1), axis(2, (3, 0.4)), blurred(4), axis(9)]
    with server_process(tmp_path) as (server, process):
        create_gallery(server, "g", margin=0.01)
        for number in range(30):
            enroll(
                server, "g", item(f"s{number}", axis(1 + number % 15, (0, 0.1 * (number % 9)))), request_id=f"r{number}"
            )
        before = [identify(server, "g", probe, include_filtered=True) for probe in probes]
        process.send_signal(signal.SIGKILL)
        process.wait()
    with server_process(tmp_path) as (server, _):
        assert [identify(server, "g", probe, include_filtered=True) for probe in probes] == before
        repeated = enroll(server, "g", item("s3", axis(4, (0, 0.3))), request_id="r3")
        assert repeated.revision == 4


def test_what_was_acknowledged_before_a_kill_is_there_and_nothing_is_half_there(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    with server_process(tmp_path) as (server, process):
        create_gallery(server, "g")

        def load(worker: int) -> None:
            for number in range(10_000):
                names = [f"w{worker}-{number}-{part}" for part in range(3)]
                try:
                    enroll(server, "g", *(item(name, axis(1 + worker)) for name in names))
                except grpc.RpcError:
                    return
                acknowledged.extend(names)

        workers = [threading.Thread(target=load, args=(worker,)) for worker in range(4)]
        for worker in workers:
            worker.start()
        while len(acknowledged) < 60:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        for worker in workers:
            worker.join()
    with server_process(tmp_path) as (server, _):
        stored = {name for name, faces in server.subjects("g") if faces == 1}
        assert set(acknowledged) <= stored
        batches = {name.rpartition("-")[0] for name in stored}
        assert len(stored) == 3 * len(batches)


def test_sigterm_finishes_what_was_accepted_and_exits_cleanly(tmp_path: Path) -> None:
    with server_process(tmp_path) as (server, process):
        create_gallery(server, "g")
        items = [item(f"s{i}", axis(1 + i % 15)) for i in range(1000)]
        request = enrollment.EnrollFacesRequest(parent="galleries/g", enrollments=items)
        calls = [server.enrollment.EnrollFaces.future(request) for _ in range(5)]
        calls[0].result()
        process.send_signal(signal.SIGTERM)
        finished = sum(_accepted(call) for call in calls)
        assert process.wait(timeout=60) == 0
    with server_process(tmp_path) as (server, _):
        assert server.gallery("g").counts.faces == 1000 * finished


class Traffic:
    """Callers of every kind, and what they were told until nobody answered any more."""

    def __init__(self, server: RemoteServer) -> None:
        self.server = server
        self.enrolled: set[str] = set()
        self.deleted: set[str] = set()
        self.strange: list[str] = []
        work = (self.enroll, self.enroll, self.stream, self.search, self.change_profile, self.delete, self.remake)
        self.threads = [threading.Thread(target=self._until_refused, args=(each,)) for each in work]
        for thread in self.threads:
            thread.start()

    def _until_refused(self, work: Callable[[str], None]) -> None:
        turn = 0
        try:
            while True:
                work(f"{threading.get_ident()}-{turn}")
                turn += 1
        except grpc.RpcError as error:
            found: Any = error
            if found.code() not in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
                self.strange.append(str(found))

    def enroll(self, turn: str) -> None:
        enroll(self.server, "g", item(turn, axis(1 + hash(turn) % 15)))
        self.enrolled.add(turn)

    def stream(self, turn: str) -> None:
        names = [f"{turn}-{number}" for number in range(20)]

        def batches() -> Iterator[enrollment.StreamEnrollFacesRequest]:
            for name in names:
                batch = enrollment.EnrollFacesRequest(parent="galleries/g", enrollments=[item(name, axis(3))])
                yield enrollment.StreamEnrollFacesRequest(batch=batch)

        for name, answer in zip(names, self.server.enrollment.StreamEnrollFaces(batches()), strict=True):
            if answer.WhichOneof("outcome") == "response":
                self.enrolled.add(name)

    def search(self, _turn: str) -> None:
        identify(self.server, "g", axis(1))

    def change_profile(self, turn: str) -> None:
        profile = create_profile(self.server, f"p{turn[-1]}", ui_axis=int(turn[-1]) % 2)
        update(self.server, profile=profile)

    def delete(self, _turn: str) -> None:
        if self.enrolled - self.deleted:
            name = min(self.enrolled - self.deleted)
            self.server.galleries.DeleteSubject(galleries.DeleteSubjectRequest(name=f"galleries/g/subjects/{name}"))
            self.deleted.add(name)

    def remake(self, _turn: str) -> None:
        create_gallery(self.server, "h")
        enroll(self.server, "h", item("ann", axis(1)))
        self.server.galleries.DeleteGallery(galleries.DeleteGalleryRequest(name="galleries/h"))


def update(server: RemoteServer, **fields: str) -> None:
    gallery = gallery_pb2.Gallery(name="galleries/g", **fields)  # type: ignore[arg-type]
    server.galleries.UpdateGallery(galleries.UpdateGalleryRequest(gallery=gallery))


def test_sigterm_in_the_midst_of_everything_loses_and_resurrects_nothing(tmp_path: Path) -> None:
    with server_process(tmp_path, "--drain-timeout-s", "20") as (server, process):
        create_gallery(server, "g")
        traffic = Traffic(server)
        time.sleep(1.5)
        process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        assert process.wait(timeout=60) == 0
        assert time.monotonic() - begun < 20  # less than the drain may take: nothing hung
        for thread in traffic.threads:
            thread.join()
    assert traffic.strange == []
    assert len(traffic.enrolled) > 20
    with server_process(tmp_path) as (server, _):
        stored = {name for name, faces in server.subjects("g") if faces == 1}
        assert traffic.enrolled - traffic.deleted <= stored
        assert not traffic.deleted & stored
        assert server.gallery("g").counts.faces == len(stored)
        every = identify(server, "g", axis(9), gamma=0.0, gamma_gallery=0.0, max_candidates=1024)
        assert len(stored) >= 1024 or {name.rpartition("/")[2] for name in found(every)} == stored


def _accepted(call: grpc.Future) -> bool:  # type: ignore[type-arg]
    try:
        return len(call.result().outcomes) == 1000
    except grpc.RpcError:
        return False


def test_a_second_server_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with server_process(tmp_path):
        second = subprocess.run(command(tmp_path), capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert "another server works on" in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--device", "cuda:0"], "cuda"),
        (["--database-url", "mysql://x"], "sqlite"),
        (["--host", "203.0.113.1", "--allow-insecure"], "cannot be bound"),
        (["--host", "203.0.113.1"], "no TLS"),
    ],
)
def test_what_prevents_a_start_is_said_in_one_sentence(tmp_path: Path, options: list[str], words: str) -> None:
    done = subprocess.run(command(tmp_path, 0, *options), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
