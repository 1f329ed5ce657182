"""The file of the audit log: lines are appended, chained, and never changed."""

import json
import os
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from ersgallery_server.audit.chain import START, digest
from ersgallery_server.errors import AuditUnavailable

SYNC_S = 1.0
"""What was written is on the disk after so long; a killed process loses nothing, a loss of power at most this."""

_LAST_LINE_BYTES = 1 << 16

log = structlog.get_logger(__name__)


class LineFile:
    """Appends entries as JSON lines; safe for concurrent use.

    A line that cannot be written waits in memory, and `require` refuses whatever would add to it until it is written.
    The file may be moved away at any time, as logrotate does: the next line makes a new one, and the chain goes on.
    """

    def __init__(self, path: Path) -> None:
        """Open a file, made for its owner alone where it is missing; raises OSError."""
        self._path = path
        self._lock = threading.Lock()
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._descriptor, last = _open(path)
        self._head = last or START
        self._synced = True

    @property
    def head(self) -> str:
        """Return the SHA-256 of the last line: whoever keeps it elsewhere sees whether lines were cut off."""
        return self._head

    def require(self) -> None:
        """Raise AuditUnavailable where entries wait that still cannot be written."""
        if self._waiting and not self._write_waiting():
            raise AuditUnavailable

    def append(self, entry: Mapping[str, Any]) -> None:
        """Write an entry at the end, or keep it until that is possible."""
        self._waiting.append(entry)
        self._write_waiting()

    def sync(self) -> None:
        """Bring what was written to the disk."""
        with self._lock:
            if not self._synced:
                os.fsync(self._descriptor)
                self._synced = True

    def close(self) -> None:
        """Write and sync what is left, and close the file."""
        if self._waiting and not self._write_waiting():
            log.critical("entries of the audit log are lost", entries=len(self._waiting), path=str(self._path))
        self.sync()
        os.close(self._descriptor)

    def _write_waiting(self) -> bool:
        with self._lock:
            try:
                self._follow_path()
                while self._waiting:
                    self._write(self._waiting[0])
                    self._waiting.popleft()
            except OSError as error:
                log.critical("the audit log cannot be written", path=str(self._path), error=str(error))
                return False
            return True

    def _write(self, entry: Mapping[str, Any]) -> None:
        line = json.dumps({**entry, "previous": self._head}, separators=(",", ":")).encode()
        before = os.fstat(self._descriptor).st_size
        written = os.write(self._descriptor, line + b"\n")
        if written != len(line) + 1:  # the disk is full; what is there of the line would be in the way of the next
            os.ftruncate(self._descriptor, before)
            raise OSError(f"{written} of {len(line) + 1} bytes were written")
        self._head = digest(line)
        self._synced = False

    def _follow_path(self) -> None:
        """Open the file anew where another, or none, is at its place."""
        try:
            there = self._path.stat()
        except FileNotFoundError:
            there = None
        if there is not None and os.path.samestat(there, os.fstat(self._descriptor)):
            return
        descriptor, _ = _open(self._path)
        os.fsync(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = descriptor


def _open(path: Path) -> tuple[int, str | None]:
    """Open a file to append, and return the hash of its last line, None where it has none."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        return descriptor, _last_hash(descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def _last_hash(descriptor: int) -> str | None:
    size = os.fstat(descriptor).st_size
    if size == 0:
        return None
    end = os.pread(descriptor, _LAST_LINE_BYTES, max(0, size - _LAST_LINE_BYTES))
    if not end.endswith(b"\n"):  # a crash cut the line
        os.write(descriptor, b"\n")
        end += b"\n"
    return digest(end[:-1].rpartition(b"\n")[2])
