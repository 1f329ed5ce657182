"""A backup restored elsewhere holds the same rows and gives the same answers; a damaged one touches nothing."""

import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery.v1 import identification_service_pb2 as identification
from ersgallery_server.backups import BackupRefused, back_up, restore, verify
from ersgallery_server.backups.backing_up import kept_tables
from ersgallery_server.backups.columns import pack, unpack
from ersgallery_server.backups.file import Header, KeptTable, Reader, Writer
from ersgallery_server.backups.restoring import SKIPPED_KEYS
from ersgallery_server.cli import main
from ersgallery_server.store import Applicant, DatabaseOwned, Store, WriteTransaction, migrate_database
from ersgallery_server.store.engines import make_engines
from ersgallery_server.store.schema import is_known, newest_migration, upgrade
from ersgallery_server.values import AcquisitionCounts, GalleryRecord, NewFace, NewFaces, SubjectSearch
from numpy.typing import NDArray
from sqlalchemy import create_engine, inspect, select

from tests.support import oracle
from tests.support.postgres import postgres_database
from tests.support.requests import axis, blurred, create_gallery, enroll, found, identify, item
from tests.support.server import running_server, settings
from tests.support.stores import create_gallery as create_stored_gallery
from tests.support.stores import enroll as enroll_stored
from tests.support.stores import new_faces, write

ROOT = Path(__file__).parents[3]


@pytest.fixture(params=["sqlite", "postgresql"])
def elsewhere_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of another database, empty and without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/elsewhere/gallery.db"
        return
    with postgres_database(request.getfixturevalue("postgres_uri")) as uri:
        yield uri


def silent(_header: Header) -> Any:
    return lambda _rows: None


def fill(url: str, faces: int = 40) -> None:
    """Put something of every kind into a database."""
    with Store.open(url) as store:
        gallery = create_stored_gallery(store, display_name="Leute \N{SNOWMAN}", store_images=True)
        sets = write(
            store,
            lambda t: t.create_gallery(
                "sets",
                type(gallery.settings)(tau=0.5, subject_search=SubjectSearch.TEMPLATE, gamma=0.25),
                gallery.profile.key,
            ),
        )
        for number in range(faces):
            enroll_stored(store, gallery, f"s{number % 7}", seed=number, request=(f"r{number}", b"body"))
            enroll_stored(store, sets, f"s{number % 3}", "other", seed=number)
        metadata = {"deep": {"list": [1, 2.5, None, "\N{SNOWMAN}"]}}
        photographed = new_faces(["pia"], image=b"\0\1" * 300_000, metadata=metadata)
        write(store, partial(enroll_photographed, gallery, photographed))
        write(store, lambda t: t.delete_subject(gallery.key, "s1"))


def enroll_photographed(gallery: GalleryRecord, faces: Sequence[NewFace], transaction: WriteTransaction) -> None:
    counts = AcquisitionCounts(enrollment_attempts=len(faces))
    transaction.enroll(gallery.key, gallery.profile.key, NewFaces.of(faces), counts=counts, gate=0.5)


def rows(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables that are kept."""
    engines = make_engines(url, read_connections=1, lock_timeout_s=10)
    with engines.reading.connect() as connection:
        every = {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in kept_tables()
        }
    engines.dispose()
    return every


def test_a_restored_backup_has_every_row_of_every_table_on_either_database(
    store_url: str, elsewhere_url: str, tmp_path: Path
) -> None:
    fill(store_url)
    file = tmp_path / "a.backup"
    header = back_up(store_url, file, silent)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [(kept.gallery_id, kept.faces) for kept in header.galleries] == [("people", 35), ("sets", 80)]
    assert verify(file) == header
    migrate_database(elsewhere_url)  # tables alone are nothing that could be lost
    assert restore(elsewhere_url, file) == header
    before, after = rows(store_url), rows(elsewhere_url)
    ((_, last_key),) = before.pop("last_key")
    assert after.pop("last_key") == [(1, last_key + SKIPPED_KEYS)]
    assert after == before
    assert all(before[name] for name in ("faces", "subjects", "galleries", "requests", "changes", "face_images"))
    with Store.open(elsewhere_url, applicant=Applicant.of()) as store:
        assert enroll_stored(store, store.gallery("people"), "new").face_ids.item() > last_key + SKIPPED_KEYS


def test_a_file_that_is_damaged_or_cut_anywhere_is_refused_before_anything_is_written(
    tmp_path: Path, migrated_sqlite: Path
) -> None:
    source = tmp_path / "gallery.db"
    source.write_bytes(migrated_sqlite.read_bytes())
    fill(f"sqlite:///{source}", faces=5)
    file = tmp_path / "a.backup"
    back_up(f"sqlite:///{source}", file, silent)
    whole = file.read_bytes()
    places = [*range(0, 40, 3), *range(40, len(whole), len(whole) // 60), *range(len(whole) - 40, len(whole), 3)]
    damaged = tmp_path / "damaged.backup"
    target = tmp_path / "target.db"
    for place in places:
        for contents in (
            whole[:place],
            whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :],
            whole[:place] + b"\0" + whole[place:],
        ):
            damaged.write_bytes(contents)
            with pytest.raises(BackupRefused):
                restore(f"sqlite:///{target}", damaged)
    damaged.write_bytes(whole + b"\0")
    with pytest.raises(BackupRefused):
        restore(f"sqlite:///{target}", damaged)
    assert not target.exists()


def test_a_backup_of_a_database_that_is_written_to_is_of_one_moment(store_url: str, tmp_path: Path) -> None:
    fill(store_url, faces=20)
    stop = threading.Event()
    with Store.open(store_url) as store:
        gallery = store.gallery("people")

        def load() -> None:
            turn = 0
            while not stop.is_set():
                enroll_stored(store, gallery, f"x{turn}", f"y{turn}", seed=turn)
                turn += 1

        writer = threading.Thread(target=load)
        writer.start()
        backups = []
        for number in range(3):
            backups.append(tmp_path / f"{number}.backup")
            time.sleep(0.05)
            back_up(store_url, backups[-1], silent)
        stop.set()
        writer.join()
    for number, file in enumerate(backups):
        restored = f"sqlite:///{tmp_path}/{number}.db"
        restore(restored, file)
        with Store.open(restored) as store:
            gallery = store.gallery("people")
            changes = store.changes(gallery.key, 0, limit=100_000)
            assert [change.revision for change in changes] == list(range(1, gallery.revision + 1))
            added = sum(len(change.added_face_ids) - len(change.removed_face_ids) for change in changes)
            assert store.totals(gallery.key, 0.0).faces == added
            assert gallery.counts.enrollment_attempts == sum(len(change.added_face_ids) for change in changes)


def test_a_database_that_holds_something_is_replaced_only_when_that_is_asked_for(
    store_url: str, tmp_path: Path
) -> None:
    fill(store_url)
    file = tmp_path / "a.backup"
    back_up(store_url, file, silent)
    then = rows(store_url)
    with Store.open(store_url, applicant=Applicant.of()) as store:
        enroll_stored(store, store.gallery("people"), "later")
        with pytest.raises(DatabaseOwned):
            restore(store_url, file, replace=True)
    now = rows(store_url)
    with pytest.raises(BackupRefused, match="--replace"):
        restore(store_url, file)
    assert rows(store_url) == now
    restore(store_url, file, replace=True)
    assert {**rows(store_url), "last_key": then["last_key"]} == then


def test_a_restore_that_is_killed_leaves_the_old_or_the_new(store_url: str, tmp_path: Path) -> None:
    fill(store_url, faces=30)
    file = tmp_path / "a.backup"
    back_up(store_url, file, silent)
    new = rows(store_url)["faces"]
    with Store.open(store_url) as store:
        write(store, lambda t: t.delete_gallery("sets"))
    old = rows(store_url)["faces"]
    assert old != new
    seen = []
    script = (
        "import sys; from pathlib import Path; from ersgallery_server.backups import restore, restoring\n"
        "restoring.LEASE_S = 1.0\n"
        "told = lambda _: print('.', flush=True)\n"
        "restore(sys.argv[1], Path(sys.argv[2]), replace=True, progress=told)"
    )
    lines = sum(1 for _ in _blocks(file))
    for at in (lines + lines // 2, 2 * lines):
        with subprocess.Popen(
            [sys.executable, "-c", script, store_url, str(file)], stdout=subprocess.PIPE, cwd=ROOT
        ) as process:
            assert process.stdout is not None
            for _ in range(at):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        present = rows(store_url)["faces"]
        assert present in (old, new)
        seen.append(present == old)
    assert any(seen)
    restore(store_url, file, replace=True)
    assert rows(store_url)["faces"] == new


def _blocks(file: Path) -> Iterator[Any]:
    with file.open("rb") as opened:
        yield from Reader(opened).blocks()


def test_a_backup_of_an_older_version_is_migrated(tmp_path: Path, elsewhere_url: str, migrated_sqlite: Path) -> None:
    source = tmp_path / "gallery.db"
    source.write_bytes(migrated_sqlite.read_bytes())
    fill(f"sqlite:///{source}", faces=5)
    file, older = tmp_path / "a.backup", tmp_path / "older.backup"
    back_up(f"sqlite:///{source}", file, silent)
    restore(elsewhere_url, rewritten(file, older, "0002"))
    with Store.open(elsewhere_url, applicant=Applicant.of()) as store:
        assert store.gallery("sets").settings.subject_search is SubjectSearch.TEMPLATE
        assert store.gallery("sets").settings.index_kind.value == "AUTO"
    with pytest.raises(BackupRefused, match="newer version"):
        restore(elsewhere_url, rewritten(file, tmp_path / "newer.backup", "9999"), replace=True)


def rewritten(file: Path, path: Path, migration: str) -> Path:
    """Write a backup as an older version would have, without what later migrations brought."""
    with file.open("rb") as source, path.open("wb") as target:
        reader = Reader(source)
        header = reader.header
        known = _columns_at(migration)
        kept = [
            KeptTable(
                table.name, table.rows, tuple(column for column in table.columns if _is_kept(table, column, known))
            )
            for table in header.tables
            if known is None or table.name in known
        ]
        numbers = {table.name: number for number, table in enumerate(kept)}
        writer = Writer(target, Header(migration, header.program, header.create_time, tuple(kept), header.galleries))
        for block in reader.blocks():
            table = header.tables[block.table]
            data, packed = block.data, []
            for name, kind in table.columns:
                values, data = unpack(kind, data, block.rows)
                if _is_kept(table, (name, kind), known):
                    packed.append(pack(kind, values))
            if table.name in numbers:
                writer.add(numbers[table.name], block.rows, b"".join(packed))
        writer.end()
    return path


def _is_kept(table: KeptTable, column: tuple[str, str], known: dict[str, set[str]] | None) -> bool:
    return known is None or column[0] in known.get(table.name, set())


def _columns_at(migration: str) -> dict[str, set[str]] | None:
    """Return the columns of each table as an older migration has them; None for an unknown one."""
    if not is_known(migration):
        return None
    with create_engine("sqlite://").begin() as connection:
        upgrade(connection, migration)
        found = inspect(connection)
        return {name: {column["name"] for column in found.get_columns(name)} for name in found.get_table_names()}


def test_large_photographs_after_small_ones_make_no_large_block(store_url: str, tmp_path: Path) -> None:
    sizes = [1000] * 60 + [3 << 20] * 4
    with Store.open(store_url) as store:
        gallery = create_stored_gallery(store, store_images=True)
        for number, size in enumerate(sizes):
            (face,) = new_faces([f"s{number}"], image=b"x" * size)
            write(store, partial(enroll_photographed, gallery, [face]))
    file = tmp_path / "a.backup"
    back_up(store_url, file, silent)
    assert max(len(block.data) for block in _blocks(file)) < (4 << 20) + (3 << 20) + 100_000
    verify(file)


def test_a_file_that_is_no_backup_is_not_overwritten_and_a_missing_database_not_made(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/gallery.db") as store:
        create_stored_gallery(store)
    kept = (tmp_path / "gallery.db").read_bytes()
    with pytest.raises(BackupRefused, match="is no backup"):
        back_up(f"sqlite:///{tmp_path}/gallery.db", tmp_path / "gallery.db", silent)
    assert (tmp_path / "gallery.db").read_bytes() == kept
    with pytest.raises(BackupRefused, match="no database"):
        back_up(f"sqlite:///{tmp_path}/none.db", tmp_path / "a.backup", silent)
    assert not (tmp_path / "none.db").exists()
    assert [path.name for path in tmp_path.iterdir() if "backup" in path.name] == []


def test_a_server_on_a_restored_backup_gives_the_answers_of_then(tmp_path: Path, elsewhere_url: str) -> None:
    configured = settings(tmp_path / "here", snapshot_changed_faces=1)
    probes = [axis(1), axis(2, (3, 0.3)), blurred(1), axis(9)]
    file = tmp_path / "a.backup"
    with running_server(configured) as server:
        create_gallery(server, "g")
        items = [item(f"s{i}", axis(1 + i % 15, (0, 0.2 * (i % 7)))) for i in range(50)]
        first = enroll(server, "g", *items, request_id="once")
        before = [identify(server, "g", probe, include_filtered=True) for probe in probes]
        back_up(configured.store_url, file, silent)
        server.galleries.DeleteSubject(galleries.DeleteSubjectRequest(name="galleries/g/subjects/s1"))
        lost = enroll(server, "g", item("lost", axis(5)))
    with running_server(settings(tmp_path / "there", database_url=elsewhere_url)) as server:
        create_gallery(server, "other")
    restore(elsewhere_url, file, replace=True)
    with running_server(settings(tmp_path / "there", database_url=elsewhere_url)) as server:
        assert [identify(server, "g", probe, include_filtered=True) for probe in probes] == before
        assert enroll(server, "g", *items, request_id="once") == first
        again = enroll(server, "g", item("new", axis(5)))
        assert (
            again.outcomes[0].result.faces[0].face.rpartition("/")[2]
            != lost.outcomes[0].result.faces[0].face.rpartition("/")[2]
        )
    for probe, answer in zip(probes, before, strict=True):
        assert told(answer) == by_the_oracle(elsewhere_url, probe)
    restore(configured.store_url, file, replace=True)
    with running_server(configured) as server:  # beside a snapshot of the later history
        assert [identify(server, "g", probe, include_filtered=True) for probe in probes] == before
        assert "lost" not in found(before[0])


def told(answer: identification.IdentifyResponse) -> tuple[str, list[Any]]:
    """Return the decision and the candidates' face ids with their scores."""
    given = answer.identification
    candidates = [(int(each.face.rpartition("/")[2]), pytest.approx(each.similarity)) for each in given.candidates]
    return identification.Decision.Name(given.decision).removeprefix("DECISION_"), candidates


def by_the_oracle(url: str, probe: NDArray[np.float32]) -> tuple[str, list[Any]]:
    """Return the same by brute force over what is stored, without the faces that were enrolled afterwards."""
    with Store.open(url) as store:
        gallery = store.gallery("g")
        chunks = list(store.load_faces(gallery.key))
    profile = gallery.profile.profile
    faces = [
        oracle.Face(face_id, subject, oracle.derive(profile, False, embedding))
        for chunk in chunks
        for face_id, subject, embedding in zip(
            chunk.face_ids.tolist(), chunk.subject_keys.tolist(), chunk.embeddings, strict=True
        )
        if face_id < SKIPPED_KEYS
    ]
    unit = (probe / np.linalg.norm(probe)).astype(np.float32)
    answer = oracle.identify(faces, oracle.derive(profile, False, unit), gallery.settings.policy(profile))
    return answer.decision.name, [(hit.face_id, hit.score) for hit in answer.candidates]


def test_the_commands_write_check_and_restore(tmp_path: Path) -> None:
    fill(f"sqlite:///{tmp_path}/a/gallery.db", faces=10)
    file = str(tmp_path / "people.backup")

    def run(*arguments: str, code: int = 0, answer: str | None = None) -> str:
        done = CliRunner().invoke(main, arguments, input=answer)
        assert done.exit_code == code, done.output
        return done.output

    assert "2 galleries, 29 faces" in run("backup", file, "--data-dir", str(tmp_path / "a"))
    told = run("backup", "verify", file)
    assert "is whole" in told
    assert "sets: 4 subjects, 20 faces, revision 10" in told
    assert f"migration {newest_migration()}" in told
    assert "restored 2 galleries" in run("restore", file, "--data-dir", str(tmp_path / "b"))
    assert "--replace" in run("restore", file, "--data-dir", str(tmp_path / "b"), code=1)
    run("restore", file, "--data-dir", str(tmp_path / "b"), "--replace", code=1, answer="n\n")
    run("restore", file, "--data-dir", str(tmp_path / "b"), "--replace", answer="y\n")
    run("restore", file, "--data-dir", str(tmp_path / "b"), "--replace", "--yes")
    Path(file).write_bytes(Path(file).read_bytes()[:-1])
    assert "damaged" in run("backup", "verify", file, code=1)
