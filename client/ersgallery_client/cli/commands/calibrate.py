"""The commands `calibrate ...`: begin, show progress until the end, show what came out."""

from pathlib import Path
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.text import Text

from ersgallery_client.cli.commands.calibrate_profile import profile
from ersgallery_client.cli.labelled import read_labelled
from ersgallery_client.cli.params import GATE, WEIGHTING, json_option
from ersgallery_client.cli.session import Session, pass_session
from ersgallery_client.cli.sources import read_embeddings
from ersgallery_client.cli.tables import fields, table
from ersgallery_client.cli.watching import watch
from ersgallery_client.client import GalleryClient
from ersgallery_client.values.calibration import (
    Application,
    Estimate,
    GammaCalibration,
    Operation,
    TauCalibration,
)
from ersgallery_client.values.policies import Weighting

RATE = click.FloatRange(0.0, 1.0, min_open=True, max_open=True)
EMBEDDINGS = click.Path(exists=True, dir_okay=False, path_type=Path)

apply_option = click.option(
    "--apply", is_flag=True, help="Set it, where the data supports it and the settings are still the same."
)


@click.group("calibrate")
def group() -> None:
    """Choose gamma and tau, and build profiles, from faces, inside the server.

    Ctrl-C cancels the calibration. Those that are left behind: "ersgallery operations list".
    """


group.add_command(profile)


@group.command(
    epilog="""\b
Examples:
  ersgallery calibrate gamma staff
  ersgallery calibrate gamma staff --far 0.001 --far 0.0001 --apply
  ersgallery calibrate gamma staff --faces labelled.npz      (arrays "embedding" and "subject")
  ersgallery calibrate gamma staff --sets 10 --apply         (a gallery searched by templates)
"""
)
@click.argument("gallery")
@click.option("--faces", type=EMBEDDINGS, help="Labelled embeddings to measure on.  [default: the gallery's own]")
@click.option("--far", "fars", type=RATE, multiple=True, help="A false accept rate; may be repeated.")
@click.option("--gamma", "gammas", type=GATE, multiple=True, help="A gamma to try; may be repeated.")
@click.option("--pick-far", type=RATE, help="The FAR at which gamma is picked, one of --far.")
@click.option(
    "--sets",
    "set_faces",
    type=click.IntRange(1, 1000),
    metavar="FACES",
    help="Compare templates of up to so many faces of one person: a gamma that gates a template's ERS.",
)
@click.option("--weighting", type=WEIGHTING, help="With --sets: of a template's faces.  [default: the gallery's]")
@apply_option
@json_option
@pass_session
def gamma(
    session: Session,
    gallery: str,
    faces: Path | None,
    fars: tuple[float, ...],
    gammas: tuple[float, ...],
    pick_far: float | None,
    set_faces: int | None,
    weighting: str | None,
    apply: bool,
) -> None:
    """Measure FRR at several FARs under several gammas over all pairs of faces, and pick a gamma for GALLERY.

    The pick is the smallest gamma that cannot be told from the best. Clean faces alone show no need of a gate and give
    0: give faces such as the cameras will send, poor ones among them. A pick of 0 is shown and never applied.
    """
    if weighting and set_faces is None:
        raise click.UsageError("--weighting needs --sets: single faces have no weights")
    given: dict[str, Any] = {} if faces is None else _labelled(faces)
    with session.client() as client:
        begun = client.calibrate_gamma(
            gallery,
            fars=fars,
            gammas=gammas,
            pick_far=pick_far,
            apply=apply,
            set_faces=set_faces or 0,
            set_weighting=Weighting(weighting.upper()) if weighting else Weighting.UNSPECIFIED,
            **given,
        )
        _show(session, client, begun)


@group.command(
    epilog="""\b
Examples:
  ersgallery calibrate tau staff --fpir 0.01
  ersgallery calibrate tau staff --fpir 0.001 --gallery-size 20000 --probes strangers.npy --apply
"""
)
@click.argument("gallery")
@click.option("--fpir", type=RATE, required=True, help="Share of strangers that may be matched.")
@click.option("--gallery-size", type=click.IntRange(min=1), default=None, help="Intended subjects.  [default: of now]")
@click.option("--probes", type=EMBEDDINGS, help="Embeddings of people who are not enrolled.  [default: each other]")
@apply_option
@json_option
@pass_session
def tau(
    session: Session, gallery: str, fpir: float, gallery_size: int | None, probes: Path | None, apply: bool
) -> None:
    """Choose the least tau of GALLERY with which no more strangers are matched than wanted."""
    strangers = None if probes is None else read_embeddings(probes)
    with session.client() as client:
        begun = client.calibrate_tau(
            gallery,
            target_fpir=fpir,
            gallery_size=gallery_size or 0,
            non_mated_probes=strangers,
            apply=apply,
        )
        _show(session, client, begun)


def render_gamma(found: GammaCalibration) -> RenderableType:
    """Return a trade for people."""
    counts = f"{found.faces}, {found.identities} with a genuine pair"
    pick = fields(
        [
            ("gamma", found.gamma),
            ("picked at FAR", f"{found.far:g}"),
            ("FRR there", _interval(found.frr)),
            ("FRR saved by it", _interval(found.gain)),
            ("supported by the data", found.supported),
            ("rule", found.rule),
            *_chosen_on(found),
            ("faces, identities" if not found.set_faces else "templates, identities", counts),
            ("pairs", f"{found.genuine_pairs} genuine, {found.impostor_pairs} impostor"),
            *_applied(found.application),
        ],
        title="gamma",
    )
    fars = [cell.far for cell in found.rows[0].cells] if found.rows else []
    columns = [
        "gamma#",
        "templates UNSURE#" if found.set_faces else "faces UNSURE#",
        *(f"FRR at FAR {far:g}#" for far in fars),
    ]
    rows = [
        (
            row.gamma,
            f"{row.faces_unsure:.1%}",
            *(f"{cell.frr.value:.2%}{'' if cell.supported else ' *'}" for cell in row.cells),
        )
        for row in found.rows
    ]
    note = Text("* fewer than 10 errors: not supported by the data", style="dim")
    return Group(pick, table(columns, rows), note)


def render_tau(found: TauCalibration) -> RenderableType:
    """Return a choice for people."""
    sentences = [(warning.code, warning.message) for warning in found.warnings]
    choice = fields(
        [
            ("tau", _interval(found.tau)),
            ("wanted FPIR", f"{found.target_fpir:g}"),
            ("expected FPIR", _interval(found.fpir)),
            ("at subjects", found.gallery_size),
            ("measured with subjects", f"{found.calibration_subjects} (extrapolated {found.extrapolation:.3g} times)"),
            ("probes", f"{found.probes}, {found.unsure} UNSURE"),
            ("supported by the data", found.supported),
            ("method", found.method),
            *_applied(found.application),
        ],
        title="tau",
    )
    return Group(choice, table(["warning", "what it means"], sentences)) if sentences else choice


def _show(session: Session, client: GalleryClient, begun: Operation) -> None:
    """Wait with a bar and show the result; Ctrl-C cancels. A failed operation ends the command with its error."""
    ended = watch(session, client, begun, f"calibrating {begun.gallery_id}")
    match ended.result:
        case GammaCalibration() as trade:
            session.show(ended, lambda: render_gamma(trade))
        case TauCalibration() as choice:
            session.show(ended, lambda: render_tau(choice))


def _labelled(path: Path) -> dict[str, Any]:
    found = read_labelled(path)
    return {"faces": found.embeddings, "subjects": found.subjects}


def _chosen_on(found: GammaCalibration) -> list[tuple[str, Any]]:
    if not found.set_faces:
        return []
    sets = f"templates of up to {found.set_faces} faces, weighting {found.set_weighting.value.lower()}"
    return [("chosen on", f"{sets}: it gates a template's ERS, not a single face's")]


def _applied(application: Application | None) -> list[tuple[str, Any]]:
    if application is None:
        return []
    reason = "" if application.error is None else f": {application.error.message} ({application.error.reason})"
    return [("applied", "yes" if application.applied else f"no{reason}")]


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f})"
