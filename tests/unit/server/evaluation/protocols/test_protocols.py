"""The protocols of single photographs, on generated faces of which the answer is known."""

from collections.abc import Callable

import numpy as np
import pytest
from ersgallery_server.evaluation.bench import Bench, make_bench, making, validating
from ersgallery_server.evaluation.corpus import CLEAN, KINDS
from ersgallery_server.evaluation.plan import EvaluationPlan, Part, Role
from ersgallery_server.evaluation.protocols import levels, natural, single, sources, trade
from ersgallery_server.evaluation.tables import Entry, Figure, Table

from tests.support.evaluation_corpus import bystanders, corpus

PLAN = EvaluationPlan(fars=(1e-4, 1e-3), fpirs=(0.01, 0.1), resamples=20)


@pytest.fixture(scope="module")
def bench() -> Bench:
    return make_bench(corpus(people=1200), bystanders(), PLAN)


def value(entry: Entry) -> float:
    assert isinstance(entry, Figure)
    return entry.value


def row(table: Table, name: str) -> tuple[Entry, ...]:
    return next(each for each in table.rows if each[0] == name)


def test_nothing_of_the_test_and_no_unseen_kind_makes_the_profile(bench: Bench) -> None:
    faces, plan = bench.corpus, bench.plan
    used = making(faces, plan) | validating(faces, plan)
    assert not (used & faces.of(Part.TEST)).any()
    unseen = [KINDS.index(kind) for kind in plan.unseen]
    assert np.isin(faces.kinds, unseen).any()
    assert not np.isin(faces.kinds[used], unseen).any()


def test_the_mixed_test_shows_every_photograph_once(bench: Bench) -> None:
    mixed = bench.mixed
    names = np.array(bench.corpus.names)
    shown = names[mixed]
    assert len(set(shown.tolist())) == len(shown)
    assert set(shown.tolist()) == set(names[bench.corpus.of(Part.TEST, Role.SINGLE)].tolist())
    assert (bench.corpus.kinds[mixed] != CLEAN).mean() == pytest.approx(PLAN.degraded_share, abs=0.04)


def test_ers_saves_genuine_pairs_that_the_strict_tau_of_poor_impostors_rejects(bench: Bench) -> None:
    mixed, clean = single.run(bench)
    assert value(row(mixed, "ERS")[1]) < 0.7 * value(row(mixed, "no gate")[1])
    saved = value(row(mixed, "fewer false rejects by ERS")[1])
    assert saved == pytest.approx(1 - value(row(mixed, "ERS")[1]) / value(row(mixed, "no gate")[1]))
    assert {"embedding norm", "detector score", "image sharpness"} <= {str(each[0]) for each in mixed.rows}
    assert value(row(clean, "ERS")[3]) < 0.03
    assert value(row(clean, "ERS")[2]) >= value(row(clean, "ERS")[1])


def test_a_measure_that_was_not_taken_is_left_out() -> None:
    faces = corpus(people=1200)
    faces.detector_scores[:] = np.nan
    mixed = single.run(make_bench(faces, None, PLAN))[0]
    assert "detector score" not in {str(each[0]) for each in mixed.rows}


def test_errors_rise_with_the_level_and_answered_pairs_fail_less(bench: Bench) -> None:
    (table,) = levels.run(bench)
    mild, severe = (next(each for each in table.rows if each[1] == level) for level in ("0.5", "1"))
    assert value(severe[2]) > value(mild[2])
    assert len(table.rows) == 8 * 2
    assert any(str(each[0]).endswith("*") for each in table.rows)


def test_bystanders_are_taken_for_each_other_less_with_the_gate(bench: Bench) -> None:
    (table,) = natural.run(bench)
    assert value(table.rows[0][2]) < 0.2 * value(table.rows[0][1])
    assert value(row(table, "bystanders UNSURE")[2]) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("run", [sources.run, trade.run])
def test_the_other_protocols_give_whole_tables(bench: Bench, run: Callable[[Bench], list[Table]]) -> None:
    tables = run(bench)
    assert tables
    assert all(table.rows and len(table.columns) > 3 for table in tables)


def test_the_same_faces_give_the_same_tables() -> None:
    first, again = (trade.run(make_bench(corpus(people=1200), None, PLAN)) for _ in range(2))
    assert first == again
