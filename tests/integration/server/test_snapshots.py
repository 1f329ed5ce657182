"""Snapshots on the disk: when they are written, when they are refused, and that nothing deleted stays in them."""

import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ersgallery_server.call import Call
from ersgallery_server.gallery import saver
from ersgallery_server.gallery.gallery import Gallery
from ersgallery_server.snapshots import RowFile
from ersgallery_server.values import ProfileVersion, SubjectSearch
from structlog.testing import capture_logs

from tests.support.cores import NEVER_BY_ITSELF, Core, assert_same_rows, enroll, rows_of, save
from tests.support.requests import axis, create_gallery, identify, item
from tests.support.requests import enroll as enroll_over_grpc
from tests.support.server import RemoteServer
from tests.support.server_process import free_port, serve
from tests.support.stores import unit_rows

ROOT = Path(__file__).parents[3]
DIMENSION = 64
FACES = 40
VECTORS = unit_rows(FACES, 3, DIMENSION)
CENTROIDS = unit_rows(2, 4, DIMENSION)
NAMES = [f"s{number % 20}" for number in range(FACES)]


class Restartable:
    """A core that can be closed and started again; `logs` are those of the last start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.core = Core(self.url, folder)
        self.logs: list[dict[str, object]] = []

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder / 'gallery.db'}"

    @property
    def gallery(self) -> Gallery:
        return self.core.gallery()

    def restart(
        self, between: Callable[[Path], object] = lambda _: None, snapshot_changed_faces: int = NEVER_BY_ITSELF
    ) -> None:
        """Close and start again; `between` gets the path of the gallery's snapshot."""
        path = self.gallery.saved.path
        self.core.close()
        between(path)
        with capture_logs() as logs:
            self.core = Core(self.url, self.folder, snapshot_changed_faces)
        self.logs = [dict(entry) for entry in logs]

    def said(self, event: str) -> list[dict[str, object]]:
        return [entry for entry in self.logs if event in str(entry["event"])]

    def assert_refused(self, reason: str) -> None:
        """Check that the snapshot was refused for this reason and is gone, and the gallery is that of the store."""
        assert [reason in str(entry["reason"]) for entry in self.said("refused")] == [True], self.logs
        assert not self.gallery.saved.path.exists()
        assert_same_rows(rows_of(self.gallery), self.core.rebuilt(self.gallery))


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Restartable]:
    """Give a core with a gallery of 40 faces of 20 subjects, which is saved."""
    made = Restartable(tmp_path)
    made.core.create("g", profile(made.core))
    enroll(made.gallery, NAMES, VECTORS)
    assert save(made.gallery)
    yield made
    made.core.close()


def profile(core: Core, number: int = 0) -> ProfileVersion:
    return core.profile(f"p{number}", CENTROIDS[number : number + 1])


def held(folder: Path) -> list[int]:
    """Return which faces' derived vectors are anywhere in the snapshots."""
    content = b"".join(file.read_bytes() for file in folder.iterdir())
    return [number for number, vector in enumerate(VECTORS) if vector.tobytes() in content]


def wait_until(happened: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 60
    while not happened():
        if time.monotonic() > deadline_s:
            pytest.fail("it did not happen within a minute")
        time.sleep(0.02)


def test_a_restart_reads_the_snapshot_and_what_came_after_it(started: Restartable) -> None:
    enroll(started.gallery, ["new"], unit_rows(1, 9, DIMENSION))
    started.gallery.delete_subject("s3", Call())
    before = rows_of(started.gallery)
    started.restart()
    (restored,) = started.said("restored a snapshot")
    assert (restored["rows"], restored["changed_faces"]) == (39, 3)
    assert (restored["snapshot_revision"], restored["revision"]) == (1, 3)
    assert_same_rows(rows_of(started.gallery), before)
    assert_same_rows(rows_of(started.gallery), started.core.rebuilt(started.gallery))


def test_deleted_faces_are_in_no_snapshot_when_the_delete_returns(started: Restartable) -> None:
    folder = started.core.snapshots
    assert held(folder) == list(range(FACES)), "they are there to begin with"
    faces = started.core.store.list_faces(started.gallery.record.key, None, FACES).items
    started.gallery.delete_face(faces[7].subject_id, faces[7].face_id, Call())
    assert held(folder) == [number for number in range(FACES) if number != 7]
    started.gallery.delete_subject("s4", Call())
    assert held(folder) == [number for number in range(FACES) if number not in {4, 7, 24}]
    started.core.galleries.delete("g", None, Call())
    assert list(folder.iterdir()) == []


def test_the_last_face_of_a_template_is_in_no_snapshot_when_its_delete_returns(started: Restartable) -> None:
    core = started.core
    templates = core.create("t", started.gallery.record.profile, subject_search=SubjectSearch.TEMPLATE)
    started.core.galleries.delete("g", None, Call())
    enroll(templates, ["one", "two"], VECTORS[:2])
    assert save(templates)
    assert held(core.snapshots) == [0, 1]
    face = core.store.list_faces(templates.record.key, "one", 1).items[0]
    templates.delete_face("one", face.face_id, Call())
    assert held(core.snapshots) == [1]


def test_what_a_killed_server_had_deleted_and_not_erased_is_erased_at_the_start(started: Restartable) -> None:
    # The store alone hears of the deletion, as if the server had been killed after the commit.
    key = started.gallery.record.key
    started.core.store.submit(lambda t: t.delete_subject(key, "s4")).result()
    assert held(started.core.snapshots) == list(range(FACES))
    started.restart()
    assert started.said("restored a snapshot")
    assert held(started.core.snapshots) == [number for number in range(FACES) if number not in {4, 24}]
    assert_same_rows(rows_of(started.gallery), started.core.rebuilt(started.gallery))


def test_a_snapshot_of_another_profile_is_refused(started: Restartable) -> None:
    kept = shutil.copy(started.gallery.saved.path, started.folder / "kept")
    started.core.update(started.gallery, profile=profile(started.core, 1))
    assert not started.gallery.saved.path.exists(), "it went with the profile"
    started.restart(lambda path: shutil.copy(kept, path))
    started.assert_refused("another profile key")


def test_a_snapshot_of_other_settings_is_refused(started: Restartable) -> None:
    kept = shutil.copy(started.gallery.saved.path, started.folder / "kept")
    started.core.update(started.gallery, enhance_features=True)
    started.restart(lambda path: shutil.copy(kept, path))
    started.assert_refused("another recipe")


def test_gates_may_change_between_a_snapshot_and_the_start(started: Restartable) -> None:
    started.core.update(started.gallery, gamma_gallery=0.95)
    started.restart()
    assert started.said("restored a snapshot")
    assert_same_rows(rows_of(started.gallery), started.core.rebuilt(started.gallery))
    assert started.gallery.ask(lambda state: state.index.count(0.95), Call()) < FACES


def test_a_snapshot_ahead_of_a_database_from_a_backup_is_refused(started: Restartable) -> None:
    backup = started.folder / "backup.db"
    with sqlite3.connect(started.folder / "gallery.db") as source, sqlite3.connect(backup) as target:
        source.backup(target)
    enroll(started.gallery, ["later"], unit_rows(1, 9, DIMENSION))
    assert save(started.gallery)
    started.restart(lambda _: use_backup(started.folder, backup))
    started.assert_refused("ahead of the database")


def test_a_snapshot_of_a_history_that_a_backup_undid_is_refused_though_its_revision_was_reached_again(
    started: Restartable,
) -> None:
    backup = started.folder / "backup.db"
    with sqlite3.connect(started.folder / "gallery.db") as source, sqlite3.connect(backup) as target:
        source.backup(target)
    enroll(started.gallery, ["undone"], unit_rows(1, 9, DIMENSION))
    assert save(started.gallery)
    kept = shutil.copy(started.gallery.saved.path, started.folder / "kept")
    started.restart(lambda _: use_backup(started.folder, backup))
    enroll(started.gallery, ["instead"], unit_rows(1, 10, DIMENSION))
    started.restart(lambda path: shutil.copy(kept, path))
    started.assert_refused("another history")


def use_backup(folder: Path, backup: Path) -> None:
    for file in folder.glob("gallery.db*"):
        file.unlink()
    shutil.copy(backup, folder / "gallery.db")


def test_a_snapshot_from_another_database_is_refused(started: Restartable, tmp_path: Path) -> None:
    other = Restartable(tmp_path / "other")
    other.core.create("g", profile(other.core))
    enroll(other.gallery, NAMES, VECTORS[::-1])
    assert save(other.gallery)
    assert other.gallery.saved.path.name == started.gallery.saved.path.name
    started.restart(lambda path: shutil.copy(other.gallery.saved.path, path))
    started.assert_refused("another gallery create time")
    other.core.close()


def test_a_snapshot_whose_log_was_cut_is_refused(started: Restartable) -> None:
    enroll(started.gallery, ["later"], unit_rows(1, 9, DIMENSION))
    enroll(started.gallery, ["last"], unit_rows(1, 10, DIMENSION))

    def cut(_path: Path) -> None:
        with sqlite3.connect(started.folder / "gallery.db") as connection:
            connection.execute("DELETE FROM changes WHERE revision = 2")

    started.restart(cut)
    started.assert_refused("cannot be caught up")


def test_a_gallery_made_anew_under_a_name_has_nothing_of_the_old_one(started: Restartable) -> None:
    kept = shutil.copy(started.gallery.saved.path, started.folder / "kept")
    old = started.gallery.saved.path
    started.core.galleries.delete("g", None, Call())
    started.core.create("g", profile(started.core, 1))
    enroll(started.gallery, ["ann"], unit_rows(1, 9, DIMENSION))
    started.restart(lambda _: shutil.copy(kept, old))
    assert not old.exists(), "no gallery has this key any more"
    assert_same_rows(rows_of(started.gallery), started.core.rebuilt(started.gallery))
    shutil.copy(kept, started.gallery.saved.path)
    started.restart()
    started.assert_refused("another gallery key")


def test_a_server_that_saves_none_removes_those_that_are_there(started: Restartable) -> None:
    started.restart(snapshot_changed_faces=0)
    assert list(started.core.snapshots.iterdir()) == []
    assert_same_rows(rows_of(started.gallery), started.core.rebuilt(started.gallery))


def test_a_gallery_is_saved_by_itself_when_enough_has_changed(
    started: Restartable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saver, "TICK_S", 0.02)
    started.restart(snapshot_changed_faces=5)
    path = started.gallery.saved.path
    enroll(started.gallery, ["a"] * 4, unit_rows(4, 9, DIMENSION))
    time.sleep(0.3)
    assert RowFile.open(path)[1].rows == FACES
    enroll(started.gallery, ["b"], unit_rows(1, 10, DIMENSION))
    wait_until(lambda: RowFile.open(path)[1].rows == FACES + 5)


def test_a_disk_that_takes_no_snapshot_harms_nothing_else(
    started: Restartable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saver, "TICK_S", 0.02)
    started.restart(snapshot_changed_faces=5)
    before = started.gallery.saved.path.read_bytes()
    obstacle = started.gallery.saved.path.with_suffix(".growing")
    obstacle.mkdir()
    with capture_logs() as logs:
        enroll(started.gallery, ["a"] * 5, unit_rows(5, 9, DIMENSION))
        wait_until(lambda: any("could not be written" in str(entry["event"]) for entry in logs))
    assert started.gallery.saved.path.read_bytes() == before
    started.gallery.delete_subject("s4", Call())
    obstacle.rmdir()
    assert_same_rows(rows_of(started.gallery), started.core.rebuilt(started.gallery))


WRITER = """
import sys, itertools
from pathlib import Path
from ersgallery_server.call import Call
from ersgallery_server.gallery import saving
from ersgallery_server.snapshots import saved_index
from tests.support.cores import NEVER_BY_ITSELF, Core, enroll, save
from tests.support.stores import unit_rows

saving.usual_block_rows = saved_index.usual_block_rows = lambda dimension: 4
folder = Path(sys.argv[1])
core = Core(f"sqlite:///{folder / 'gallery.db'}", folder)
gallery = core.gallery()
for turn in itertools.count():
    enroll(gallery, [f"t{turn}-{i}" for i in range(10)], unit_rows(10, turn, 64))
    save(gallery)
    if turn % 2:
        gallery.delete_subject(f"t{turn}-3", Call())
    print(turn, flush=True)
"""


@pytest.mark.parametrize("turns", [1, 3, 6, 10])
def test_a_kill_while_snapshots_are_written_leaves_the_old_one_or_the_new_one(tmp_path: Path, turns: int) -> None:
    started = Restartable(tmp_path)
    started.core.create("g", profile(started.core))
    started.core.close()
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        for _ in range(turns):
            assert process.stdout.readline()
        time.sleep(0.003 * turns)  # somewhere in the midst of the next turn
        process.kill()
    with capture_logs() as logs:
        started.core = Core(started.url, tmp_path)
    assert [entry["event"] for entry in logs if "refused" in entry["event"]] == []
    assert [entry["event"] for entry in logs].count("restored a snapshot") == 1
    assert_same_rows(rows_of(started.gallery), started.core.rebuilt(started.gallery))
    assert [file.suffix for file in started.core.snapshots.iterdir()] == [".snapshot"]
    started.core.close()


def test_a_server_that_is_told_to_stop_saves_and_answers_the_same_after_its_restart(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    probes = [axis(1), axis(2, (3, 0.4)), axis(0, (4, 0.3)), axis(9)]
    answers = []
    for turn in range(2):
        port = free_port()
        process = serve(tmp_path, port, "--snapshot-changed-faces", "10")
        server = RemoteServer(f"127.0.0.1:{port}")
        if turn == 0:
            create_gallery(server, "g", margin=0.01)
            items = [item(f"s{n}", axis(1 + n % 15, (0, 0.1 * (n % 9)))) for n in range(30)]
            enroll_over_grpc(server, "g", *items)
        answers.append([identify(server, "g", each, include_filtered=True) for each in probes])
        server.channel.close()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 0
        assert ("restored a snapshot" in capfd.readouterr().err) == (turn == 1)
    assert answers[0] == answers[1]
    assert len(list((tmp_path / "snapshots").glob("*.snapshot"))) == 1
