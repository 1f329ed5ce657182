"""`python -m tests.benchmarks`: every benchmark, to build/bench/summary.json and docs/benchmarks.md."""

import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
from ersgallery_server.models.storage import write_file

from tests.benchmarks.derived import derived
from tests.benchmarks.document import MarkerBroken, with_parts
from tests.benchmarks.goals import judged
from tests.benchmarks.growth import curves, growth_svg
from tests.benchmarks.memory import lacking
from tests.benchmarks.results import Result, left_out
from tests.benchmarks.summary import Measured, as_json, load, machine, merged, today
from tests.benchmarks.tables import goals_table, step_table

_ROOT = Path(__file__).parents[2]
DOCUMENT = _ROOT / "docs" / "benchmarks.md"
GROWTH = _ROOT / "docs" / "benchmarks-growth.svg"
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}


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

    def arguments(self, *, quick: bool) -> list[str]:
        """Return what follows `python -m`."""
        wanted = self.quick_faces if quick else self.faces
        fitting = [size for size in wanted if not lacking(size * self.bytes_per_face)]
        sizes = [word for size in fitting for word in ("--faces", str(size))]
        return [self.module, *sizes, *(["--rounds", "2", "--seconds", "0.3"] if quick else [])]

    def left_out(self, *, quick: bool) -> list[Result]:
        """Return a result for every size that memory is too small for."""
        reasons = {size: lacking(size * self.bytes_per_face) for size in (self.quick_faces if quick else self.faces)}
        return [
            left_out(f"{self.name}/{size}", f"{self.name}, {size:,} faces", reason)
            for size, reason in reasons.items()
            if reason
        ]


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
_NAMES = [step.name for step in STEPS]


@click.command(context_settings={"show_default": True})
@click.option("--only", multiple=True, type=click.Choice(_NAMES), help="Run these alone; may be repeated.")
@click.option("--quick", is_flag=True, help="Small galleries and short rounds: whether it works, in minutes.")
@click.option("--folder", default=_ROOT / "build" / "bench", type=click.Path(path_type=Path, file_okay=False))
@click.option("--document/--no-document", default=None, help="Write docs/benchmarks.md [default: unless --quick].")
def main(only: tuple[str, ...], folder: Path, *, quick: bool, document: bool | None) -> None:
    """Measure everything, write FOLDER/summary.json, and the tables of docs/benchmarks.md.

    What was measured earlier and is not measured now stays in both. A GPU is measured where it is asked for: --only
    gpu.
    """
    chosen = [step for step in STEPS if step.name in only or (not only and step.by_default)]
    path = folder / ("summary-quick.json" if quick else "summary.json")
    folder.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["python", "-m", "tests.benchmarks", *sys.argv[1:]])
    failed = []
    for number, step in enumerate(chosen, 1):
        print(f"[{number}/{len(chosen)}] {step.name}", flush=True)
        begun = time.monotonic()
        arguments = step.arguments(quick=quick)
        entry = f"python -m {shlex.join(arguments)}"
        code = _run(arguments, path, entry, command, step.left_out(quick=quick))
        took = f"{time.monotonic() - begun:.0f} s"
        print(f"    {took}" if code == 0 else f"    failed with exit status {code} after {took}", flush=True)
        failed += [step.name] if code else []
    measured = load(path)
    if document or (document is None and not quick):
        write_document(measured)
    for outcome in judged(entry.result for entry in measured):
        word = "–" if outcome.met is None else "met" if outcome.met else "missed"
        ratio = f"{outcome.result.ratio} " if outcome.result else ""
        print(f"{word:>7}  {outcome.goal.name}, {outcome.goal.faces:,} faces: {ratio}{outcome.why_not}".rstrip())
    if failed:
        raise click.ClickException(f"failed: {', '.join(failed)}")


def write_document(measured: list[Measured]) -> None:
    """Write the tables and the picture of growth into docs/. Raises ClickException where the document lacks a place."""
    results = [entry.result for entry in measured]
    parts = {"goals": goals_table(judged(results))}
    parts |= {name: step_table(name, measured) for name in _NAMES if any(result.step == name for result in results)}
    try:
        DOCUMENT.write_text(with_parts(DOCUMENT.read_text(encoding="utf-8"), parts), encoding="utf-8")
    except MarkerBroken as broken:
        raise click.ClickException(str(broken)) from broken
    if curves(results):
        GROWTH.write_text(growth_svg(results), encoding="utf-8")


def _run(arguments: list[str], summary: Path, entry: str, command: str, omitted: list[Result]) -> int:
    """Run a step in a process of its own, show its lines, save every result as it comes, and return its exit status."""
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder, "record.jsonl")
        record.write_text("".join(result.to_json() + "\n" for result in omitted), encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments, "--record", str(record)],
            cwd=_ROOT,
            env={**os.environ, **_ENVIRONMENT},
            text=True,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        earlier = load(summary)
        for line in process.stdout:
            print(f"    {line.rstrip()}", flush=True)
            _save(summary, earlier, record, entry, command)
        code = process.wait()
        _save(summary, earlier, record, entry, command)
        return code


def _save(summary: Path, earlier: list[Measured], record: Path, entry: str, command: str) -> None:
    """Put what is recorded so far, and what follows from it, into the summary."""
    found = [Measured(result, today(), entry, machine()) for result in _recorded(record)]
    found += [Measured(result, today(), entry, machine()) for result in derived(one.result for one in found)]
    write_file(summary, as_json(merged(earlier, found), command).encode())


def _recorded(record: Path) -> Iterator[Result]:
    for line in record.read_text(encoding="utf-8").splitlines():
        yield Result.from_json(line)


if __name__ == "__main__":
    main()
