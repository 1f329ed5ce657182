"""Long work on a gallery's index, in blocks between which the searches of callers come first."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from ersgallery_server.call import Call
from ersgallery_server.errors import Overloaded
from ersgallery_server.gallery.state import GalleryState
from ersgallery_server.operations import Progress

MOST_ROWS = 64
BLOCK_S = 0.02
"""Blocks grow no further than this while nobody else asks: a search that comes then waits so long at most."""

MET_S = 0.000_25
"""An idle owner begins sooner; one that takes longer was busy for somebody else."""

QUIET_BLOCKS = 8
"""So many blocks in a row must meet nobody before they grow."""

RESTS_WHEN_MET = 3
LONGEST_REST_S = 1.0
RETRY_S = 0.05

T = TypeVar("T")


class Owner(Protocol):
    """Whoever does work on a gallery's index for others, such as a Gallery."""

    def ask(self, work: Callable[[GalleryState], Any], call: Call, /) -> Any:
        """Return what the work gives; raises Overloaded at the limit of waiting work."""


@dataclass(frozen=True, slots=True)
class Clock:
    """What tells the time in seconds, and what waits."""

    now: Callable[[], float] = time.perf_counter
    sleep: Callable[[float], None] = time.sleep


class GivingWay:
    """Asks a gallery's owner for one block after another, and rests after each.

    The rest is as long as the block, and thrice that where somebody else was met: at least half of the owner's time is
    left to others, and three quarters while they want it. rows: how many probes the next block is to have: one while
    others ask too, which takes no longer than one of their searches, and up to MOST_ROWS while they do not.
    """

    def __init__(self, owner: Owner, progress: Progress, clock: Clock | None = None) -> None:
        self._owner, self._progress, self._clock = owner, progress, clock or Clock()
        self._quiet = 0
        self.rows = 1

    def ask(self, work: Callable[[GalleryState], T]) -> T:
        """Return what a block gives; where the owner's queue is full it is asked again, until progress ends it."""
        asked_s = begun_s = ended_s = 0.0

        def timed(state: GalleryState) -> T:
            nonlocal begun_s, ended_s
            begun_s = self._clock.now()
            try:
                return work(state)
            finally:
                ended_s = self._clock.now()

        while True:
            asked_s = self._clock.now()
            try:
                result: T = self._owner.ask(timed, Call())
            except Overloaded:
                self._met()
                self._progress(0, 0)
                self._clock.sleep(RETRY_S)
            else:
                self._after(begun_s - asked_s, ended_s - begun_s)
                return result

    def _after(self, waited_s: float, took_s: float) -> None:
        if waited_s > MET_S:
            self._met()
        else:
            self._quiet += 1
            if took_s > BLOCK_S:
                self.rows = max(1, self.rows // 2)
            elif self._quiet > QUIET_BLOCKS and took_s < BLOCK_S / 2:
                self.rows = min(MOST_ROWS, self.rows * 2)
        times = 1 if self._quiet else RESTS_WHEN_MET
        self._clock.sleep(min(times * took_s, LONGEST_REST_S))

    def _met(self) -> None:
        self._quiet, self.rows = 0, 1
