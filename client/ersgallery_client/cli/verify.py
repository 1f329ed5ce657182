"""The command `verify`."""

from pathlib import Path
from typing import Any

import click

from ersgallery_client.cli.params import json_option, policy_options, search_policy
from ersgallery_client.cli.probes import read_faces
from ersgallery_client.cli.session import Session, pass_session
from ersgallery_client.cli.tables import fields
from ersgallery_client.cli.words import explain_verification
from ersgallery_client.values.inputs import FaceSource

SUBJECT = "subject:"


@click.command(
    epilog="""\b
Examples:
  ersgallery verify staff door.jpg badge.jpg
  ersgallery verify staff door.jpg subject:ada
"""
)
@click.argument("gallery")
@click.argument("probe", metavar="A", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("reference", metavar="B")
@policy_options
@json_option
@pass_session
def verify(session: Session, /, gallery: str, probe: Path, reference: str, **policy: Any) -> None:
    """Find out whether A and B show the same person.

    A is a photograph or an embedding (.npy); B is one, too, or an enrolled subject as subject:ID. The GALLERY gives its
    profile and thresholds.
    """
    first = _one_face(probe)
    subject = reference.removeprefix(SUBJECT) if reference.startswith(SUBJECT) else None
    second = _one_face(Path(reference)) if subject is None else None
    with session.client() as client:
        answer = client.verify(gallery, first, second, subject=subject, policy=search_policy(**policy))
    rows: list[tuple[str, Any]] = [
        ("decision", answer.decision),
        ("why", explain_verification(answer)),
        ("similarity", answer.similarity),
        ("ERS of A", answer.probe.ers if answer.probe else None),
        ("ERS of B", answer.reference.ers if answer.reference else None),
    ]
    if subject is not None:
        rows.append(("best face of B", answer.reference_face_id))
    session.show(answer, lambda: fields(rows))


def _one_face(path: Path) -> FaceSource:
    faces = read_faces([path])
    if len(faces) != 1:
        raise click.ClickException(f"{path} has {len(faces)} embeddings where one is wanted")
    return faces[0].source
