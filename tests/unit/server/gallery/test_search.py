"""Jobs that are answered together: each as it would be alone, whatever is in the others."""

import datetime as dt

import numpy as np
import pytest
from ersgallery_index import Derivation, Identification, Policy, Profile, Template, Weighting, normalize
from ersgallery_server.gallery.overrides import PolicyOverrides
from ersgallery_server.gallery.search import ProbeSet, RawProbes, SearchAnswer, answer_batch, joined, part_of
from ersgallery_server.gallery.state import GalleryState
from ersgallery_server.values import AcquisitionCounts, GalleryRecord, GallerySettings, ProfileVersion
from numpy.typing import NDArray

from tests.support.indexes import small_index

DIMENSION = 6
FACES = 40
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
RANDOM = np.random.default_rng(7)

Job = tuple[ProbeSet | RawProbes, PolicyOverrides]


def raw(rows: int) -> NDArray[np.float32]:
    return (3 * RANDOM.standard_normal((rows, DIMENSION))).astype(np.float32)


@pytest.fixture
def state() -> GalleryState:
    """Give a gallery of forty faces of twenty subjects."""
    profile = Profile("made", np.eye(DIMENSION)[:1], gamma=0.5)
    derivation = Derivation(profile)
    index = small_index(DIMENSION)
    ids = np.arange(FACES, dtype=np.int64)
    derived = derivation.derive(normalize(raw(FACES), DIMENSION).vectors)
    index.apply(1, ids[:0], ids, ids % 20, derived.ers, derived.vectors)
    version = ProfileVersion(1, "p", 1, profile, "", "", NOW)
    settings = GallerySettings(tau=0.6, gamma=0.2, gamma_gallery=0.5)
    record = GalleryRecord(1, "g", settings, version, 1, 1, AcquisitionCounts(), NOW, NOW)
    return GalleryState(record, derivation, index, {key: f"s{key}" for key in range(20)})


def template() -> Template:
    return Template(normalize(raw(3), DIMENSION).vectors, ("", "", ""), Weighting.SQUARE, media_pooling=False)


def spoilt(rows: int, *bad: int) -> RawProbes:
    """Return embeddings of which some are none, each in another way."""
    vectors = raw(rows)
    vectors[list(bad)] = np.resize(np.array([np.nan, 0.0, np.inf], np.float32), len(bad))[:, None]
    return RawProbes(vectors)


def cut(probes: ProbeSet | RawProbes, rows: int) -> list[ProbeSet | RawProbes]:
    parts = [part_of(probes, 0, rows)]
    while (done := sum(map(len, parts))) < len(probes):
        parts.append(part_of(probes, done, rows))
    return parts


def answers(answer: SearchAnswer) -> list[Identification]:
    return list(answer.identifications)


def assert_equal(one: SearchAnswer, other: SearchAnswer) -> None:
    assert answers(one) == answers(other)
    assert one.norms[one.start : one.stop].tolist() == other.norms[other.start : other.stop].tolist()
    assert {row: error.problem for row, error in one.errors.items()} == {
        row: error.problem for row, error in other.errors.items()
    }
    assert one.applied == other.applied
    named = {c.subject_id for found in answers(one) for c in (*found.candidates, *found.filtered)}
    assert {key: one.subject_ids[key] for key in named} == {key: other.subject_ids[key] for key in named}


@pytest.mark.parametrize("bad", [(), (1, 3), (0, 1, 2, 3, 4)])
def test_jobs_that_wait_together_are_answered_as_each_alone(state: GalleryState, bad: tuple[int, ...]) -> None:
    units = normalize(raw(4), DIMENSION).vectors
    jobs: list[Job] = [
        (RawProbes(raw(1)), PolicyOverrides()),
        (ProbeSet(units, (template(), template())), PolicyOverrides(max_candidates=3)),
        (spoilt(5, *bad), PolicyOverrides(include_filtered=True)),
        (ProbeSet(units[:0], (template(),)), PolicyOverrides(gamma=0.9)),
        (RawProbes(raw(3)), PolicyOverrides()),
    ]
    together = answer_batch(state, jobs)
    assert list(together[2].errors) == list(bad)
    for job, answer in zip(jobs, together, strict=True):
        (alone,) = answer_batch(state, [job])
        assert_equal(answer, alone)


def test_raw_rows_are_answered_as_the_units_they_come_to_and_keep_their_norms(state: GalleryState) -> None:
    rows = raw(9)
    units = normalize(rows, DIMENSION)
    (of_raw,) = answer_batch(state, [(RawProbes(rows), PolicyOverrides())])
    (of_units,) = answer_batch(state, [(ProbeSet(units.vectors), PolicyOverrides())])
    assert answers(of_raw) == answers(of_units)
    assert of_raw.norms.tolist() == units.norms.tolist()


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize("size", [1, 2, 4, 9, 20])
def test_the_parts_of_a_job_make_the_answer_to_the_whole(state: GalleryState, size: int, asks: bool) -> None:
    overrides = PolicyOverrides(include_filtered=asks, margin=0.01)
    jobs: list[ProbeSet | RawProbes] = [
        spoilt(9, 0, 4, 8),
        spoilt(4, 0, 1, 2, 3),
        ProbeSet(normalize(raw(9), DIMENSION).vectors, (template(), template())),
        ProbeSet(np.empty((0, DIMENSION), np.float32), (template(),)),
    ]
    for probes in jobs:
        (whole,) = answer_batch(state, [(probes, overrides)])
        parts = [answer_batch(state, [(part, overrides)])[0] for part in cut(probes, size)]
        assert_equal(joined(parts), whole)
        assert (joined(parts).identifications.filtered is None) is (not asks or not len(whole.identifications))


def test_each_job_has_its_own_policy(state: GalleryState) -> None:
    jobs: list[Job] = [(RawProbes(raw(2)), PolicyOverrides(tau=tau)) for tau in (0.1, 0.9, 0.1)]
    policies: list[Policy] = [answer.applied.policy for answer in answer_batch(state, jobs)]
    assert [policy.tau for policy in policies] == [0.1, 0.9, 0.1]
