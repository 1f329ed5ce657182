"""The command `calibrate profile`."""

import json
from pathlib import Path

import click
from rich.console import Group, RenderableType

from ersgallery_client.cli.documents import plain
from ersgallery_client.cli.labelled import LabelledFaces, read_labelled
from ersgallery_client.cli.params import json_option
from ersgallery_client.cli.session import Session, pass_session
from ersgallery_client.cli.sources import read_embeddings
from ersgallery_client.cli.tables import fields, table
from ersgallery_client.cli.watching import watch
from ersgallery_client.client import GalleryClient
from ersgallery_client.values.calibration import CalibrationCheck, ProfileCalibration
from ersgallery_client.values.recognizability import Profile

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    "profile",
    epilog="""\b
Examples:
  ersgallery calibrate profile my-model --faces faces.npz
  ersgallery calibrate profile my-model --faces faces.npz --ui-set blurred.npy --create my-profile

\b
faces.npz has the arrays
  embedding   (n, d) floats, as the model gives them
  subject     (n,) whom each shows; `identity` is read too
  kind        (n,) what was done to it, such as BLUR; CLEAN for nothing, UNKNOWN where nobody knows; absent: all CLEAN

The whole request is one message; larger sets, and photographs: "ersgallery-server calibrate".
""",
)
@click.argument("model")
@click.option("--faces", type=_FILE, required=True, help="Labelled embeddings of MODEL, as below.")
@click.option(
    "--ui-set", type=_FILE, help="Embeddings of unrecognizable faces (.npy, .npz); nothing is clustered then."
)
@click.option("--centre/--no-centre", default=None, help="Subtract the mean.  [default: by measurement]")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Splits the people.")
@click.option("--create", "name", metavar="NAME", help="Store what comes out as this profile, or a further version.")
@json_option
@pass_session
def profile(
    session: Session, model: str, faces: Path, ui_set: Path | None, centre: bool | None, seed: int, name: str | None
) -> None:
    """Build a profile of MODEL from faces: UI centroids, mean and gamma, with the checks an expert makes.

    Half of the people make it, the other half test it. Nothing is stored without --create. Ctrl-C cancels.
    """
    labelled = read_labelled(faces)
    unrecognizable = None if ui_set is None else read_embeddings(ui_set)
    with session.client() as client:
        begun = client.calibrate_profile(
            model,
            labelled.embeddings,
            subjects=labelled.subjects,
            kinds=labelled.kinds,
            ui_set=unrecognizable,
            centre=centre,
            seed=seed,
        )
        ended = watch(session, client, begun, f"building a profile of {model}")
        found = ended.result
        if not isinstance(found, ProfileCalibration):
            raise click.ClickException("the server sent no profile: it may be of a later version than this client")
        made = None if name is None else _create(client, name, found, labelled, seed)
    document = {**plain(ended), "created": None if made is None else made.reference}
    session.show(document, lambda: render_profile(found, made))


def _create(client: GalleryClient, name: str, found: ProfileCalibration, faces: LabelledFaces, seed: int) -> Profile:
    description = {
        "command": "ersgallery calibrate profile",
        "faces": len(faces.subjects),
        "subjects": len(set(faces.subjects)),
        "seed": seed,
        "decisions": found.decisions,
        "figures": plain(found.figures),
    }
    return client.create_profile(
        name,
        model=found.model,
        centroids=found.centroids,
        gamma=found.gamma,
        mean=found.mean,
        description=json.dumps(description, ensure_ascii=False),
    )


def render_profile(found: ProfileCalibration, made: Profile | None) -> RenderableType:
    """Return a draft for people, with its checks and figures. made: what it was stored as."""
    draft = fields(
        [
            ("model", f"{found.model}, {found.dimension} numbers"),
            ("UI centroids", len(found.centroids)),
            ("mean is subtracted", found.mean is not None),
            ("gamma", found.gamma),
            *(("decided", decision) for decision in found.decisions),
            ("stored as", None if made is None else made.reference),
        ],
        title="profile",
    )
    checks = table(["check", "passed", "what was found"], [(c.name, _passed(c), c.text) for c in found.checks])
    figures = table(["figure of held-out faces", "value#"], sorted(found.figures.items()))
    return Group(draft, checks, figures)


def _passed(check: CalibrationCheck) -> str:
    return "not checked" if check.passed is None else "yes" if check.passed else "no"
