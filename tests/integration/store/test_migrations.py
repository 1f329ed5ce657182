"""Migrations: they make the tables that the code expects, and are all or nothing."""

import shutil
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from ersgallery_index import IndexKind, Weighting
from ersgallery_server.store import SchemaOutdated, SchemaUnknown, Store, migrate_database
from ersgallery_server.store.engines import Engines, make_engines
from ersgallery_server.store.schema import MIGRATIONS, migrate, newest_migration, present_migration
from ersgallery_server.store.tables import Base
from ersgallery_server.values import DuplicateCheck, SubjectSearch
from sqlalchemy import inspect, text

from tests.support.stores import create_gallery, enroll

BROKEN = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {down!r}

def upgrade() -> None:
    op.create_table("half", sa.Column("key", sa.Integer()))
    op.execute("INSERT INTO half VALUES (1)")
    op.add_column("galleries", sa.Column("half", sa.Text()))
    op.create_table("half", sa.Column("key", sa.Integer()))
"""


def open_engines(url: str) -> Engines:
    return make_engines(url, read_connections=2, lock_timeout_s=10)


def with_broken_migration(folder: Path) -> Path:
    """Return a copy of the migrations with one more that fails half-way."""
    copy = Path(shutil.copytree(MIGRATIONS, folder / "migrations"))
    text_of_it = BROKEN.format(revision="9999", down=newest_migration())
    (copy / "versions" / "m9999_broken.py").write_text(text_of_it)
    return copy


def tables(engines: Engines) -> set[str]:
    return set(inspect(engines.reading).get_table_names())


def test_the_migrations_make_what_the_code_expects(empty_url: str) -> None:
    engines = open_engines(empty_url)
    assert migrate(engines.writing) == (None, newest_migration())
    with engines.reading.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
        assert present_migration(connection) == newest_migration()
    assert differences == []
    assert migrate(engines.writing) == (newest_migration(), newest_migration())
    engines.dispose()


def test_a_migration_that_fails_half_way_on_an_empty_database_leaves_nothing(empty_url: str, tmp_path: Path) -> None:
    engines = open_engines(empty_url)
    with pytest.raises(Exception, match="half"):
        migrate(engines.writing, with_broken_migration(tmp_path))
    assert tables(engines) == set()
    engines.dispose()
    with Store.open(empty_url) as store:
        assert create_gallery(store).revision == 0


def test_a_migration_that_fails_half_way_leaves_the_database_as_it_was(empty_url: str, tmp_path: Path) -> None:
    with Store.open(empty_url) as store:
        gallery = create_gallery(store)
    engines = open_engines(empty_url)
    before = tables(engines)
    with pytest.raises(Exception, match="half"):
        migrate(engines.writing, with_broken_migration(tmp_path))
    assert tables(engines) == before
    assert "half" not in {column["name"] for column in inspect(engines.reading).get_columns("galleries")}
    engines.dispose()
    with Store.open(empty_url, migrations=False) as store:
        assert store.gallery("people").key == gallery.key


def test_a_database_of_a_newer_version_is_refused(empty_url: str) -> None:
    migrate_database(empty_url)
    engines = open_engines(empty_url)
    with engines.writing.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'future'"))
    engines.dispose()
    with pytest.raises(SchemaUnknown, match="future"):
        Store.open(empty_url)
    with pytest.raises(SchemaOutdated):
        Store.open(empty_url, migrations=False)


def test_an_empty_database_is_not_used_without_migrations(empty_url: str) -> None:
    with pytest.raises(SchemaOutdated, match="ersgallery-server migrate"):
        Store.open(empty_url, migrations=False)


def test_processes_that_open_an_empty_database_together_wait_for_each_other(empty_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        came_from = [before for before, _ in pool.map(lambda _: migrate_database(empty_url), range(4))]
    assert came_from.count(None) == 1
    assert came_from.count(newest_migration()) == 3


def test_sqlite_is_set_up_for_durability_and_erasure(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "gallery.db"
    with Store.open(f"sqlite:///{path}") as store:
        for engine in (store._engines.reading, store._engines.writing):
            with engine.connect() as connection:
                for pragma, value in (
                    ("page_size", 16384),
                    ("journal_mode", "wal"),
                    ("synchronous", 2),
                    ("foreign_keys", 1),
                    ("secure_delete", 1),
                    ("wal_autocheckpoint", 4096),
                    ("busy_timeout", 10_000),
                ):
                    assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one() == value
        modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        assert modes == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_writing_transaction_takes_the_lock_of_sqlite_as_it_begins(tmp_path: Path) -> None:
    path = tmp_path / "gallery.db"
    with Store.open(f"sqlite:///{path}") as store:
        other = sqlite3.connect(path, timeout=0, isolation_level=None)
        with store._engines.writing.begin(), pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        with store._engines.reading.begin():
            other.execute("BEGIN IMMEDIATE")
        other.close()


def test_galleries_of_an_older_database_go_on_by_best_face(empty_url: str) -> None:
    engines = open_engines(empty_url)
    migrate(engines.writing)
    engines.dispose()
    with Store.open(empty_url) as store:
        enroll(store, create_gallery(store), "ann", "bob", "bob")
    engines = open_engines(empty_url)
    with engines.writing.begin() as connection:
        for column in (
            "subject_search",
            "template_weighting",
            "template_media_pooling",
            "tau_subjects",
            "index_kind",
            "duplicate_check",
            "duplicate_threshold",
            "face_count",
        ):
            connection.execute(text(f"ALTER TABLE galleries DROP COLUMN {column}"))
        connection.execute(text("ALTER TABLE changes DROP COLUMN subject_key"))
        connection.execute(text("DROP INDEX ix_requests_create_time"))
        connection.execute(text("DROP TABLE owner"))
        connection.execute(text("DROP TABLE tokens"))
        connection.execute(text("DROP TABLE sealing_keys"))
        connection.execute(text("DROP TABLE last_commit"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert migrate(engines.writing) == ("0001", newest_migration())
    with engines.reading.connect() as connection:
        assert connection.execute(text("SELECT face_count FROM galleries")).scalar_one() == 3
    engines.dispose()
    with Store.open(empty_url) as store:
        found = store.gallery("people").settings
    assert (found.subject_search, found.template_weighting) == (SubjectSearch.BEST_FACE, Weighting.SQUARE)
    assert (found.template_media_pooling, found.tau_subjects, found.index_kind) == (False, None, IndexKind.AUTO)
    assert (found.duplicate_check, found.duplicate_threshold) == (DuplicateCheck.OFF, None)
