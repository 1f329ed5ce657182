"""The harm and the remedy: degraded strangers against a gallery with degraded enrolments, each gate alone and both."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ersgallery_index import (
    DECISIONS,
    Decision,
    Identifications,
    Policy,
    VectorIndex,
    identify,
    open_index,
)
from numpy.typing import NDArray

from ersgallery_server.evaluation.bench import Bench
from ersgallery_server.evaluation.failures import NotMeasurable
from ersgallery_server.evaluation.measuring import faces_of, share_of, unmeasured
from ersgallery_server.evaluation.plan import Part, Role
from ersgallery_server.evaluation.tables import Entry, Table

DEGRADED_ENROLMENTS = 0.1
FPIR = 0.01
_FEWEST_PEOPLE = 2
_BY_KIND = "Degraded strangers by kind of degradation"
PEOPLE_DRAWN = "Intervals are by bootstrap over the people of the probes, and hold the gallery and tau."

Rows = NDArray[np.int64]
_NOBODY: Rows = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Rows of the corpus by what they do. enrolled: one face of each enrolled person; probes: by group."""

    enrolled: Rows
    probes: Mapping[str, Rows]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What became of q probes: matched with the right person, with a wrong one, UNSURE; the rest is NO_MATCH."""

    right: NDArray[np.bool_]
    wrong: NDArray[np.bool_]
    unsure: NDArray[np.bool_]


def run(bench: Bench) -> list[Table]:
    """Identify clear and degraded, mated and strange probes with no gate, each gate alone, and both."""
    scene = draw_scene(bench)
    index = enrolled_index(bench, scene.enrolled)
    gamma = bench.profile.gamma
    tau = chosen_tau(bench)
    arms = {
        "off": Policy(0.0, 0.0, tau, max_candidates=1),
        "probe gate": Policy(gamma, 0.0, tau, max_candidates=1),
        "gallery gate": Policy(0.0, gamma, tau, max_candidates=1),
        "both": Policy(gamma, gamma, tau, max_candidates=1),
    }
    found = {
        (group, arm): decide(bench, index, rows, policy)
        for group, rows in scene.probes.items()
        for arm, policy in arms.items()
    }
    return [_decisions(bench, scene, arms, found), _by_kind(bench, scene, found)]


def draw_scene(bench: Bench) -> Scene:
    """Enrol half of the test people, a share of them by a degraded view, and search everybody's other photographs.

    A group of probes may be empty. Raises NotMeasurable with fewer than two people.
    """
    corpus = bench.corpus
    single = corpus.of(Part.TEST, Role.SINGLE)
    rng = bench.rng("harm")
    clean, spoilt = (_by_person(corpus.identities, single & (corpus.clean == kind)) for kind in (True, False))
    people = _people(rng, clean, "the test")
    enrolled, strangers = people[: len(people) // 2], people[len(people) // 2 :]
    with_poor_view = [who for who in enrolled.tolist() if who in spoilt]
    badly = set(with_poor_view[: round(DEGRADED_ENROLMENTS * len(enrolled))])
    return Scene(
        enrolled=np.array([(spoilt if who in badly else clean)[who][0] for who in enrolled.tolist()]),
        probes={
            "clear, enrolled": _rest(clean, [who for who in enrolled.tolist() if who not in badly]),
            "clear, stranger": _firsts(clean, strangers.tolist()),
            "degraded, enrolled": _rest(spoilt, [who for who in enrolled.tolist() if who not in badly]),
            "degraded, stranger": _firsts(spoilt, strangers.tolist(), 3),
        },
    )


def enrolled_index(bench: Bench, rows: Rows) -> VectorIndex:
    """Return an index with these faces, each of a subject that is its identity."""
    faces = faces_of(bench, rows)
    index = open_index(bench.corpus.dimension, device="cpu")
    index.set_gate(bench.profile.gamma)
    index.apply(1, np.empty(0, np.int64), rows, bench.corpus.identities[rows], faces.ers, faces.vectors)
    return index


def chosen_tau(bench: Bench) -> float:
    """Return tau at FPIR 1 % of clear validation people, half enrolled and half strangers, both gates on.

    Raises NotMeasurable with fewer than two people, or where no tau refuses a stranger.
    """
    corpus = bench.corpus
    clean = _by_person(corpus.identities, corpus.of(Part.VALIDATION, Role.SINGLE) & corpus.clean)
    people = _people(bench.rng("tau"), clean, "the validation")
    half = len(people) // 2
    index = enrolled_index(bench, _firsts(clean, people[:half].tolist()))
    probes = _firsts(clean, people[half:].tolist())
    gamma = bench.profile.gamma
    answers = identify(index, faces_of(bench, probes), Policy(gamma, gamma, -1.0, max_candidates=1))
    best = np.full(len(probes), -1.0)
    answered = np.diff(answers.hits.offsets) > 0
    best[answered] = answers.hits.scores[answers.hits.offsets[:-1][answered]]
    tau = float(np.nextafter(np.sort(best)[len(best) - 1 - int(FPIR * len(best))], 2.0))
    if tau > 1.0:
        raise NotMeasurable("strangers of the validation are as alike as copies, so that no tau tells them apart")
    return tau


def _people(rng: np.random.Generator, clean: Mapping[int, Rows], part: str) -> Rows:
    if len(clean) < _FEWEST_PEOPLE:
        raise NotMeasurable(
            f"{len(clean)} people of {part} have a clean view; one is to be enrolled, and one a stranger"
        )
    return rng.permutation(np.array(sorted(clean), np.int64))


def decide(bench: Bench, index: VectorIndex, rows: Rows, policy: Policy) -> Outcome:
    """Identify probes through the index and the decisions of the service."""
    return outcome(identify(index, faces_of(bench, rows), policy), bench.corpus.identities[rows])


def outcome(answers: Identifications, people: Rows) -> Outcome:
    """Compare decisions with whom the probes show."""
    matched = answers.decisions == DECISIONS.index(Decision.MATCH)
    named = np.full(len(people), -1, np.int64)
    named[matched] = answers.hits.subject_ids[answers.hits.offsets[:-1][matched]]
    return Outcome(
        right=matched & (named == people),
        wrong=matched & (named != people),
        unsure=np.asarray(answers.decisions == DECISIONS.index(Decision.UNSURE), np.bool_),
    )


def shares_of(bench: Bench, what: Outcome, probes: Rows) -> tuple[Entry, ...]:
    """Return which shares of probes were matched rightly, wrongly, not at all, and UNSURE; None without a probe."""
    people = bench.corpus.identities[probes]
    neither = ~(what.right | what.wrong | what.unsure)
    return tuple(share_of(bench, each, people, "harm") for each in (what.right, what.wrong, neither, what.unsure))


def _decisions(
    bench: Bench, scene: Scene, arms: Mapping[str, Policy], found: Mapping[tuple[str, str], Outcome]
) -> Table:
    rows: list[tuple[Entry, ...]] = [
        (group, arm, *shares_of(bench, found[group, arm], probes), len(probes))
        for group, probes in scene.probes.items()
        for arm in arms
    ]
    off, both = found["clear, enrolled", "off"].right, found["clear, enrolled", "both"].right
    shown = bench.corpus.identities[scene.probes["clear, enrolled"]]
    lost = share_of(bench, ~both[off], shown[off], "harm")
    rows.append(("clear, enrolled: lost by both gates", "both", lost, None, None, None, int(off.sum())))
    enrolled = faces_of(bench, scene.enrolled)
    return Table(
        key="harm",
        title="The harm and the remedy: what becomes of probes against a gallery with degraded enrolments",
        columns=("probe", "gates", "MATCH right", "MATCH wrong", "NO_MATCH", "UNSURE", "n"),
        rows=tuple(rows),
        source="section 2.2.2",
        notes=(
            (
                f"{len(scene.enrolled)} people are enrolled, {DEGRADED_ENROLMENTS:.0%} of them by a degraded view; "
                f"{int((enrolled.ers < bench.profile.gamma).sum())} of their faces are below gamma "
                f"{bench.profile.gamma:.4f}."
            ),
            (
                f"tau {arms['off'].tau:.4f} is the one of FPIR {FPIR:.0%} of clear validation people against "
                "clear ones; nobody of them is in the test."
            ),
            PEOPLE_DRAWN,
            "Lost by both gates: of the clear probes matched right without gates, those that are not with both.",
        ),
    )


def _by_kind(bench: Bench, scene: Scene, found: Mapping[tuple[str, str], Outcome]) -> Table:
    group = "degraded, stranger"
    kinds, people = bench.corpus.kinds[scene.probes[group]], bench.corpus.identities[scene.probes[group]]
    if not len(kinds):
        return unmeasured("harm-kinds", _BY_KIND, "nobody among the strangers has a degraded view")
    rows: list[tuple[Entry, ...]] = []
    for kind in np.unique(kinds).tolist():
        chosen = kinds == kind
        name = bench.kind_name(kind)
        off, both = found[group, "off"], found[group, "both"]
        figures = (
            share_of(bench, each[chosen], people[chosen], "harm") for each in (off.wrong, both.wrong, both.unsure)
        )
        rows.append((name, *figures, int(chosen.sum())))
    return Table(
        key="harm-kinds",
        title=_BY_KIND,
        columns=("kind", "falsely matched, gates off", "falsely matched, both gates", "UNSURE, both gates", "n"),
        rows=tuple(rows),
        notes=(PEOPLE_DRAWN, "A kind marked * was never seen in calibration."),
    )


def _by_person(identities: Rows, chosen: NDArray[np.bool_]) -> dict[int, Rows]:
    rows = np.flatnonzero(chosen)
    return {int(who): rows[identities[rows] == who].astype(np.int64) for who in np.unique(identities[rows])}


def _firsts(groups: Mapping[int, Rows], people: list[int], most: int = 1) -> Rows:
    return np.concatenate([_NOBODY, *(groups[who][:most] for who in people if who in groups)])


def _rest(groups: Mapping[int, Rows], people: list[int]) -> Rows:
    return np.concatenate([_NOBODY, *(groups[who][1:] for who in people if who in groups)])
