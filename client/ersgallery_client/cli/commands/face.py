"""The commands `face ...`."""

from pathlib import Path

import click
from rich.console import RenderableType

from ersgallery_client.cli.params import json_option, yes_option
from ersgallery_client.cli.session import Session, pass_session
from ersgallery_client.cli.tables import fields, table
from ersgallery_client.cli.words import erased
from ersgallery_client.values.galleries import Face
from ersgallery_client.wire.names import ALL_SUBJECTS


@click.group("face")
def group() -> None:
    """Show and delete enrolled faces, and fetch their photographs."""


@group.command("list")
@click.argument("gallery")
@click.argument("subject", default=ALL_SUBJECTS)
@json_option
@pass_session
def list_(session: Session, gallery: str, subject: str) -> None:
    """List the faces of a subject, or of the whole gallery."""
    with session.client() as client:
        faces = list(client.list_faces(gallery, subject, page_size=1000))
    columns = ["face#", "subject", "ERS#", "searchable", "media", "photograph"]
    rows = [
        (face.id, face.subject_id, face.recognizability.ers, face.searchable, face.media_id or None, face.has_image)
        for face in faces
    ]
    session.show({"faces": faces}, lambda: table(columns, rows))


@group.command()
@click.argument("gallery")
@click.argument("subject")
@click.argument("face", type=int)
@json_option
@pass_session
def show(session: Session, gallery: str, subject: str, face: int) -> None:
    """Show a face."""
    with session.client() as client:
        found = client.get_face(gallery, subject, face)
    session.show(found, lambda: render(found))


@group.command()
@click.argument("gallery")
@click.argument("subject")
@click.argument("face", type=int)
@yes_option
@json_option
@pass_session
def delete(session: Session, gallery: str, subject: str, face: int, yes: bool) -> None:
    """Delete a face with its photograph."""
    session.confirm(f"Delete face {face} of subject {subject}?", yes=yes)
    with session.client() as client:
        deleted = client.delete_face(gallery, subject, face)
    session.show(deleted, lambda: erased(f"face {face} of {subject}", deleted))


@group.command(
    epilog="""\b
Example:
  ersgallery face image staff ada 17 --output ada.jpg
"""
)
@click.argument("gallery")
@click.argument("subject")
@click.argument("face", type=int)
@click.option("--output", type=click.Path(path_type=Path), required=True, help='Where to write it; "-" is stdout.')
@pass_session
def image(session: Session, gallery: str, subject: str, face: int, output: Path) -> None:
    """Fetch the photograph of a face, as it was enrolled, from a gallery that keeps photographs."""
    with session.client() as client:
        content = client.get_face_image(gallery, subject, face)
    if str(output) == "-":
        click.echo(content, nl=False)
    else:
        output.write_bytes(content)


def render(face: Face) -> RenderableType:
    """Return a face for people."""
    ers, box = face.recognizability, face.recognizability.box
    return fields(
        [
            ("gallery", face.gallery_id),
            ("subject", face.subject_id),
            ("ERS", ers.ers),
            ("ERS before cap and clip", ers.raw_ers),
            ("norm of the embedding", ers.embedding_norm),
            ("box", f"{box.width_px:.0f} x {box.height_px:.0f} px" if box else None),
            ("searchable", face.searchable),
            ("media", face.media_id or None),
            ("photograph kept", face.has_image),
            *face.metadata.items(),
            ("made", face.create_time),
        ],
        title=f"face {face.id}",
    )
