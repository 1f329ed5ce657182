"""`ersgallery-server token`: make, list and revoke the tokens by which callers are known."""

import datetime as dt
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from ersgallery_server.cli.model_options import pass_defaults_on
from ersgallery_server.config import default_data_dir
from ersgallery_server.grants import Grant, Scope, TokenRecord

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_GALLERY = re.compile(r"[a-z][a-z0-9-]{0,62}")
_ALL = "all"


def _database_options(function: Any) -> Any:
    """Say which database the tokens are in."""
    for option in (
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
            show_default="the user's data folder",
            help="Where the SQLite database is.",
        ),
    ):
        function = option(function)
    return function


def _matching(form: re.Pattern[str], rule: str) -> Any:
    def check(_context: click.Context, _parameter: click.Parameter, value: Any) -> Any:
        for each in value if isinstance(value, tuple) else (value,):
            if not form.fullmatch(each):
                raise click.BadParameter(rule)
        return value

    return check


@click.group()
@click.pass_context
def token(context: click.Context) -> None:
    """Tokens by which callers are known, and what each may do.

    A running server follows within two seconds. A client sends its token by --token-file, ERSGALLERY_TOKEN or
    `GalleryClient(token=...)`.
    """
    pass_defaults_on(context)


@token.command("create")
@click.argument("name", callback=_matching(_NAME, "must be 1 to 63 of a-z, 0-9, '.', '_' and '-'"))
@_database_options
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice([*(scope.value.lower() for scope in Scope), _ALL]),
    help="What it may do; may be given several times, for no scope holds another. read: see galleries, subjects, faces "
    "and photographs. identify: search, verify and score. enroll: add, change and delete subjects and faces. admin: "
    "make, change and delete galleries, profiles and calibrations.",
)
@click.option(
    "--gallery",
    "galleries",
    multiple=True,
    callback=_matching(_GALLERY, "must be the id of a gallery: 1 to 63 of a-z, 0-9 and '-', beginning with a letter"),
    help="A gallery in which it may, whether it exists yet or not; may be given several times. [default: all]",
)
@click.option(
    "--expires-in-days",
    type=click.FloatRange(0, 36_500, min_open=True),
    help="How long it is valid. [default: for ever]",
)
@click.option(
    "--max-calls-per-second",
    type=click.FloatRange(0, 1_000_000),
    help="Each face of a batch counts as one; 0 is no limit. [default: that of the server]",
)
def create_token(
    name: str,
    data_dir: Path,
    database_url: str | None,
    scopes: tuple[str, ...],
    galleries: tuple[str, ...],
    expires_in_days: float | None,
    max_calls_per_second: float | None,
) -> None:
    """Make the token NAME and print it; it is shown this once, and the database keeps its SHA-256 alone."""
    from ersgallery_server.access.tokens import digest_of, new_token
    from ersgallery_server.audit.commands import note_command

    chosen = frozenset(Scope) if _ALL in scopes else frozenset(Scope(scope.upper()) for scope in scopes)
    grant = Grant(chosen, frozenset(galleries) or None, max_calls_per_second)
    expire_time = None
    if expires_in_days is not None:
        expire_time = dt.datetime.now(dt.UTC) + dt.timedelta(days=expires_in_days)
    token_id, text = new_token()
    with _store(data_dir, database_url) as store:
        note_command(data_dir, "token create", name)
        store.submit(
            lambda transaction: transaction.create_token(name, token_id, digest_of(text), grant, expire_time)
        ).result()
    click.echo("This token is shown this once; keep it as you would a password.", err=True)
    click.echo(text)


@token.command("list")
@_database_options
@click.option("--all", "show_all", is_flag=True, help="Those that are revoked or expired, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def list_tokens(data_dir: Path, database_url: str | None, *, show_all: bool, as_json: bool) -> None:
    """List tokens with what they may do; the tokens themselves are nowhere to be had."""
    now = dt.datetime.now(dt.UTC)
    with _store(data_dir, database_url) as store:
        rows = [_row(each, now) for each in store.tokens() if show_all or each.is_valid(now)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    shown = ("name", "state", "scopes", "galleries", "expire_time", "last_use_time")
    table = Table("Name", "State", "Scopes", "Galleries", "Expires", "Last used")
    for row in rows:
        table.add_row(*(_words(row[key]) for key in shown))
    Console().print(table)


@token.command("revoke")
@click.argument("name")
@_database_options
def revoke_token(name: str, data_dir: Path, database_url: str | None) -> None:
    """Let the token NAME open nothing any more, also in a running server, where its streams end."""
    from ersgallery_server.audit.commands import note_command
    from ersgallery_server.errors import AuditUnavailable

    with _store(data_dir, database_url) as store:
        try:
            note_command(data_dir, "token revoke", name)
        except (AuditUnavailable, OSError) as error:  # a full disk must not keep a stolen token open
            click.echo(f"warning: this is not written down in the audit log: {error}", err=True)
        store.submit(lambda transaction: transaction.revoke_token(name)).result()
    click.echo(f"token {name} is revoked")


@contextmanager
def _store(data_dir: Path, database_url: str | None) -> Iterator[Any]:
    """Open the store; what it refuses becomes one sentence."""
    # Imported here: --help needs no SQLAlchemy.
    from ersgallery_server.errors import AuditUnavailable
    from ersgallery_server.store import Store, StoreError

    try:
        with Store.open(database_url or f"sqlite:///{data_dir / 'gallery.db'}", keys=None) as store:
            yield store
    except (StoreError, AuditUnavailable, OSError) as error:
        raise click.ClickException(str(error)) from error


def _row(record: TokenRecord, now: dt.datetime) -> dict[str, Any]:
    times = (record.create_time, record.expire_time, record.last_use_time)
    made, expires, used = (None if time is None else time.isoformat(timespec="minutes") for time in times)
    state = "revoked" if record.revoke_time else "valid" if record.is_valid(now) else "expired"
    grant = record.grant
    return {
        "name": record.name,
        "state": state,
        "scopes": sorted(scope.value.lower() for scope in grant.scopes),
        "galleries": "all" if grant.galleries is None else sorted(grant.galleries),
        "max_calls_per_second": grant.max_calls_per_second,
        "create_time": made,
        "expire_time": expires,
        "last_use_time": used,
        "begins_with": f"ersg_{record.token_id}",
    }


def _words(value: Any) -> str:
    """Return a cell: of a time its day."""
    if isinstance(value, list):
        return ", ".join(value)
    return "" if value is None else str(value).partition("T")[0]
