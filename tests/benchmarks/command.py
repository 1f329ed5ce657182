"""The command line that all benchmarks share: sizes, rounds, and results for people or for the summary."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from tests.benchmarks.results import Result, describe


@dataclass(frozen=True, slots=True)
class Options:
    """What every benchmark is told: numbers of faces, rounds of each comparison, seconds of a round."""

    faces: tuple[int, ...]
    rounds: int
    seconds: float


Measure = Callable[[Options], Iterator[Result]]


def run(measure: Measure, *, faces: tuple[int, ...], rounds: int = 5, seconds: float = 1.0) -> None:
    """Read the command line, measure, and print every result as it comes."""

    @click.command(context_settings={"show_default": True}, help=measure.__doc__)
    @click.option("--faces", multiple=True, type=click.IntRange(0), default=faces, help="Sizes; may be repeated.")
    @click.option("--rounds", type=click.IntRange(1), default=rounds, help="Rounds of each comparison.")
    @click.option("--seconds", type=click.FloatRange(0.001), default=seconds, help="Length of one measurement.")
    @click.option("--record", type=click.Path(path_type=Path), help="Also append the results as lines of JSON.")
    def main(faces: tuple[int, ...], rounds: int, seconds: float, record: Path | None) -> None:
        for result in measure(Options(faces, rounds, seconds)):
            if record is not None:  # before it is shown: who reads the lines then looks for what is recorded
                with record.open("a", encoding="utf-8") as lines:
                    lines.write(result.to_json() + "\n")
            print(describe(result), flush=True)

    main(prog_name=f"python -m {_module()}")


def _module() -> str:
    return f"tests.benchmarks.{Path(sys.argv[0]).stem}"
