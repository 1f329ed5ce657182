"""The commands `gallery ...`."""

from typing import Any

import click
from rich.console import Group, RenderableType

from ersgallery_client.cli.params import (
    GATE,
    MARGIN,
    SIMILARITY,
    OrDefault,
    duplicate_check_option,
    index_kind_option,
    json_option,
    low_ers_policy,
    several_faces_option,
    several_faces_policy,
    template_options,
    template_settings,
    yes_option,
)
from ersgallery_client.cli.session import Session, pass_session
from ersgallery_client.cli.tables import fields, table
from ersgallery_client.cli.words import erased
from ersgallery_client.values.calibration import GatePreview
from ersgallery_client.values.galleries import Gallery
from ersgallery_client.values.policies import DuplicateCheck, GalleryWarning, SubjectSearch


@click.group("gallery")
def group() -> None:
    """Make, show, change and delete galleries."""


@group.command(
    epilog="""\b
Example:
  ersgallery gallery create staff --profile sface --tau 0.45
"""
)
@click.argument("name")
@click.option("--profile", required=True, help="Recognizability profile, such as sface or sface@1.")
@click.option("--tau", type=SIMILARITY, required=True, help="Similarity from which the best candidate is a MATCH.")
@click.option("--gamma", type=GATE, help="Probe gate: below it a probe is UNSURE.  [default: the profile's]")
@click.option("--gamma-gallery", type=GATE, help="Gallery gate: faces below it are not searched.  [default: gamma]")
@click.option("--margin", type=MARGIN, help="Least distance between the best two subjects.  [default: none]")
@click.option("--enhance-features", is_flag=True, help="Remove the UI directions before comparing.")
@click.option("--low-ers", type=click.Choice(["store", "reject"]), help="What to do with faces below gamma_gallery.")
@several_faces_option
@template_options
@index_kind_option
@duplicate_check_option
@click.option("--duplicate-threshold", type=SIMILARITY, help="Similarity of a duplicate.  [default: tau]")
@click.option("--tau-subjects", type=click.IntRange(1), help="Number of subjects that tau was chosen for.")
@click.option("--store-images", is_flag=True, help="Keep enrolled photographs.")
@click.option("--display-name", default="", help="For people.")
@json_option
@pass_session
def create(session: Session, /, name: str, low_ers: str | None, several_faces: str | None, **settings: Any) -> None:
    """Make an empty gallery NAME: 1 to 63 of a-z, 0-9 and "-", beginning with a letter."""
    chosen = template_settings(settings, default="best-face")
    with session.client() as client:
        made = client.create_gallery(
            name,
            low_ers=low_ers_policy(low_ers),
            several_faces=several_faces_policy(several_faces),
            **chosen,
        )
    session.show(made, lambda: render(made))


@group.command("list")
@json_option
@pass_session
def list_(session: Session) -> None:
    """List all galleries."""
    with session.client() as client:
        galleries = list(client.list_galleries(page_size=1000))
    columns = ["gallery", "subjects#", "faces#", "searchable#", "profile", "gamma#", "gamma_gallery#", "tau#"]
    rows = [
        (
            gallery.id,
            gallery.counts.subjects,
            gallery.counts.faces,
            gallery.counts.searchable_faces,
            gallery.profile,
            gallery.effective.gamma,
            gallery.effective.gamma_gallery,
            gallery.effective.tau,
        )
        for gallery in galleries
    ]
    session.show({"galleries": galleries}, lambda: table(columns, rows))


@group.command()
@click.argument("name")
@json_option
@pass_session
def show(session: Session, name: str) -> None:
    """Show a gallery with its settings and counts."""
    with session.client() as client:
        gallery = client.get_gallery(name)
    session.show(gallery, lambda: render(gallery))


@group.command(
    epilog="""\b
Examples:
  ersgallery gallery update staff --tau 0.5
  ersgallery gallery update staff --gamma default
  ersgallery gallery update staff --duplicate-check warn
"""
)
@click.argument("name")
@click.option("--profile", help="Another profile of the same model; all faces are scored again, none enrolled again.")
@click.option("--tau", type=SIMILARITY, help="Similarity from which the best candidate is a MATCH.")
@click.option("--gamma", type=OrDefault(GATE), help='Probe gate, or "default" for the profile\'s.')
@click.option("--gamma-gallery", type=OrDefault(GATE), help='Gallery gate, or "default" for gamma.')
@click.option("--margin", type=OrDefault(MARGIN), help='Margin, or "default" for none.')
@click.option("--enhance-features/--no-enhance-features", default=None, help="Remove the UI directions.")
@click.option("--low-ers", type=click.Choice(["store", "reject"]), help="What to do with faces below gamma_gallery.")
@several_faces_option
@template_options
@index_kind_option
@duplicate_check_option
@click.option("--duplicate-threshold", type=OrDefault(SIMILARITY), help='Similarity of a duplicate, "default": tau.')
@click.option("--tau-subjects", type=OrDefault(click.IntRange(1)), help='Subjects tau is for, or "default": unknown.')
@click.option("--store-images/--no-store-images", default=None, help="Keep enrolled photographs.")
@click.option("--display-name", help="For people.")
@json_option
@pass_session
def update(session: Session, /, name: str, low_ers: str | None, several_faces: str | None, **settings: Any) -> None:
    """Change the given settings of a gallery. Nothing is enrolled again."""
    changes = {key: value for key, value in template_settings(settings, default=None).items() if value is not None}
    changes |= {key: value[0] for key, value in changes.items() if isinstance(value, tuple)}
    if low_ers:
        changes["low_ers"] = low_ers_policy(low_ers)
    if several_faces:
        changes["several_faces"] = several_faces_policy(several_faces)
    if not changes:
        raise click.UsageError("name at least one setting to change")
    with session.client() as client:
        gallery = client.update_gallery(name, **changes)
    session.show(gallery, lambda: render(gallery))


@group.command()
@click.argument("name")
@yes_option
@json_option
@pass_session
def delete(session: Session, name: str, yes: bool) -> None:
    """Delete a gallery with all subjects, faces and photographs."""
    with session.client() as client:
        counts = client.get_gallery(name).counts
        session.confirm(f"Delete gallery {name} with {counts.subjects} subjects, {counts.faces} faces?", yes=yes)
        deleted = client.delete_gallery(name)
    session.show(deleted, lambda: erased(name, deleted))


@group.command(
    "preview-gamma",
    epilog="""\b
Example:
  ersgallery gallery preview-gamma staff --gamma-gallery 0.7
""",
)
@click.argument("name")
@click.option("--gamma-gallery", type=GATE, required=True, help="The gallery gate to try.")
@click.option("--subjects", type=click.IntRange(1, 1000), default=50, show_default=True, help="Most subjects to list.")
@json_option
@pass_session
def preview_gamma(session: Session, name: str, gamma_gallery: float, subjects: int) -> None:
    """Tell which faces another gallery gate would exclude, and who would lose the last one. Changes nothing."""
    with session.client() as client:
        preview = client.preview_gamma_gallery(name, gamma_gallery, page_size=subjects)
    session.show(preview, lambda: render_preview(preview, gamma_gallery))


def render_preview(preview: GatePreview, gate: float) -> RenderableType:
    """Return a preview for people."""
    counts = fields(
        [
            ("searchable faces", f"{preview.searchable_faces} of {preview.faces}"),
            ("excluded beside now", preview.excluded_faces),
            ("admitted beside now", preview.admitted_faces),
            ("subjects losing their last searchable face", preview.lost_subjects),
            ("subjects getting a first one", preview.gained_subjects),
        ],
        title=f"gamma_gallery {gate:g} in place of {preview.present_gamma_gallery:g}",
    )
    if not preview.lost:
        return counts
    rows = [(lost.id, lost.faces, lost.best_ers) for lost in preview.lost]
    return Group(counts, table(["would be lost", "faces#", "best ERS#"], rows))


def render(gallery: Gallery) -> RenderableType:
    """Return a gallery for people."""
    counts, effective = gallery.counts, gallery.effective
    return fields(
        [
            ("display name", gallery.display_name or None),
            ("profile", gallery.profile),
            ("model", f"{gallery.model}, {gallery.dimension} numbers"),
            ("gamma (probe gate)", _gate(effective.gamma, gallery.gamma)),
            ("gamma_gallery (gallery gate)", _gate(effective.gamma_gallery, gallery.gamma_gallery)),
            ("tau", effective.tau),
            ("margin", gallery.margin),
            ("enhanced features", gallery.enhance_features),
            ("several faces", gallery.several_faces.value.lower()),
            ("low ERS", gallery.low_ers.value.lower()),
            ("duplicate check", _duplicate_check(gallery)),
            ("keeps photographs", gallery.store_images),
            ("subjects are found by", _search(gallery)),
            ("tau was chosen for", None if gallery.tau_subjects is None else f"{gallery.tau_subjects} subjects"),
            ("warnings", ", ".join(_WARNINGS[warning] for warning in gallery.warnings) or None),
            ("subjects", counts.subjects),
            ("faces", f"{counts.faces}, {counts.searchable_faces} searchable"),
            ("failures to acquire", f"{counts.failures_to_acquire} of {counts.acquisition_attempts}"),
            ("failures to enrol", f"{counts.failures_to_enroll} of {counts.enrollment_attempts}"),
            ("index", f"{gallery.index.kind} on {gallery.index.device}, {gallery.index.precision}"),
            ("room", _room(gallery)),
            ("revision", gallery.revision),
            ("made", gallery.create_time),
            ("changed", gallery.update_time),
        ],
        title=gallery.id,
    )


_WARNINGS = {
    GalleryWarning.OUTGREW_TAU: "more subjects than tau was chosen for: strangers match more often",
    GalleryWarning.UNSPECIFIED: "something that this client does not know",
}


def _search(gallery: Gallery) -> str:
    if gallery.subject_search is not SubjectSearch.TEMPLATE:
        return "best face"
    pooling = ", media pooling" if gallery.template_media_pooling else ""
    return f"template, weighting {gallery.template_weighting.value.lower()}{pooling}"


def _duplicate_check(gallery: Gallery) -> str:
    if gallery.duplicate_check in {DuplicateCheck.OFF, DuplicateCheck.UNSPECIFIED}:
        return "off"
    threshold = gallery.duplicate_threshold
    from_ = f"tau {gallery.tau:g}" if threshold is None else f"{threshold:g}"
    return f"{gallery.duplicate_check.value.lower()} from similarity {from_} on"


def _room(gallery: Gallery) -> str | None:
    capacity = gallery.index.capacity_faces
    return None if capacity is None else f"for about {capacity:,} faces in all"


def _gate(effective: float, own: float | None) -> str:
    return f"{effective:.3f}" + (" (default)" if own is None else "")
