"""Choose which probes the page shows: at random, and every mistake that is made with the gates on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tests.demo.figures import outcome
from tests.demo.protocol import ProbeKind
from tests.demo.run import Answer, Result
from tests.demo.settings import KINDS

_EXAMPLES = 4
# Separates this draw from those of the protocol.
_STREAM = 99


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A probe that is shown."""

    kind: ProbeKind
    answer: Answer


def choose_examples(result: Result, seed: int) -> dict[ProbeKind, list[Example]]:
    """Draw examples: of degraded probes two of each degradation, of clear ones a few; results play no part."""
    rng = np.random.default_rng([seed, _STREAM])
    chosen: dict[ProbeKind, list[Example]] = {}
    for kind in ProbeKind:
        answers = result.answers[kind]
        groups: list[list[Answer]] = [
            [
                answer
                for answer in answers
                if answer.picture.shot.spoiling and answer.picture.shot.spoiling.kind is spoilt
            ]
            for spoilt in KINDS
        ]
        per_group = 2 if any(groups) else _EXAMPLES
        drawn = [
            answer for group in (groups if any(groups) else [list(answers)]) for answer in _some(group, per_group, rng)
        ]
        chosen[kind] = [Example(kind, answer) for answer in drawn]
    return chosen


def false_matches_without_gates(result: Result, seed: int, count: int) -> list[Example]:
    """Draw degraded strangers that match with the gates off, to show what a false match looks like."""
    rng = np.random.default_rng([seed, _STREAM, 1])
    kind = ProbeKind.DEGRADED_STRANGER
    wrong = [answer for answer in result.answers[kind] if answer.gates_off.match]
    return [Example(kind, answer) for answer in _some(wrong, count, rng)]


def mistakes(result: Result, limit: int) -> tuple[list[Example], int]:
    """Return the false matches with the gates on, the first `limit` of them, and how many there are."""
    found = [
        Example(kind, answer)
        for kind in ProbeKind
        for answer in result.answers[kind]
        if outcome(answer.gates_on, answer.picture.shot.person, mated=kind.mated) == "match_wrong"
    ]
    return found[:limit], len(found)


def _some(answers: Sequence[Answer], count: int, rng: np.random.Generator) -> list[Answer]:
    if not answers:
        return []
    places = rng.choice(len(answers), min(count, len(answers)), replace=False)
    return [answers[place] for place in sorted(places.tolist())]
