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


def migrate(engine: Engine, migrations: Path = MIGRATIONS) -> tuple[str | None, str | None]:
    """Bring a database to the newest migration and return where it was and where it is.

    All pending migrations and their record are one transaction: a failure leaves the database as it was. Two processes
    that migrate at once wait for each other. Raises SchemaUnknown for a database of a newer version.
    """
    scripts = ScriptDirectory(str(migrations))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _POSTGRES_LOCK})
        before = present_migration(connection)
        if before is not None and before not in {script.revision for script in scripts.walk_revisions()}:
            raise SchemaUnknown(before)
        if before != scripts.get_current_head():
            config = Config()
            config.set_main_option("script_location", str(migrations).replace("%", "%%"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        return before, scripts.get_current_head()
