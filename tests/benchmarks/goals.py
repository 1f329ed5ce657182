"""What was set out to be reached, and whether a run reached it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.benchmarks.results import Result

MILLION = 1_000_000
_SIZES = (10 * MILLION, MILLION, 100_000, 50_000, 20_000, 10_000)


@dataclass(frozen=True, slots=True)
class Goal:
    """A ratio that should be at least, or at most, something.

    key: of its result, with {faces} in the place of the size. faces: at which it should be reached. step: that measures
    it.
    """

    name: str
    key: str
    wanted: float
    faces: int
    step: str
    at_most: bool = False

    def met_by(self, ratio: float) -> bool:
        """Tell whether a ratio reaches it."""
        return ratio <= self.wanted if self.at_most else ratio >= self.wanted


@dataclass(frozen=True, slots=True)
class Outcome:
    """A goal with what was measured: at its own size, or at the nearest smaller one; None where nothing was.

    why_not: why nothing was measured at the goal's own size, or an empty text.
    """

    goal: Goal
    result: Result | None
    faces: int
    why_not: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached at its own size; None where that was not measured."""
        if self.result is None or self.result.ratio is None or self.faces != self.goal.faces:
            return None
        return self.goal.met_by(self.result.ratio)


GOALS = (
    Goal(
        "`exact`, batch 64, against tuned FlatIP in process", "index/exact/{faces}/64/flat-tuned", 1.0, MILLION, "index"
    ),
    Goal("`exact`, batch 64, against the GEMM limit", "index/exact/{faces}/64/limit", 0.85, MILLION, "index"),
    Goal("`fast`, mate1 against exact", "answers/fast/{faces}", 0.9995, 100_000, "answers"),
    Goal("`fast`, mate1 against exact", "answers/fast/{faces}", 0.9995, MILLION, "answers"),
    Goal("`fast`, mate1 against exact", "answers/fast/{faces}", 0.9995, 10 * MILLION, "answers"),
    Goal("`fast` against tuned FlatIP, batch 1", "index/fast/{faces}/1/flat-tuned", 12.0, MILLION, "index"),
    Goal("`fast` against tuned FlatIP, batch 64", "index/fast/{faces}/64/flat-tuned", 3.0, MILLION, "index"),
    Goal(
        "service BatchIdentify against the index in process",
        "service/exact/{faces}/batch-4/in-process",
        0.95,
        MILLION,
        "service",
    ),
    Goal(
        "service BatchIdentify against the index in process",
        "service/exact/{faces}/batch-4/in-process",
        0.85,
        100_000,
        "service",
    ),
    Goal(
        "unary Identify, 64 clients, against raw batch-64 search",
        "service/exact/{faces}/unary-64/in-process",
        0.75,
        100_000,
        "service",
    ),
    Goal(
        "unary Identify, one client, against an empty gRPC server",
        "service/exact/{faces}/unary-1/empty",
        0.7,
        10_000,
        "service",
    ),
    Goal(
        "unary Identify, 64 clients, against an empty gRPC server",
        "service/exact/{faces}/unary-64/empty",
        0.7,
        10_000,
        "service",
    ),
    Goal("the fastest peer of mate1 >= .995, one client", "peers/{faces}/any/1", 5.0, 100_000, "peers"),
    Goal("the fastest peer of mate1 >= .995, 64 clients", "peers/{faces}/any/64", 10.0, 100_000, "peers"),
    Goal("InsightFace Server's native index, faces int8, batch 1", "insightface/{faces}/faces", 2.0, MILLION, "index"),
    Goal("InsightFace Server's native index, grouped by person", "insightface/{faces}/grouped", 50.0, MILLION, "index"),
    Goal("the slowest filter against no filter, batched", "filtering/exact/{faces}/worst", 0.95, 100_000, "filtering"),
    Goal("bulk enrolment over gRPC against bare SQLite inserts", "enrolment/{faces}/best", 0.7, 100_000, "enrolment"),
    Goal(
        "search p99 during full-speed enrolment against idle",
        "mixed/exact/{faces}/4",
        2.0,
        100_000,
        "mixed",
        at_most=True,
    ),
    Goal("ready after restart against reading the snapshot", "restart/{faces}", 2.0, MILLION, "restart", at_most=True),
    Goal(
        "ready after restart against reading the snapshot",
        "restart/{faces}",
        2.0,
        10 * MILLION,
        "restart",
        at_most=True,
    ),
    Goal("memory per face, `exact`, against 2048 bytes", "memory/exact/{faces}", 1.1, MILLION, "memory", at_most=True),
    Goal("memory per face, `fast`, against 1152 bytes", "memory/fast/{faces}", 1.1, MILLION, "memory", at_most=True),
    Goal(
        "GPU exact fp16, batch 1, against the bandwidth limit",
        "gpu/exact-float16/{faces}/1/limit",
        0.5,
        10 * MILLION,
        "gpu",
    ),
    Goal(
        "GPU exact fp16, batch 64, against the bandwidth limit",
        "gpu/exact-float16/{faces}/64/limit",
        0.5,
        10 * MILLION,
        "gpu",
    ),
    Goal(
        "GPU exact fp16, batch 256, against the bandwidth limit",
        "gpu/exact-float16/{faces}/256/limit",
        0.4,
        10 * MILLION,
        "gpu",
    ),
)


def judged(results: Iterable[Result], goals: Iterable[Goal] = GOALS) -> list[Outcome]:
    """Return what became of each goal."""
    by_key = {result.key: result for result in results}
    return [_outcome(goal, by_key) for goal in goals]


def _outcome(goal: Goal, by_key: Mapping[str, Result]) -> Outcome:
    why_not = _why_not(goal, by_key)
    for faces in (size for size in _SIZES if size <= goal.faces):
        result = by_key.get(goal.key.format(faces=faces))
        if result is not None and result.ratio is not None:
            return Outcome(goal, result, faces, "" if faces == goal.faces else why_not)
    return Outcome(goal, None, goal.faces, why_not)


def _why_not(goal: Goal, by_key: Mapping[str, Result]) -> str:
    """Return the note of the left-out result that stands for the goal's: its own, or one of a part of its key."""
    key = goal.key.format(faces=goal.faces)
    while key:
        if key in by_key and by_key[key].ratio is None and by_key[key].note:
            return by_key[key].note
        key = key.rpartition("/")[0]
    return "not measured"
