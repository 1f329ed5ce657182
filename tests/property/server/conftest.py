"""Databases of each kind."""

from tests.support.stores import migrated_postgres, migrated_sqlite, postgres_uri

__all__ = ["migrated_postgres", "migrated_sqlite", "postgres_uri"]
