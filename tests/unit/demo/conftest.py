"""Answers as the client gives them."""

from collections.abc import Callable
from typing import TypeAlias

import pytest
from ersgallery_client import (
    Applied,
    Candidate,
    Decision,
    EffectivePolicy,
    Identification,
    IndexDescription,
    Recognizability,
)

from tests.demo.protocol import Shot
from tests.demo.run import Answer
from tests.demo.spoiling import Picture

MakeAnswer: TypeAlias = Callable[..., Answer]

_TAU = 0.5
_APPLIED = Applied(1, "sface@1", EffectivePolicy(0.8, 0.8, _TAU, None), IndexDescription("exact", "cpu", "exact"))


@pytest.fixture
def make_answer() -> MakeAnswer:
    """Return a maker of answers: off and on are (subject, similarity, ERS of the face), or None for UNSURE."""

    def make(person: str, off: tuple[str, float, float] | None, on: tuple[str, float, float] | None = None) -> Answer:
        return Answer(Picture(Shot(person, f"{person}.jpg"), b""), _identification(off), _identification(on))

    return make


def _identification(best: tuple[str, float, float] | None) -> Identification:
    probe = Recognizability(0.9, 0.9, 10.0, None)
    if best is None:
        return Identification(Decision.UNSURE, (), (), (), probe, (), _APPLIED)
    subject, similarity, ers = best
    decision = Decision.MATCH if similarity >= _TAU else Decision.NO_MATCH
    return Identification(decision, (), (Candidate(subject, 1, similarity, ers),), (), probe, (), _APPLIED)
