"""What a deletion has erased."""

import enum
from dataclasses import dataclass
from datetime import datetime


class ErasedDatabase(enum.StrEnum):
    """How far the database's own files are.

    ERASED: overwritten. PENDING: SQLite's log, which a reader needs, still has the rows. LEFT_TO_VACUUM: PostgreSQL
    overwrites them when it sees fit.
    """

    UNSPECIFIED = "UNSPECIFIED"
    ERASED = "ERASED"
    PENDING = "PENDING"
    LEFT_TO_VACUUM = "LEFT_TO_VACUUM"


@dataclass(frozen=True, slots=True)
class Erasure:
    """The receipt of a deletion: what was deleted is in no index, template and snapshot any more.

    revision: of the gallery, from which it is gone; 0 for a gallery. recomputed_templates: made anew without it.
    names_kept_until: so long the server remembers answers to enrolments that name it; None where they are gone.
    """

    revision: int
    deleted_subjects: int
    deleted_faces: int
    deleted_images: int
    recomputed_templates: int
    database: ErasedDatabase
    names_kept_until: datetime | None
