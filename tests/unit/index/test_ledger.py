"""Promises of a device's memory."""

import threading
from dataclasses import dataclass, field

import pytest
from ersgallery_index import DeviceFull
from ersgallery_index.backends.ledger import Ledger, rounded

MIB = 1 << 20


@dataclass
class Card:
    """Memory that is allocated from, and a clock."""

    free: int = 100 * MIB
    now_s: float = 0.0
    allocated: list[int] = field(default_factory=list)

    def allocate(self, size: int) -> int:
        self.free -= size
        self.allocated.append(size)
        return len(self.allocated)

    def ledger(self) -> Ledger:
        return Ledger("cuda:0", lambda: self.free, 10 * MIB, lambda: self.now_s)


def test_memory_is_given_up_to_what_is_spared() -> None:
    card = Card()
    ledger = card.ledger()
    assert ledger.free() == 90 * MIB
    assert ledger.take("a", 90 * MIB, card.allocate) == 1
    with pytest.raises(DeviceFull, match="cuda:0 has 0 MiB free, but 1 are needed"):
        ledger.take("a", 1, card.allocate)


def test_what_one_was_promised_no_other_gets() -> None:
    card = Card()
    ledger = card.ledger()
    ledger.promise("a", 60 * MIB)
    assert ledger.free() == 30 * MIB
    with pytest.raises(DeviceFull):
        ledger.promise("b", 31 * MIB)
    with pytest.raises(DeviceFull):
        ledger.take("b", 32 * MIB, card.allocate)
    ledger.take("a", 80 * MIB, card.allocate)
    assert card.allocated == [80 * MIB]


def test_a_promise_is_redeemed_in_parts_and_by_its_owner_alone() -> None:
    ledger = Card().ledger()
    ledger.promise("a", 20 * MIB)
    ledger.promise("a", 20 * MIB)
    ledger.redeem("b", 40 * MIB)
    assert ledger.free() == 50 * MIB
    ledger.redeem("a", 30 * MIB)
    assert ledger.free() == 80 * MIB
    ledger.redeem("a", 30 * MIB)
    assert ledger.free() == 90 * MIB


def test_a_promise_that_nobody_comes_for_ends_by_itself() -> None:
    card = Card()
    ledger = card.ledger()
    ledger.promise("a", 90 * MIB)
    card.now_s = 59.0
    assert ledger.free() == 0
    card.now_s = 61.0
    assert ledger.free() == 90 * MIB


def test_of_many_threads_only_as_many_are_promised_memory_as_there_is() -> None:
    ledger = Card().ledger()
    kept = []

    def ask(number: int) -> None:
        try:
            ledger.promise(number, 10 * MIB)
        except DeviceFull:
            return
        kept.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept) == 9


def test_memory_comes_in_pieces() -> None:
    assert [rounded(size) for size in (0, 1, 2 * MIB, 2 * MIB + 1)] == [0, 2 * MIB, 2 * MIB, 4 * MIB]
