"""A gallery as a sequential program: what each call answers in which state, by the oracle."""

from dataclasses import dataclass, field, replace
from functools import lru_cache

from ersgallery_index import Decision, UnsureReason

from tests.crash.universe import Settings
from tests.support import oracle

Candidates = tuple[tuple[str, int, float, float], ...]
"""Subject, face (0 in a gallery searched by template), similarity and ERS."""

CLOSE = 1e-12


@dataclass(frozen=True, slots=True)
class State:
    """subjects: in the order in which they were made. requests: request_id, body, faces and revision of the answer."""

    settings: Settings
    revision: int = 0
    subjects: tuple[str, ...] = ()
    faces: frozenset[tuple[int, str, int]] = frozenset()
    requests: frozenset[tuple[str, object, tuple[int, ...], int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Enrolled:
    """One face for each vector of a subject. ids: empty where the request_id was refused as used with another body."""

    subject: str
    vectors: tuple[int, ...]
    request_id: str
    ids: tuple[int, ...]
    revision: int = field(default=0)

    @property
    def body(self) -> object:
        """Return what a repetition must have, too."""
        return (self.subject, self.vectors)


@dataclass(frozen=True, slots=True)
class FaceDeleted:
    """revision: None where there was no such face."""

    subject: str
    face_id: int
    revision: int | None


@dataclass(frozen=True, slots=True)
class SubjectDeleted:
    """revision: None where there was no such subject."""

    subject: str
    faces: int
    revision: int | None


@dataclass(frozen=True, slots=True)
class Identified:
    """The answer to a vector of the pool under the gallery's own policy, or with open gates."""

    vector: int
    wishes: tuple[tuple[str, object], ...]
    decision: Decision
    reasons: tuple[UnsureReason, ...]
    candidates: Candidates
    filtered: Candidates
    revision: int


@dataclass(frozen=True, slots=True)
class Changed:
    """The gallery got other settings."""

    settings: Settings
    revision: int


Answered = Enrolled | FaceDeleted | SubjectDeleted | Identified | Changed


def step(state: State, call: Answered) -> State | None:
    """Return the state after a call; None where it does not answer so in this state."""
    match call:
        case Enrolled():
            return _enrolled(state, call)
        case FaceDeleted():
            return _face_deleted(state, call)
        case SubjectDeleted():
            return _subject_deleted(state, call)
        case Changed():
            steps = 1 if state.settings.profile == call.settings.profile else 2
            after = replace(state, settings=call.settings, revision=state.revision + steps)
            return after if call.revision == after.revision else None
        case Identified():
            return state if call.revision == state.revision and _answers_so(state, call) else None


def _enrolled(state: State, call: Enrolled) -> State | None:
    known = next((each for each in state.requests if call.request_id and each[0] == call.request_id), None)
    if known is not None:
        same = known[1] == call.body
        return state if (call.ids, call.revision) == ((known[2], known[3]) if same else ((), 0)) else None
    newest = max((face_id for face_id, _, _ in state.faces), default=0)
    if len(call.ids) != len(call.vectors) or call.revision != state.revision + 1 or min(call.ids) <= newest:
        return None
    faces = {(face_id, call.subject, vector) for face_id, vector in zip(call.ids, call.vectors, strict=True)}
    made = () if call.subject in state.subjects else (call.subject,)
    asked = {(call.request_id, call.body, call.ids, call.revision)} if call.request_id else set()
    return replace(
        state,
        revision=call.revision,
        subjects=state.subjects + made,
        faces=state.faces | faces,
        requests=state.requests | asked,
    )


def _face_deleted(state: State, call: FaceDeleted) -> State | None:
    found = {face for face in state.faces if face[:2] == (call.face_id, call.subject)}
    if call.revision is None or not found:
        return state if call.revision is None and not found else None
    after = replace(state, faces=state.faces - found, revision=state.revision + 1)
    return after if call.revision == after.revision else None


def _subject_deleted(state: State, call: SubjectDeleted) -> State | None:
    if call.revision is None or call.subject not in state.subjects:
        return state if call.revision is None and call.subject not in state.subjects else None
    found = {face for face in state.faces if face[1] == call.subject}
    subjects = tuple(each for each in state.subjects if each != call.subject)
    after = replace(state, subjects=subjects, faces=state.faces - found, revision=state.revision + 1)
    return after if (call.revision, call.faces) == (after.revision, len(found)) else None


def _answers_so(state: State, call: Identified) -> bool:
    expected = _expected(state.settings, state.subjects, state.faces, call.vector, call.wishes)
    if (call.decision, call.reasons) != (expected.decision, expected.reasons):
        return False
    pairs = ((call.candidates, expected.candidates), (call.filtered, expected.filtered))
    return all(_same(state, found, wanted) for found, wanted in pairs)


def _same(state: State, found: Candidates, wanted: list[oracle.Hit]) -> bool:
    by_template = state.settings.by_template
    names = [(state.subjects[hit.subject_id], 0 if by_template else hit.face_id, hit.ers) for hit in wanted]
    if [(subject, face_id, ers) for subject, face_id, _, ers in found] != names:
        return False
    return all(abs(each[2] - hit.score) <= CLOSE for each, hit in zip(found, wanted, strict=True))


@lru_cache(maxsize=4096)
def _expected(
    settings: Settings,
    subjects: tuple[str, ...],
    faces: frozenset[tuple[int, str, int]],
    vector: int,
    wishes: tuple[tuple[str, object], ...],
) -> oracle.Answer:
    numbered = [(face_id, subjects.index(subject), stored) for face_id, subject, stored in faces]
    return oracle.identify(settings.rows(numbered), settings.row(vector), settings.policy(**dict(wishes)))
