"""`ersgallery-server calibrate`: a recognizability profile from one's own faces."""

import contextlib
import importlib.util
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ersgallery_server.cli.model_options import counting_bar, model_errors, models_dir_option

if TYPE_CHECKING:
    from ersgallery_index.calibration.build import BuildPlan, BuiltProfile

    from ersgallery_server.models.profile_file import ProfileFile
    from ersgallery_server.profiling.comparison import Compared
    from ersgallery_server.profiling.material import Material
    from ersgallery_server.profiling.samples import SamplingPlan

_FILE = click.Path(path_type=Path, dir_okay=False)
_THERE = click.Path(path_type=Path, exists=True)
_KINDS = ("GAUSSIAN_BLUR", "MOTION_BLUR", "LOW_RESOLUTION", "ROTATION", "AFFINE", "OCCLUSION", "LOW_LIGHT", "NOISE")
_MOST_CENTROIDS = (1, 2, 3, 4, 6, 8)

_EPILOG = """\b
From images, with a model of the catalogue:
  ersgallery-server calibrate --model sface --faces FACES --output mine.json --report mine.html
\b
From embeddings of your own model, whatever it is:
  ersgallery-server calibrate --model mymodel --embeddings mine.npz --output mine.json --report mine.html
\b
One set of unrecognizable images for several models, found once and then used without clustering:
  ersgallery-server calibrate --model sface --faces FACES --output sface.json --save-ui-set ui.tar
  ersgallery-server calibrate --model edgeface-s --faces FACES --ui-set ui.tar --output edgeface-s.json
\b
Then give it to a server and use it:
  ersgallery profile create mine.json
  ersgallery gallery create people --profile mine --tau 0.45

FACES is a tar file or a folder of clean, aligned 112 x 112 faces named identity/photograph.jpg, of 500 people or more:
with fewer the unrecognizable faces may not make one cluster, and there is no profile. One photograph of each will do.
Half of the people make the profile, the other half test it. An .npz file has an array embedding (n, d) and, each (n,),
identity, kind (the kind of degradation, CLEAN for a clean face) and severity.
"""


@click.command(context_settings={"show_default": True}, epilog=_EPILOG)
@click.option("--model", required=True, help="A model of the catalogue that is installed; with --embeddings any name.")
@click.option("--faces", type=_THERE, help="Clean, aligned faces: a tar file or a folder.")
@click.option("--embeddings", type=_THERE, help="Embeddings with their labels instead of faces: an .npz file.")
@click.option("--output", required=True, type=_FILE, help="The profile file to write.")
@click.option("--report", type=_FILE, help="Write a page with all charts, checks and decisions: one HTML file.")
@click.option("--name", help="Name of the profile.  [default: the name of the output file]")
@click.option("--wild", type=_THERE, help="Crops from the wild, clustered as they are instead of degraded faces.")
@click.option("--ui-set", type=_THERE, help="A given set of unrecognizable images: nothing is clustered.")
@click.option("--save-ui-set", type=_FILE, help="Keep the images of the UI cluster for other models: a tar file.")
@click.option("--compare", multiple=True, type=_THERE, help="Report the distance to the centroid of this profile file.")
@click.option(
    "--degraded-share",
    type=click.FloatRange(0, 1),
    help="Share of the people who make the profile that give one degraded face each.  [default: a tenth; where that is "
    "fewer than 1000 faces, up to half of the people and up to eight faces of each]",
)
@click.option("--kind", "kinds", multiple=True, type=click.Choice(_KINDS), help="Kind of degradation.  [default: all]")
@click.option(
    "--severity", nargs=2, default=(0.2, 1.0), type=click.FloatRange(0, 1), help="Least and greatest severity."
)
@click.option("--test-faces", default=60, type=click.IntRange(1), help="Degraded test faces of each kind and severity.")
@click.option("--leave-out", multiple=True, metavar="IDENTITY", help="Somebody wanted for a later test.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Chooses and degrades the faces.")
@click.option("--distance", default=1.0, type=click.FloatRange(0, 2), help="Greatest step within a cluster.")
@click.option(
    "--grid",
    multiple=True,
    default=(0.7, 0.8, 0.9, 1.1, 1.2, 1.3),
    type=click.FloatRange(0, 2),
    help="Other distance that is looked at for stability.",
)
@click.option("--centring", default="auto", type=click.Choice(["auto", "on", "off"]), help="Subtract the mean face.")
@click.option("--max-centroids", default=8, type=click.IntRange(1, 8), help="Most UI centroids; 1 is the paper's way.")
@click.option(
    "--clean-below", default=0.005, type=click.FloatRange(0, 0.5), help="Share of clean faces gamma may cost."
)
@click.option("--min-identities", default=100, type=click.IntRange(2), help="People needed to make, and to test.")
@click.option("--report-faces/--no-report-faces", default=True, help="Show faces in the report: biometric data.")
@click.option("--progress/--no-progress", default=True, help="Show bars with the time left.")
@click.option("--device", default="cpu", help="Where the model runs: auto, cpu or cuda:N.")
@click.option("--threads", type=click.IntRange(1), help="Threads of the model.  [default: all cores]")
@models_dir_option
def calibrate(**options: Any) -> None:
    """Find where a model puts unrecognizable faces, and set gamma so that clean ones pass.

    A share of the faces is degraded, all are embedded and clustered by single linkage; the largest cluster is the UI,
    and its mean the UI centroid. Whether the mean face is subtracted, and whether several centroids help, is decided by
    measurement. A cluster that fails a check ends this without a profile.
    """
    request = _Request(**options)
    request.check()
    with model_errors():
        _run(request)


@dataclass(frozen=True, slots=True)
class _Request:
    """The options of one call."""

    model: str
    faces: Path | None
    embeddings: Path | None
    output: Path
    report: Path | None
    name: str | None
    wild: Path | None
    ui_set: Path | None
    save_ui_set: Path | None
    compare: tuple[Path, ...]
    degraded_share: float | None
    kinds: tuple[str, ...]
    severity: tuple[float, float]
    test_faces: int
    leave_out: tuple[str, ...]
    seed: int
    distance: float
    grid: tuple[float, ...]
    centring: str
    max_centroids: int
    clean_below: float
    min_identities: int
    report_faces: bool
    progress: bool
    device: str
    threads: int | None
    models_dir: Path

    def check(self) -> None:
        """Raise click.UsageError for options that contradict each other."""
        if (self.faces is None) is (self.embeddings is None):
            raise click.UsageError("give one of --faces and --embeddings")
        if self.wild and self.ui_set:
            raise click.UsageError("give one of --wild and --ui-set: a given set is not clustered")
        if self.save_ui_set and (self.embeddings or self.ui_set):
            raise click.UsageError("--save-ui-set needs images that are clustered: --faces without --ui-set")
        if self.severity[0] > self.severity[1]:
            raise click.UsageError("--severity takes the least and then the greatest")
        if self.embeddings and (self.leave_out or self.kinds):
            raise click.UsageError("--leave-out and --kind choose images; with --embeddings choose the rows yourself")

    def build_plan(self) -> "BuildPlan":
        """Return how the profile is built."""
        from ersgallery_index.calibration.build import BuildPlan
        from ersgallery_index.calibration.ui import UiRules

        return BuildPlan(
            rules=UiRules(self.distance, self.grid),
            centring={"auto": None, "on": True, "off": False}[self.centring],
            centroids=1 if self.max_centroids == 1 else None,
            counts=tuple(count for count in _MOST_CENTROIDS if count <= self.max_centroids),
            max_clean_below=self.clean_below,
            min_identities=self.min_identities,
            seed=self.seed,
        )

    def sampling_plan(self) -> "SamplingPlan":
        """Return how faces are chosen and degraded."""
        from ersgallery_server.faces.degrade import Degradation
        from ersgallery_server.profiling.samples import SamplingPlan

        kinds = tuple(Degradation(kind) for kind in self.kinds) or tuple(Degradation)
        return SamplingPlan(self.degraded_share, kinds, self.severity, held_per_level=self.test_faces)

    @contextlib.contextmanager
    def bar(self, what: str) -> Iterator[Callable[[int, int], None] | None]:
        """Show progress, unless it is not wanted."""
        with counting_bar(what) if self.progress else contextlib.nullcontext() as bar:
            yield bar


def _run(request: _Request) -> None:
    # Imported here: --help needs neither ONNX Runtime nor OpenCV.
    from ersgallery_server.models.profile_file import read_profile, write_profile
    from ersgallery_server.profiling import calibration
    from ersgallery_server.profiling.comparison import compare

    others = [read_profile(path) for path in request.compare]
    plan = request.build_plan()
    if request.report:
        _require_report_libraries()
    material, facts = _material_of_embeddings(request) if request.embeddings else _material_of_images(request)
    for note in material.notes:
        click.echo(f"note: {note}", err=True)
    with request.bar("building the profile") as bar:
        built = calibration.calibrate(request.model, material, plan, bar)
    provenance = {"command": _command(), **facts}
    written = calibration.profile_file(request.name or request.output.stem, built, material, plan, provenance)
    compared = [compare(built.profile, other) for other in others]
    if request.report:
        _write_report(request, written, built, material, compared)
    if request.save_ui_set:
        _save_ui_set(request, request.save_ui_set, built, material)
    write_profile(written, request.output)
    _tell(request, written, built, compared)


def _material_of_images(request: _Request) -> "tuple[Material, dict[str, Any]]":
    from dataclasses import replace

    from ersgallery_server.faces.pipeline import load_pipeline
    from ersgallery_server.faces.sessions import Inference
    from ersgallery_server.models.catalogue import find_model
    from ersgallery_server.models.manifest import Role
    from ersgallery_server.profiling.aligned_faces import AlignedFaces
    from ersgallery_server.profiling.material import ImageSources, embed_sources, require_people

    package = find_model(request.model)
    paths = {"faces": request.faces, "wild": request.wild, "ui_set": request.ui_set}
    opened = {what: AlignedFaces.open(path) for what, path in paths.items() if path}
    data = tuple(
        {"what": what, "name": path.name, "sha256": opened[what].sha256} for what, path in paths.items() if path
    )
    clean = opened["faces"].without(request.leave_out)
    require_people(clean, request.min_identities)
    pipeline = load_pipeline(package, request.models_dir, Inference(request.device, request.threads or 0))
    sources = ImageSources(clean, opened.get("wild"), opened.get("ui_set"))
    with request.bar(f"embedding faces with {request.model}") as bar:
        material = embed_sources(sources, pipeline.embed_aligned, request.sampling_plan(), request.seed, bar)
    return replace(material, data=data), {"recognizer_sha256": package.file(Role.RECOGNIZER).sha256}


def _material_of_embeddings(request: _Request) -> "tuple[Material, dict[str, Any]]":
    from dataclasses import replace

    from ersgallery_server.profiling.given_embeddings import choose_faces, read_embeddings, sha256_of_embeddings
    from ersgallery_server.profiling.samples import SamplingPlan

    paths = {"embeddings": request.embeddings, "wild": request.wild, "ui_set": request.ui_set}
    read = {what: read_embeddings(path, labelled=what == "embeddings") for what, path in paths.items() if path}
    data = tuple(
        {"what": what, "name": path.name, "sha256": sha256_of_embeddings(path)} for what, path in paths.items() if path
    )
    each = SamplingPlan().held_per_identity
    given = choose_faces(
        read["embeddings"], request.degraded_share, each, request.seed, read.get("wild"), read.get("ui_set")
    )
    return replace(given, data=data), {}


def _require_report_libraries() -> None:
    """Find out before the faces are embedded, which takes minutes."""
    missing = [name for name in ("jinja2", "matplotlib", "sklearn") if importlib.util.find_spec(name) is None]
    if missing:
        raise click.ClickException(
            f"a report needs {', '.join(missing)}: pip install 'ersgallery[calibration]', or leave --report out"
        )


def _write_report(
    request: _Request,
    written: "ProfileFile",
    built: "BuiltProfile",
    material: "Material",
    compared: "list[Compared]",
) -> None:
    from ersgallery_server.models.storage import write_file
    from ersgallery_server.profiling.report import report_page

    page = report_page(written, built, material, compared, faces=request.report_faces, seed=request.seed)
    if request.report:
        write_file(request.report, page.encode())


def _save_ui_set(request: _Request, path: Path, built: "BuiltProfile", material: "Material") -> None:
    import numpy as np

    from ersgallery_server.profiling.ui_sets import write_ui_set

    show, faces = material.making.show, material.making.faces
    if show is None:
        return
    rows = np.flatnonzero(built.ui_members).tolist()
    kinds = ["WILD" if faces.kinds[row] < 0 else faces.kind_names[faces.kinds[row]] for row in rows]
    description = {"model": request.model, "command": _command(), "data": list(material.data), "images": len(rows)}
    write_ui_set(((kind, show(row)) for kind, row in zip(kinds, rows, strict=True)), description, path)


def _command() -> str:
    """Return the command line without the folders, which are nobody else's."""
    words = [Path(word).name if os.sep in word else word for word in sys.argv[1:]]
    return shlex.join(["ersgallery-server", *words])


def _tell(request: _Request, written: "ProfileFile", built: "BuiltProfile", compared: "list[Compared]") -> None:
    from ersgallery_server.profiling.summary import summary

    for line in summary(written, built, compared):
        click.echo(line)
    click.echo(f"{request.output} is written; give it to a server: ersgallery profile create {request.output}")
    if request.report:
        faces = ", which shows faces: keep it as you keep them" if request.report_faces and request.faces else ""
        click.echo(f"{request.report} is the report{faces}")
    if request.save_ui_set:
        click.echo(f"{request.save_ui_set} holds photographs of people: keep it as you keep them")
