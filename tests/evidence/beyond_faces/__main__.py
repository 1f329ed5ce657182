"""`python -m tests.evidence.beyond_faces`: the tools on something that is no face, and what came out."""

import json
from dataclasses import asdict
from pathlib import Path

import click
from ersgallery_index.errors import CalibrationFailed
from ersgallery_server.evaluation.tables import Entry, Figure, Table
from ersgallery_server.models.errors import ModelError, SourceUnavailable
from ersgallery_server.models.storage import write_file
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import TaskID
from rich.table import Table as Grid

from tests.evidence.beyond_faces.run import Beyond, run

_ROOT = Path(__file__).parents[3]
RESULT = "beyond_faces.json"


@click.command(context_settings={"show_default": True})
@click.option("--seed", default=0, type=click.IntRange(0), help="Shares out the characters and degrades the drawings.")
@click.option(
    "--folder",
    default=_ROOT / "build" / "evidence",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where everything is kept; a second run needs no network.",
)
def main(folder: Path, seed: int) -> None:
    """Search for Chinese characters across typefaces, with the gates off and on.

    Writes beyond_faces.json and beyond_faces.png to FOLDER.
    """
    try:
        with Bar(console=Console(stderr=True), transient=True) as bar:
            beyond = run(folder.absolute(), seed, _Shown(bar))
    except SourceUnavailable as error:
        raise click.ClickException(f"the first run needs a network: {error}") from error
    except (ModelError, CalibrationFailed) as error:
        raise click.ClickException(str(error)) from error
    write_file(folder / RESULT, document(beyond).encode())
    console = Console()
    for table in beyond.tables:
        console.print(_grid(table))
        for note in table.notes:
            console.print(f"  {note}", highlight=False)
        console.print()
    console.print("* fewer than 10 errors were expected, so that the figure says little.", highlight=False)
    console.print(f"Images by ERS: {beyond.sheet}", highlight=False, soft_wrap=True)


def document(beyond: Beyond) -> str:
    """Return the result as JSON: the plan and the tables with their intervals and charts."""
    tables = [asdict(table) for table in beyond.tables]
    return (
        json.dumps({"plan": asdict(beyond.plan), "tables": tables}, indent=2, ensure_ascii=False, allow_nan=False)
        + "\n"
    )


class _Shown:
    """Progress as bars, one for each step."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int | None) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what)
        self._bar.update(self._tasks[what], completed=done, total=total)


def _grid(table: Table) -> Grid:
    grid = Grid(title=f"{table.title} ({table.source})" if table.source else table.title)
    for number, column in enumerate(table.columns):
        grid.add_column(column, justify="left" if number == 0 else "right")
    for row in table.rows:
        grid.add_row(*(_shown(entry) for entry in row))
    return grid


def _shown(entry: Entry) -> str:
    if entry is None:
        return ""
    if not isinstance(entry, Figure):
        return f"{entry:,}" if isinstance(entry, int) else entry
    scale, unit = (100.0, " %") if entry.percent else (1.0, "")
    digits = entry.digits
    interval = (
        ""
        if entry.low is None or entry.high is None
        else (f" ({scale * entry.low:.{digits}f} to {scale * entry.high:.{digits}f})")
    )
    return f"{scale * entry.value:.{digits}f}{unit}{interval}{'' if entry.supported else ' *'}"


if __name__ == "__main__":
    main()
