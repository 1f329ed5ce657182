"""The pass over all rows: what each segment proposes, put together from as many workers as the work is worth."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.backends.codes import CodeBlock, CodedProbes
from ersgallery_index.backends.faiss_library import TopRows, use_one_thread
from ersgallery_index.backends.float_library import float_product
from ersgallery_index.backends.proposals import Proposals, row_number
from ersgallery_index.backends.proposers import Device
from ersgallery_index.backends.rows import Window
from ersgallery_index.backends.segments import Segment
from ersgallery_index.backends.sharpening import sharpened
from ersgallery_index.backends.sketches import Sketch
from ersgallery_index.backends.widths import Widths
from ersgallery_index.backends.workers import run_all, worker_count
from ersgallery_index.interface import FloatRows, Scores
from ersgallery_index.sums import score_error

_BARE_COST = 4
"""What a float32 row costs beside a coded one."""

_WORTH_A_WORKER = 1 << 16
"""Coded rows times probes from which handing a part to another thread pays."""


_SCORES_AT_ONCE = 1 << 17
"""Of a product of rows and probes: they stay in a core's cache until the best are taken."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbouring rows of one segment: a sketch, a coded block, or rows that have neither."""

    place: int
    segment: Segment
    start: int
    stop: int
    block: CodeBlock | None = None
    sketch: Sketch | None = None

    @property
    def cost(self) -> int:
        """What it costs to look at it, in coded rows."""
        return (self.stop - self.start) * (1 if self.block or self.sketch else _BARE_COST)


def propose(segments: Sequence[Segment], probes: FloatRows, window: Window, widths: Widths) -> Proposals:
    """Return for each probe the rows with the highest bounds among those that lie in the window and are alive."""
    sketched = widths.sketched > 0
    runs = [run for place, each in enumerate(segments) for run in _runs(place, each, len(probes), sketched=sketched)]
    parts = (
        [_by_sketches(sketches, segments, probes, widths)] if (sketches := [run for run in runs if run.sketch]) else []
    )
    runs = [run for run in runs if not run.sketch]
    coded = CodedProbes.of(probes) if any(run.block for run in runs) else None
    shares = [partial(_look_at, share, probes, coded, window, widths) for share in _shares(runs, len(probes))]
    turns = [partial(_take_turn, lane, share, probes, window, widths) for lane, share in _on_devices(runs)]
    parts += run_all(shares, waiting=turns)
    return Proposals.together(parts) if parts else Proposals.none(len(probes))


def _by_sketches(runs: list[_Run], segments: Sequence[Segment], probes: FloatRows, widths: Widths) -> Proposals:
    """Return the rows with the best estimates, as if there were no others."""
    parts = run_all([partial(_estimates, share, probes, widths.sketched) for share in _shares(runs, len(probes))])
    living = sum(int(np.count_nonzero(run.segment.alive[: run.stop])) for run in runs)
    best = Proposals.together(parts, widths.sketched).sure_of(min(widths.kept, living))
    return sharpened(best, probes, segments, best.bounds > -np.inf)


def _estimates(runs: Sequence[_Run], probes: FloatRows, width: int) -> Proposals:
    use_one_thread()
    return Proposals.together([_sketched(run, run.sketch, probes, width) for run in runs if run.sketch], width)


def _runs(place: int, segment: Segment, probes: int, *, sketched: bool) -> Iterator[_Run]:
    # Each is read once: the coder may give another one at any moment.
    sketch, blocks = segment.sketch if sketched else None, segment.blocks
    done = 0
    if sketch:
        done = sketch.stop
        yield _Run(place, segment, 0, done, sketch=sketch)
    for block in blocks:
        if block.stop > done:
            yield _Run(place, segment, block.start, block.stop, block)
    for rows in segment.bare_runs(blocks, probes):
        if rows.stop > done:
            yield _Run(place, segment, rows.start, rows.stop)


def _shares(runs: list[_Run], probes: int) -> list[list[_Run]]:
    """Cut the processor's runs into neighbouring shares of about equal cost, no more than the work is worth."""
    runs = [run for run in runs if run.segment.proposer.lane is None]
    total = sum(run.cost for run in runs)
    workers = max(1, min(worker_count(), total * probes // _WORTH_A_WORKER))
    shares: list[list[_Run]] = [[] for _ in range(workers)]
    done = 0
    for run in runs:
        shares[min(workers - 1, done * workers // total)].append(run)
        done += run.cost
    return [share for share in shares if share]


def _on_devices(runs: list[_Run]) -> list[tuple[Device, list[_Run]]]:
    """Return the runs of each device."""
    found: dict[int, tuple[Device, list[_Run]]] = {}
    for run in runs:
        lane = run.segment.proposer.lane
        if lane is not None:
            found.setdefault(id(lane), (lane, []))[1].append(run)
    return list(found.values())


def _take_turn(lane: Device, runs: Sequence[_Run], probes: FloatRows, window: Window, widths: Widths) -> Proposals:
    with lane.hold(probes):
        return _look_at(runs, probes, None, window, widths)


def _look_at(
    runs: Sequence[_Run], probes: FloatRows, coded: CodedProbes | None, window: Window, widths: Widths
) -> Proposals:
    use_one_thread()
    parts = []
    uncoded: dict[bool, list[_Run]] = {True: [], False: []}
    for run in runs:
        if not run.block:
            uncoded[run.segment.proposer.multiplies(len(probes))].append(run)
    if multiplied := uncoded[True]:
        parts.append(_multiplied(multiplied, probes, window, widths.kept))
    if bare := [_bare(run, probes, window, widths.bare) for run in uncoded[False]]:
        parts.append(Proposals.together(bare, widths.kept))
    blocks = [(run, run.block) for run in runs if run.block]
    if blocks and coded:
        parts.append(_coded(blocks, coded, window, widths.kept))
    return Proposals.together(parts)


def _sketched(run: _Run, sketch: Sketch, probes: FloatRows, width: int) -> Proposals:
    """Return the rows with the best estimates, which are no bounds."""
    estimates, positions = sketch.rows.nearest(probes, min(width, run.stop - run.start))
    seen = (positions >= 0) & run.segment.alive[positions]
    rows = np.where(seen, positions, 0) + row_number(run.place, 0)
    unknown = np.full(rows.shape, -np.inf)
    return Proposals(np.where(seen, estimates, -np.inf), unknown, rows, np.full(len(probes), -np.inf))


def _coded(blocks: Sequence[tuple[_Run, CodeBlock]], coded: CodedProbes, window: Window, width: int) -> Proposals:
    """Return the rows with the highest coded bounds."""
    top = TopRows(len(coded.losses), min(width, sum(run.stop - run.start for run, _ in blocks)))
    for run, block in blocks:
        top.add(block.look(coded, _hidden(run, block, window)), row_number(run.place, block.start))
    taken = top.taken
    bounds = np.where(taken, coded.as_bounds(top.values), -np.inf)
    ceiling = np.where(taken.all(axis=1), bounds.min(axis=1), -np.inf)
    return Proposals(bounds, np.full(bounds.shape, -np.inf), np.where(taken, top.rows, 0), ceiling)


def _multiplied(runs: Sequence[_Run], probes: FloatRows, window: Window, width: int) -> Proposals:
    """Return the rows with the highest scores of those that the search may see."""
    product = float_product()
    if product is None:
        raise AssertionError("no proposer says that it multiplies without a product")
    top = TopRows(len(probes), min(width, sum(run.stop - run.start for run in runs)))
    step = max(1, _SCORES_AT_ONCE // len(probes))
    for run in runs:
        rows = run.segment.rows
        for start in range(run.start, run.stop, step):
            some = slice(start, min(start + step, run.stop))
            scores = product(rows.vectors[some], probes)
            seen = run.segment.alive[some] & window.admits(rows.ers[some])
            if not seen.all():
                scores[~seen] = -np.inf
            top.add(scores.T, row_number(run.place, start))
    taken = top.taken
    error = score_error(probes.shape[1])
    bounds: Scores = np.where(taken, top.values.astype(np.float64) + error, -np.inf)
    ceiling = np.where(taken.all(axis=1), bounds.min(axis=1), -np.inf)
    return Proposals(bounds, bounds - 2.0 * error, np.where(taken, top.rows, 0), ceiling)


def _hidden(run: _Run, block: CodeBlock, window: Window) -> NDArray[np.bool_] | None:
    """Return which rows of a block a search may not see; None: it may see all."""
    rows = slice(block.start, block.stop)
    alive = run.segment.alive[rows]
    if not (window.lowest <= block.lowest and block.highest < window.below):
        alive = alive & window.admits(run.segment.rows.ers[rows])
    return None if alive.all() else ~alive


def _bare(run: _Run, probes: FloatRows, window: Window, width: int) -> Proposals:
    """Return what a run without codes proposes."""
    segment = run.segment
    width = min(width, run.stop - run.start)
    rows = segment.rows.vectors[run.start : run.stop]
    scores, found = segment.proposer.propose(probes, rows, width, run.start)
    bounds: Scores = scores.astype(np.float64) + segment.error
    ceiling: Scores = bounds[:, -1] if width < run.stop - run.start else np.full(len(probes), -np.inf)
    positions = found + run.start
    seen = segment.alive[positions] & window.admits(segment.rows.ers[positions])
    bounds = np.where(seen, bounds, -np.inf)
    return Proposals(bounds, bounds - 2.0 * segment.error, positions + row_number(run.place, 0), ceiling)
