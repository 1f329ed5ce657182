"""A server with keys: snapshots are encrypted too, it starts with the right key alone, and the commands change keys."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery_server.cli import main
from ersgallery_server.keys import MAGIC, NO_KEYS, Key, KeyMissing, KeyRing, KeyWrong
from ersgallery_server.service import StartError
from ersgallery_server.snapshots import RowFile
from ersgallery_server.store import Store, StoreUnavailable
from ersgallery_server.values import NewFace
from structlog.testing import capture_logs

from tests.support.requests import DIMENSION, create_gallery, enroll, found, identify, item
from tests.support.server import RunningServer, running_server, settings
from tests.support.server_process import command, free_port, kill, serve
from tests.support.stores import create_gallery as store_gallery
from tests.support.stores import enroll_within, unit_rows, write

OLD, NEW = Key.generate("old"), Key.generate("new")
FACES = 40
ROWS = unit_rows(FACES, 21, DIMENSION)


def fill(server: RunningServer, folder: Path) -> None:
    create_gallery(server, "people", gamma_gallery=0.0)
    enroll(server, "people", *(item(f"s{i}", row) for i, row in enumerate(ROWS)))
    wait_until(lambda: any((folder / "data" / "snapshots").glob("*.snapshot")))


def wait_until(happened: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def plain_rows(folder: Path) -> int:
    held = b"".join(path.read_bytes() for path in (folder / "data").rglob("*") if path.is_file())
    return sum(row.tobytes()[8:24] in held for row in ROWS)


def assert_finds_all(server: RunningServer, gone: int = -1) -> None:
    for i in range(0, FACES, 7):
        assert found(identify(server, "people", ROWS[i], gamma=0.0))[:1] == ([f"s{i}"] if i != gone else [])


def test_nothing_of_a_face_is_below_the_data_directory_and_a_restart_finds_all(tmp_path: Path) -> None:
    configured = settings(tmp_path, snapshot_changed_faces=1, encryption_keys=KeyRing([OLD]))
    with running_server(configured) as server:
        fill(server, tmp_path)
        assert plain_rows(tmp_path) == 0
        assert_finds_all(server)
    with capture_logs() as logs, running_server(configured) as server:
        assert_finds_all(server)
    assert [entry["rows"] for entry in logs if entry["event"] == "restored a snapshot"] == [FACES]
    assert plain_rows(tmp_path) == 0


def test_a_deleted_face_is_erased_in_an_encrypted_snapshot(tmp_path: Path) -> None:
    configured = settings(tmp_path, snapshot_changed_faces=1, encryption_keys=KeyRing([OLD]))
    with running_server(configured) as server:
        fill(server, tmp_path)
        (snapshot,) = (tmp_path / "data" / "snapshots").glob("*.snapshot")
        server.galleries.DeleteSubject(galleries.DeleteSubjectRequest(name="galleries/people/subjects/s7"))
        (tmp_path / "copy").write_bytes(snapshot.read_bytes())
    file, _ = RowFile.open(tmp_path / "copy", KeyRing([OLD]))
    block = file.read(0)
    assert np.flatnonzero(block.ers < 0).tolist() == [7]
    assert not block.vectors[7].any()
    assert block.vectors[8].any()
    file.close()
    with capture_logs() as logs, running_server(configured) as server:
        assert server.subjects("people").count(("s7", 1)) == 0
        assert_finds_all_but_7(server)
    assert any(entry["event"] == "restored a snapshot" for entry in logs)


def assert_finds_all_but_7(server: RunningServer) -> None:
    assert found(identify(server, "people", ROWS[14], gamma=0.0))[:1] == ["s14"]
    assert found(identify(server, "people", ROWS[7], gamma=0.0))[:1] != ["s7"]


@pytest.mark.parametrize("place", ["header", "block"])
def test_a_changed_snapshot_is_refused_and_the_store_is_read(tmp_path: Path, place: str) -> None:
    configured = settings(tmp_path, snapshot_changed_faces=1, encryption_keys=KeyRing([OLD]))
    with running_server(configured) as server:
        fill(server, tmp_path)
    (snapshot,) = (tmp_path / "data" / "snapshots").glob("*.snapshot")
    changed = bytearray(snapshot.read_bytes())
    changed[60 if place == "header" else 4096 + 200] ^= 1
    snapshot.write_bytes(changed)
    with capture_logs() as logs, running_server(configured) as server:
        assert_finds_all(server)
    assert any("refused" in entry["event"] for entry in logs)


def test_a_plain_snapshot_is_not_read_by_a_server_with_keys(tmp_path: Path) -> None:
    with running_server(settings(tmp_path, snapshot_changed_faces=1)) as server:
        fill(server, tmp_path)
    with (
        capture_logs() as logs,
        running_server(settings(tmp_path, encryption_keys=KeyRing([OLD]))) as server,
    ):
        assert_finds_all(server)
    said = [entry for entry in logs if "reason" in entry]
    assert [entry["reason"] for entry in said] == ["the snapshot is not encrypted"]
    assert any("encryption rotate" in entry["event"] for entry in logs), "the faces are still plain"


def test_a_server_does_not_start_without_the_key_it_needs(tmp_path: Path) -> None:
    with running_server(settings(tmp_path, encryption_keys=KeyRing([OLD]))) as server:
        create_gallery(server, "people")
    for keys, error in ((NO_KEYS, KeyMissing), (KeyRing([Key.generate("old")]), KeyWrong)):
        with pytest.raises(error, match="'old'"), running_server(settings(tmp_path, encryption_keys=keys)):
            pass


def test_rows_on_disk_and_keys_exclude_each_other(tmp_path: Path) -> None:
    configured = settings(tmp_path, encryption_keys=KeyRing([OLD]), rows_on_disk=True)
    with pytest.raises(StartError, match="cannot be encrypted"), running_server(configured):
        pass


def key_file(folder: Path, *keys: Key) -> Path:
    path = folder / "keys"
    path.touch(mode=0o600)
    path.write_text("".join(f"{key.text}\n" for key in keys))
    return path


def run(folder: Path, *arguments: str, keys: Path | None = None) -> Result:
    given = [] if keys is None else ["--encryption-key-file", str(keys)]
    return CliRunner().invoke(main, [*arguments, "--data-dir", str(folder / "data"), *given])


def test_the_commands_encrypt_change_the_key_and_decrypt(tmp_path: Path) -> None:
    with running_server(settings(tmp_path, snapshot_changed_faces=1)) as server:
        fill(server, tmp_path)
        refused = run(tmp_path, "encryption", "rotate", keys=key_file(tmp_path, OLD))
        assert (refused.exit_code, "stop it first" in refused.output) == (1, True)
    assert plain_rows(tmp_path) == FACES
    assert f"embeddings not encrypted: {FACES}" in run(tmp_path, "encryption", "status").output
    for keys, option, rest in (
        ((OLD,), (), f"embeddings under old: {FACES}"),
        ((NEW, OLD), (), f"embeddings under new: {FACES}"),
        ((NEW,), ("--to-plain",), f"embeddings not encrypted: {FACES}"),
    ):
        path = key_file(tmp_path, *keys)
        rotated = run(tmp_path, "encryption", "rotate", *option, keys=path)
        assert (rotated.exit_code, f"{FACES} rows changed" in rotated.output) == (0, True), rotated.output
        assert rest in run(tmp_path, "encryption", "status", keys=path).output
        assert plain_rows(tmp_path) == (FACES if option else 0)
        assert list((tmp_path / "data" / "snapshots").iterdir()) == []
    assert run(tmp_path, "compact").exit_code == 0
    with running_server(settings(tmp_path)) as server:
        assert_finds_all(server)


def test_a_backup_is_encrypted_as_the_database_is_and_restores_with_the_key(tmp_path: Path) -> None:
    keys, elsewhere = KeyRing([OLD]), tmp_path / "elsewhere"
    with running_server(settings(tmp_path, snapshot_changed_faces=1, encryption_keys=keys)) as server:
        fill(server, tmp_path)
        made = run(tmp_path, "backup", "create", str(tmp_path / "data" / "people.backup"))
    assert made.exit_code == 0, made.output
    assert plain_rows(tmp_path) == 0
    assert run(elsewhere, "restore", str(tmp_path / "data" / "people.backup")).exit_code == 0
    with pytest.raises(KeyMissing, match="'old'"), running_server(settings(elsewhere)):
        pass
    with running_server(settings(elsewhere, encryption_keys=keys)) as server:
        assert_finds_all(server)


def test_a_rotation_that_is_killed_goes_on_and_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    rows, database = unit_rows(6000, 8), tmp_path / "data" / "gallery.db"
    with Store.open(f"sqlite:///{database}") as store:
        gallery = store_gallery(store)
        faces = [NewFace(f"s{i}", row, 1.0, 0.9, 0.9) for i, row in enumerate(rows)]
        write(store, lambda t: enroll_within(t, gallery, faces))
    keys = key_file(tmp_path, OLD)
    options = ["--data-dir", str(tmp_path / "data"), "--encryption-key-file", str(keys)]
    rotating = subprocess.Popen([sys.executable, "-m", "ersgallery_server", "encryption", "rotate", *options])
    wait_until(lambda: sealed_rows(database) > 0 or rotating.poll() is not None)
    rotating.kill()
    assert rotating.wait(60) in {-signal.SIGKILL, 0}
    finished = run(tmp_path, "encryption", "rotate", keys=keys)
    assert finished.exit_code == 0, finished.output
    assert sealed_rows(database) == len(rows)
    with Store.open(f"sqlite:///{database}", keys=KeyRing([OLD])) as store:
        loaded = np.concatenate([chunk.embeddings for chunk in store.load_faces(gallery.key)])
    np.testing.assert_array_equal(loaded, rows)


def sealed_rows(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        counted = connection.execute("SELECT count(*) FROM faces WHERE substr(embedding, 1, 4) = ?", [MAGIC])
        return int(counted.fetchone()[0])


@pytest.mark.parametrize("option", [(), ("--to-plain",)])
def test_a_rotation_that_was_broken_off_before_its_end_writes_the_files_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: tuple[str, ...]
) -> None:
    with running_server(settings(tmp_path, encryption_keys=KeyRing([OLD] if option else []))) as server:
        create_gallery(server, "people", gamma_gallery=0.0)
        enroll(server, "people", *(item(f"s{i}", row) for i, row in enumerate(ROWS)))
    path = key_file(tmp_path, OLD)

    def killed(_store: Store) -> None:
        raise StoreUnavailable

    with monkeypatch.context() as during:
        during.setattr(Store, "compact", killed)
        assert run(tmp_path, "encryption", "rotate", *option, keys=path).exit_code == 1
    again = run(tmp_path, "encryption", "rotate", *option, keys=path)
    assert (again.exit_code, "writing the database's files anew" in again.output) == (0, True), again.output
    assert "anew" not in run(tmp_path, "encryption", "rotate", *option, keys=path).output


def test_a_key_is_made_and_printed_once() -> None:
    made = CliRunner().invoke(main, ["encryption", "generate-key", "2026-11"])
    assert Key.parse(made.output).key_id == "2026-11"
    assert CliRunner().invoke(main, ["encryption", "generate-key", "No Id"]).exit_code == 1


def test_the_server_takes_keys_from_a_file_or_the_environment_and_says_what_is_wrong(tmp_path: Path) -> None:
    folder, keys = tmp_path / "data", key_file(tmp_path, OLD)
    process = serve(folder, free_port(), "--encryption-key-file", str(keys))
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    kill(process)
    assert "Max core file size        0                    0" in limits
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ERSGALLERY_ENCRYPTION_KEYS": f"{NEW.text},"}
    failed = subprocess.run(command(folder), capture_output=True, text=True, env=environment, check=False, timeout=120)
    assert failed.returncode == 1
    assert "encrypted under the key 'old', which was not given" in failed.stderr
    keys.chmod(0o644)
    options = command(folder, 0, "--encryption-key-file", str(keys))
    failed = subprocess.run(options, capture_output=True, text=True, check=False, timeout=120)
    assert "chmod 600" in failed.stderr
    secrets = [key.text.partition(":")[2] for key in (OLD, NEW)]
    assert not any(secret in failed.stderr + failed.stdout for secret in secrets)
