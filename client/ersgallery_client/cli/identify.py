"""The command `identify`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Group, RenderableType

from ersgallery_client.cli.params import MARGIN, json_option, policy_options, search_policy
from ersgallery_client.cli.probes import Named, as_matrix, read_faces
from ersgallery_client.cli.session import Session, pass_session
from ersgallery_client.cli.tables import table
from ersgallery_client.cli.words import explain
from ersgallery_client.errors import GalleryError
from ersgallery_client.values.identification import Candidate, Decision, Identification, IdentificationBatch
from ersgallery_client.values.inputs import Template
from ersgallery_client.values.policies import Weighting

WEIGHTINGS = {
    weighting.value.lower().replace("_", "-"): weighting for weighting in Weighting if weighting != "UNSPECIFIED"
}


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one probe, or the error that says why there is none; the keys of the JSON document."""

    probe: str
    identification: Identification | None
    error: GalleryError | None


@click.command(
    epilog="""\b
Examples:
  ersgallery identify staff door.jpg
  ersgallery identify staff track/*.jpg --as-template      all photographs show one person
  ersgallery identify staff probes.npz --json              array embedding (n, d)
  ersgallery identify staff door.jpg --gamma 0 --gamma-gallery 0   both gates off
"""
)
@click.argument("gallery")
@click.argument("images", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--as-template", is_flag=True, help="Use all IMAGES as one probe, weighted by their ERS.")
@click.option("--weighting", type=click.Choice(list(WEIGHTINGS)), default="square", show_default=True)
@click.option("--candidates", type=click.IntRange(1, 1024), default=1, show_default=True, help="How many are shown.")
@click.option("--filtered", is_flag=True, help="Also show subjects that only the gallery gate kept out.")
@click.option("--margin", type=MARGIN, help="Least distance between the best two subjects, for this request.")
@click.option("--model", default="", help="The model that made the embeddings, to be checked.")
@policy_options
@json_option
@pass_session
def identify(
    session: Session,
    /,
    gallery: str,
    images: tuple[Path, ...],
    as_template: bool,
    weighting: str,
    candidates: int,
    filtered: bool,
    margin: float | None,
    model: str,
    **policy: Any,
) -> None:
    """Find out who is on each of IMAGES: MATCH, NO_MATCH, or UNSURE where it cannot be told.

    IMAGES are photographs (JPEG, PNG, WebP) or embeddings (.npy, .npz).
    """
    faces = read_faces(images, model)
    # Two are needed to explain an AMBIGUOUS answer.
    wanted = search_policy(margin=margin, max_candidates=max(2, candidates), include_filtered=filtered, **policy)
    with session.client() as client:
        if as_template:
            template = Template([face.source for face in faces], WEIGHTINGS[weighting])
            labels = [f"template of {len(faces)}"]
            batch = client.identify_batch(gallery, [template], policy=wanted)
        else:
            labels = [face.label for face in faces]
            batch = client.identify_batch(gallery, as_matrix(faces) or _sources(faces), policy=wanted)
    answers = _answers(labels, batch)
    session.show({"gallery": gallery, "answers": answers}, lambda: render(answers, candidates))
    if batch.errors:
        raise click.ClickException(f"{len(batch.errors)} of {len(answers)} probes could not be used")


def render(answers: Sequence[Answer], candidates: int) -> RenderableType:
    """Return the answers for people; with several candidates wanted, a table of them for each probe."""
    parts: list[RenderableType] = [
        table(["probe", "decision", "subject", "similarity#", "ERS#", "why"], map(_row, answers))
    ]
    for answer in answers:
        found = answer.identification
        if found is not None and (candidates > 1 or found.filtered):
            rows = [_candidate(rank, c, "") for rank, c in enumerate(found.candidates[:candidates], 1)]
            rows += [_candidate("", c, "below gamma_gallery, without influence") for c in found.filtered[:candidates]]
            parts.append(table(["rank#", "subject", "face#", "similarity#", "ERS#", "remark"], rows, answer.probe))
    return Group(*parts)


def _sources(faces: Sequence[Named]) -> list[Any]:
    return [face.source for face in faces]


def _answers(labels: Sequence[str], batch: IdentificationBatch) -> list[Answer]:
    return [
        Answer(label, None if i in batch.errors else batch[i], batch.errors.get(i)) for i, label in enumerate(labels)
    ]


def _row(answer: Answer) -> tuple[Any, ...]:
    found = answer.identification
    if found is None:
        reason = f"{answer.error.message} ({answer.error.reason})" if answer.error else ""
        return answer.probe, "ERROR", None, None, None, reason
    best = found.candidates[0] if found.candidates and found.decision is not Decision.NO_MATCH else None
    return (
        answer.probe,
        found.decision,
        best.subject_id if best and found.decision is Decision.MATCH else None,
        best.similarity if best else None,
        found.probe.ers if found.probe else None,
        explain(found),
    )


def _candidate(rank: Any, candidate: Candidate, remark: str) -> tuple[Any, ...]:
    return rank, candidate.subject_id, candidate.face_id or "template", candidate.similarity, candidate.ers, remark
