"""One whole run: prepare, serve, do the main job, write the figures and the page."""

import json
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ersgallery_client import GalleryClient, Timeout
from ersgallery_server.models.storage import write_file
from rich.console import Console

from tests.demo.console import progress_bars
from tests.demo.examples import choose_examples
from tests.demo.figures import summarize
from tests.demo.page import render_page
from tests.demo.prepare import fresh_data_dir, install_model, prepare
from tests.demo.protocol import ProbeKind
from tests.demo.run import Result, run
from tests.demo.server_process import serving
from tests.demo.settings import GALLERY, Settings

# Photographs wait for one another on a slow machine.
_PATIENCE = Timeout(read_s=300.0, write_s=300.0)


@dataclass(frozen=True, slots=True)
class Places:
    """Where a run finds and leaves its things; `folder` has all of them but `other_models`, which is only read."""

    folder: Path
    other_models: Path
    port: int = 0

    @property
    def models_dir(self) -> Path:
        """The models directory."""
        return self.folder / "models"

    @property
    def page(self) -> Path:
        """The page."""
        return self.folder / "index.html"

    @property
    def figures(self) -> Path:
        """The summary."""
        return self.folder / "summary.json"


@dataclass(frozen=True, slots=True)
class Report:
    """The summary, and probes to try by hand: (file, what it is)."""

    summary: dict[str, Any]
    probes: tuple[tuple[Path, str], ...]


def perform(places: Places, settings: Settings, console: Console) -> Report:
    """Run the demo. Raises ModelError, DataInUse, ServerFailed, GalleryError, ValueError."""
    started = time.monotonic()
    places.folder.mkdir(parents=True, exist_ok=True)
    data_dir = fresh_data_dir(places.folder)
    with progress_bars(console) as bars:
        package = install_model(places.models_dir, places.other_models, bars)
        # First the server: what keeps it from starting is told before minutes are spent on photographs.
        with serving(data_dir, places.models_dir, places.folder / "server.log", places.port) as address:
            prepared = prepare(places.folder, package, places.models_dir, settings, bars)
            with GalleryClient(address, timeout=_PATIENCE) as client:
                result = run(client, prepared.pictures, settings, bars, profile=package.profile.removesuffix(".json"))
    summary = summarize(result, prepared.pictures, settings, prepared.left_out, time.monotonic() - started)
    write_file(places.figures, (json.dumps(summary, indent=2) + "\n").encode())
    page = render_page(result, prepared.pictures.enrolled, prepared.located, summary, settings.seed)
    write_file(places.page, page.encode())
    return Report(summary, _keep_probes(places.folder, result, settings))


def commands(places: Places, probes: Sequence[tuple[Path, str]]) -> list[tuple[str, str]]:
    """Return the commands to go on with, each with what it does."""
    binaries = ".venv/bin"
    serve = f"{binaries}/ersgallery-server serve --data-dir {_short(places.folder / 'data')}"
    return [
        ("see the page", f"{'open' if sys.platform == 'darwin' else 'xdg-open'} {_short(places.page)}"),
        ("serve the demo's gallery again", f"{serve} --models-dir {_short(places.models_dir)}"),
        *(
            (f"then, from another terminal: {what}", f"{binaries}/ersgallery identify {GALLERY} {_short(path)}")
            for path, what in probes
        ),
        (
            "the same with the gates off",
            f"{binaries}/ersgallery identify {GALLERY} {_short(probes[-1][0])} --gamma 0 --gamma-gallery 0",
        ),
    ]


def _keep_probes(folder: Path, result: Result, settings: Settings) -> tuple[tuple[Path, str], ...]:
    """Write a clear and a degraded probe as files, to be tried by hand."""
    examples = choose_examples(result, settings.seed)
    clear = examples[ProbeKind.CLEAR_MATED][0].answer.picture
    degraded = examples[ProbeKind.DEGRADED_STRANGER][0].answer.picture
    clear_path = folder / "probes" / f"enrolled_person{Path(clear.shot.photograph).suffix}"
    degraded_path = folder / "probes" / "degraded_stranger.png"
    write_file(clear_path, clear.data)
    write_file(degraded_path, degraded.data)
    return (clear_path, f"{clear.shot.person}, enrolled"), (degraded_path, "a degraded stranger")


def _short(path: Path) -> str:
    """Return a path as one types it from here."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))
