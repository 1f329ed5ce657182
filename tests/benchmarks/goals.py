"""What was set out to be reached, and whether a run reached it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.benchmarks.results import Result

MILLION = 1_000_000
_SIZES = (10 * MILLION, MILLION, 100_000, 50_000, 20_000, 10_000)


@dataclass(frozen=True, slots=True)
class Goal:
    """A ratio that should be at least, or at most, something.

    key: of its result, with {faces} in the place of the size. faces: at which it should be reached.
    """

    name: str
    key: str
    wanted: float
    faces: int
    at_most: bool = False

    @property
    def step(self) -> str:
        """The step that measures it."""
        step = self.key.partition("/")[0]
        return "index" if step == "insightface" else step

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

    @property
    def measured(self) -> str:
        """What was measured, and why not at the goal's own size where it was not."""
        if self.result is None:
            return self.why_not
        other = "" if self.faces == self.goal.faces else f" at {self.faces:,}; {self.why_not} at its own size"
        return f"{self.result.ratio}{other}"


def _goals(name: str, key: str, wanted: Mapping[int, float], *, at_most: bool = False) -> tuple[Goal, ...]:
    return tuple(Goal(name, key, ratio, faces, at_most) for faces, ratio in wanted.items())


_ANSWERS = {100_000: 0.9995, MILLION: 0.9995, 10 * MILLION: 0.9995}
GOALS = (
    *_goals("`exact`, batch 64, to tuned FlatIP", "index/exact/{faces}/64/flat-tuned", {MILLION: 1.0}),
    *_goals("`exact`, batch 64, to the GEMM limit", "index/exact/{faces}/64/limit", {MILLION: 0.85}),
    *_goals("`fast`, mate1 to exact", "answers/fast/{faces}", _ANSWERS),
    *_goals("`fast`, batch 1, to tuned FlatIP", "index/fast/{faces}/1/flat-tuned", {MILLION: 12.0}),
    *_goals("`fast`, batch 64, to tuned FlatIP", "index/fast/{faces}/64/flat-tuned", {MILLION: 3.0}),
    *_goals("`approximate`, mate1 to exact", "answers/approximate/{faces}", _ANSWERS),
    *_goals("`approximate`, batch 1, to tuned FlatIP", "index/approximate/{faces}/1/flat-tuned", {MILLION: 12.0}),
    *_goals("`approximate`, batch 64, to tuned FlatIP", "index/approximate/{faces}/64/flat-tuned", {MILLION: 3.0}),
    *_goals(
        "BatchIdentify to the index in process",
        "service/exact/{faces}/batch-4/in-process",
        {MILLION: 0.95, 100_000: 0.85},
    ),
    *_goals(
        "Identify, 64 clients, to batches of 64 in process",
        "service/exact/{faces}/unary-64/in-process",
        {100_000: 0.75},
    ),
    *_goals("Identify, one client, to an empty gRPC server", "service/exact/{faces}/unary-1/empty", {10_000: 0.7}),
    *_goals("Identify, 64 clients, to an empty gRPC server", "service/exact/{faces}/unary-64/empty", {10_000: 0.7}),
    *_goals("the fastest peer of mate1 >= .995, one client", "peers/{faces}/any/1", {100_000: 5.0}),
    *_goals("the fastest peer of mate1 >= .995, 64 clients", "peers/{faces}/any/64", {100_000: 10.0}),
    *_goals("InsightFace Server's native index, int8 faces, batch 1", "insightface/{faces}/faces", {MILLION: 2.0}),
    *_goals("InsightFace Server's native index, grouped by person", "insightface/{faces}/grouped", {MILLION: 50.0}),
    *_goals("the slowest filter to no filter, batched", "filtering/exact/{faces}/worst", {100_000: 0.95}),
    *_goals("bulk enrolment over gRPC to bare SQLite inserts", "enrolment/{faces}/best", {100_000: 0.7}),
    *_goals("search p99 during full-speed enrolment to idle", "mixed/exact/{faces}/4", {100_000: 2.0}, at_most=True),
    *_goals("restart to reading the snapshot", "restart/{faces}", {MILLION: 2.0, 10 * MILLION: 2.0}, at_most=True),
    *_goals("memory per face, `exact`, to 2048 bytes", "memory/exact/{faces}", {MILLION: 1.1}, at_most=True),
    *_goals(
        "memory per face, `fast` with rows on disk, to 1152 bytes",
        "memory/fast-rows-on-disk/{faces}",
        {MILLION: 1.1},
        at_most=True,
    ),
    *_goals("GPU, fp16, batch 1, to the bandwidth limit", "gpu/exact-float16/{faces}/1/limit", {10 * MILLION: 0.5}),
    *_goals("GPU, fp16, batch 64, to the bandwidth limit", "gpu/exact-float16/{faces}/64/limit", {10 * MILLION: 0.5}),
    *_goals("GPU, fp16, batch 256, to the bandwidth limit", "gpu/exact-float16/{faces}/256/limit", {10 * MILLION: 0.4}),
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
