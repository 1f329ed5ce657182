"""`python -m tests.benchmarks`: every benchmark, to build/bench/summary.json and docs/benchmarks.md."""

import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from ersgallery_server.models.storage import write_file

from tests.benchmarks.derived import derived
from tests.benchmarks.document import MarkerBroken, with_parts
from tests.benchmarks.goals import judged
from tests.benchmarks.growth import curves, growth_svg
from tests.benchmarks.results import Result
from tests.benchmarks.steps import STEPS, Extent
from tests.benchmarks.summary import Measured, as_json, load, machine, merged, today
from tests.benchmarks.tables import goals_table, step_table

_ROOT = Path(__file__).parents[2]
DOCUMENT = _ROOT / "docs" / "benchmarks.md"
GROWTH = _ROOT / "docs" / "benchmarks-growth.svg"
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}


_NAMES = [step.name for step in STEPS]


@click.command(context_settings={"show_default": True})
@click.option("--only", multiple=True, type=click.Choice(_NAMES), help="Run these alone; may be repeated.")
@click.option("--quick", is_flag=True, help="Small galleries and short rounds: whether it works, in minutes.")
@click.option("--most-faces", type=click.IntRange(1), help="No larger galleries.")
@click.option("--rounds", type=click.IntRange(1), help="Rounds of every comparison [default: the step's].")
@click.option("--seconds", type=click.FloatRange(0.01), help="Length of one measurement [default: the step's].")
@click.option("--folder", default=_ROOT / "build" / "bench", type=click.Path(path_type=Path, file_okay=False))
@click.option("--document/--no-document", default=None, help="Write docs/benchmarks.md [default: unless --quick].")
def main(only: tuple[str, ...], folder: Path, *, document: bool | None, **extent: Any) -> None:
    """Measure everything, write FOLDER/summary.json, and the tables of docs/benchmarks.md.

    What was measured earlier and is not measured now stays in both. A GPU is measured where it is asked for: --only
    gpu.
    """
    chosen = [step for step in STEPS if step.name in only or (not only and step.by_default)]
    reach = Extent(**extent)
    document = not reach.quick if document is None else document
    path = folder / ("summary-quick.json" if reach.quick else "summary.json")
    folder.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["python", "-m", "tests.benchmarks", *sys.argv[1:]])
    failed, measured = [], load(path)
    for number, step in enumerate(chosen, 1):
        print(f"[{number}/{len(chosen)}] {step.name}", flush=True)
        begun = time.monotonic()
        arguments = step.arguments(reach)
        entry = f"python -m {shlex.join(arguments)}"
        code = _run(arguments, path, entry, command, step.left_out(reach))
        took = f"{time.monotonic() - begun:.0f} s"
        print(f"    {took}" if code == 0 else f"    failed with exit status {code} after {took}", flush=True)
        failed += [step.name] if code else []
        measured = load(path)
        if document:
            write_document(measured)
    for outcome in judged(entry.result for entry in measured):
        word = "–" if outcome.met is None else "met" if outcome.met else "missed"
        print(f"{word:>7}  {outcome.goal.name}, {outcome.goal.faces:,} faces: {outcome.measured}")
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
        earlier, place = load(summary), f"{machine()}, load {os.getloadavg()[0]:.1f} at the start"
        for line in process.stdout:
            print(f"    {line.rstrip()}", flush=True)
            _save(summary, earlier, record, entry, command, place)
        code = process.wait()
        _save(summary, earlier, record, entry, command, place)
        return code


def _save(summary: Path, earlier: list[Measured], record: Path, entry: str, command: str, place: str) -> None:
    """Put what is recorded so far, and what follows from it, into the summary."""
    found = [Measured(result, today(), entry, place) for result in _recorded(record)]
    found += [Measured(result, today(), entry, place) for result in derived(one.result for one in found)]
    write_file(summary, as_json(merged(earlier, found), command).encode())


def _recorded(record: Path) -> Iterator[Result]:
    for line in record.read_text(encoding="utf-8").splitlines():
        yield Result.from_json(line)


if __name__ == "__main__":
    main()
