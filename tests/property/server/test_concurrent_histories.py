"""What clients are told at once can be explained by one order of their calls; the checker of that is tested, too."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from ersgallery_index import Decision
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crash.recording import NotLinearizable, Recorder
from tests.crash.specification import (
    Answered,
    Changed,
    Enrolled,
    FaceDeleted,
    Identified,
    State,
    SubjectDeleted,
    step,
)
from tests.crash.universe import Settings, create_profiles
from tests.crash.wing_gong import Event, linearize
from tests.support import oracle
from tests.support.server import RunningServer, running_server
from tests.support.server import settings as server_settings

HISTORIES = 8
PLAIN = Settings("plain", gamma=0.0, gamma_gallery=0.0, tau=0.9)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(server_settings(tmp_path_factory.mktemp("concurrent"))) as running:
        create_profiles(running)
        yield running


@pytest.mark.parametrize("by_template", [False, True])
@pytest.mark.parametrize("seed", range(HISTORIES))
def test_some_order_explains_what_clients_were_told_at_once(
    server: RunningServer, seed: int, by_template: bool
) -> None:
    recorder = Recorder(server, f"g{seed}-{by_template}".lower(), seed, by_template=by_template)
    recorder.run()
    assert len(recorder.events) == 32
    recorder.check()


def found(*candidates: tuple[str, int], revision: int, vector: int = 0) -> Identified:
    """Return the answer to a vector that finds itself in these faces alone."""
    row = PLAIN.row(vector)
    score = oracle.dot(row.vector or [], row.vector or [])
    wanted = tuple((subject, face_id, score, row.ers) for subject, face_id in candidates)
    decision = Decision.MATCH if candidates else Decision.NO_MATCH
    return Identified(vector, (), decision, (), wanted, (), revision)


def sequence(*calls: Answered) -> list[Event[Answered]]:
    """Return calls one after another."""
    return [Event("c0", call, 10 * i, 10 * i + 5) for i, call in enumerate(calls)]


def at_once(*calls: Answered) -> list[Event[Answered]]:
    """Return calls that all overlap."""
    return [Event(f"c{i}", call, i, 1000 + i) for i, call in enumerate(calls)]


def is_linearizable(events: Sequence[Event[Answered]]) -> bool:
    return linearize(events, State(PLAIN), step)[1]


ANN = Enrolled("ann", (0,), "", (1,), 1)
GONE = FaceDeleted("ann", 1, 2)


def test_the_checker_accepts_what_one_client_sees() -> None:
    assert is_linearizable(sequence(ANN, found(("ann", 1), revision=1), GONE, found(revision=2)))


def test_a_search_that_overlaps_a_deletion_may_see_either() -> None:
    for answer in (found(("ann", 1), revision=1), found(revision=2)):
        assert is_linearizable([Event("c2", ANN, -2, -1), *at_once(GONE, answer)])


@pytest.mark.parametrize(
    "calls",
    [
        (ANN, GONE, found(("ann", 1), revision=1)),
        (ANN, GONE, found(("ann", 1), revision=2)),
        (ANN, found(revision=0)),
        (ANN, found(revision=1)),
        (ANN, FaceDeleted("ann", 1, None)),
        (ANN, GONE, GONE),
        (ANN, SubjectDeleted("ann", 0, 2)),
        (ANN, replace(ANN, revision=2)),
        (Enrolled("ann", (0,), "r", (1,), 1), Enrolled("ann", (0,), "r", (2,), 2)),
        (Enrolled("ann", (0,), "r", (1,), 1), Enrolled("bob", (0,), "r", (2,), 2)),
        (Enrolled("ann", (0,), "r", (), 0),),
        (Enrolled("bob", (0,), "", (1,), 1), Enrolled("ann", (0,), "", (2,), 2), found(("ann", 2), revision=2)),
        (ANN, Changed(replace(PLAIN, gamma_gallery=1.0), 2), found(("ann", 1), revision=2)),
    ],
    ids=[
        "a stale search after a deletion",
        "a deleted face that is found",
        "a search that lacks an enrolment and says so",
        "a search that lacks an enrolment",
        "a face that is there and is said to be missing",
        "a face deleted twice",
        "a deletion that counts no face",
        "a face id given twice",
        "a repetition that enrols again",
        "another body that is enrolled",
        "a new request_id that is refused",
        "a tie that goes to the higher face id",
        "a gate that does not hold",
    ],
)
def test_the_checker_refuses(calls: tuple[Answered, ...]) -> None:
    assert not is_linearizable(sequence(*calls))


def test_two_searches_at_once_may_not_see_two_changes_in_both_orders() -> None:
    bob = Enrolled("bob", (1,), "", (2,), 1)
    one, other = found(("ann", 1), revision=1), found(revision=1)
    assert not is_linearizable(at_once(ANN, bob, one, other))


calls = st.sampled_from(
    [ANN, GONE, found(revision=0), found(("ann", 1), revision=1), found(revision=2), found(revision=1)]
)
times = st.tuples(st.integers(0, 20), st.integers(0, 8))


@settings(max_examples=200, derandomize=True, database=None)
@given(st.lists(st.tuples(calls, times), max_size=5))
def test_the_checker_agrees_with_a_search_of_all_orders(drawn: list[tuple[Answered, tuple[int, int]]]) -> None:
    events = [Event(f"c{i}", call, sent, sent + took) for i, (call, (sent, took)) in enumerate(drawn)]
    assert is_linearizable(events) == any(map(_is_allowed, itertools.permutations(events)))


def _is_allowed(order: Sequence[Event[Answered]]) -> bool:
    pairs = itertools.combinations(order, 2)
    if any(later.answered_ns < earlier.sent_ns for earlier, later in pairs):
        return False
    state: State | None = State(PLAIN)
    for event in order:
        state = None if state is None else step(state, event.call)
    return state is not None


def test_a_history_that_cannot_be_explained_is_shown(server: RunningServer) -> None:
    recorder = Recorder(server, "shown", 1)
    recorder.events.extend(sequence(ANN, found(revision=1)))
    with pytest.raises(NotLinearizable, match="not explained"):
        recorder.check()
