"""The state of a database's tables: which migration it is at, and how it gets to the newest."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

from ersgallery_server.store.errors import SchemaUnknown

MIGRATIONS = Path(__file__).parent / "migrations"
_POSTGRES_LOCK = 0x657273  # any number that two migrating processes agree on


def present_migration(connection: Connection) -> str | None:
    """Return the migration a database is at; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def has_owner(engine: Engine) -> bool:
    """Tell whether the table is there by which servers keep out of each other's way."""
    return inspect(engine).has_table("owner")


def newest_migration(migrations: Path = MIGRATIONS) -> str | None:
    """Return the migration this version wants."""
    return ScriptDirectory(str(migrations)).get_current_head()


def is_known(revision: str, migrations: Path = MIGRATIONS) -> bool:
    """Tell whether this version knows a migration."""
    return revision in {script.revision for script in ScriptDirectory(str(migrations)).walk_revisions()}


def lock_schema(connection: Connection) -> None:
    """Let no other process change the tables until the transaction ends; SQLite's transactions do anyhow."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _POSTGRES_LOCK})


def upgrade(connection: Connection, revision: str, migrations: Path = MIGRATIONS) -> None:
    """Bring tables to a migration within the transaction."""
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def migrate(engine: Engine, migrations: Path = MIGRATIONS) -> tuple[str | None, str | None]:
    """Bring a database to the newest migration and return where it was and where it is.

    All pending migrations and their record are one transaction: a failure leaves the database as it was. Two processes
    that migrate at once wait for each other. Raises SchemaUnknown for a database of a newer version.
    """
    newest = newest_migration(migrations)
    with engine.begin() as connection:
        lock_schema(connection)
        before = present_migration(connection)
        if before is not None and not is_known(before, migrations):
            raise SchemaUnknown(before)
        if before != newest:
            upgrade(connection, "head", migrations)
        return before, newest
