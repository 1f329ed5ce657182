"""The steps of `python -m tests.benchmarks`, and how far a run goes."""

from dataclasses import dataclass

from tests.benchmarks.memory import lacking
from tests.benchmarks.results import Result, left_out


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a run goes; None: as far as each step goes by itself.

    quick: the small galleries of the steps. most_faces: larger galleries are not measured at all. rounds, seconds: of
    every comparison.
    """

    quick: bool = False
    most_faces: int | None = None
    rounds: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A benchmark: its module, its sizes, and quicker ones.

    by_default: whether it is run where none is named. bytes_per_face: of memory, for a benchmark that does not look
    after it itself; sizes for which there is not enough are left out.
    """

    name: str
    module: str
    faces: tuple[int, ...] = ()
    quick_faces: tuple[int, ...] = ()
    by_default: bool = True
    bytes_per_face: int = 0

    def arguments(self, extent: Extent) -> list[str]:
        """Return what follows `python -m`."""
        fitting = [size for size in self._sizes(extent) if not lacking(size * self.bytes_per_face)]
        words = [self.module, *(word for size in fitting for word in ("--faces", str(size)))]
        rounds, seconds = (
            extent.rounds or (2 if extent.quick else None),
            extent.seconds or (0.3 if extent.quick else None),
        )
        words += ["--rounds", str(rounds)] if rounds else []
        return words + (["--seconds", str(seconds)] if seconds else [])

    def left_out(self, extent: Extent) -> list[Result]:
        """Return a result for every size that memory is too small for."""
        reasons = {size: lacking(size * self.bytes_per_face) for size in self._sizes(extent)}
        return [
            left_out(f"{self.name}/{size}", f"{self.name}, {size:,} faces", reason)
            for size, reason in reasons.items()
            if reason
        ]

    def _sizes(self, extent: Extent) -> list[int]:
        """Return the sizes that are wanted; the smallest one at least."""
        sizes = sorted(self.quick_faces if extent.quick else self.faces)
        return [size for size in sizes if extent.most_faces is None or size <= extent.most_faces] or sizes[:1]


STEPS = (
    Step("machine", "tests.benchmarks.machine"),
    Step("index", "tests.benchmarks.index", (10_000, 100_000, 1_000_000, 10_000_000), (10_000,)),
    Step("answers", "tests.benchmarks.answers", (10_000, 100_000, 1_000_000, 10_000_000), (10_000,)),
    Step("filtering", "tests.benchmarks.filtering", (100_000, 1_000_000), (10_000,)),
    Step("memory", "tests.benchmarks.footprint", (100_000, 1_000_000), (50_000,)),
    Step("service", "tests.benchmarks.service", (10_000, 100_000, 1_000_000), (10_000,)),
    Step("enrolment", "tests.benchmarks.enrolment", (100_000,), (20_000,)),
    Step("mixed", "tests.benchmarks.mixed", (100_000,), (10_000,)),
    Step("restart", "tests.benchmarks.restart", (100_000, 1_000_000, 10_000_000), (10_000,), bytes_per_face=3072),
    Step("peers", "tests.benchmarks.peers.compare", (100_000,), (5_000,)),
    Step("gpu", "tests.benchmarks.gpu", (1_000_000, 10_000_000, 0), (100_000,), by_default=False),
)
