"""`python -m tests.demo`: enrol, identify and reject real faces, and show what came out."""

import json
import signal
import sys
from pathlib import Path
from typing import NoReturn

import click
from ersgallery_client import GalleryError
from ersgallery_server.models.errors import ModelError, SourceUnavailable
from rich.console import Console

from tests.demo.demo import Places, Report, commands, perform
from tests.demo.prepare import DataInUse
from tests.demo.server_process import ServerFailed
from tests.demo.settings import Settings, quick
from tests.demo.table import figures_table, remarks

_ROOT = Path(__file__).parents[2]
_INTERRUPTED = 130


@click.command(context_settings={"show_default": True})
@click.option(
    "--json", "as_json", is_flag=True, help="Print the figures as JSON, and nothing else, to standard output."
)
@click.option(
    "--quick", "is_quick", is_flag=True, help="Few people: to see that it runs, not to learn from its figures."
)
@click.option("--seed", default=0, type=click.IntRange(0), help="Shares out the people and degrades the photographs.")
@click.option(
    "--folder",
    default=_ROOT / "build" / "demo",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where everything is kept; a second run needs no network.",
)
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Port of the server; 0 takes a free one.")
def main(folder: Path, seed: int, port: int, *, as_json: bool, is_quick: bool) -> None:
    """Enrol, identify and reject real faces with the gates off and on.

    Writes summary.json and index.html to FOLDER.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    console = Console(stderr=True)
    places = Places(folder.absolute(), other_models=_ROOT / "build" / "models", port=port)
    try:
        report = perform(places, quick(seed) if is_quick else Settings(seed=seed), console)
    except KeyboardInterrupt:
        console.print("Stopped; what was fetched is kept.")
        sys.exit(_INTERRUPTED)
    except SourceUnavailable as error:
        raise click.ClickException(f"the first run needs a network: {error}") from error
    except (ModelError, ServerFailed, DataInUse, GalleryError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(report.summary, indent=2))
    _tell(report, places, console if as_json else Console())


def _tell(report: Report, places: Places, console: Console) -> None:
    console.print(figures_table(report.summary))
    for remark in remarks(report.summary):
        console.print(remark, highlight=False)
    console.print("\nTo go on:", highlight=False)
    for purpose, command in commands(places, report.probes):
        console.print(f"  [dim]# {purpose}[/dim]\n  {command}", highlight=False, soft_wrap=True)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
