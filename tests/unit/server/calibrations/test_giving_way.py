"""Work on a gallery's index leaves at least half of the owner's time to the searches of others."""

from collections.abc import Callable
from typing import Any

import pytest
from ersgallery_server.calibrations.giving_way import (
    BLOCK_S,
    MOST_ROWS,
    QUIET_BLOCKS,
    RESTS_WHEN_MET,
    RETRY_S,
    Clock,
    GivingWay,
)
from ersgallery_server.call import Call
from ersgallery_server.errors import OperationCancelled, Overloaded


class Owner:
    """An owner and the clock it lives by. others_s: how long it is busy for others whenever it is asked."""

    def __init__(self, *, others_s: float = 0.0, probe_s: float = 0.001) -> None:
        self.now_s, self.others_s, self.probe_s = 0.0, others_s, probe_s
        self.rests: list[float] = []
        self.refusals = 0

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now_s, self._sleep)

    def ask(self, work: Callable[[Any], Any], _call: Call, /) -> Any:
        if self.refusals:
            self.refusals -= 1
            raise Overloaded("gallery g", 1)
        self.now_s += self.others_s
        return work(None)

    def _sleep(self, rest_s: float) -> None:
        self.rests.append(rest_s)
        self.now_s += rest_s


def blocks(owner: Owner, giving: GivingWay, count: int) -> list[int]:
    """Search so many blocks and return their lengths."""

    def search(_state: object) -> int:
        owner.now_s += owner.probe_s * giving.rows
        return giving.rows

    return [giving.ask(search) for _ in range(count)]


def ignore(_done: int, _total: int) -> None:
    pass


def test_alone_blocks_grow_to_their_limit_and_the_rest_is_as_long_as_the_work() -> None:
    owner = Owner(probe_s=0.000_01)
    lengths = blocks(owner, GivingWay(owner, ignore, owner.clock), 20)
    assert lengths[: QUIET_BLOCKS + 1] == [1] * (QUIET_BLOCKS + 1)
    assert lengths[-1] == MOST_ROWS
    assert owner.rests == pytest.approx([owner.probe_s * rows for rows in lengths])


def test_blocks_of_a_large_gallery_stay_short() -> None:
    owner = Owner(probe_s=BLOCK_S / 8)
    assert max(blocks(owner, GivingWay(owner, ignore, owner.clock), 40)) * owner.probe_s <= BLOCK_S


def test_while_others_ask_a_block_is_one_probe_and_most_of_the_time_is_theirs() -> None:
    owner = Owner(probe_s=0.000_01)
    giving = GivingWay(owner, ignore, owner.clock)
    assert max(blocks(owner, giving, 20)) == MOST_ROWS
    owner.others_s = 0.002
    owner.rests.clear()
    assert blocks(owner, giving, 5)[1:] == [1] * 4
    assert owner.rests[1:] == pytest.approx([RESTS_WHEN_MET * owner.probe_s] * 4)


def test_where_the_queue_is_full_it_waits_until_it_is_told_to_end() -> None:
    owner = Owner()
    owner.refusals = 3
    giving = GivingWay(owner, ignore, owner.clock)
    assert blocks(owner, giving, 1) == [1]
    assert owner.rests[:3] == [RETRY_S] * 3

    def end(_done: int, _total: int) -> None:
        raise OperationCancelled

    owner.refusals = 1
    with pytest.raises(OperationCancelled):
        blocks(owner, GivingWay(owner, end, owner.clock), 1)
