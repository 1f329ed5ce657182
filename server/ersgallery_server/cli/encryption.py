"""`ersgallery-server encryption` and `ersgallery-server compact`."""

from pathlib import Path

import click

from ersgallery_server.cli.offline import database_options, offline_store, read_keys
from ersgallery_server.keys import Key, KeyProblem, KeyRing


@click.group()
def encryption() -> None:
    """Encrypt embeddings and photographs at rest, change keys, and go back.

    \b
    First steps, with the server stopped:
      (umask 077; ersgallery-server encryption generate-key 2026 > keys)
      ersgallery-server encryption rotate --encryption-key-file keys
      ersgallery-server serve --encryption-key-file keys
    For another key put its line before the others in the file, and rotate again; then remove the old ones.

    Whoever loses the keys loses all embeddings: keep a copy somewhere else.
    """  # noqa: D301 - click wants the character \b, not the two of a raw string


@encryption.command("generate-key")
@click.argument("key_id", metavar="ID")
def generate_key(key_id: str) -> None:
    """Print a new random key with the given ID, as a line of a key file."""
    try:
        click.echo(Key.generate(key_id).text)
    except KeyProblem as error:
        raise click.ClickException(str(error)) from error


@encryption.command()
@database_options
def status(data_dir: Path, database_url: str | None, encryption_key_file: Path | None) -> None:
    """Say how many embeddings and photographs are encrypted under which key. The server must not run."""
    from ersgallery_server.store.rotation import PLAIN, SEALED

    with offline_store(data_dir, database_url, _keys(encryption_key_file).without_sealing()) as store:
        for kind in SEALED:
            counts = store.count_by_key(kind)
            for key_id, count in sorted(counts.items()):
                click.echo(f"{kind.purpose}s {'not encrypted' if key_id == PLAIN else f'under {key_id}'}: {count}")
            if not counts:
                click.echo(f"no {kind.purpose}s")


@encryption.command()
@click.option("--to-plain", is_flag=True, help="Decrypt everything, for a server without keys.")
@database_options
def rotate(to_plain: bool, data_dir: Path, database_url: str | None, encryption_key_file: Path | None) -> None:
    """Encrypt everything under the first key, whatever it is now under. The server must not run.

    It can be stopped at any time and goes on when it is started again. Snapshots are removed, and the database's files
    are written anew at the end, so that nothing is left of what was there before; that takes their size again.
    """
    from ersgallery_server.audit.commands import note_command
    from ersgallery_server.store.rotation import SEALED, reseal_all

    keys = _keys(encryption_key_file)
    if keys.current is None:
        raise click.UsageError("no key: see --encryption-key-file")
    with offline_store(data_dir, database_url, keys.without_sealing() if to_plain else keys) as store:
        note_command(data_dir, "encryption rotate", "plain" if to_plain else keys.current.key_id)
        broken_off = not store.is_finished()
        total = sum(sum(store.count_by_key(kind).values()) for kind in SEALED)
        with click.progressbar(length=total, label="rows") as bar:
            changed = reseal_all(store.submit, bar.update)
        for snapshot in (data_dir / "snapshots").glob("*"):
            snapshot.unlink()
        if changed or broken_off:
            click.echo("writing the database's files anew")
            store.compact()
        store.submit(lambda transaction: transaction.finish_rotation()).result()
    click.echo(
        f"{changed} rows changed; {'nothing is encrypted' if to_plain else f'all are under {keys.current.key_id}'}"
    )


@click.command()
@database_options
def compact(data_dir: Path, database_url: str | None, encryption_key_file: Path | None) -> None:
    """Write the database's files anew, without any trace of what was deleted. The server must not run.

    SQLite overwrites what is deleted, but may keep a part of a row that it had moved before; PostgreSQL keeps dead rows
    until its VACUUM. This removes both, and takes as much room on the disk again while it runs.
    """
    from ersgallery_server.audit.commands import note_command

    with offline_store(data_dir, database_url, _keys(encryption_key_file).without_sealing()) as store:
        note_command(data_dir, "compact")
        store.compact()
    click.echo("the database's files were written anew")


def _keys(file: Path | None) -> KeyRing:
    try:
        return read_keys(file)
    except (KeyProblem, OSError, UnicodeError) as error:
        raise click.ClickException(str(error)) from error
