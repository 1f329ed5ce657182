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
from ersgallery_index.evaluation.rates import wilson
from numpy.typing import NDArray

from ersgallery_server.evaluation.bench import Bench
from ersgallery_server.evaluation.measuring import faces_of, figure, share
from ersgallery_server.evaluation.plan import Part, Role
from ersgallery_server.evaluation.tables import Entry, Table

DEGRADED_ENROLMENTS = 0.1
FPIR = 0.01

Rows = NDArray[np.int64]


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
    """Enrol half of the test people, a share of them by a degraded view, and search everybody's other photographs."""
    corpus = bench.corpus
    single = corpus.of(Part.TEST, Role.SINGLE)
    rng = bench.rng("harm")
    clean, spoilt = (_by_person(corpus.identities, single & (corpus.clean == kind)) for kind in (True, False))
    people = rng.permutation(np.array(sorted(clean)))
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
    """Return tau at FPIR 1 % of clear validation people, half enrolled and half strangers, both gates on."""
    corpus = bench.corpus
    clean = _by_person(corpus.identities, corpus.of(Part.VALIDATION, Role.SINGLE) & corpus.clean)
    people = bench.rng("tau").permutation(np.array(sorted(clean)))
    half = len(people) // 2
    index = enrolled_index(bench, _firsts(clean, people[:half].tolist()))
    probes = _firsts(clean, people[half:].tolist())
    gamma = bench.profile.gamma
    answers = identify(index, faces_of(bench, probes), Policy(gamma, gamma, -1.0, max_candidates=1))
    best = np.full(len(probes), -1.0)
    answered = np.diff(answers.hits.offsets) > 0
    best[answered] = answers.hits.scores[answers.hits.offsets[:-1][answered]]
    return float(np.nextafter(np.sort(best)[len(best) - 1 - int(FPIR * len(best))], 2.0))


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


def _decisions(
    bench: Bench, scene: Scene, arms: Mapping[str, Policy], found: Mapping[tuple[str, str], Outcome]
) -> Table:
    rows: list[tuple[Entry, ...]] = []
    for group, probes in scene.probes.items():
        for arm in arms:
            what = found[group, arm]
            neither = ~(what.right | what.wrong | what.unsure)
            rows.append(
                (group, arm, share(what.right), share(what.wrong), share(neither), share(what.unsure), len(probes))
            )
    off, both = found["clear, enrolled", "off"].right, found["clear, enrolled", "both"].right
    lost = wilson(int((off & ~both).sum()), max(1, int(off.sum())))
    rows.append(("clear, enrolled: lost by both gates", "both", figure(lost), None, None, None, int(off.sum())))
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
                "clear ones; nothing of the test was seen."
            ),
            "Lost by both gates: of the clear probes matched right without gates, those that are not with both.",
        ),
    )


def _by_kind(bench: Bench, scene: Scene, found: Mapping[tuple[str, str], Outcome]) -> Table:
    group = "degraded, stranger"
    kinds = bench.corpus.kinds[scene.probes[group]]
    rows: list[tuple[Entry, ...]] = []
    for kind in np.unique(kinds).tolist():
        chosen = kinds == kind
        name = bench.kind_name(kind)
        off, both = found[group, "off"], found[group, "both"]
        rows.append(
            (name, share(off.wrong[chosen]), share(both.wrong[chosen]), share(both.unsure[chosen]), int(chosen.sum()))
        )
    return Table(
        key="harm-kinds",
        title="Degraded strangers by kind of degradation",
        columns=("kind", "falsely matched, gates off", "falsely matched, both gates", "UNSURE, both gates", "n"),
        rows=tuple(rows),
        notes=("A kind marked * was never seen in calibration.",),
    )


def _by_person(identities: Rows, chosen: NDArray[np.bool_]) -> dict[int, Rows]:
    rows = np.flatnonzero(chosen)
    return {int(who): rows[identities[rows] == who].astype(np.int64) for who in np.unique(identities[rows])}


def _firsts(groups: Mapping[int, Rows], people: list[int], most: int = 1) -> Rows:
    return np.concatenate([groups[who][:most] for who in people if who in groups])


def _rest(groups: Mapping[int, Rows], people: list[int]) -> Rows:
    return np.concatenate([groups[who][1:] for who in people if who in groups])
