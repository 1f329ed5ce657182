"""`python -m tests.evidence`: all the evidence, from faces to docs/evidence.md."""

import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

import click
from ersgallery_index.errors import ErsError
from ersgallery_server.evaluation.outputs import as_json, as_markdown, as_plain, summary
from ersgallery_server.evaluation.pages import draw, evaluation_page, print_evaluation
from ersgallery_server.evaluation.remote_server import RemoteServer
from ersgallery_server.evaluation.runner import Evaluation, evaluate
from ersgallery_server.evaluation.tables import Table
from ersgallery_server.models.errors import ModelError
from ersgallery_server.models.storage import write_file
from ersgallery_server.profiling.aligned_faces import AlignedFaces
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from tests.evidence.beyond_faces.run import run as beyond_faces
from tests.evidence.brightness import as_csv, brightness_groups
from tests.evidence.document import MarkerBroken, named, with_tables
from tests.evidence.places import MissingData, Places
from tests.evidence.several import reused_ui_sets, several_models, tau_table
from tests.evidence.view2 import PairsBroken, read_pairs, view2_table
from tests.support.server import running_server, settings

_ROOT = Path(__file__).parents[2]
DOCUMENT = _ROOT / "docs" / "evidence.md"
MODELS = ("sface", "mobilefacenet")
FURTHER = ("edgeface-s",)


@click.command(context_settings={"show_default": True})
@click.option("--folder", default=_ROOT / "build" / "evidence", type=click.Path(path_type=Path, file_okay=False))
@click.option("--models-dir", default=_ROOT / "build" / "models", type=click.Path(path_type=Path, file_okay=False))
@click.option("--corpora", type=click.Path(path_type=Path, exists=True), help="MODEL.npz and MODEL_wild.npz to take.")
@click.option("--resamples", default=500, type=click.IntRange(20), help="Bootstrap samples of each interval.")
@click.option("--model", "models", multiple=True, default=(*MODELS, *FURTHER), help="Which models; may be repeated.")
@click.option("--beyond/--no-beyond", default=True, help="Also the evidence beyond faces (needs the network once).")
@click.option("--document/--no-document", default=True, help="Write the tables into docs/evidence.md.")
def main(
    folder: Path,
    models_dir: Path,
    corpora: Path | None,
    resamples: int,
    models: tuple[str, ...],
    *,
    beyond: bool,
    document: bool,
) -> None:
    """Measure everything, write summary.json and a page for each model to FOLDER, and the tables to docs/evidence.md.

    The faces are taken from $ERSGALLERY_TEST_DATA/lfw.
    """
    places = Places(folder.absolute(), models_dir.absolute(), corpora)
    try:
        with _bars() as show:
            evaluations = {model: _evaluate(model, places, resamples, show) for model in models}
            tables = _tables(evaluations, places, beyond=beyond, show=show)
        write_file(places.folder / "summary.json", as_json(_summary(evaluations, tables)).encode())
        if document:
            text = DOCUMENT.read_text(encoding="utf-8")
            write_file(DOCUMENT, with_tables(text, {**_of_models(evaluations), **tables}).encode())
    except (MissingData, PairsBroken, MarkerBroken, ModelError, ErsError) as error:
        raise click.ClickException(str(error)) from error
    console = Console()
    for model, evaluation in evaluations.items():
        if model in MODELS:
            print_evaluation(evaluation, console)
    console.print(f"\nPages and summary.json: {places.folder}", highlight=False, soft_wrap=True)


def _evaluate(model: str, places: Places, resamples: int, show: "_Bars") -> Evaluation:
    bench = places.bench(model, resamples, show.of(f"{model}: embedding"))
    if model not in MODELS:
        return evaluate(bench, protocols=("single",))
    groups = brightness_groups(bench, AlignedFaces.open(places.faces))
    view2 = view2_table(bench, read_pairs(places.pairs), lambda names: places.embed(model, names))
    measuring = show.of(f"{model}: measuring")
    with tempfile.TemporaryDirectory() as scratch, running_server(settings(Path(scratch))) as server:
        found = evaluate(
            bench,
            groups=groups,
            server=RemoteServer(server.address),
            progress=lambda _, done, total: measuring(done, total),
        )
    found = replace(found, tables=(*found.tables, tau_table(bench), view2))
    folder = places.folder / model
    write_file(folder / "groups.csv", as_csv(groups).encode())
    write_file(folder / "summary.json", as_json(summary(found)).encode())
    write_file(folder / "tables.md", as_markdown(found).encode())
    write_file(folder / "index.html", evaluation_page(found).encode())
    return found


def _tables(evaluations: dict[str, Evaluation], places: Places, *, beyond: bool, show: "_Bars") -> dict[str, Table]:
    """Measure what belongs to no single model."""
    figure_5 = several_models(evaluations)
    write_file(places.folder / "figure5.svg", draw(figure_5.charts[0]).encode())
    chosen = {model: evaluations[model].bench for model in MODELS if model in evaluations}
    tables = {"F5": figure_5, "T4b": reused_ui_sets(chosen)}
    if beyond:
        found = beyond_faces(
            places.folder, 0, lambda what, done, total: show.of(f"beyond faces: {what}")(done, total or 0)
        )
        tables |= named("beyond faces", found.tables)
    return tables


def _of_models(evaluations: dict[str, Evaluation]) -> dict[str, Table]:
    blocks: dict[str, Table] = {}
    for model, evaluation in evaluations.items():
        if model in MODELS:
            blocks |= named(model, evaluation.tables)
    return blocks


def _summary(evaluations: dict[str, Evaluation], tables: dict[str, Table]) -> dict[str, Any]:
    return {
        "models": {model: summary(evaluation) for model, evaluation in evaluations.items()},
        "together": {name: as_plain(asdict(table)) for name, table in tables.items()},
    }


class _Bars:
    """One bar for each step, by its name."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def of(self, what: str) -> Callable[[int, int], None]:
        """Return what tells a step's bar how far it is."""
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=None)
        task = self._tasks[what]
        return lambda done, total: self._progress.update(task, completed=done, total=total or None)


def _bars() -> _Bars:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    return _Bars(Progress(*columns, console=Console(stderr=True)))


if __name__ == "__main__":
    main()
