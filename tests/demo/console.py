"""Progress bars and words for people, all on standard error: standard output is for figures."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

_MB = 1_000_000


class Bars:
    """One bar for each step of the demo; may be advanced from several threads."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._downloads: dict[str, TaskID] = {}

    @contextmanager
    def step(self, what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """Show a bar until the block is left; the function takes how much more is done."""
        task = self._progress.add_task(what, total=total)
        yield lambda done: self._progress.advance(task, done)
        self._progress.update(task, total=total or 1, completed=total or 1)

    def download(self, what: str, done_bytes: int, total_bytes: int | None) -> None:
        """Show how much of a download is there."""
        if what not in self._downloads:
            self._downloads[what] = self._progress.add_task(f"Fetching {what} (MB)", total=None)
        total = None if total_bytes is None else -(-total_bytes // _MB)
        self._progress.update(self._downloads[what], completed=-(-done_bytes // _MB), total=total)


@contextmanager
def progress_bars(console: Console) -> Iterator[Bars]:
    """Show bars while the block lasts."""
    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield Bars(progress)
