"""Waits for what goes on in the server, with a bar on stderr."""

from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ersgallery_client.cli.session import Session
from ersgallery_client.client import GalleryClient
from ersgallery_client.values.calibration import Operation


def watch(session: Session, client: GalleryClient, begun: Operation, what: str) -> Operation:
    """Return an operation that has ended with a result; Ctrl-C cancels it, and its error is raised."""
    columns: list[Any] = [TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()]
    with Progress(*columns, console=session.err, transient=True) as bar:
        task = bar.add_task(what, total=None)

        def tell(now: Operation) -> None:
            bar.update(task, completed=now.done_units, total=now.total_units or None)

        try:
            ended = client.wait_operation(begun.id, progress=tell)
        except KeyboardInterrupt:
            client.cancel_operation(begun.id)
            raise
    if ended.error is not None:
        raise ended.error
    return ended
