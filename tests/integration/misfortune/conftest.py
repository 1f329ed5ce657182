"""Databases of both kinds for what goes wrong with them."""

from tests.support.stores import empty_url, migrated_postgres, migrated_sqlite, postgres_uri, store_url

__all__ = ["empty_url", "migrated_postgres", "migrated_sqlite", "postgres_uri", "store_url"]
