"""Every protocol is run or says why it is not."""

import pytest
from ersgallery_server.evaluation.bench import Bench
from ersgallery_server.evaluation.plan import Role
from ersgallery_server.evaluation.runner import PROTOCOLS, choose_protocols, evaluate

from tests.support.evaluation_corpus import only


def test_everything_that_these_faces_show_is_measured_and_the_rest_says_why(toy_bench: Bench) -> None:
    told: list[tuple[str, int, int]] = []
    found = evaluate(toy_bench, progress=lambda *now: told.append(now))
    made = {table.key for table in found.tables}
    for key, protocol in PROTOCOLS.items():
        if key in ("service", "bias"):
            continue
        assert set(protocol.tables) <= made, key
    assert {one.protocol: one.reason for one in found.skipped} == {
        "service": "no server was named: pass --server HOST:PORT",
        "bias": "no groups were given: pass a CSV of identity,attribute,... with --groups",
    }
    assert told[-1] == ("done", len(PROTOCOLS), len(PROTOCOLS))


def test_a_table_names_its_protocol_in_either_case() -> None:
    assert choose_protocols(["t1", "T3", "harm"]) == ("single", "sets", "harm")
    assert choose_protocols([]) == tuple(PROTOCOLS)


def test_an_unknown_protocol_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="there is no protocol T99; there are single, natural"):
        choose_protocols(["T99"])


def test_faces_without_a_series_of_levels_skip_them(toy_bench: Bench) -> None:
    levels = toy_bench.corpus.roles == list(Role).index(Role.LEVEL)
    found = evaluate(only(toy_bench, ~levels), protocols=("levels",))
    assert not found.tables
    assert [one.protocol for one in found.skipped] == ["levels"]
