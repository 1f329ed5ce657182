"""An evaluation as a page that stands alone, and on a terminal."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from ersgallery_server.evaluation.outputs import LEGEND, cells, headings, profile_sentence, title_of
from ersgallery_server.evaluation.runner import Evaluation, Skipped
from ersgallery_server.evaluation.tables import Chart, Entry, Figure, Table

if TYPE_CHECKING:
    from ersgallery_server.reports import page


def evaluation_page(evaluation: Evaluation) -> str:
    """Return one HTML document with all tables and charts. Raises ModuleNotFoundError without the extra."""
    from ersgallery_server.reports import page

    bench = evaluation.bench
    sections = [_section(table) for table in evaluation.tables]
    if evaluation.skipped:
        facts = page.Facts(tuple((one.protocol, one.reason) for one in evaluation.skipped))
        sections.append(page.Section("Not measured", (facts,), "What this data cannot show, and why."))
    return page.render_page(
        page.Page(
            title=f"Evaluation of {bench.corpus.model}",
            lead=f"An UNSURE genuine pair or mated probe is an error, and stays in every denominator. {LEGEND} "
            f"{profile_sentence(evaluation)}",
            sections=tuple(sections),
            figures=(
                (f"{bench.profile.gamma:.4f}", "gamma"),
                (f"{len(bench.corpus.people):,}", "people"),
                (f"{len(bench.corpus):,}", "faces embedded"),
            ),
        )
    )


def draw(chart: Chart) -> str:
    """Return a chart as an `<svg>` element. Raises ModuleNotFoundError without the extra."""
    from ersgallery_server.reports import charts

    lines = [charts.Line(line.name, line.x, line.y, line.low, line.high) for line in chart.series]
    return charts.line_chart(chart.title, chart.x_label, chart.y_label, lines, log_x=chart.log_x, log_y=chart.log_y)


def print_evaluation(evaluation: Evaluation, console: Console) -> None:
    """Write all tables to a terminal."""
    console.print(profile_sentence(evaluation), highlight=False)
    for table in evaluation.tables:
        console.print()
        console.print(_grid(table))
        for note in table.notes:
            console.print(f"  {note}", style="dim", highlight=False)
    print_skipped(evaluation.skipped, console)
    console.print(f"\n{LEGEND}", style="dim", highlight=False)


def print_skipped(skipped: tuple[Skipped, ...], console: Console) -> None:
    """Say what was not measured."""
    for one in skipped:
        console.print(f"\nnot measured: {one.protocol}: {one.reason}", highlight=False, markup=False)


def _section(table: Table) -> "page.Section":
    from ersgallery_server.reports import page

    grid = page.Grid(
        headings(table),
        tuple(
            tuple(_cell(entry, text) for entry, text in zip(row, texts, strict=True))
            for row, texts in zip(table.rows, cells(table), strict=True)
        ),
        notes=table.notes,
    )
    return page.Section(title_of(table), (grid, *(page.Drawing(draw(chart)) for chart in table.charts)))


def _cell(entry: Entry, text: str) -> "page.Cell":
    from ersgallery_server.reports import page

    faint = entry is None or (isinstance(entry, Figure) and not entry.supported)
    return page.Cell(text, "faint" if faint else "")


def _grid(table: Table) -> Grid:
    grid = Grid(title=title_of(table), title_justify="left")
    for place, name in enumerate(headings(table)):
        grid.add_column(name, justify="left" if place == 0 else "right")
    for row in cells(table):
        grid.add_row(*map(escape, row))
    return grid
