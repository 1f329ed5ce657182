"""How many rows are proposed at first: enough that one pass nearly always decides."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ersgallery_index.backends.rows import Window
from ersgallery_index.backends.segments import Segment
from ersgallery_index.backends.sketches import PROBES_AT_MOST

_SKETCHED_FOR_EACH, _SKETCHED = 8, 560
"""Rows scored for each one asked for, and besides: with so many, no mate of 100,000 was missed (docs/benchmarks.md)."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """What changes the cost of a search and never its result.

    slack: rows proposed beyond k. coded_slack: the same where rows are proposed by codes, whose bounds are wider, as a
    multiple of k and a constant. sparse_share: the share of removed rows from which a segment is compacted. fast_from:
    faces from which an index of kind AUTO is FAST.
    """

    slack: int = 10
    coded_slack: tuple[int, int] = (3, 30)
    sparse_share: float = 0.25
    fast_from: int = 16_384


@dataclass(frozen=True, slots=True)
class Widths:
    """How many rows are proposed for each probe: `kept` in all, `bare` by each run of rows without codes.

    A run proposes rows before it is known which of them the search may see, so it has to propose more. sketched: how
    many of the rows with the best estimates are scored; 0: no sketch is used.
    """

    kept: int
    bare: int
    sketched: int = 0

    def widened(self, times: int) -> "Widths":
        """Return widths so many times as large; what sketches left in doubt is decided without them."""
        return Widths(self.kept * times, self.bare * times)


def first_widths(
    segments: Sequence[Segment], window: Window, probes: int, k: int, tuning: Tuning, widest: int, *, all_alive: bool
) -> Widths:
    """Return the widths of the first pass: the more, the fewer of the rows without codes may be seen at all.

    all_alive says that every living row lies in the window, so that none has to be counted, and sketches, which know of
    no window, can be used.
    """
    plain = k + tuning.slack
    selecting = [segment for segment in segments if not segment.proposer.multiplies(probes)]
    total = sum(run.stop - run.start for segment in selecting for run in segment.bare_runs(segment.blocks))
    admitted = sum(_admitted(each, window, all_alive=all_alive) for each in selecting)
    bare = math.ceil(plain * max(1, total) / max(1, admitted))
    if not any(segment.blocks for segment in segments):
        return Widths(max(plain, min(bare, widest)), bare)
    times, constant = tuning.coded_slack
    most = max(plain, widest)
    sketched = _SKETCHED_FOR_EACH * k + _SKETCHED if all_alive and probes <= PROBES_AT_MOST else 0
    return Widths(min(plain + times * k + constant, most), min(bare, most), sketched)


def _admitted(segment: Segment, window: Window, *, all_alive: bool) -> int:
    """Count the rows without codes that a search may see."""
    if all_alive and not segment.blocks:
        return segment.size - segment.buried
    seen = 0
    for run in segment.bare_runs(segment.blocks):
        seen += int(np.count_nonzero(segment.alive[run] & window.admits(segment.rows.ers[run])))
    return seen
