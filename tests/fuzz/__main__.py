"""`python -m tests.fuzz`: attack everything that parses, for minutes or hours, and keep what is found."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import click

from tests.fuzz.campaign import Tally, attack, replay
from tests.fuzz.case import Case, Target
from tests.fuzz.targets import TARGETS

_ROOT = Path(__file__).parents[2]
_BY_NAME = {target.name: target for target in TARGETS}
_STOP_S = 900
"""A child that is so much late hangs in a way that its own watchdog does not see."""


@click.command(context_settings={"show_default": True})
@click.option(
    "--target", "names", multiple=True, type=click.Choice(list(_BY_NAME)), help="Attack these alone; may be repeated."
)
@click.option(
    "--minutes", default=10.0, type=click.FloatRange(0.01), help="For so long in all; targets have shares of it."
)
@click.option("--seed", default=None, type=int, show_default="the time", help="The same seed gives the same cases.")
@click.option("--jobs", default=1, type=click.IntRange(1, 256), help="Processes at a time; each attacks one target.")
@click.option("--folder", default=_ROOT / "build" / "fuzz", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--replay",
    "kept",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Try one kept case; needs --target.",
)
@click.option("--here", is_flag=True, hidden=True, help="Attack in this process.")
def main(
    names: tuple[str, ...], minutes: float, seed: int | None, jobs: int, folder: Path, kept: Path | None, *, here: bool
) -> None:
    """Attack everything that parses; the exit status is 1 where something was found.

    \b
    Each case is drawn from the seed, the target and its number. What was found lies in FOLDER/TARGET, and is tried
    again by:
      python -m tests.fuzz --target images --replay build/fuzz/images/PNG-0123456789ab
    Copied into tests/fuzz/corpus/TARGET it is tried by the tests from then on.
    """  # noqa: D301 - click wants the character \b
    chosen = [_BY_NAME[name] for name in names] or list(TARGETS)
    if kept is not None:
        if len(chosen) != 1:
            raise click.UsageError("--replay needs one --target")
        replay(chosen[0], [Case.unpack(kept.read_bytes())])
        return
    seed = int(time.time()) if seed is None else seed
    shares = sum(target.share for target in chosen)
    if here:
        (target,) = chosen
        sys.exit(1 if _attack_here(target, minutes * 60, seed, folder) else 0)
    print(f"seed {seed}, {minutes:g} minutes, {jobs} at a time, findings in {folder}", flush=True)
    with ThreadPoolExecutor(jobs) as pool:
        run = partial(_attack_in_child, seed=seed, folder=folder)
        seconds = [60 * minutes * jobs * target.share / shares for target in chosen]
        codes = list(pool.map(run, chosen, [min(each, 60 * minutes) for each in seconds]))
    sys.exit(1 if any(codes) else 0)


def _attack_here(target: Target, seconds: float, seed: int, folder: Path) -> bool:
    """Attack, and return whether something was found."""
    end = time.monotonic() + seconds
    tally = attack(target, seed, lambda _: time.monotonic() > end, folder / target.name, partial(print, flush=True))
    print(_line(target, tally), flush=True)
    return bool(tally.findings)


def _attack_in_child(target: Target, seconds: float, seed: int, folder: Path) -> int:
    """Attack in a process of its own, which may crash; return its exit status."""
    arguments = [
        "--here",
        "--target",
        target.name,
        "--minutes",
        str(seconds / 60),
        "--seed",
        str(seed),
        "--folder",
        str(folder),
    ]
    environment = {**os.environ, "PYTHONFAULTHANDLER": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.fuzz", *arguments]
    try:
        code = subprocess.run(command, cwd=_ROOT, env=environment, check=False, timeout=seconds + _STOP_S).returncode
    except subprocess.TimeoutExpired:
        code = -1
    if code not in (0, 1):
        print(f"FINDING {target.name} ended with {code}; the case is {folder / target.name / 'under-way'}", flush=True)
    return code


def _line(target: Target, tally: Tally) -> str:
    outcomes = ", ".join(f"{name} {count:,}" for name, count in tally.outcomes.most_common(12))
    found = "".join(f"\n  {times} x {name}: {file}" for name, (times, file) in tally.findings.items())
    what = f"{tally.cases:,} cases in {tally.seconds / 60:.1f} minutes, {len(tally.findings)} findings"
    return f"{target.name}: {what}; {outcomes}{found}"


if __name__ == "__main__":
    main()
