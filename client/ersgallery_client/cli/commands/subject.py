"""The commands `subject ...`."""

import click
from rich.console import RenderableType

from ersgallery_client.cli.params import Metadata, json_option, yes_option
from ersgallery_client.cli.session import Session, pass_session
from ersgallery_client.cli.tables import fields, table
from ersgallery_client.cli.words import erased
from ersgallery_client.values.galleries import Subject
from ersgallery_client.values.policies import UNSET

metadata_option = click.option(
    "--metadata", "metadata", type=Metadata(), multiple=True, help="KEY=VALUE; may be repeated. Never biometric data."
)


@click.group("subject")
def group() -> None:
    """Make, show, change and delete the subjects of a gallery."""


@group.command("list")
@click.argument("gallery")
@json_option
@pass_session
def list_(session: Session, gallery: str) -> None:
    """List the subjects of a gallery."""
    with session.client() as client:
        subjects = list(client.list_subjects(gallery, page_size=1000))
    rows = [(s.id, s.display_name or None, s.face_count, s.searchable_face_count) for s in subjects]
    session.show({"subjects": subjects}, lambda: table(["subject", "name", "faces#", "searchable#"], rows))


@group.command()
@click.argument("gallery")
@click.argument("subject")
@json_option
@pass_session
def show(session: Session, gallery: str, subject: str) -> None:
    """Show a subject."""
    with session.client() as client:
        found = client.get_subject(gallery, subject)
    session.show(found, lambda: render(found))


@group.command()
@click.argument("gallery")
@click.argument("subject", default="")
@click.option("--display-name", default="", help="For people.")
@metadata_option
@json_option
@pass_session
def create(
    session: Session, gallery: str, subject: str, display_name: str, metadata: tuple[tuple[str, str], ...]
) -> None:
    """Make a subject without faces; without SUBJECT the server gives an id. Enrolment makes subjects by itself."""
    with session.client() as client:
        made = client.create_subject(gallery, subject, display_name=display_name, metadata=dict(metadata))
    session.show(made, lambda: render(made))


@group.command()
@click.argument("gallery")
@click.argument("subject")
@click.option("--display-name", help="For people.")
@metadata_option
@json_option
@pass_session
def update(
    session: Session, gallery: str, subject: str, display_name: str | None, metadata: tuple[tuple[str, str], ...]
) -> None:
    """Change the display name, or replace all metadata."""
    if display_name is None and not metadata:
        raise click.UsageError("give --display-name or --metadata")
    with session.client() as client:
        changed = client.update_subject(
            gallery,
            subject,
            display_name=UNSET if display_name is None else display_name,
            metadata=dict(metadata) if metadata else UNSET,
        )
    session.show(changed, lambda: render(changed))


@group.command()
@click.argument("gallery")
@click.argument("subject")
@yes_option
@json_option
@pass_session
def delete(session: Session, gallery: str, subject: str, yes: bool) -> None:
    """Delete a subject with its faces and photographs."""
    with session.client() as client:
        found = client.get_subject(gallery, subject)
        session.confirm(f"Delete subject {subject} with {found.face_count} faces?", yes=yes)
        deleted = client.delete_subject(gallery, subject)
    session.show(deleted, lambda: erased(subject, deleted))


def render(subject: Subject) -> RenderableType:
    """Return a subject for people."""
    return fields(
        [
            ("gallery", subject.gallery_id),
            ("display name", subject.display_name or None),
            ("faces", f"{subject.face_count}, {subject.searchable_face_count} searchable"),
            *subject.metadata.items(),
            ("made", subject.create_time),
            ("changed", subject.update_time),
        ],
        title=subject.id,
    )
