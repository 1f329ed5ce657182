"""A short fuzz of everything that parses, with a fixed seed, and all that was ever found; `make fuzz` is longer."""

from pathlib import Path

import pytest

from tests.fuzz.campaign import attack, corpus
from tests.fuzz.case import Target
from tests.fuzz.targets import TARGETS

SEED = 1
CASES = {
    "rpcs": 200,
    "http2": 30,
    "images": 150,
    "photographs": 20,
    "files": 400,
    "snapshots": 20,
    "encrypted-snapshots": 15,
    "names": 500,
}


@pytest.mark.parametrize("target", TARGETS, ids=[target.name for target in TARGETS])
def test_nothing_is_found_in_what_parses_nor_what_was_found_before(target: Target, tmp_path: Path) -> None:
    told: list[str] = []
    known = corpus(target)
    cases = len(known) + CASES[target.name]
    tally = attack(target, SEED, lambda number: number >= cases, tmp_path, told.append, known)
    assert not tally.findings, "\n".join(told)
    assert len(tally.outcomes) > 1, "whatever came, there was one outcome: nothing was reached"
