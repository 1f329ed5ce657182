"""`ersgallery-server migrate`."""

from pathlib import Path

from click.testing import CliRunner
from ersgallery_server.cli.migrate import migrate
from ersgallery_server.store import Store
from ersgallery_server.store.schema import newest_migration


def test_the_command_migrates_once(empty_url: str) -> None:
    first = CliRunner().invoke(migrate, ["--database-url", empty_url])
    assert (first.exit_code, first.output) == (0, f"migrated the database from nothing to {newest_migration()}\n")
    second = CliRunner().invoke(migrate, ["--database-url", empty_url])
    assert (second.exit_code, second.output) == (0, f"the database is at {newest_migration()} already\n")


def test_the_command_makes_the_database_in_the_data_directory(tmp_path: Path) -> None:
    done = CliRunner().invoke(migrate, [], env={"ERSGALLERY_DATA_DIR": str(tmp_path / "data")})
    assert done.exit_code == 0
    with Store.open(f"sqlite:///{tmp_path}/data/gallery.db", migrations=False) as store:
        assert store.list_galleries(1).items == ()


def test_the_command_says_in_a_sentence_what_is_wrong(tmp_path: Path) -> None:
    for url in ("mysql://root:secret@host/db", f"postgresql://u:secret@/db?host={tmp_path}"):
        done = CliRunner().invoke(migrate, ["--database-url", url])
        assert done.exit_code == 1
        assert done.output.startswith("Error: ")
        assert done.output.count("\n") == 1
        assert "secret" not in done.output
