"""`python -m tests.load`: more load than can be served, slow callers, hours of load, restarts under load."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tests.load.broken import Broken
from tests.load.overload import overload
from tests.load.rolling import rolling
from tests.load.slow import slow
from tests.load.soak import soak
from tests.support.models import models_dir_if_installed

ROOT = Path(__file__).parents[2]
PHOTOGRAPHS = 32


@click.group(context_settings={"show_default": True})
@click.option("--folder", default=ROOT / "build" / "load", type=click.Path(path_type=Path, file_okay=False))
@click.pass_context
def main(context: click.Context, folder: Path) -> None:
    """Load a real server and check the promises of docs/reliability.md; each writes its figures to summary.json.

    Linux only: what a server holds is read from /proc.
    """
    context.obj = folder.absolute()


@main.command("overload")
@click.option("--seconds", default=20.0, help="Of each part: each kind alone, the flood, and afterwards.")
@click.option("--times", default=10.0, help="Of the sustainable rate.")
@click.option("--faces", default=5_000, help="In the gallery.")
@click.pass_obj
def overload_command(folder: Path, seconds: float, times: float, faces: int) -> None:
    """Send ten times what can be served: embeddings, enrolments, and photographs where the model is installed."""
    _run(folder, "overload", lambda place: overload(place, count=faces, seconds=seconds, times=times, models=_models()))


@main.command("slow")
@click.pass_obj
def slow_command(folder: Path) -> None:
    """Open a thousand idle connections, streams that nobody reads, and calls whose messages stop."""
    _run(folder, "slow", slow)


@main.command("soak")
@click.option("--minutes", default=60.0, help="How long.")
@click.option("--rate", default=1.0, help="By how much more or less than 14 calls a second.")
@click.pass_obj
def soak_command(folder: Path, minutes: float, rate: float) -> None:
    """Load it with everything at a low rate, and see that nothing grows."""
    _run(folder, "soak", lambda place: soak(place, minutes=minutes, rate=rate, say=click.echo))


@main.command("rolling")
@click.option("--restarts", default=10, help="How many.")
@click.pass_obj
def rolling_command(folder: Path, restarts: int) -> None:
    """Restart the server under identifications, enrolments and a stream, of which none may fail."""
    _run(folder, "rolling", lambda place: rolling(place, restarts=restarts))


def _models() -> tuple[Path, list[Path]] | None:
    models, data = models_dir_if_installed(), os.environ.get("ERSGALLERY_TEST_DATA")
    if models is None or data is None:
        return None
    return models, sorted((Path(data) / "lfw").rglob("*.jpg"))[:PHOTOGRAPHS]


def _run(folder: Path, name: str, work: Callable[[Path], dict[str, Any]]) -> None:
    place = folder / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    machine = {"cores": os.cpu_count(), "load_at_the_start": round(os.getloadavg()[0], 1)}
    begun_s = time.monotonic()
    try:
        figures = work(place)
    except Broken as broken:
        click.echo(f"BROKEN: {broken}", err=True)
        sys.exit(1)
    figures |= {
        **machine,
        "load_at_the_end": round(os.getloadavg()[0], 1),
        "seconds": round(time.monotonic() - begun_s),
    }
    path = folder / "summary.json"
    summary = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**summary, name: figures}, indent=1) + "\n", encoding="utf-8")
    click.echo(json.dumps(figures))


if __name__ == "__main__":
    main()
