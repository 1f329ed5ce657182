"""What a store counts of its reads and writes."""

import time
from collections.abc import Sequence

from ersgallery_server.tallies import SIZES, Spread, Tally

DONE, FAILED, REFUSED, CANCELLED = "done", "failed", "refused", "cancelled"
"""What became of a work: in a group that was committed, in one that failed, or it was not begun at all."""


class StoreFigures:
    """Counts since a store was opened; any thread may read them.

    waits: seconds in the writer's queue. commits, groups: the time and the works of each transaction. works: by what
    became of them. reads: seconds for which each read had its connection.
    """

    def __init__(self) -> None:
        self.waits = Spread()
        self.commits = Spread()
        self.groups = Spread(SIZES)
        self.works: Tally[str] = Tally()
        for outcome in (DONE, FAILED, REFUSED, CANCELLED):
            self.works.add(outcome, 0)
        self.reads = Spread()

    def taken(self, cancelled: int, queued_s: Sequence[float]) -> None:
        """Count works that are begun, by when they were queued (monotonic), and those that were cancelled."""
        if cancelled:
            self.works.add(CANCELLED, cancelled)
        now_s = time.monotonic()
        for moment_s in queued_s:
            self.waits.add(now_s - moment_s)

    def committed(self, works: int, seconds: float) -> None:
        """Count a transaction."""
        self.commits.add(seconds)
        self.groups.add(works)
        self.works.add(DONE, works)
