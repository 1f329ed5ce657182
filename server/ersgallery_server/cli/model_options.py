"""What the commands on models and profiles share: the models directory, defaults from a file, progress, errors."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ersgallery_server.config import default_data_dir
from ersgallery_server.models.errors import ModelError

_Command = TypeVar("_Command", bound=Callable[..., Any])


def default_models_dir() -> Path:
    """Return the folder that `serve` uses too: `models` in the data directory."""
    data_dir = os.environ.get("ERSGALLERY_DATA_DIR")
    return (Path(data_dir) if data_dir else default_data_dir()) / "models"


def models_dir_option(command: _Command) -> _Command:
    """Add the option --models-dir."""
    return click.option(
        "--models-dir",
        type=click.Path(path_type=Path, file_okay=False),
        envvar="ERSGALLERY_MODELS_DIR",
        default=default_models_dir,
        help="Where installed models are.",
    )(command)


def pass_defaults_on(context: click.Context) -> None:
    """Give the values a --config file has for a group to each of its commands."""
    if isinstance(context.command, click.Group) and context.default_map:
        flat = {key: value for key, value in context.default_map.items() if not isinstance(value, dict)}
        context.default_map = {name: {**flat, **context.default_map.get(name, {})} for name in context.command.commands}


@contextlib.contextmanager
def model_errors() -> Iterator[None]:
    """Turn domain errors into one sentence and exit status 1."""
    from ersgallery_index.errors import ErsError

    try:
        yield
    except (ModelError, ErsError) as error:
        raise click.ClickException(str(error)) from error


@contextlib.contextmanager
def download_bars() -> Iterator[Callable[[str, int, int | None], None]]:
    """Show one bar for each thing that is fetched; the function takes its name, the bytes done and the total."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def report(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield report


@contextlib.contextmanager
def counting_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show one bar, from the first step on; the function takes the number done and the total.

    What fails before its first step so leaves nothing above its error.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bars = Progress(*columns, console=Console(stderr=True))
    task = bars.add_task(what, total=None)

    def tell(done: int, total: int) -> None:
        bars.update(task, completed=done, total=total)
        bars.start()

    try:
        yield tell
    finally:
        if bars.live.is_started:
            bars.stop()
