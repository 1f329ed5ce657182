"""Attacks one target for a time and keeps what it finds."""

import faulthandler
import hashlib
import re
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.fuzz.case import Attack, Case, Finding, Target

HANG_S = 600
"""A case that takes longer ends the process, with all its stacks printed; on a busy machine a call may take minutes."""

CORPUS = Path(__file__).parent / "corpus"
"""What was found and is corrected: a folder for each target, a file for each case."""


@dataclass(slots=True)
class Tally:
    """What came of an attack. findings: how often each, by its signature, with the file of the first."""

    cases: int = 0
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: dict[str, tuple[int, str]] = field(default_factory=dict)


def attack(
    target: Target,
    seed: int,
    enough: Callable[[int], bool],
    keep: Path,
    tell: Callable[[str], None] = print,
    first: Sequence[Case] = (),
) -> Tally:
    """Try cases one after the other until there are `enough`; a case is named by the target, the seed and its number.

    keep: the folder where the case under way lies, for what ends the process, and those that were findings. first:
    cases that are tried before any is drawn.
    """
    tally = Tally()
    begun = time.monotonic()
    keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, target.opened(Path(folder)) as opened:
        while not enough(tally.cases):
            number = tally.cases
            case = first[number] if number < len(first) else opened.draw(Random(f"{target.name} {seed} {number}"))
            (keep / "under-way").write_bytes(case.pack())
            _try(opened, case, tally, keep, tell)
            tally.cases += 1
        _note(opened.settle, Case("settle", b""), tally, keep, tell)
    (keep / "under-way").unlink(missing_ok=True)
    tally.seconds = time.monotonic() - begun
    return tally


def replay(target: Target, cases: list[Case]) -> None:
    """Try cases that were kept; raises what the first of them raises."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, target.opened(Path(folder)) as opened:
        for case in cases:
            opened.check(case)
        opened.settle()


def corpus(target: Target) -> list[Case]:
    """Return what was found in a target before."""
    return [Case.unpack(file.read_bytes()) for file in sorted((CORPUS / target.name).glob("*"))]


def _try(opened: Attack, case: Case, tally: Tally, keep: Path, tell: Callable[[str], None]) -> None:
    def check() -> None:
        tally.outcomes[opened.check(case)] += 1

    faulthandler.dump_traceback_later(HANG_S, exit=True)
    try:
        _note(check, case, tally, keep, tell)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _note(check: Callable[[], None], case: Case, tally: Tally, keep: Path, tell: Callable[[str], None]) -> None:
    try:
        check()
    except Exception as error:  # noqa: BLE001 - whatever comes is what is looked for
        name = signature(error)
        times, file = tally.findings.get(name, (0, ""))
        if not times:
            digest = hashlib.sha256(case.pack()).hexdigest()[:12]
            file = str(keep / f"{case.kind.rpartition('.')[2]}-{digest}")
            Path(file).write_bytes(case.pack())
            tell(f"FINDING {name}\n  case {tally.cases}, kept in {file}\n{_told(error)}")
        tally.findings[name] = (times + 1, file)


def signature(error: Exception) -> str:
    """Return a name that a fault has each time: its text without numbers and quoted parts, or where it was raised."""
    if isinstance(error, Finding):
        words = re.sub(r"'[^']*'|\"[^\"]*\"|\d+", "_", str(error))
        return " ".join(words.split())[:160]
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} in {Path(frames[-1].filename).name}:{frames[-1].lineno} {frames[-1].name}"


def _told(error: Exception) -> str:
    text = str(error) if isinstance(error, Finding) else "".join(traceback.format_exception(error)[-8:])
    return "\n".join(f"    {line}" for line in text[:3000].splitlines())
