"""A fuzz that finds nothing is only worth something where it would find."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from tests.fuzz.campaign import attack, replay, signature
from tests.fuzz.case import Case, Finding, Target


class Fragile:
    """Breaks on every third case, in two ways, and in the end if it was broken."""

    def __init__(self) -> None:
        self.checked: list[bytes] = []

    def draw(self, rng: Random) -> Case:
        return Case("number", str(rng.randrange(9)).encode())

    def check(self, case: Case) -> str:
        self.checked.append(case.data)
        number = int(case.data)
        if number == 3:
            raise Finding(f"three, after {len(self.checked)}")
        return f"{10 // (number % 6)}"

    def settle(self) -> None:
        if b"7" in self.checked:
            raise Finding("seven came")


@pytest.fixture
def fragile() -> Fragile:
    return Fragile()


@pytest.fixture
def target(fragile: Fragile) -> Target:
    @contextmanager
    def opened(_folder: Path) -> Iterator[Fragile]:
        yield fragile

    return Target("fragile", opened)


def test_each_fault_is_told_once_counted_and_kept_so_that_it_can_be_tried_again(
    fragile: Fragile, target: Target, tmp_path: Path
) -> None:
    told: list[str] = []
    tally = attack(target, 1, lambda cases: cases == 60, tmp_path, told.append)
    assert tally.cases == 60
    assert sorted(name.split()[0] for name in tally.findings) == ["ZeroDivisionError", "seven", "three,"]
    assert len(told) == 3
    assert sum(tally.outcomes.values()) == 60 - sum(1 for data in fragile.checked if data in (b"0", b"3", b"6"))
    times, file = tally.findings["three, after _"]
    assert times == fragile.checked.count(b"3") > 1
    with pytest.raises(Finding, match="three"):
        replay(target, [Case.unpack(Path(file).read_bytes())])


def test_a_seed_gives_the_same_cases_again_and_another_seed_others(
    fragile: Fragile, target: Target, tmp_path: Path
) -> None:
    for seed in (1, 1, 2):
        attack(target, seed, lambda cases: cases == 20, tmp_path, lambda _: None)
    assert fragile.checked[:20] == fragile.checked[20:40] != fragile.checked[40:]


def test_the_case_under_way_lies_on_the_disk_while_it_is_tried(tmp_path: Path) -> None:
    seen: list[bytes] = []

    class Looking(Fragile):
        def check(self, case: Case) -> str:  # noqa: ARG002 - the protocol's
            seen.append((tmp_path / "under-way").read_bytes())
            return ""

    @contextmanager
    def opened(_folder: Path) -> Iterator[Looking]:
        yield Looking()

    attack(Target("looking", opened), 1, lambda cases: cases == 1, tmp_path, lambda _: None)
    assert seen[0].startswith(b"number\n")
    assert not (tmp_path / "under-way").exists()


def test_faults_of_one_place_have_one_signature() -> None:
    assert signature(Finding("'a' took 5 s")) == signature(Finding("'bc' took 71 s"))
    assert signature(Finding("hangs")) != signature(Finding("crashes"))
