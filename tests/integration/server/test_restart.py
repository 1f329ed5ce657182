"""A server process that is killed or told to stop, and started again on the same data."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from ersgallery.v1 import enrollment_service_pb2 as enrollment

from tests.support.requests import axis, blurred, create_gallery, enroll, identify, item
from tests.support.server import RemoteServer


@contextmanager
def server_process(folder: Path, *options: str) -> Iterator[tuple[RemoteServer, "subprocess.Popen[str]"]]:
    """Run `ersgallery-server serve` on a free port until the block is left."""
    command = [sys.executable, "-m", "ersgallery_server", "serve", "--port", "0", "--data-dir", str(folder), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("serving on "), line
        yield RemoteServer(line.split()[-1]), process
    finally:
        process.kill()
        process.wait()


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
            pass
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


def _accepted(call: grpc.Future) -> bool:  # type: ignore[type-arg]
    try:
        return len(call.result().outcomes) == 1000
    except grpc.RpcError:
        return False


def test_a_second_server_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with server_process(tmp_path):
        command = [sys.executable, "-m", "ersgallery_server", "serve", "--port", "0", "--data-dir", str(tmp_path)]
        second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert "another server works on" in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--device", "cuda:0"], "cuda"),
        (["--database-url", "mysql://x"], "sqlite"),
        (["--host", "203.0.113.1"], "cannot be bound"),
    ],
)
def test_what_prevents_a_start_is_said_in_one_sentence(tmp_path: Path, options: list[str], words: str) -> None:
    command = [sys.executable, "-m", "ersgallery_server", "serve", "--port", "0", "--data-dir", str(tmp_path), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
