"""Runs migrations on the connection that `schema.migrate` gives, inside its transaction."""

from alembic import context

from ersgallery_server.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite can roll DDL back as well; Alembic's default is that it cannot.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
