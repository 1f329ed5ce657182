"""Many concurrent histories on a server in a process of its own."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ersgallery.v1 import gallery_service_pb2 as galleries

from tests.crash.process import ServerProcess
from tests.crash.recording import Recorder
from tests.crash.specification import Answered
from tests.crash.universe import create_profiles
from tests.crash.wing_gong import Event

CLIENTS = 5
CALLS = 12


@dataclass(slots=True)
class HistoryFigures:
    """What was checked. overlapping: calls that were sent before an earlier one was answered."""

    histories: int = 0
    calls: int = 0
    overlapping: int = 0

    def add(self, events: Sequence[Event[Answered]]) -> None:
        """Count a history."""
        self.histories += 1
        self.calls += len(events)
        latest_ns = 0
        for event in sorted(events, key=lambda each: each.sent_ns):
            self.overlapping += event.sent_ns < latest_ns
            latest_ns = max(latest_ns, event.answered_ns)


def check_histories(
    folder: Path, seed: int, count: int, say: Callable[[str], Any], database_url: str | None = None
) -> HistoryFigures:
    """Record and check histories, every second one in a gallery searched by template. Raises NotLinearizable."""
    process, figures = ServerProcess(folder, database_url), HistoryFigures()
    try:
        server = process.start()
        create_profiles(server)
        for number in range(count):
            recorder = Recorder(server, f"h{number}", seed * 1_000_000 + number, by_template=number % 2 == 1)
            recorder.run(CLIENTS, CALLS)
            recorder.check()
            figures.add(recorder.events)
            server.galleries.DeleteGallery(galleries.DeleteGalleryRequest(name=f"galleries/h{number}"))
            if figures.histories % 50 == 0:
                say(f"{figures.histories} histories, {figures.calls} calls, {figures.overlapping} overlapping")
    finally:
        with suppress(Exception):
            process.kill()
    return figures
