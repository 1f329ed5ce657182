"""Who did what to which resource, when, and with what outcome: an append-only file, one line for each call."""

from ersgallery_server.audit.chain import Verified, verify_files
from ersgallery_server.audit.layer import Audit
from ersgallery_server.audit.line_file import LineFile

__all__ = ["Audit", "LineFile", "Verified", "verify_files"]
