"""The commands `hygiene ...`: find what spoils a gallery. Nothing is changed."""

from pathlib import Path
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.text import Text

from ersgallery_client.cli.labelled import read_labelled
from ersgallery_client.cli.params import GATE, SIMILARITY, json_option
from ersgallery_client.cli.session import Session, pass_session
from ersgallery_client.cli.sources import load_arrays, read_embeddings
from ersgallery_client.cli.tables import fields, table
from ersgallery_client.cli.watching import watch
from ersgallery_client.values.hygiene import (
    DuplicateReport,
    LowErsReport,
    LowErsSubjects,
    MagnetAdvice,
    MagnetReport,
)

EMBEDDINGS = click.Path(exists=True, dir_okay=False, path_type=Path)
SHOWN_SUBJECTS = 6

threshold_option = click.option("--threshold", type=SIMILARITY, help="Similarity that counts.  [default: tau]")


@click.group("hygiene")
def group() -> None:
    """Find faces that attract everybody, subjects that nobody finds, and people with two ids. Changes nothing.

    Ctrl-C cancels a search. Those that are left behind: "ersgallery operations list".
    """


@group.command(
    epilog="""\b
Examples:
  ersgallery hygiene magnets staff
  ersgallery hygiene magnets staff --gamma-gallery 0         (what would win without the gallery gate)
  ersgallery hygiene magnets staff --probes strangers.npy    (embeddings of people who are not enrolled)
"""
)
@click.argument("gallery")
@click.option(
    "--probes", type=EMBEDDINGS, help="Embeddings (.npy; .npz with `subject`) to search.  [default: its faces]"
)
@threshold_option
@click.option("--gamma-gallery", type=GATE, help="Gallery gate to search under; 0 for none.  [default: the gallery's]")
@click.option(
    "--neighbors", type=click.IntRange(1, 100), default=10, show_default=True, help="Nearest subjects to count."
)
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Most faces to list.")
@json_option
@pass_session
def magnets(
    session: Session,
    gallery: str,
    probes: Path | None,
    threshold: float | None,
    gamma_gallery: float | None,
    neighbors: int,
    limit: int,
) -> None:
    """Find faces of GALLERY that win probes of people they do not show.

    Every enrolled face is searched among the faces of all other subjects, or the probes given are.
    """
    given: dict[str, Any] = {} if probes is None else _probes(probes)
    with session.client() as client:
        begun = client.find_magnets(
            gallery,
            threshold=threshold,
            gamma_gallery=gamma_gallery,
            neighbors=neighbors,
            max_magnets=limit,
            **given,
        )
        ended = watch(session, client, begun, f"searching {gallery}")
    if isinstance(report := ended.result, MagnetReport):
        session.show(report, lambda: render_magnets(report))


@group.command(
    epilog="""\b
Examples:
  ersgallery hygiene duplicates staff
  ersgallery hygiene duplicates staff --threshold 0.6 --limit 1000 --json
"""
)
@click.argument("gallery")
@threshold_option
@click.option("--limit", type=click.IntRange(1, 1000), default=200, show_default=True, help="Most pairs to list.")
@json_option
@pass_session
def duplicates(session: Session, gallery: str, threshold: float | None, limit: int) -> None:
    """Find subjects of GALLERY that look like one person: recognizable faces of both that are similar."""
    with session.client() as client:
        begun = client.find_duplicate_subjects(gallery, threshold=threshold, max_pairs=limit)
        ended = watch(session, client, begun, f"comparing {gallery}")
    if isinstance(report := ended.result, DuplicateReport):
        session.show(report, lambda: render_duplicates(report))


@group.command(
    "low-ers",
    epilog="""\b
Examples:
  ersgallery hygiene low-ers staff
  ersgallery hygiene low-ers staff --only unfindable --gamma-gallery 0.7
""",
)
@click.argument("gallery")
@click.option("--gamma-gallery", type=GATE, help="The gate to count by.  [default: the gallery's]")
@click.option("--only", type=click.Choice(["unfindable", "one-face"]), help="List these alone.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Most subjects to list.")
@json_option
@pass_session
def low_ers(session: Session, gallery: str, gamma_gallery: float | None, only: str | None, limit: int) -> None:
    """List the subjects of GALLERY that no probe can find, and those that one face alone keeps findable."""
    which = LowErsSubjects(only.replace("-", "_").upper()) if only else LowErsSubjects.UNSPECIFIED
    with session.client() as client:
        report = client.find_low_ers_subjects(gallery, gamma_gallery=gamma_gallery, which=which, page_size=limit)
    session.show(report, lambda: render_low_ers(report))


def render_magnets(found: MagnetReport) -> RenderableType:
    """Return magnets for people."""
    counts = fields(
        [
            ("probes", f"{found.probes}, {found.low_ers_probes} of them below gamma {found.gamma:g}"),
            ("won by somebody else", f"{found.won_probes}, {found.low_ers_won_probes} of them below gamma"),
            ("by different faces", found.winners),
            ("searched under", f"gamma_gallery {found.gamma_gallery:g}, similarity {found.threshold:g}"),
        ],
        title="magnets",
    )
    columns = ["subject", "face", "ERS#", "people#", "wins#", "below gamma#", "neighbours#", "similarity#", "advice"]
    rows = [
        (
            each.subject_id,
            "template" if each.face_id is None else each.face_id,
            each.ers,
            each.subjects,
            each.wins,
            each.low_ers_wins,
            each.neighbor_probes,
            each.mean_similarity,
            _ADVICE[each.advice],
        )
        for each in found.magnets
    ]
    return Group(counts, table(columns, rows)) if rows else counts


def render_duplicates(found: DuplicateReport) -> RenderableType:
    """Return duplicates for people."""
    cut = ", and there are more" if found.cut else ""
    parts: list[RenderableType] = [
        fields(
            [
                ("pairs", f"{len(found.pairs)} from similarity {found.threshold:g} on{cut}"),
                ("groups", len(found.groups)),
                ("compared", f"{found.faces} faces with ERS {found.gate:.3f} and more"),
            ],
            title="duplicate subjects",
        )
    ]
    if found.pairs:
        columns = ["first", "second", "similarity#", "similar faces#", "first face", "second face"]
        rows = [
            (
                each.first,
                each.second,
                each.similarity,
                f"{each.similar_face_pairs} of {each.face_pairs}",
                each.first_face_id,
                each.second_face_id,
            )
            for each in found.pairs
        ]
        parts.append(table(columns, rows))
    larger = [group for group in found.groups if len(group.subjects) > 2]
    if larger:
        parts.append(
            table(["one person?", "subjects#"], [(_names(each.subjects), len(each.subjects)) for each in larger])
        )
    return Group(*parts)


def render_low_ers(found: LowErsReport) -> RenderableType:
    """Return subjects that cannot be found, or by one face alone, for people."""
    counts = fields(
        [
            ("cannot be found", found.unfindable_subjects),
            ("found by one face alone", found.one_face_subjects),
            ("gamma_gallery", found.gamma_gallery),
        ],
        title="subjects with low ERS",
    )
    columns = ["subject", "can be found", "recognizable#", "faces#", "best ERS#", "mean ERS#"]
    rows = [
        (each.id, each.findable, each.recognizable_faces, each.faces, each.best_ers, each.template_ers)
        for each in found.subjects
    ]
    parts: list[RenderableType] = [counts, table(columns, rows)] if rows else [counts]
    if found.next_page_token:
        parts.append(Text("and more: --limit, or the client's page_token", style="dim"))
    return Group(*parts)


_ADVICE = {
    MagnetAdvice.RAISE_GAMMA_GALLERY: "below gamma: raise gamma_gallery, or delete it",
    MagnetAdvice.HIDDEN: "hidden by gamma_gallery already",
    MagnetAdvice.REVIEW: "recognizable: look at it",
    MagnetAdvice.UNSPECIFIED: "something that this client does not know",
}


def _names(subjects: tuple[str, ...]) -> str:
    hidden = len(subjects) - SHOWN_SUBJECTS
    return ", ".join(subjects[:SHOWN_SUBJECTS]) + (f" and {hidden} more" if hidden > 0 else "")


def _probes(path: Path) -> dict[str, Any]:
    if path.suffix == ".npz" and {"subject", "identity"} & load_arrays(path, (), ("subject", "identity")).keys():
        found = read_labelled(path)
        return {"probes": found.embeddings, "probe_subjects": found.subjects}
    return {"probes": read_embeddings(path)}
