"""What the clients know of galleries: everything that was acknowledged, and nothing else."""

import itertools
import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ersgallery.v1 import enrollment_service_pb2 as enrollment

from tests.crash.universe import Settings

if TYPE_CHECKING:
    from tests.crash.operation import Operation

HISTORY_KEPT = 20_000


class Violation(Exception):
    """A promise was broken; `resource` is the gallery, subject or request that it concerns."""

    def __init__(self, resource: str, text: str) -> None:
        super().__init__(f"{resource}: {text}")
        self.resource = resource


@dataclass(slots=True)
class KnownFace:
    """A face that is there: of which vector of the pool, and how often it was updated."""

    subject: str
    vector: int
    metadata: Mapping[str, str]
    version: int = 1


@dataclass(slots=True)
class KnownSubject:
    """A subject that is there. number: those of one enrolment are numbered as they were made."""

    label: str
    version: int = 1
    number: int = field(default_factory=itertools.count().__next__)


@dataclass(slots=True)
class KnownGallery:
    """A gallery: its settings and what it holds.

    revision, version: how many changes and updates there were. offered: faces of all enrolments. gone: names of
    deleted faces. answers: of enrolments by their request_id, with the request.
    """

    gallery_id: str
    settings: Settings
    exists: bool = False
    revision: int = 0
    version: int = 1
    offered: int = 0
    faces: dict[int, KnownFace] = field(default_factory=dict)
    subjects: dict[str, KnownSubject] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    answers: dict[str, tuple[enrollment.EnrollFacesRequest, bytes]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return its resource name."""
        return f"galleries/{self.gallery_id}"

    def face_name(self, face_id: int) -> str:
        """Return the resource name of a face that is there."""
        return f"{self.name}/subjects/{self.faces[face_id].subject}/faces/{face_id}"

    def faces_of(self, subject: str) -> list[int]:
        """Return the faces of a subject."""
        return sorted(face_id for face_id, face in self.faces.items() if face.subject == subject)

    def forget_face(self, face_id: int) -> None:
        """Let a face be gone."""
        self.gone.add(self.face_name(face_id))
        del self.faces[face_id]

    def numbered(self, create_times: Mapping[str, int]) -> tuple[list[str], list[tuple[int, int, int]]]:
        """Return the subjects in the order in which they were made, and the faces as the oracle takes them."""
        subjects = sorted(self.subjects, key=lambda each: (create_times[each], self.subjects[each].number))
        numbers = {subject: number for number, subject in enumerate(subjects)}
        return subjects, [(face_id, numbers[face.subject], face.vector) for face_id, face in self.faces.items()]


@dataclass(slots=True)
class World:
    """All galleries, the operations whose outcome nobody knows, every face id that was ever seen, and the history.

    database_dies: the database is being killed under a server that lives. An index that is rebuilt then cannot follow,
    which the server says (INDEX_BEHIND); `behind` are the galleries of which it said so.
    """

    galleries: dict[str, KnownGallery]
    pending: list["Operation"] = field(default_factory=list)
    database_dies: bool = False
    behind: set[str] = field(default_factory=set)
    ids_seen: set[int] = field(default_factory=set)
    revisions_seen: set[tuple[str, int]] = field(default_factory=set)
    tally: Counter[str] = field(default_factory=Counter)
    failures: list[Exception] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    history: deque[str] = field(default_factory=lambda: deque(maxlen=HISTORY_KEPT))

    def note(self, text: str) -> None:
        """Add a line to the history."""
        self.history.append(text)

    def history_of(self, resource: str, last: int = 60) -> list[str]:
        """Return the last lines of the history that mention a resource, and of all the very last."""
        about = [line for line in self.history if resource in line]
        return [*about[-last:], "--- and of all:", *list(self.history)[-last // 3 :]]

    def see_new_ids(self, resource: str, ids: Iterable[int]) -> None:
        """Note ids that were given just now; raises Violation for one that was given before."""
        new = set(ids)
        if repeated := new & self.ids_seen:
            raise Violation(resource, f"face ids were given twice: {sorted(repeated)}")
        self.ids_seen |= new
