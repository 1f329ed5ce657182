"""A short fuzz of everything that parses, with a fixed seed, and all that was ever found; `make fuzz` is longer."""

from pathlib import Path

import pytest

from tests.fuzz.campaign import attack, corpus, replay
from tests.fuzz.case import Target
from tests.fuzz.targets import TARGETS

SEED = 1
CASES = {"rpcs": 220, "http2": 40, "images": 200, "photographs": 20, "files": 400, "snapshots": 25, "names": 800}

every_target = pytest.mark.parametrize("target", TARGETS, ids=[target.name for target in TARGETS])


@every_target
def test_nothing_is_found_in_what_parses(target: Target, tmp_path: Path) -> None:
    told: list[str] = []
    tally = attack(target, SEED, lambda cases: cases >= CASES[target.name], tmp_path, told.append)
    assert not tally.findings, "\n".join(told)
    assert len(tally.outcomes) > 1, "whatever came, there was one outcome: nothing was reached"


@pytest.mark.parametrize("target", [each for each in TARGETS if corpus(each)], ids=lambda target: target.name)
def test_what_was_found_before_is_found_no_more(target: Target) -> None:
    replay(target, corpus(target))
