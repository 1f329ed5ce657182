"""What a process holds: memory and open files, by /proc."""

import os
import time
from pathlib import Path

from tests.fuzz.case import Finding

MIB = 1 << 20
ROOM = {100: 512 * MIB, 4000: 192 * MIB}
"""After so many cases it is remembered what is held, and growth beyond so much is a finding: models are loaded at
first, and caches and the allocator's arenas fill for some thousand cases."""

ROOM_FILES = 40


class Watch:
    """Compares what a process holds with what it held once warm."""

    def __init__(self, pid: int | None = None) -> None:
        self._pid = pid or os.getpid()
        self._cases = 0
        self._begin: tuple[int, int] | None = None
        self._room = 0

    def held(self) -> tuple[int, int]:
        """Return resident bytes and the number of open files."""
        pages = int(Path(f"/proc/{self._pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE"), len(list(Path(f"/proc/{self._pid}/fd").iterdir()))

    def count(self) -> None:
        """Count a case, and remember what is held after some of them."""
        self._cases += 1
        if self._cases in ROOM:
            self._begin, self._room = self.held(), ROOM[self._cases]

    def check(self, patience_s: float = 30.0) -> None:
        """Raise Finding where more is held than when it was warm and that does not go away."""
        if self._begin is None:
            return
        give_up = time.monotonic() + patience_s
        while self._grew(*self.held()):
            if time.monotonic() > give_up:
                (memory, files), (memory_then, files_then) = self.held(), self._begin
                raise Finding(
                    f"growth: {memory_then // MIB} to {memory // MIB} MiB, {files_then} to {files} open files"
                )
            time.sleep(0.5)

    def _grew(self, memory: int, files: int) -> bool:
        begin = self._begin or (memory, files)
        return memory - begin[0] > self._room or files - begin[1] > ROOM_FILES
