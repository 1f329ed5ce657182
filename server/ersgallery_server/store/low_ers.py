"""Subjects that no probe can find under a gate, and those that one face alone keeps findable."""

import enum
from dataclasses import dataclass

from sqlalchemy import and_, case, func, or_, select

from ersgallery_server.store.means import mean_ers
from ersgallery_server.store.reading import Reads, read_page, text_page_key
from ersgallery_server.store.tables import FACES, SUBJECTS
from ersgallery_server.values import Page


class LowErsSubjects(enum.Enum):
    """Which subjects are wanted: not findable, findable by one face alone, or both."""

    BOTH = "BOTH"
    UNFINDABLE = "UNFINDABLE"
    ONE_FACE = "ONE_FACE"


@dataclass(frozen=True, slots=True)
class LowErsSubject:
    """A subject with faces: the best ERS, their mean, how many there are, and how many are at or above the gate."""

    subject_id: str
    best_ers: float
    mean_ers: float
    faces: int
    recognizable_faces: int
    findable: bool


@dataclass(frozen=True, slots=True)
class LowErsReport:
    """A page of such subjects, and how many of each there are in all."""

    unfindable: int
    one_face: int
    page: Page[LowErsSubject]


class LowErsReads(Reads):
    """Finds subjects with few recognizable faces."""

    def low_ers_subjects(
        self,
        gallery_key: int,
        gate: float,
        which: LowErsSubjects,
        page_size: int,
        after: str | None = None,
        *,
        by_mean: bool = False,
    ) -> LowErsReport:
        """Count and list the subjects of a gallery by their faces with ERS >= gate, in the order of their ids.

        by_mean: a subject is findable by the mean ERS of its faces, as where templates are searched, and not by the
        best. after: the last subject id of the page before.
        """
        each = (
            select(
                FACES.c.subject_key,
                func.max(FACES.c.ers).label("best"),
                mean_ers().label("mean"),
                func.count().label("faces"),
                func.count(case((FACES.c.ers >= gate, 1))).label("recognizable"),
            )
            .where(FACES.c.gallery_key == gallery_key)
            .group_by(FACES.c.subject_key)
            .subquery()
        )
        findable = (each.c.mean if by_mean else each.c.best) >= gate
        unfindable, one_face = ~findable, and_(findable, each.c.recognizable == 1)
        wanted = {
            LowErsSubjects.BOTH: or_(unfindable, one_face),
            LowErsSubjects.UNFINDABLE: unfindable,
            LowErsSubjects.ONE_FACE: one_face,
        }[which]
        counts = select(func.count(case((unfindable, 1))), func.count(case((one_face, 1)))).select_from(each)
        listed = (
            select(SUBJECTS.c.subject_id, each.c.best, each.c.mean, each.c.faces, each.c.recognizable)
            .add_columns(case((findable, 1), else_=0).label("findable"))
            .join(each, each.c.subject_key == SUBJECTS.c.key)
            .where(wanted)
            .order_by(SUBJECTS.c.subject_id)
        )
        if after is not None:
            listed = listed.where(SUBJECTS.c.subject_id > text_page_key(after))
        with self._read(consistent=True) as connection:
            unfindable_count, one_face_count = connection.execute(counts).one()
            page = read_page(
                connection,
                listed,
                page_size,
                lambda row: LowErsSubject(
                    str(row.subject_id),
                    float(row.best),
                    float(row.mean),
                    int(row.faces),
                    int(row.recognizable),
                    bool(row.findable),
                ),
                lambda subject: subject.subject_id,
            )
        return LowErsReport(unfindable_count, one_face_count, page)
