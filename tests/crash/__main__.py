"""`python -m tests.crash`: kill the server over and over, and compare what it shows with what its clients were told."""

import contextlib
import json
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from tests.crash.databases import PostgresCluster, postgres_cluster
from tests.crash.histories import check_histories
from tests.crash.known import Violation
from tests.crash.recording import NotLinearizable
from tests.crash.rounds import Crashes

ROOT = Path(__file__).parents[2]
HISTORIES = 500
KILLS = {"sqlite": 150, "postgresql": 60}


@click.group(invoke_without_command=True, context_settings={"show_default": True})
@click.option("--folder", default=ROOT / "build" / "crash", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--seed", default=1, help="Decides what is asked for and when is killed; how threads interleave it cannot."
)
@click.pass_context
def main(context: click.Context, folder: Path, seed: int) -> None:
    """Kill a real server again and again under mixed load, on SQLite and PostgreSQL, and check that nothing is lost.

    Without a command: all of them, as long as the promises of docs/reliability.md want. Each run begins with an empty
    database in FOLDER and writes its figures to FOLDER/summary.json. After a broken promise the history of the
    resource is printed, and the data stays in FOLDER.
    """
    context.obj = (folder.absolute(), seed)
    if context.invoked_subcommand is None:
        for database, kills in KILLS.items():
            _run(folder.absolute(), seed, database, kills)
        _check_histories(folder.absolute(), seed, HISTORIES, "sqlite")


@main.command()
@click.argument("database", type=click.Choice(list(KILLS)))
@click.option("--kills", type=click.IntRange(1), show_default=str(KILLS), help="How often is killed.")
@click.pass_obj
def kill(given: tuple[Path, int], database: str, kills: int | None) -> None:
    """Kill the server; on PostgreSQL the database's processes too."""
    folder, seed = given
    _run(folder, seed, database, kills or KILLS[database])


@main.command()
@click.option("--histories", default=HISTORIES, type=click.IntRange(1), help="How many.")
@click.option("--database", default="sqlite", type=click.Choice(list(KILLS)))
@click.pass_obj
def linearizability(given: tuple[Path, int], histories: int, database: str) -> None:
    """Let five clients at once enrol, delete, search and change settings, and find an order that explains it."""
    folder, seed = given
    _check_histories(folder, seed, histories, database)


def _check_histories(folder: Path, seed: int, count: int, database: str) -> None:
    place = folder / "histories"
    shutil.rmtree(place, ignore_errors=True)
    begun_s = time.monotonic()
    with _cluster(database) as cluster:
        try:
            figures = check_histories(place, seed, count, click.echo, cluster.new_database() if cluster else None)
        except NotLinearizable as broken:
            click.echo(f"NOT LINEARIZABLE: {broken}", err=True)
            sys.exit(1)
    summary = {**asdict(figures), "seed": seed, "seconds": round(time.monotonic() - begun_s)}
    _write_summary(folder / "summary.json", f"linearizability_{database}", summary)
    click.echo(json.dumps(summary))


def _run(folder: Path, seed: int, database: str, kills: int) -> None:
    place = folder / database
    shutil.rmtree(place, ignore_errors=True)
    begun_s = time.monotonic()
    with _cluster(database) as cluster:
        crashes = Crashes(place, seed, lambda text: click.echo(f"{database}: {text}"), cluster)
        broken = None
        try:
            crashes.run(kills)
        except Violation as violation:
            broken = violation
    figures = {**crashes.figures(), "seconds": round(time.monotonic() - begun_s), "broken": str(broken or "")}
    _write_summary(folder / "summary.json", database, figures)
    click.echo(json.dumps(figures, indent=1))
    if broken is not None:
        click.echo("\n".join([f"BROKEN: {broken}", *crashes.world.history_of(broken.resource)]), err=True)
        sys.exit(1)


@contextlib.contextmanager
def _cluster(database: str) -> Iterator[PostgresCluster | None]:
    if database == "sqlite":
        yield None
        return
    with postgres_cluster() as cluster:
        yield cluster


def _write_summary(path: Path, part: str, figures: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    summary = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**summary, part: figures}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
