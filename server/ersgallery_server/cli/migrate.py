"""`ersgallery-server migrate`."""

from pathlib import Path

import click

from ersgallery_server.config import default_data_dir


@click.command(context_settings={"show_default": True})
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=default_data_dir,
    envvar="ERSGALLERY_DATA_DIR",
    help="Where the SQLite database is.",
)
@click.option(
    "--database-url",
    envvar="ERSGALLERY_DATABASE_URL",
    show_default=False,  # a file's may have a password
    help="sqlite:///FILE or postgresql+psycopg://... [default: SQLite in DATA_DIR]",
)
def migrate(data_dir: Path, database_url: str | None) -> None:
    """Bring the database to the newest tables, as `serve` does by itself at start.

    All of it is one transaction: a failure leaves the database as it was.
    """
    # Imported here: --help needs no SQLAlchemy.
    from ersgallery_server.store import StoreError, migrate_database

    try:
        before, after = migrate_database(database_url or f"sqlite:///{data_dir / 'gallery.db'}")
    except (StoreError, OSError) as error:
        raise click.ClickException(str(error)) from error
    if before == after:
        click.echo(f"the database is at {after} already")
    else:
        click.echo(f"migrated the database from {before or 'nothing'} to {after}")
