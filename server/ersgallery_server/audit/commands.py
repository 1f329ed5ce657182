"""What is done by commands on the database itself, which no server sees, in a chain of its own beside the audit log."""

import datetime as dt
import getpass
from pathlib import Path

from filelock import FileLock

from ersgallery_server.audit.line_file import LineFile

FILE_NAME = "audit-commands.log"


def note_command(data_dir: Path, command: str, resource: str = "") -> None:
    """Write down, before it is done, that somebody gives a command; raises AuditUnavailable and OSError."""
    path = data_dir / FILE_NAME
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(path.with_suffix(".lock")):
        file = LineFile(path)
        try:
            time = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
            file.append({"time": time, "caller": _user(), "command": command, "resource": resource})
            file.require()
        finally:
            file.close()


def _user() -> str:
    try:
        return f"user:{getpass.getuser()}"
    except (KeyError, OSError):  # an id without a name, as in containers
        return "user:unknown"
