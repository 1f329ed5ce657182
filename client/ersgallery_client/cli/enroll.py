"""The command `enroll`."""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from ersgallery_client.cli.params import json_option
from ersgallery_client.cli.session import Session, pass_session
from ersgallery_client.cli.sources import Item, read_source
from ersgallery_client.cli.tables import table
from ersgallery_client.cli.words import ENROLLMENT, explain_enrollment
from ersgallery_client.values.enrollment import Disposition, EnrollmentOutcome
from ersgallery_client.values.inputs import Enrollment

MAX_FILE_BYTES = 60 * 1024 * 1024
SHOWN_LOW_ERS = 20
# Few enough for the progress bar to move while a slow machine embeds them.
PHOTOGRAPHS_PER_BATCH = 16
EMBEDDINGS_PER_BATCH = 500


@dataclass(frozen=True, slots=True)
class Remark:
    """One item that was not simply accepted."""

    source: str
    subject_id: str
    reason: str
    detail: str
    ers: float | None


@dataclass(slots=True)
class Summary:
    """What became of a source; the keys of the JSON document."""

    gallery: str
    accepted: int = 0
    low_ers: int = 0
    rejected: int = 0
    subjects: int = 0
    ignored_files: Sequence[str] = ()
    low_ers_items: list[Remark] = field(default_factory=list)
    rejected_items: list[Remark] = field(default_factory=list)
    duplicate_items: list[Remark] = field(default_factory=list)

    def count(self, item: Item, outcome: EnrollmentOutcome) -> None:
        """Take in one outcome."""
        reason, detail = explain_enrollment(outcome)
        ers = next((face.recognizability.ers for face in outcome.faces if face.recognizability), None)
        remark = Remark(item.label, item.enrollment.subject_id, reason, detail, ers)
        if other := outcome.duplicate_of:
            words = f"similar to {other.subject_id}, {other.similarity:.3f}"
            self.duplicate_items.append(replace(remark, reason="DUPLICATE_SUBJECT", detail=words))
        if outcome.disposition is Disposition.ACCEPTED:
            self.accepted += 1
        elif outcome.disposition is Disposition.LOW_ERS:
            self.low_ers += 1
            self.low_ers_items.append(remark)
        else:
            self.reject([remark])

    def reject(self, remarks: Sequence[Remark]) -> None:
        """Take in items that were not stored."""
        self.rejected += len(remarks)
        self.rejected_items.extend(remarks)


@click.command(
    epilog="""\b
Examples:
  ersgallery enroll staff people/          people/ada/1.jpg, people/ada/2.jpg, people/bob/1.jpg ...
  ersgallery enroll staff headshots/       headshots/ada.jpg, headshots/bob.jpg ...
  ersgallery enroll staff people.csv       columns subject,file[,media_id,display_name]
  ersgallery enroll staff embeddings.npz   arrays embedding (n, d) and subject (n,)
"""
)
@click.argument("gallery")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--model", default="", help="The model that made the embeddings of an .npz, to be checked.")
@click.option(
    "--batch-size",
    type=click.IntRange(1, 1000),
    help=f"Faces per batch.  [default: {PHOTOGRAPHS_PER_BATCH} photographs, {EMBEDDINGS_PER_BATCH} embeddings]",
)
@click.option("--request-id", help="Give the same text again to repeat an enrolment that broke without storing twice.")
@json_option
@pass_session
def enroll(
    session: Session, gallery: str, source: Path, model: str, batch_size: int | None, request_id: str | None
) -> None:
    """Enrol photographs or embeddings from SOURCE into GALLERY.

    SOURCE is a folder per person, a flat folder whose file names are the subjects, a CSV, or an .npz of embeddings.
    Faces below the gallery's gamma_gallery are stored as LOW_ERS and not searched, unless the gallery rejects them.
    """
    found = read_source(source, model)
    summary = Summary(gallery, ignored_files=[str(path) for path in found.ignored])
    batch_size = batch_size or (PHOTOGRAPHS_PER_BATCH if _photographs(found.items) else EMBEDDINGS_PER_BATCH)
    # The stream reads its items in another thread, so it hands over both by deques.
    sent: deque[Item] = deque()
    unreadable: deque[Remark] = deque()
    stored: set[str] = set()
    with session.client() as client, _progress(session) as progress:
        task = progress.add_task(f"enrolling in {gallery}", total=len(found.items))
        readable = _readable(found.items, sent, unreadable)
        for outcome in client.enroll_stream(gallery, readable, batch_size=batch_size, request_id=request_id):
            item = sent.popleft()
            summary.count(item, outcome)
            if outcome.disposition is not Disposition.REJECTED:
                stored.add(item.enrollment.subject_id)
            progress.advance(task)
        progress.advance(task, len(unreadable))
    summary.reject(unreadable)
    summary.subjects = len(stored)
    session.show(summary, lambda: render(summary))
    if not stored:
        raise click.ClickException("nothing was enrolled")


def render(summary: Summary) -> RenderableType:
    """Return the summary for people."""
    counts = [
        (Disposition.ACCEPTED, summary.accepted, "stored and searchable"),
        (Disposition.LOW_ERS, summary.low_ers, "stored, not searchable: ERS below gamma_gallery"),
        (Disposition.REJECTED, summary.rejected, _by_reason(summary.rejected_items)),
    ]
    parts: list[RenderableType] = [
        table(["outcome", "faces#", "meaning"], counts, f"{summary.gallery}: {summary.subjects} subjects")
    ]
    if summary.low_ers_items:
        shown = summary.low_ers_items[:SHOWN_LOW_ERS]
        parts.append(table(["low ERS", "subject", "ERS#"], [(r.source, r.subject_id, r.ers) for r in shown]))
        hidden = len(summary.low_ers_items) - len(shown)
        parts += [Text(f"and {hidden} more; --json lists all")] if hidden else []
    if summary.duplicate_items:
        noticed = [(r.source, r.subject_id, r.detail) for r in summary.duplicate_items]
        parts.append(table(["perhaps a duplicate", "subject", "what was noticed"], noticed))
    if summary.rejected_items:
        rows = [(r.source, r.subject_id, r.reason, r.detail) for r in summary.rejected_items]
        parts.append(table(["rejected", "subject", "reason", "what it means"], rows))
    if summary.ignored_files:
        parts.append(Text(f"{len(summary.ignored_files)} other files were ignored: they are no photographs"))
    return Group(*parts)


def _photographs(items: Sequence[Item]) -> bool:
    return any(isinstance(item.enrollment.source, Path) for item in items)


def _by_reason(remarks: Sequence[Remark]) -> str:
    counts = Counter(remark.reason for remark in remarks)
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common()) or "not stored"


def _readable(items: Sequence[Item], sent: deque[Item], unreadable: deque[Remark]) -> Iterator[Enrollment]:
    """Read the photographs; one that cannot be read is rejected here, so that it does not end the stream."""
    for item in items:
        enrollment = item.enrollment
        if isinstance(enrollment.source, Path):
            try:
                content = _read(enrollment.source)
            except OSError as error:
                detail = f"{ENROLLMENT['FILE_UNREADABLE']}: {error.strerror}"
                unreadable.append(Remark(item.label, enrollment.subject_id, "FILE_UNREADABLE", detail, None))
                continue
            enrollment = replace(enrollment, source=content)
        sent.append(item)
        yield enrollment


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise OSError(0, f"it has more than {MAX_FILE_BYTES} bytes")
    return content


def _progress(session: Session) -> Progress:
    columns: list[Any] = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    return Progress(*columns, console=session.err, transient=session.json)
