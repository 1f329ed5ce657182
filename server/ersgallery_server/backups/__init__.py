"""Backups: one file of our own for SQLite and PostgreSQL, written while the server runs and restored into either."""

from ersgallery_server.backups.backing_up import back_up
from ersgallery_server.backups.file import BackupRefused, Header, KeptGallery, verify
from ersgallery_server.backups.restoring import restore

__all__ = ["BackupRefused", "Header", "KeptGallery", "back_up", "restore", "verify"]
