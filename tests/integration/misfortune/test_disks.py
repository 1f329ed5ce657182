"""Disks that are full, read-only or damaged: an error that says so, and nothing lost, doubled or half there."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery_server.cli import main
from ersgallery_server.service import Service
from ersgallery_server.store import DatabaseDamaged, DiskFull

from tests.support.requests import axis, create_gallery, enroll, found, identify, item
from tests.support.server import RemoteServer, running_server, settings
from tests.support.server_process import free_port, kill, serve

MIB = 1 << 20


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """Mount a small disk; skips the test where that is not permitted."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("mounting a small disk needs to be permitted")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "-o", "size=16m") as folder:
        yield folder


def fill_up(disk: Path) -> Path:
    """Take all room of a disk; return the file that does."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file:
        size = MIB
        while size:
            try:
                file.write(b"\0" * size)
            except OSError:
                size //= 4
    return ballast


@contextmanager
def process(folder: Path, *options: str) -> Iterator[tuple[RemoteServer, "subprocess.Popen[str]"]]:
    port = free_port()
    running = serve(folder, port, *options)
    try:
        yield RemoteServer(f"127.0.0.1:{port}"), running
    finally:
        kill(running)


def enroll_many(server: RemoteServer, prefix: str = "s") -> None:
    """Enrol three thousand faces."""
    for start in range(0, 3000, 1000):
        enroll(server, "g", *(item(f"{prefix}{start + i}", axis(1 + i % 15)) for i in range(1000)))


def run(*arguments: str, code: int = 0) -> str:
    """Run a command of the server's command line and return its output."""
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == code, done.output
    return done.output


def enroll_until_full(server: RemoteServer, enrolled: dict[str, str]) -> grpc.RpcError:
    """Enrol photographless faces with much metadata until one is refused; return the refusal."""
    for number in range(len(enrolled), 100_000):
        name = f"s{number}"
        try:
            answer = enroll(server, "g", item(name, axis(1 + number % 15)), request_id=name)
        except grpc.RpcError as error:
            return error
        enrolled[name] = answer.outcomes[0].result.faces[0].face
    raise AssertionError("the disk never became full")


def test_a_full_disk_stores_nothing_half_answers_searches_and_goes_on_when_there_is_room(small_disk: Path) -> None:
    enrolled: dict[str, str] = {}
    with process(small_disk / "data") as (server, running):
        create_gallery(server, "g")
        for number in range(20):
            name = f"s{number}"
            answer = enroll(server, "g", item(name, axis(1 + number % 15)), request_id=name)
            enrolled[name] = answer.outcomes[0].result.faces[0].face
        ballast = fill_up(small_disk)
        refusal: Any = enroll_until_full(server, enrolled)
        assert refusal.code() is grpc.StatusCode.UNAVAILABLE
        assert "disk of the database is full" in refusal.details()
        refused = f"s{len(enrolled)}"
        assert found(identify(server, "g", axis(3)))[0] == "s2"
        assert {name for name, _ in server.subjects("g")} == set(enrolled)
        deletion: Any = None
        try:
            server.galleries.DeleteSubject(galleries.DeleteSubjectRequest(name="galleries/g/subjects/s0"))
            del enrolled["s0"]
        except grpc.RpcError as error:
            deletion = error
        assert deletion is None or "disk of the database is full" in deletion.details()
        ballast.unlink()
        answer = enroll(server, "g", item(refused, axis(1)), request_id=refused)
        enrolled[refused] = answer.outcomes[0].result.faces[0].face
        fill_up(small_disk)
        enroll_until_full(server, enrolled)
        running.send_signal(signal.SIGKILL)
        running.wait()
    (small_disk / "ballast").unlink()
    with process(small_disk / "data") as (server, _):
        assert {name for name, faces in server.subjects("g") if faces == 1} == set(enrolled)
        assert len(set(enrolled.values())) == len(enrolled)
        repeated = enroll(server, "g", item(refused, axis(1)), request_id=refused)
        assert repeated.outcomes[0].result.faces[0].face == enrolled[refused]


def test_a_snapshot_or_backup_for_which_there_is_no_room_leaves_the_former(small_disk: Path) -> None:
    configured = settings(small_disk, snapshot_changed_faces=1)
    data, backup = str(configured.data_dir), small_disk / "people.backup"
    with running_server(configured) as server:
        create_gallery(server, "g")
        enroll_many(server)
    (snapshot,) = (configured.data_dir / "snapshots").glob("*")
    run("backup", str(backup), "--data-dir", data)
    former = {path: path.read_bytes() for path in (snapshot, backup)}
    with running_server(configured) as server:
        enroll_many(server, "t")
        ballast = fill_up(small_disk)
        assert "No space left" in run("backup", str(backup), "--data-dir", data, code=1)
    assert {path: path.read_bytes() for path in former} == former
    assert [path.name for path in small_disk.iterdir() if "partial" in path.name] == []
    ballast.unlink()
    with running_server(configured) as server:
        assert server.gallery("g").counts.faces == 6000


def test_a_disk_that_is_full_at_the_start_is_said(small_disk: Path) -> None:
    fill_up(small_disk)
    with pytest.raises((OSError, DiskFull), match=r"full|No space"):
        Service(settings(small_disk))


def test_a_restore_for_which_there_is_no_room_leaves_the_database_as_it_was(small_disk: Path, tmp_path: Path) -> None:
    source, target = settings(tmp_path), settings(small_disk)
    backup = str(tmp_path / "people.backup")
    with running_server(source) as server:
        create_gallery(server, "g")
        enroll_many(server)
    run("backup", backup, "--data-dir", str(source.data_dir))
    with running_server(target) as server:
        create_gallery(server, "kept")
        enroll(server, "kept", item("ann", axis(1)))
    # The log of commands then has a block of the disk, in which the next line has room.
    run("token", "create", "door", "--scope", "read", "--data-dir", str(target.data_dir))
    ballast = fill_up(small_disk)
    restoring = ("restore", backup, "--replace", "--yes", "--data-dir", str(target.data_dir))
    assert "disk of the database is full" in run(*restoring, code=1)
    ballast.unlink()
    with running_server(target) as server:
        assert found(identify(server, "kept", axis(1))) == ["ann"]
    run(*restoring)
    with running_server(target) as server:
        assert server.gallery("g").counts.faces == 3000


def test_a_read_only_data_directory_is_said_at_the_start(small_disk: Path) -> None:
    configured = settings(small_disk)
    with running_server(configured) as server:
        create_gallery(server, "g")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(OSError, match="Read-only file system"):
        Service(configured)


@pytest.mark.parametrize("place", ["front", "root", "middle"])
def test_a_damaged_database_is_said_and_never_served_wrongly(tmp_path: Path, place: str) -> None:
    configured = settings(tmp_path)
    with running_server(configured) as server:
        create_gallery(server, "g")
        enroll_many(server)
    database = configured.data_dir / "gallery.db"
    contents = bytearray(database.read_bytes())
    start, end = {"front": (0, 64), "root": (100, 164), "middle": (16_384, len(contents))}[place]
    contents[start:end] = b"\x5a" * (end - start)
    database.write_bytes(contents)
    with pytest.raises(DatabaseDamaged, match=r"is damaged.*restore a backup"):
        Service(configured)
