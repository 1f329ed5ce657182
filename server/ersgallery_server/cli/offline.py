"""A database of a server that does not run, for the commands that work on it alone."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ersgallery_server.config import default_data_dir
from ersgallery_server.keys import ENVIRONMENT, KeyProblem, KeyRing

if TYPE_CHECKING:
    from ersgallery_server.store import Store

Command = TypeVar("Command", bound=Callable[..., Any])

_KEY_FILE = click.option(
    "--encryption-key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="ERSGALLERY_ENCRYPTION_KEY_FILE",
    help="Keys, one ID:BASE64 a line, in a file for its owner alone: the first encrypts, all decrypt. "
    f"[default: {ENVIRONMENT}, the same separated by commas, or none]",
)


def database_options(command: Command) -> Command:
    """Add the options that say which database and which keys."""
    for option in (
        _KEY_FILE,
        click.option(
            "--database-url",
            envvar="ERSGALLERY_DATABASE_URL",
            show_default=False,  # a file's may have a password
            help="sqlite:///FILE or postgresql+psycopg://... [default: SQLite in DATA_DIR]",
        ),
        click.option(
            "--data-dir",
            type=click.Path(path_type=Path, file_okay=False),
            default=default_data_dir,
            envvar="ERSGALLERY_DATA_DIR",
            help="Where the SQLite database and the snapshots are.",
        ),
    ):
        command = option(command)
    return command


def read_keys(file: Path | None) -> KeyRing:
    """Return the keys of a file, or of the environment; raises KeysUnusable and OSError."""
    return KeyRing.of_file(file) if file is not None else KeyRing.parse(os.environ.get(ENVIRONMENT, ""))


@contextmanager
def offline_store(data_dir: Path, database_url: str | None, keys: KeyRing) -> "Iterator[Store]":
    """Open the database as its only user; raises click.ClickException where a server runs, or it cannot be opened."""
    # Imported here: --help needs no SQLAlchemy.
    from filelock import FileLock, Timeout

    from ersgallery_server.errors import AuditUnavailable
    from ersgallery_server.store import StoreError
    from ersgallery_server.store.ownership import Applicant
    from ersgallery_server.store.store import Store

    lock = FileLock(data_dir / "server.lock", thread_local=False)
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with lock.acquire(timeout=0):
            applicant = Applicant.of(Path(lock.lock_file))
            url = database_url or f"sqlite:///{data_dir / 'gallery.db'}"
            with Store.open(url, applicant=applicant, keys=keys) as store:
                yield store
    except Timeout:
        raise click.ClickException(f"a server works on {data_dir}; stop it first") from None
    except (StoreError, KeyProblem, AuditUnavailable, OSError) as error:
        raise click.ClickException(str(error)) from error
