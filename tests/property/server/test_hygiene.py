"""What is found in a gallery equals brute force over its stored faces, one by one and as templates."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from ersgallery_index import Derivation, Profile
from ersgallery_index.representation import represent
from ersgallery_server.gallery.gallery import Gallery
from ersgallery_server.hygiene import DuplicateTask, MagnetFindings, MagnetProbes, MagnetTask
from ersgallery_server.store import LowErsSubject, LowErsSubjects
from ersgallery_server.values import SubjectSearch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.cores import Core, enroll
from tests.support.galleries import profiles, stored_rows
from tests.support.oracle import Face, Hit, Row, derive, dot, search, template_subjects

DIMENSION = 4
NAMES = "abcdefg"
Rows = NDArray[np.float32]
thorough = settings(max_examples=40, deadline=None, derandomize=True, database=None)


@dataclass
class World:
    """A gallery with its rows as brute force has them, and its thresholds."""

    core: Core
    gallery: Gallery
    profile: Profile
    enhance: bool
    rows: list[Face]
    names: dict[int, str]

    @property
    def gates(self) -> tuple[float, float, float]:
        """Return gamma, gamma_gallery, and the larger of both."""
        policy = self.gallery.record.settings.policy(self.profile)
        return policy.gamma, policy.gamma_gallery, max(policy.gamma, policy.gamma_gallery)

    def face(self, face_id: int) -> int | None:
        """Return how a row is told: a template is no face."""
        return None if self.gallery.state.by_template else face_id


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    folder: Path = tmp_path_factory.mktemp("hygiene")
    started = Core(f"sqlite:///{folder / 'store.sqlite'}", folder)
    yield started
    started.close()


_numbers = itertools.count()


def draw_world(core: Core, data: st.DataObject) -> World:
    """Draw a gallery of a few subjects, of which many faces tie."""
    number = next(_numbers)
    profile = data.draw(profiles(DIMENSION), "profile")
    vectors = data.draw(stored_rows(DIMENSION, 1, 14), "faces")
    people = data.draw(st.lists(st.sampled_from(NAMES), min_size=len(vectors), max_size=len(vectors)), "people")
    enhance = data.draw(st.booleans(), "enhance")
    search_by = data.draw(st.sampled_from(SubjectSearch), "search by")
    fields = {"enhance_features": enhance, "subject_search": search_by}
    gates = data.draw(st.tuples(*[st.sampled_from([0.0, 0.2, 0.5, 0.9])] * 2), "gates")
    version = core.add_profile(f"p{number}", Profile("made", profile.centroids, profile.gamma, profile.mean))
    gallery = core.create(f"g{number}", version, gamma=gates[0], gamma_gallery=gates[1], **fields)
    enroll(gallery, people, vectors)
    (stored,) = list(core.store.load_faces(gallery.record.key))
    keys = stored.subject_keys.tolist()
    if search_by is SubjectSearch.TEMPLATE:
        members: dict[int, list[tuple[Rows, str]]] = {}
        for key, vector in zip(keys, stored.embeddings, strict=True):
            members.setdefault(key, []).append((vector, ""))
        weighting = gallery.record.settings.template_weighting
        rows = template_subjects(profile, enhance, members, weighting, pooling=False)
    else:
        derived = [derive(profile, enhance, vector) for vector in stored.embeddings]
        rows = [Face(*each) for each in zip(stored.face_ids.tolist(), keys, derived, strict=True)]
    rows = [row for row in rows if row.row.vector is not None]
    return World(core, gallery, profile, enhance, rows, core.store.subject_ids(gallery.record.key))


def scores_between(world: World) -> list[float]:
    """Return all similarities that occur between subjects."""
    return [
        dot(one.row.vector or [], other.row.vector or [])
        for one, other in itertools.combinations(world.rows, 2)
        if one.subject_id != other.subject_id
    ]


def draw_threshold(world: World, data: st.DataObject) -> float:
    possible = [score for score in scores_between(world) if -1.0 <= score <= 1.0]
    return data.draw(st.sampled_from([-1.0, 0.0, 0.8, *possible]), "threshold")


def no_progress(done: int, total: int) -> None:
    assert 0 <= done <= max(done, total)


@thorough
@given(st.data())
def test_duplicate_subjects_equal_brute_force(core: Core, data: st.DataObject) -> None:
    world = draw_world(core, data)
    threshold, most = draw_threshold(world, data), data.draw(st.sampled_from([1, 2, 5, 50]), "most")
    found = DuplicateTask(world.gallery, world.gallery.record, threshold, most).run(no_progress)
    gate = world.gates[2]
    kept = [row for row in world.rows if row.row.ers >= gate]
    best: dict[tuple[int, int], tuple[float, int, int]] = {}  # the least is the best
    every: dict[tuple[int, int], list[float]] = {}
    for one, other in itertools.permutations(kept, 2):
        if one.subject_id < other.subject_id:
            keys = (one.subject_id, other.subject_id)
            score = dot(one.row.vector or [], other.row.vector or [])
            every.setdefault(keys, []).append(score)
            best[keys] = min(best.get(keys, (math.inf, 0, 0)), (-score, one.face_id, other.face_id))
    ranked = sorted(
        (negative, keys, (one_face, other_face))
        for keys, (negative, one_face, other_face) in best.items()
        if -negative >= threshold
    )
    assert [(p.first, p.second, p.similarity, p.first_face, p.second_face) for p in found.pairs] == [
        (world.names[first], world.names[second], -negative, world.face(one), world.face(other))
        for negative, (first, second), (one, other) in ranked[:most]
    ]
    assert found.cut == (len(ranked) > most)
    assert (found.faces, found.gate, found.threshold) == (len(kept), gate, threshold)
    for pair, (_, keys, _) in zip(found.pairs, ranked, strict=False):
        scores = every[keys]
        assert pair.face_pairs == len(scores)
        assert sum(s >= threshold + 1e-9 for s in scores) <= pair.similar_face_pairs
        assert pair.similar_face_pairs <= sum(s >= threshold - 1e-9 for s in scores)
    connected = connected_subjects([(pair.first, pair.second) for pair in found.pairs])
    assert sorted(sorted(group.subjects) for group in found.groups) == connected
    for group in found.groups:
        within = [pair.similarity for pair in found.pairs if pair.first in group.subjects]
        assert (group.pairs, group.similarity) == (len(within), max(within))


@thorough
@given(st.data())
def test_magnets_equal_brute_force(core: Core, data: st.DataObject) -> None:
    world = draw_world(core, data)
    threshold, k = draw_threshold(world, data), data.draw(st.sampled_from([1, 2, 3]), "neighbors")
    gate = data.draw(st.sampled_from([0.0, world.gates[1], 0.5]), "gate")
    task = MagnetTask(world.gallery, world.gallery.record, threshold, gate, None, k, 1000)
    probes = [(row.row, row.subject_id, row.subject_id) for row in world.rows]
    assert_magnets(world, task.run(no_progress), probes, threshold, gate, k)


@thorough
@given(st.data())
def test_magnets_for_given_probes_equal_brute_force(core: Core, data: st.DataObject) -> None:
    world = draw_world(core, data)
    vectors = data.draw(stored_rows(DIMENSION, 1, 8), "probes")
    keys = st.sampled_from([-1, *sorted(world.names)])
    owners = data.draw(st.lists(keys, min_size=len(vectors), max_size=len(vectors)), "owners")
    people = [owner if owner >= 0 else -2 - row for row, owner in enumerate(owners)]
    shown = represent(Derivation(world.profile, enhance=world.enhance), vectors)
    kept = np.flatnonzero(shown.usable)
    given_probes = MagnetProbes(
        shown.vectors[kept], shown.ers[kept], np.array(owners, np.int64)[kept], np.array(people, np.int64)[kept]
    )
    threshold, k = draw_threshold(world, data), data.draw(st.sampled_from([1, 2, 3]), "neighbors")
    task = MagnetTask(world.gallery, world.gallery.record, threshold, 0.0, given_probes, k, 1000)
    derived = [derive(world.profile, world.enhance, vectors[row]) for row in kept]
    whose = [(owners[row], people[row]) for row in kept]
    probes = [(row, owner, person) for row, (owner, person) in zip(derived, whose, strict=True)]
    assert_magnets(world, task.run(no_progress), probes, threshold, 0.0, k)


def assert_magnets(
    world: World,
    found: MagnetFindings,
    probes: list[tuple[Row, int, int]],
    threshold: float,
    gate: float,
    k: int,
) -> None:
    gamma, gamma_gallery, _ = world.gates
    wins: dict[int, list[tuple[Hit, int, bool]]] = {}
    neighbors: dict[int, int] = {}
    for row, owner, person in probes:
        others = [face for face in world.rows if face.subject_id != owner]
        hits = search(others, row.vector or [], gate, k)
        for hit in hits:
            neighbors[hit.face_id] = neighbors.get(hit.face_id, 0) + 1
        if hits and hits[0].score >= threshold:
            wins.setdefault(hits[0].face_id, []).append((hits[0], person, row.ers < gamma))
    ui_wins = brute_force_ui_wins(world, gate)
    low = {face.face_id for face in world.rows if face.row.ers < gamma}
    listed = set(wins) | (set(ui_wins) & low)
    order = sorted(
        listed,
        key=lambda face: (
            -len({person for _, person, _ in wins.get(face, [])}),
            -len(wins.get(face, [])),
            -neighbors.get(face, 0) if face in wins else 1,
            face,
        ),
    )
    faces = {face.face_id: face for face in world.rows}
    told = [
        (m.subject_id, m.face_id, m.people, m.wins, m.low_ers_wins, m.neighbor_probes, m.ui_wins) for m in found.magnets
    ]
    wanted = [
        (
            world.names[faces[face].subject_id],
            world.face(face),
            len({person for _, person, _ in wins.get(face, [])}),
            len(wins.get(face, [])),
            sum(is_low for _, _, is_low in wins.get(face, [])),
            neighbors.get(face, 0),
            ui_wins.get(face, 0),
        )
        for face in order
    ]
    # Those that were nearest to a UI centroid alone come last, in whatever order.
    assert told[: len(wins)] == wanted[: len(wins)]
    assert sorted(told[len(wins) :]) == sorted(wanted[len(wins) :])
    for magnet, face in zip(found.magnets, order[: len(wins)], strict=False):
        mean = math.fsum(hit.score for hit, _, _ in wins[face]) / len(wins[face])
        assert magnet.mean_similarity == pytest.approx(mean, abs=1e-12)
        hidden, unrecognizable = magnet.ers < gamma_gallery, magnet.ers < gamma
        word = "HIDDEN" if hidden else "RAISE_GAMMA_GALLERY" if unrecognizable else "REVIEW"
        assert magnet.advice.value == word
    assert (found.probes, found.low_ers_probes) == (len(probes), sum(row.ers < gamma for row, _, _ in probes))
    assert (found.winners, found.won_probes) == (len(wins), sum(map(len, wins.values())))
    assert found.low_ers_won_probes == sum(is_low for each in wins.values() for _, _, is_low in each)


def brute_force_ui_wins(world: World, gate: float) -> dict[int, int]:
    """Return how many centroids each face is the nearest to."""
    counted: dict[int, int] = {}
    if not world.enhance:
        for centroid in world.profile.centroids:
            as_stored = [float(np.float32(x)) for x in centroid]
            for hit in search(world.rows, as_stored, gate, 1):
                counted[hit.face_id] = counted.get(hit.face_id, 0) + 1
    return counted


@thorough
@given(st.data())
def test_subjects_with_low_ers_equal_brute_force_page_by_page(core: Core, data: st.DataObject) -> None:
    world = draw_world(core, data)
    (stored,) = list(core.store.load_faces(world.gallery.record.key))
    by_mean = world.gallery.state.by_template
    gate = data.draw(st.sampled_from([0.0, 0.5, *stored.ers.tolist()]), "gate")
    which = data.draw(st.sampled_from(LowErsSubjects), "which")
    ers: dict[str, list[float]] = {}
    for key, value in zip(stored.subject_keys.tolist(), stored.ers.tolist(), strict=True):
        ers.setdefault(world.names[key], []).append(value)
    means = {name: math.fsum(values) / len(values) for name, values in ers.items()}
    findable = {name: (means[name] if by_mean else max(values)) >= gate for name, values in ers.items()}
    alone = {name: findable[name] and sum(e >= gate for e in values) == 1 for name, values in ers.items()}
    wanted = {
        LowErsSubjects.BOTH: [name for name in sorted(ers) if not findable[name] or alone[name]],
        LowErsSubjects.UNFINDABLE: [name for name in sorted(ers) if not findable[name]],
        LowErsSubjects.ONE_FACE: [name for name in sorted(ers) if alone[name]],
    }[which]
    pages = [core.store.low_ers_subjects(world.gallery.record.key, gate, which, 2, by_mean=by_mean)]
    while (after := pages[-1].page.next_key) is not None:
        pages.append(core.store.low_ers_subjects(world.gallery.record.key, gate, which, 2, after, by_mean=by_mean))
    listed: list[LowErsSubject] = [subject for page in pages for subject in page.page.items]
    assert [subject.subject_id for subject in listed] == wanted
    assert (pages[0].unfindable, pages[0].one_face) == (
        sum(not each for each in findable.values()),
        sum(alone.values()),
    )
    for subject in listed:
        values = ers[subject.subject_id]
        assert (subject.best_ers, subject.faces, subject.findable) == (
            max(values),
            len(values),
            findable[subject.subject_id],
        )
        assert subject.recognizable_faces == sum(e >= gate for e in values)
        assert subject.mean_ers == pytest.approx(means[subject.subject_id], abs=1e-15)


def connected_subjects(pairs: list[tuple[str, str]]) -> list[list[str]]:
    """Return who is connected, by merging sets until nothing changes."""
    groups = [{one, other} for one, other in pairs]
    merged: list[set[str]] = []
    for group in groups:
        touching = [each for each in merged if each & group]
        merged = [each for each in merged if not each & group] + [set().union(group, *touching)]
    return sorted(sorted(group) for group in merged)
