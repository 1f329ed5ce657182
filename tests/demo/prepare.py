"""Bring everything a run needs into the demo's folder: model, photographs, and what is sent of them."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ersgallery_server.faces.degrade import Image
from ersgallery_server.faces.detection import FaceDetector
from ersgallery_server.faces.pipeline import load_pipeline
from ersgallery_server.faces.sessions import Inference
from ersgallery_server.models.catalogue import default_model
from ersgallery_server.models.install import install
from ersgallery_server.models.installed import FileState, read_model_file, verify
from ersgallery_server.models.manifest import ModelPackage, Role
from filelock import FileLock, Timeout

from tests.demo.console import Bars
from tests.demo.photographs import fetch_photographs, thin_out
from tests.demo.protocol import Protocol, Shot, draw, require_disjoint
from tests.demo.run import Pictures
from tests.demo.settings import Settings
from tests.demo.spoiling import Picture, make_picture
from tests.demo.survey import Located, Survey, survey


class DataInUse(Exception):
    """A server works on the data of an earlier run."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """All photographs in their roles. located: each usable photograph by its name."""

    pictures: Pictures
    located: Mapping[str, Located]
    left_out: Mapping[str, int]


def install_model(models_dir: Path, elsewhere: Path, bars: Bars) -> ModelPackage:
    """Install the default model, from another models directory where it is, else from its source. Raises ModelError."""
    package = default_model()
    there = all(check.state is FileState.OK for check in verify(package, elsewhere))
    given = str(elsewhere / package.name) if there else None
    install(package, models_dir, given=given, progress=bars.download)
    return package


def prepare(folder: Path, package: ModelPackage, models_dir: Path, settings: Settings, bars: Bars) -> Prepared:
    """Fetch the photographs, find their faces, share them out and degrade. Raises ModelError, ValueError."""
    everything = fetch_photographs(folder, bars.download)
    photographs = thin_out(everything, settings.people, settings.photographs_per_person)
    # Several photographs at a time with a thread each use the cores better than one with several.
    workers = os.cpu_count() or 1
    pipeline = load_pipeline(package, models_dir, Inference("cpu", 1))
    with bars.step("Finding the faces", len(photographs)) as advance:
        surveyed = survey(photographs, pipeline, settings.twin_similarity, workers, lambda: advance(1))
    protocol = draw(_by_person(surveyed), settings)
    require_disjoint(protocol)
    detector = FaceDetector(read_model_file(package, Role.DETECTOR, models_dir), Inference("cpu", 1))
    pictures = _make_pictures(protocol, surveyed, settings, lambda image: bool(detector.detect(image)), workers, bars)
    return Prepared(pictures, surveyed.usable, surveyed.left_out)


def fresh_data_dir(folder: Path) -> Path:
    """Return an empty data directory, in place of that of an earlier run. Raises DataInUse."""
    data_dir = folder / "data"
    data_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(data_dir / "server.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise DataInUse(f"a server works on {data_dir}; stop it, or give another folder with --folder") from None
    lock.release()
    shutil.rmtree(data_dir)
    data_dir.mkdir()
    return data_dir


def _by_person(surveyed: Survey) -> dict[str, list[str]]:
    people: dict[str, list[str]] = {}
    for name, located in surveyed.usable.items():
        people.setdefault(located.photograph.person, []).append(name)
    return people


def _make_pictures(
    protocol: Protocol,
    surveyed: Survey,
    settings: Settings,
    finds_face: Callable[[Image], bool],
    workers: int,
    bars: Bars,
) -> Pictures:
    roles = (protocol.enrolled, protocol.tau_strangers, *protocol.probes.values())
    with bars.step("Degrading", sum(map(len, roles))) as advance, ThreadPoolExecutor(workers) as pool:

        def make(shot: Shot) -> Picture:
            picture = make_picture(shot, surveyed.usable[shot.photograph], settings, finds_face)
            advance(1)
            return picture

        def make_all(shots: Sequence[Shot]) -> tuple[Picture, ...]:
            return tuple(pool.map(make, shots))

        return Pictures(
            make_all(protocol.enrolled),
            make_all(protocol.tau_strangers),
            {kind: make_all(shots) for kind, shots in protocol.probes.items()},
        )
