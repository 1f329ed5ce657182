"""The duplicate check under concurrent enrolments: what each was told equals brute force in the order of commits."""

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from ersgallery_index import Profile, Weighting, normalize
from ersgallery_server.call import Call
from ersgallery_server.errors import DuplicateSubject
from ersgallery_server.gallery.enrollment import EnrollmentItem, EnrollmentReport
from ersgallery_server.gallery.gallery import Gallery
from ersgallery_server.gallery.inputs import EmbeddingInput, Member
from ersgallery_server.values import DuplicateCheck, SubjectSearch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.cores import Core
from tests.support.galleries import profiles, stored_rows
from tests.support.oracle import Face, derive, dot, search, template_subjects

DIMENSION = 4
THREADS = 4
Rows = NDArray[np.float32]
Batch = list[tuple[str, Rows]]
_numbers = itertools.count()


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    folder: Path = tmp_path_factory.mktemp("duplicates")
    started = Core(f"sqlite:///{folder / 'store.sqlite'}", folder)
    yield started
    started.close()


@st.composite
def batches(draw: st.DrawFn) -> list[Batch]:
    """Draw batches of items with one or two faces each, of few people under many names."""
    rows = draw(stored_rows(DIMENSION, 3, 16))
    names = st.sampled_from("abcdefgh")
    items: Batch = []
    start = 0
    while start < len(rows):
        count = draw(st.integers(1, 2))
        items.append((draw(names), rows[start : start + count]))
        start += count
    made: list[Batch] = []
    while items:
        size = draw(st.integers(1, 3))
        made.append(items[:size])
        items = items[size:]
    return made


@dataclass
class Told:
    """What an item was told: refused or warned for whose sake and how similar, or nothing."""

    subject_id: str
    similarity: float
    refused: bool


# Not shrunk: what threads do cannot be repeated.
@settings(max_examples=40, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
@given(st.data())
def test_concurrent_enrolments_equal_brute_force_in_the_order_of_their_commits(core: Core, data: st.DataObject) -> None:
    profile = data.draw(profiles(DIMENSION), "profile")
    check = data.draw(st.sampled_from([DuplicateCheck.WARN, DuplicateCheck.REFUSE]), "check")
    by = data.draw(st.sampled_from(SubjectSearch), "search by")
    gates = data.draw(st.tuples(*[st.sampled_from([0.0, 0.4, 0.8])] * 2), "gates")
    threshold = data.draw(st.sampled_from([0.5, 0.8, 1.0 - 1e-6]), "threshold")
    work = data.draw(batches(), "batches")
    number = next(_numbers)
    version = core.add_profile(f"p{number}", Profile("made", profile.centroids, profile.gamma, profile.mean))
    gallery = core.create(
        f"g{number}",
        version,
        gamma=gates[0],
        gamma_gallery=gates[1],
        subject_search=by,
        duplicate_check=check,
        duplicate_threshold=threshold,
    )
    with ThreadPoolExecutor(THREADS) as pool:
        reports = list(pool.map(lambda batch: enrolled(gallery, batch), work))
    # A batch that stored nothing was compared at the revision that it names, which another made.
    order = sorted(range(len(work)), key=lambda i: (reports[i].revision, not any(reports[i].faces.face_ids)))
    revisions = [reports[i].revision for i in order if any(reports[i].faces.face_ids)]
    assert len(set(revisions)) == len(revisions)
    brute = BruteForce(profile, by, gates, threshold, refuse=check is DuplicateCheck.REFUSE)
    for i in order:
        stored = [(subject_id, normalize(vectors, DIMENSION).vectors) for subject_id, vectors in work[i]]
        assert told(reports[i]) == brute.enroll(stored), (i, order)


class BruteForce:
    """Enrols batch after batch."""

    def __init__(
        self, profile: Profile, by: SubjectSearch, gates: Sequence[float], threshold: float, *, refuse: bool
    ) -> None:
        self._profile, self._by, self._gate = profile, by, max(gates)
        self._threshold, self._refuse = threshold, refuse
        self._faces: dict[str, list[tuple[Rows, str]]] = {}
        self._order: list[tuple[str, Rows]] = []

    def enroll(self, batch: Batch) -> list[Told | None]:
        """Return what each item is told, and store what is not refused."""
        names, enrolled = self._enrolled()
        kept: list[tuple[str, list[float]]] = []
        answers: list[Told | None] = []
        stored: Batch = []
        for subject_id, vectors in batch:
            rivals: list[tuple[str, float]] = []
            own: list[tuple[str, list[float]]] = []
            for vector in vectors:
                row = derive(self._profile, False, vector)
                if row.vector is None or row.ers < self._gate:
                    continue
                own.append((subject_id, row.vector))
                others = [face for face in enrolled if names[face.subject_id] != subject_id]
                rivals += [(names[hit.subject_id], hit.score) for hit in search(others, row.vector, self._gate, 1)]
                rivals += [(name, dot(other, row.vector)) for name, other in kept if name != subject_id]
            similar = [rival for rival in rivals if rival[1] >= self._threshold]
            best = max(similar, key=lambda rival: rival[1]) if similar else None
            answers.append(None if best is None else Told(*best, self._refuse))
            if best is None or not self._refuse:
                kept += own
                stored.append((subject_id, vectors))
        for subject_id, vectors in stored:
            self._faces.setdefault(subject_id, []).extend((vector, "") for vector in vectors)
            self._order += [(subject_id, vector) for vector in vectors]
        return answers

    def _enrolled(self) -> tuple[dict[int, str], list[Face]]:
        keys = {name: number for number, name in enumerate(self._faces)}
        names = {number: name for name, number in keys.items()}
        if self._by is SubjectSearch.TEMPLATE:
            members = {keys[name]: own for name, own in self._faces.items()}
            return names, template_subjects(self._profile, False, members, Weighting.SQUARE, pooling=False)
        return names, [
            Face(number, keys[name], derive(self._profile, False, vector))
            for number, (name, vector) in enumerate(self._order)
        ]


def enrolled(gallery: Gallery, batch: Batch) -> EnrollmentReport:
    items = [
        EnrollmentItem(subject_id, tuple(Member(EmbeddingInput(vector)) for vector in vectors), {})
        for subject_id, vectors in batch
    ]
    report = gallery.enroll(items, None, lambda _: b"", Call())
    assert isinstance(report, EnrollmentReport)
    return report


def told(report: EnrollmentReport) -> list[Told | None]:
    answers: list[Told | None] = []
    for i in range(len(report.items)):
        error, other = report.errors.get(i), report.duplicates.get(i)
        if isinstance(error, DuplicateSubject):
            answers.append(Told(error.subject_id, error.similarity, refused=True))
        else:
            assert error is None
            answers.append(None if other is None else Told(other.subject_id, other.similarity, refused=False))
    return answers
