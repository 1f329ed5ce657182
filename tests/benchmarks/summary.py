"""build/bench/summary.json: every result with its date and command, the machine, and the goals."""

import datetime as dt
import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from tests.benchmarks.goals import Outcome, judged
from tests.benchmarks.memory import GIB, total_bytes
from tests.benchmarks.results import Result

_PACKAGES = ("faiss-cpu", "faiss-gpu", "grpcio", "numpy", "onnxruntime")


@dataclass(frozen=True, slots=True)
class Measured:
    """A result, when and by which command it was measured, and on which machine."""

    result: Result
    date: str
    command: str
    machine: str


def machine() -> str:
    """Return what the machine is, in a line."""
    versions = [f"{name} {version}" for name in _PACKAGES if (version := _version(name))]
    parts = [f"{os.cpu_count()} cores ({_processor()})", f"{total_bytes() / GIB:.0f} GiB"]
    return ", ".join([*parts, f"Python {platform.python_version()}", *versions])


def load(path: Path) -> list[Measured]:
    """Return what an earlier run left, or nothing."""
    if not path.is_file():
        return []
    content = json.loads(path.read_text(encoding="utf-8"))
    return [
        Measured(Result.from_plain(entry["result"]), entry["date"], entry["command"], entry["machine"])
        for entry in content["measured"]
    ]


def merged(old: Iterable[Measured], new: Iterable[Measured]) -> list[Measured]:
    """Return everything, new results in the place of old ones; one that was left out replaces no figure."""
    found = {measured.result.key: measured for measured in old}
    for measured in new:
        key = measured.result.key
        if measured.result.measured or key not in found or not found[key].result.measured:
            found[key] = measured
    return list(found.values())


def as_json(measured: list[Measured], command: str) -> str:
    """Return the summary as JSON."""
    content = {
        "machine": machine(),
        "date": today(),
        "command": command,
        "goals": [_goal(outcome) for outcome in judged(entry.result for entry in measured)],
        "measured": [asdict(entry) for entry in measured],
    }
    return json.dumps(content, indent=1) + "\n"


def today() -> str:
    """Return the date in UTC."""
    return dt.datetime.now(dt.UTC).date().isoformat()


def _goal(outcome: Outcome) -> dict[str, Any]:
    goal = outcome.goal
    return {
        "goal": goal.name,
        "faces": goal.faces,
        "wanted": f"{'<=' if goal.at_most else '>='} {goal.wanted}",
        "measured": outcome.result.ratio if outcome.result else None,
        "at_faces": outcome.faces if outcome.result else None,
        "met": outcome.met,
        "why_not": outcome.why_not,
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()
