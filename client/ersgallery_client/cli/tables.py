"""Tables and colours for people. Names are never read as rich markup."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from ersgallery_client.values.enrollment import Disposition
from ersgallery_client.values.identification import Decision

STYLES = {
    Decision.MATCH: "bold green",
    Decision.NO_MATCH: "cyan",
    Decision.UNSURE: "bold yellow",
    Decision.UNSPECIFIED: "bold red",
    Disposition.ACCEPTED: "green",
    Disposition.LOW_ERS: "yellow",
    Disposition.REJECTED: "red",
}


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> Table:
    """Return a table; a column whose name ends with "#" is one of numbers."""
    result = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        result.add_column(
            column.removesuffix("#"), justify="right" if column.endswith("#") else "left", overflow="fold"
        )
    for row in rows:
        result.add_row(*map(cell, row))
    return result


def fields(rows: Iterable[tuple[str, Any]], title: str | None = None) -> Table:
    """Return one thing as a table of its fields."""
    result = Table(title=title, title_justify="left", title_style="bold", show_header=False)
    for name, value in rows:
        result.add_row(Text(name, style="dim"), cell(value))
    return result


def cell(value: Any) -> Text:  # noqa: PLR0911 (one per kind of value)
    """Return a value as a cell."""
    match value:
        case Text():
            return value
        case None:
            return Text("-", style="dim")
        case Decision() | Disposition():
            return Text(value, style=STYLES.get(value, ""))
        case bool():
            return Text("yes" if value else "no")
        case float():
            return Text(f"{value:.3f}")
        case datetime():
            return Text(f"{value.astimezone():%Y-%m-%d %H:%M:%S}")
    return Text(str(value))
