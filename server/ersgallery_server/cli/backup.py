"""`ersgallery-server backup` and `ersgallery-server restore`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

from ersgallery_server.config import default_data_dir

if TYPE_CHECKING:
    from ersgallery_server.backups import Header

_FILE = click.Path(path_type=Path, dir_okay=False)


class _CreatesUnlessTold(click.Group):
    """A group whose first word may be left out: `backup FILE` is `backup create FILE`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `create` before anything but a command or a question for help."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["create", *args]
        return super().parse_args(ctx, args)


def _database(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the URL of the database, and tell what goes wrong with it in a sentence."""

    @click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=default_data_dir,
        envvar="ERSGALLERY_DATA_DIR",
        show_default="the user's data folder",
        help="Where the SQLite database is.",
    )
    @click.option(
        "--database-url",
        envvar="ERSGALLERY_DATABASE_URL",
        show_default=False,  # a file's may have a password
        help="sqlite:///FILE or postgresql+psycopg://... [default: SQLite in DATA_DIR]",
    )
    @wraps(command)
    def with_url(*, data_dir: Path, database_url: str | None, **rest: Any) -> None:
        from ersgallery_server.audit.commands import note_command

        with _told():
            note_command(data_dir, "restore" if command.__name__ == "restore" else "backup create", str(rest["file"]))
            command(url=database_url or f"sqlite:///{data_dir / 'gallery.db'}", **rest)

    return with_url


@contextmanager
def _told() -> Iterator[None]:
    # Imported here: --help needs no SQLAlchemy.
    from ersgallery_server.backups import BackupRefused
    from ersgallery_server.errors import AuditUnavailable
    from ersgallery_server.store import StoreError

    try:
        yield
    except (BackupRefused, StoreError, AuditUnavailable, OSError) as error:
        raise click.ClickException(str(error)) from error


@click.group(cls=_CreatesUnlessTold)
def backup() -> None:
    """Write everything a database holds to one file, while the server runs.

    \b
      ersgallery-server backup people.backup          write it (the same as `backup create`)
      ersgallery-server backup verify people.backup   read it again and compare its checksum
      ersgallery-server restore people.backup         put it into an empty database, SQLite or PostgreSQL

    The file holds faces and photographs of people: keep it as the database itself. Whoever is deleted later stays in
    it, so let backups expire, and delete again whom you had to delete after restoring one. Keys that encrypt
    embeddings, certificates, models and the server's options are not in it.
    """  # noqa: D301 - click wants the character \b, not the two of a raw string


@backup.command(context_settings={"show_default": True})
@click.argument("file", type=_FILE)
@_database
def create(url: str, file: Path) -> None:
    """Write a backup to FILE, in place of a former one only once it is complete.

    It is the database as it was at one moment. Nobody waits for it; SQLite's log grows meanwhile.
    """
    from ersgallery_server.backups import back_up

    with _Bar("writing") as bar:
        header = back_up(url, file, lambda header: bar.begin(header.rows))
    click.echo(f"{file}: {_summary(header)}, {file.stat().st_size:,} bytes")


@backup.command(name="verify")
@click.argument("file", type=_FILE)
def verify_file(file: Path) -> None:
    """Read FILE to its end, compare its checksum, and list its galleries."""
    with _told():
        from ersgallery_server.backups import verify

        with _Bar("reading") as bar:
            header = verify(file, bar.begin(file.stat().st_size))
    click.echo(f"{file} is whole: {_summary(header)}")
    click.echo(f"written {header.create_time} by version {header.program}, migration {header.migration}")
    for gallery in header.galleries:
        held = f"{gallery.subjects:,} subjects, {gallery.faces:,} faces"
        click.echo(f"  {gallery.gallery_id}: {held}, revision {gallery.revision}")


@click.command(context_settings={"show_default": True})
@click.argument("file", type=_FILE)
@click.option("--replace", is_flag=True, help="Delete what the database holds; without it, it must be empty.")
@click.option("--yes", is_flag=True, help="Do not ask whether that is meant.")
@_database
def restore(url: str, file: Path, *, replace: bool, yes: bool) -> None:
    """Put the backup FILE into a database; no server may run on it.

    The file is checked before anything is written, and all of it is one transaction: whatever happens, the database is
    as it was or as it was backed up. A backup of SQLite goes into PostgreSQL and the other way round, one of an older
    version is migrated. Answers are those of then. Ids that were given out after the backup are not given out again.
    """
    from ersgallery_server import backups

    if replace and not yes:
        click.confirm("Everything in the database will be replaced by the backup. Go on?", abort=True)
    with _Bar("restoring") as bar:
        header = backups.restore(url, file, replace=replace, progress=bar.begin(2 * file.stat().st_size))
    click.echo(f"restored {_summary(header)} of {header.create_time}")


class _Bar:
    """A bar of progress on standard error, where that is a terminal."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._shown = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.close()

    def begin(self, length: int) -> Callable[[int], None]:
        """Show the bar and return what moves it."""
        stderr = sys.stderr
        bar = click.progressbar(length=length, label=self._label, file=stderr, hidden=not stderr.isatty())
        return self._shown.enter_context(bar).update


def _summary(header: "Header") -> str:
    faces = sum(gallery.faces for gallery in header.galleries)
    return f"{len(header.galleries)} galleries, {faces:,} faces"
