"""Figures as people read them, and an evaluation as JSON and Markdown."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from enum import Enum
from typing import Any

from ersgallery_server.evaluation.runner import Evaluation
from ersgallery_server.evaluation.tables import Entry, Figure, Table

UNSUPPORTED = "†"
LEGEND = f"Intervals are 95 %. {UNSUPPORTED}: fewer than 10 errors were to be expected, so the figure says little."


def shown(entry: Entry, *, unit: bool = False) -> str:
    """Return a cell as text: `1.23 [1.01, 1.50]` in per cent, with a dagger where it is not supported.

    unit: write % behind it, for columns whose heading does not.
    """
    if entry is None:
        return "–"
    if isinstance(entry, str):
        return entry
    if isinstance(entry, int):
        return f"{entry:,}"
    if not math.isfinite(entry.value):
        return "–"
    scale = 100.0 if entry.percent else 1.0
    value = f"{scale * entry.value:.{entry.digits}f}"
    mark = (" %" if unit and entry.percent else "") + ("" if entry.supported else f" {UNSUPPORTED}")
    if entry.low is None or entry.high is None or not math.isfinite(entry.low + entry.high):
        return value + mark
    return f"{value} [{scale * entry.low:.{entry.digits}f}, {scale * entry.high:.{entry.digits}f}]{mark}"


def cells(table: Table) -> list[list[str]]:
    """Return all rows as text, each figure with its unit where the heading of its column has none."""
    named = [in_heading != column for in_heading, column in zip(headings(table), table.columns, strict=True)]
    return [[shown(entry, unit=not has) for entry, has in zip(row, named, strict=True)] for row in table.rows]


def headings(table: Table) -> tuple[str, ...]:
    """Return the columns' names, with % where all that stands below is in per cent."""
    columns = []
    for place, name in enumerate(table.columns):
        figures = [row[place] for row in table.rows if isinstance(row[place], Figure)]
        in_percent = bool(figures) and all(isinstance(figure, Figure) and figure.percent for figure in figures)
        columns.append(f"{name}, %" if in_percent else name)
    return tuple(columns)


def markdown_table(table: Table, *, level: int = 2) -> str:
    """Return one table as Markdown with its title and notes."""
    lines = [f"{'#' * level} {title_of(table)}", ""]
    lines += [_row(headings(table)), _row(["---"] + ["---:"] * (len(table.columns) - 1))]
    lines += [_row(row) for row in cells(table)]
    return "\n".join([*lines, "", *(f"- {note}" for note in table.notes)]).rstrip() + "\n"


def title_of(table: Table) -> str:
    """Return a table's title with its key and the table of the paper."""
    return f"{table.key}: {table.title}" + (f" (the paper's {table.source})" if table.source else "")


def as_markdown(evaluation: Evaluation) -> str:
    """Return all tables as one Markdown document."""
    bench = evaluation.bench
    parts = [f"# Evaluation of {bench.corpus.model}\n", f"{LEGEND}\n", f"{profile_sentence(evaluation)}\n"]
    parts += [markdown_table(table) for table in evaluation.tables]
    if evaluation.skipped:
        parts.append(
            "## Not measured\n\n" + "".join(f"- {one.protocol}: {one.reason}.\n" for one in evaluation.skipped)
        )
    return "\n".join(parts)


def profile_sentence(evaluation: Evaluation) -> str:
    """Say which profile was measured."""
    profile = evaluation.bench.profile
    centring = "the mean is subtracted" if profile.mean is not None else "not centred"
    count = len(profile.centroids)
    return f"Profile: gamma {profile.gamma:.4f}, {count} UI centroid{'s' if count > 1 else ''}, {centring}."


def summary(evaluation: Evaluation) -> dict[str, Any]:
    """Return everything that was measured as JSON values; numbers that are not finite become null."""
    bench = evaluation.bench
    profile = bench.profile
    content = {
        "model": bench.corpus.model,
        "plan": asdict(bench.plan),
        "faces": len(bench.corpus),
        "people": len(bench.corpus.people),
        "profile": {
            "gamma": profile.gamma,
            "centroids": len(profile.centroids),
            "centred": profile.mean is not None,
            "figures": dict(bench.built.figures),
        },
        "tables": [asdict(table) for table in evaluation.tables],
        "skipped": [asdict(one) for one in evaluation.skipped],
    }
    plain: dict[str, Any] = as_plain(content)
    return plain


def as_json(content: object) -> str:
    """Return JSON text of plain values."""
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_plain(value: Any) -> Any:
    """Return a value as JSON knows it: enums by value, tuples as lists, NumPy scalars as numbers."""
    if isinstance(value, dict):
        return {str(key): as_plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(inner) for inner in value]
    if isinstance(value, Enum):
        return value.value
    if hasattr(value, "tolist"):
        return as_plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
