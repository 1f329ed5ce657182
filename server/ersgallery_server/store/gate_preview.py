"""What another gallery gate would do to the faces and subjects that are stored."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Subquery, case, func, select

from ersgallery_server.store.means import mean_ers
from ersgallery_server.store.reading import Reads, read_page, text_page_key
from ersgallery_server.store.tables import FACES, SUBJECTS
from ersgallery_server.values import Page


@dataclass(frozen=True, slots=True)
class LostSubject:
    """A subject that would lose its last searchable face, with the ERS of its best one and the number of all."""

    subject_id: str
    best_ers: float
    faces: int


@dataclass(frozen=True, slots=True)
class GatePreview:
    """Counts beside now: faces with present <= ERS < proposed are excluded, the reverse ones admitted.

    lost, gained: subjects whose best face is among them.
    """

    faces: int
    searchable: int
    excluded: int
    admitted: int
    lost: int
    gained: int
    page: Page[LostSubject]


class GatePreviewReads(Reads):
    """Previews a gate."""

    def preview_gate(
        self,
        gallery_key: int,
        present: float,
        proposed: float,
        page_size: int,
        after: str | None = None,
        *,
        by_mean: bool = False,
    ) -> GatePreview:
        """Compare two gates on all faces of a gallery; `after` is the last subject id of the page before.

        by_mean: subjects count by the mean ERS of their faces, as where templates are searched, and not by the best.
        """
        ers = FACES.c.ers
        faces = select(
            func.count(),
            func.count(case((ers >= proposed, 1))),
            func.count(case(((ers >= present) & (ers < proposed), 1))),
            func.count(case(((ers < present) & (ers >= proposed), 1))),
        ).where(FACES.c.gallery_key == gallery_key)
        best = _subjects_ers(gallery_key, by_mean=by_mean)
        is_lost = (best.c.best >= present) & (best.c.best < proposed)
        subjects = select(
            func.count(case((is_lost, 1))),
            func.count(case(((best.c.best < present) & (best.c.best >= proposed), 1))),
        ).select_from(best)
        columns: list[ColumnElement[Any]] = [SUBJECTS.c.subject_id, best.c.best, best.c.faces]
        listed = (
            select(*columns)
            .join(best, best.c.subject_key == SUBJECTS.c.key)
            .where(is_lost)
            .order_by(SUBJECTS.c.subject_id)
        )
        if after is not None:
            listed = listed.where(SUBJECTS.c.subject_id > text_page_key(after))
        with self._read(consistent=True) as connection:
            total, searchable, excluded, admitted = connection.execute(faces).one()
            lost, gained = connection.execute(subjects).one()
            page = read_page(
                connection,
                listed,
                page_size,
                lambda row: LostSubject(str(row.subject_id), float(row.best), int(row.faces)),
                lambda subject: subject.subject_id,
            )
        return GatePreview(total, searchable, excluded, admitted, lost, gained, page)


def _subjects_ers(gallery_key: int, *, by_mean: bool) -> Subquery:
    """Select the ERS that decides on each subject, and its number of faces."""
    ers = mean_ers() if by_mean else func.max(FACES.c.ers)
    return (
        select(FACES.c.subject_key, ers.label("best"), func.count().label("faces"))
        .where(FACES.c.gallery_key == gallery_key)
        .group_by(FACES.c.subject_key)
        .subquery()
    )
