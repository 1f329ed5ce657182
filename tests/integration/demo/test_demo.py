"""The demo as a user starts it, with few people, on real photographs."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ersgallery_client import Decision, GalleryClient
from ersgallery_server.models.errors import SourceUnavailable
from filelock import FileLock

from tests.demo.photographs import fetch_photographs
from tests.demo.server_process import serving
from tests.demo.settings import GALLERY
from tests.support.models import installed_models_dir

_ROOT = Path(__file__).parents[3]
_KINDS = ("clear_mated", "clear_stranger", "degraded_mated", "degraded_stranger")
_TIMEOUT_S = 240
_NO_INDEX = "http://127.0.0.1:9/simple/"


@dataclass(frozen=True, slots=True)
class Run:
    """One finished demo."""

    folder: Path
    output: str
    messages: str
    summary: dict[str, Any]


@pytest.fixture(scope="module")
def cache() -> Path:
    """Return the demo's own folder with the photographs in it; skip where they cannot be had."""
    folder = _ROOT / "build" / "demo"
    try:
        fetch_photographs(folder)
    except SourceUnavailable as error:
        pytest.skip(f"the demo's photographs cannot be downloaded: {error}")
    return folder


def with_downloads(folder: Path, cache: Path) -> Path:
    """Return a folder for a demo of its own that shares photographs and model."""
    folder.mkdir(exist_ok=True)
    (folder / "models").symlink_to(installed_models_dir())
    (folder / "photographs").symlink_to(cache / "photographs")
    return folder


def command(folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "tests.demo", "--quick", "--folder", str(folder), *options]


def start(folder: Path, *options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(folder, *options),
        cwd=_ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )


@pytest.fixture(scope="module")
def finished(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = with_downloads(tmp_path_factory.mktemp("demo"), cache)
    # With everything there, no package index is asked: nobody answers at this one.
    done = start(folder, "--json", PIP_INDEX_URL=_NO_INDEX)
    assert done.returncode == 0, done.stderr
    return Run(folder, done.stdout, done.stderr, json.loads(done.stdout))


def test_standard_output_has_the_figures_and_nothing_else(finished: Run) -> None:
    assert json.loads(finished.output) == json.loads((finished.folder / "summary.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("arm", ["gates_off", "gates_on"])
def test_the_shares_of_every_kind_of_probe_add_up(finished: Run, kind: str, arm: str) -> None:
    counted = finished.summary[kind][arm]
    assert set(counted) == {"match_right", "match_wrong", "no_match", "unsure", "n"}
    assert counted["n"] == finished.summary[kind]["gates_on"]["n"] > 0
    assert sum(share for name, share in counted.items() if name != "n") == pytest.approx(1.0)


def test_the_gallery_has_everybody_and_a_tenth_of_them_from_degraded_photographs(finished: Run) -> None:
    gallery = finished.summary["gallery"]
    assert gallery["subjects"] == gallery["from_clear_photographs"] + gallery["from_degraded_photographs"] > 30
    assert gallery["from_degraded_photographs"] == gallery["subjects"] // 10
    assert gallery["searchable_faces"] == gallery["faces"] - gallery["clear_low_ers"] - gallery["degraded_low_ers"]


def test_the_gates_only_take_answers_away_from_faces_below_them(finished: Run) -> None:
    """A clear probe is hardly touched, and degraded strangers do not match more often than without."""
    stranger, clear = finished.summary["degraded_stranger"], finished.summary["clear_stranger"]
    assert stranger["gates_on"]["match_wrong"] <= stranger["gates_off"]["match_wrong"]
    assert stranger["gates_on"]["unsure"] > stranger["gates_off"]["unsure"]
    assert clear["gates_on"]["no_match"] > 0.5


def test_the_page_needs_nothing_but_itself(finished: Run) -> None:
    page = (finished.folder / "index.html").read_text(encoding="utf-8")
    addresses = re.findall(r"""(?:src|href|action)\s*=\s*["']?([^"'\s>]+)|url\(([^)]*)\)""", page)
    assert len(addresses) > 30
    assert all(address.startswith("data:image/jpeg;base64,") for address, _ in addresses)
    assert "<script" not in page
    assert "@import" not in page
    assert f"{100 * finished.summary['degraded_stranger']['gates_off']['match_wrong']:.1f} %" in page


def test_it_ends_with_commands_to_go_on_with(finished: Run) -> None:
    for word in ("ersgallery-server serve", "ersgallery identify", "index.html"):
        assert word in finished.messages


def test_the_gallery_can_be_served_again_and_decides_as_before(finished: Run) -> None:
    log = finished.folder / "again.log"
    with (
        serving(finished.folder / "data", finished.folder / "models", log) as address,
        GalleryClient(address) as client,
    ):
        gallery = client.get_gallery(GALLERY)
        assert gallery.counts.subjects == finished.summary["gallery"]["subjects"]
        assert gallery.tau == finished.summary["tau"]["value"]
        answer = client.identify(GALLERY, finished.folder / "probes" / "degraded_stranger.png")
        assert answer.probe is not None
        assert (answer.decision is Decision.UNSURE) == (answer.probe.ers < gallery.effective.gamma)
        assert answer.applied.profile == finished.summary["versions"]["profile"]


def test_ctrl_c_stops_the_server_too(cache: Path, tmp_path: Path) -> None:
    folder = with_downloads(tmp_path / "demo", cache)
    demo = subprocess.Popen(command(folder), cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        log = folder / "server.log"
        deadline = time.monotonic() + _TIMEOUT_S
        while not (log.is_file() and "serving" in log.read_text(encoding="utf-8")) and time.monotonic() < deadline:
            assert demo.poll() is None, demo.communicate()
            time.sleep(0.05)
        demo.send_signal(signal.SIGINT)
        _, messages = demo.communicate(timeout=_TIMEOUT_S)
    finally:
        demo.kill()
        demo.wait()
    assert demo.returncode == 130
    assert "Stopped" in messages
    assert "Traceback" not in messages
    assert "stopped" in log.read_text(encoding="utf-8")
    with FileLock(folder / "data" / "server.lock").acquire(timeout=5):
        pass


def test_without_a_network_the_first_run_says_so_in_one_sentence(tmp_path: Path) -> None:
    done = start(tmp_path / "demo", PIP_INDEX_URL=_NO_INDEX)
    assert done.returncode == 1
    assert "Error: the first run needs a network" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_told_before_any_photograph_is_looked_at(cache: Path, tmp_path: Path) -> None:
    folder = with_downloads(tmp_path / "demo", cache)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = start(folder, "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "the server did not start" in done.stderr
    assert "cannot be bound" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Finding the faces" not in done.stderr


def test_data_on_which_a_server_works_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    (folder / "data").mkdir(parents=True)
    with FileLock(folder / "data" / "server.lock"):
        (folder / "data" / "gallery.db").write_bytes(b"precious")
        done = start(folder)
        assert done.returncode == 1
        assert "a server works on" in done.stderr
        assert (folder / "data" / "gallery.db").read_bytes() == b"precious"
