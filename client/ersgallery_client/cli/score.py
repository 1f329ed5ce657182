"""The command `score`."""

from pathlib import Path
from typing import Any

import click

from ersgallery_client.cli.params import json_option, several_faces_option, several_faces_policy
from ersgallery_client.cli.probes import read_faces
from ersgallery_client.cli.session import Session, pass_session
from ersgallery_client.cli.tables import table
from ersgallery_client.values.recognizability import FaceScore


@click.command(
    epilog="""\b
Examples:
  ersgallery score --profile sface photographs/*.jpg
  ersgallery score --gallery staff door.jpg --json
"""
)
@click.argument("images", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--profile", help="The profile to score under, such as sface or sface@1.")
@click.option("--gallery", help="The gallery whose profile and gamma to score under.")
@several_faces_option
@json_option
@pass_session
def score(
    session: Session, images: tuple[Path, ...], profile: str | None, gallery: str | None, several_faces: str | None
) -> None:
    """Say how recognizable the face on each of IMAGES is: its ERS, 0 to 1, and whether it reaches gamma.

    IMAGES are photographs (JPEG, PNG, WebP) or embeddings (.npy, .npz).
    """
    if (profile is None) == (gallery is None):
        raise click.UsageError("give either --profile or --gallery")
    faces = read_faces(images)
    with session.client() as client:
        scores = client.score(
            [face.source for face in faces],
            profile=profile,
            gallery=gallery,
            several_faces=several_faces_policy(several_faces),
        )
    labelled = list(zip([face.label for face in faces], scores.faces, strict=True))
    document = {
        "profile": scores.profile,
        "gamma": scores.gamma,
        "faces": [_document(label, face) for label, face in labelled],
    }
    title = f"profile {scores.profile}, gamma {scores.gamma:g}"
    columns = ["face", "ERS#", "recognizable", "norm#", "faces#", "error"]
    session.show(document, lambda: table(columns, [_row(label, face) for label, face in labelled], title))
    failed = sum(face.error is not None for face in scores.faces)
    if failed:
        raise click.ClickException(f"{failed} of {len(faces)} faces could not be scored")


def _document(label: str, face: FaceScore) -> dict[str, Any]:
    return {
        "face": label,
        "recognizability": face.recognizability,
        "recognizable": face.recognizable,
        "error": face.error,
    }


def _row(label: str, face: FaceScore) -> tuple[Any, ...]:
    if face.recognizability is None:
        return label, None, None, None, None, f"{face.error.message} ({face.error.reason})" if face.error else ""
    found = face.recognizability
    return label, found.ers, face.recognizable, found.embedding_norm, found.box.face_count if found.box else None, ""
