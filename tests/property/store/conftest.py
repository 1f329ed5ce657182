"""Stores on each kind of database."""

from tests.support.stores import empty_url, gallery, migrated_postgres, migrated_sqlite, postgres_uri, store, store_url

__all__ = ["empty_url", "gallery", "migrated_postgres", "migrated_sqlite", "postgres_uri", "store", "store_url"]
