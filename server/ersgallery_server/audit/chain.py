"""Whether an audit log is as it was written: every line has the SHA-256 of the line before it."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

START = "0" * 64
"""What stands for the line before the first."""

_PREVIOUS = re.compile(rb'"previous":"([0-9a-f]{64})"\}\Z')


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found. head: the SHA-256 of the last line. problem: where the chain is broken, None for nowhere.

    continues: the SHA-256 of the line before the first, which is in no file given. cut_lines: lines that a crash cut.
    """

    lines: int
    cut_lines: int
    continues: str
    head: str
    problem: str | None


def digest(line: bytes) -> str:
    """Return the SHA-256 of a line without its end."""
    return hashlib.sha256(line).hexdigest()


def verify_files(paths: Sequence[Path]) -> Verified:
    """Follow the chain through files in the order in which they were written; raises OSError."""
    lines = cut_lines = 0
    continues = head = ""
    for path in paths:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                line = raw.rstrip(b"\n")
                lines += 1
                previous = _previous(line)
                if previous is None:
                    # A crash leaves the beginning of a line; what follows is chained to it as it is.
                    cut_lines += 1
                elif not head:
                    continues = previous
                elif previous != head:
                    problem = f"{path}, line {number}: does not follow the line before it"
                    return Verified(lines, cut_lines, continues, head, problem)
                head = digest(line)
    return Verified(lines, cut_lines, continues or START, head or START, None)


def _previous(line: bytes) -> str | None:
    """Return what a line says of the one before it; None for one that is cut short."""
    found = _PREVIOUS.search(line)
    if found is None:
        return None
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found[1].decode()
