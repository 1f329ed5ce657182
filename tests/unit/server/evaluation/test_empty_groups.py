"""Faces that a protocol needs and that are not there end in a cell or a sentence, never in NaN or a traceback."""

import math
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from ersgallery_server.evaluation.bench import Bench
from ersgallery_server.evaluation.corpus import UNKNOWN
from ersgallery_server.evaluation.groups import Groups
from ersgallery_server.evaluation.measuring import share_of
from ersgallery_server.evaluation.outputs import as_markdown
from ersgallery_server.evaluation.plan import EvaluationPlan, Part, Role
from ersgallery_server.evaluation.preparing import bench_under
from ersgallery_server.evaluation.runner import Evaluation, evaluate
from ersgallery_server.evaluation.tables import Figure, Table
from numpy.typing import NDArray

from tests.support.evaluation_corpus import bystanders, corpus, only

Mask = NDArray[np.bool_]
PROTOCOLS = ("single", "natural", "levels", "sets", "trade", "harm", "bias")


@pytest.fixture(scope="module")
def small_bench(toy_bench: Bench) -> Bench:
    """Return fewer people under the same profile, which is no part of what is tested here."""
    plan = EvaluationPlan(fars=(1e-3, 1e-2), fpirs=(0.1,), resamples=20)
    return bench_under(corpus(people=300, seed=3), bystanders(60), plan, toy_bench.profile)


def measured(bench: Bench, protocols: tuple[str, ...] = PROTOCOLS) -> Evaluation:
    """Return what is measured, with every warning of NumPy an error."""
    groups = Groups("identity", {"side": {who: ("left", "right")[int(who[1:]) % 2] for who in bench.corpus.people}})
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        return evaluate(bench, protocols=protocols, groups=groups)


def figures(found: Evaluation) -> list[Figure]:
    return [cell for table in found.tables for row in table.rows for cell in row if isinstance(cell, Figure)]


def table_of(found: Evaluation, key: str) -> Table:
    return next(table for table in found.tables if table.key == key)


def degraded_test(bench: Bench) -> Mask:
    return bench.corpus.of(Part.TEST) & ~bench.corpus.clean


def later_photographs(bench: Bench) -> Mask:
    return np.array([not name.endswith("/0") for name in bench.corpus.names])


def clean_test(bench: Bench) -> Mask:
    return bench.corpus.of(Part.TEST, Role.SINGLE) & bench.corpus.clean


def clean_later_test(bench: Bench) -> Mask:
    return clean_test(bench) & later_photographs(bench)


def whole_test(bench: Bench) -> Mask:
    return bench.corpus.of(Part.TEST)


def all_but_one_of_the_test(bench: Bench) -> Mask:
    test = whole_test(bench)
    return np.asarray(test & (bench.corpus.identities != bench.corpus.identities[test][0]), np.bool_)


def validation(bench: Bench) -> Mask:
    return bench.corpus.of(Part.VALIDATION)


def clean_validation(bench: Bench) -> Mask:
    return validation(bench) & bench.corpus.clean


@pytest.mark.parametrize(
    "gone",
    [
        degraded_test,
        later_photographs,
        clean_test,
        clean_later_test,
        whole_test,
        all_but_one_of_the_test,
        validation,
        clean_validation,
    ],
)
def test_every_protocol_gives_figures_or_says_why_not(small_bench: Bench, gone: Callable[[Bench], Mask]) -> None:
    found = measured(only(small_bench, ~gone(small_bench)))
    assert all(math.isfinite(figure.value) for figure in figures(found))
    assert all(math.isfinite(end) for figure in figures(found) for end in (figure.low or 0.0, figure.high or 0.0))
    told = {one.protocol for one in found.skipped}
    made = {table.key for table in found.tables}
    for protocol, key in {"single": "T1", "sets": "T2", "trade": "T11", "harm": "harm", "levels": "F3"}.items():
        assert (protocol in told) is not (key in made), protocol
    assert all(reason[0].islower() or reason[0].isdigit() for reason in (one.reason for one in found.skipped))
    assert "nan" not in as_markdown(found).lower().replace("unanswered", "")


def test_strangers_without_a_degraded_view_leave_their_rows_empty(small_bench: Bench) -> None:
    found = measured(only(small_bench, ~degraded_test(small_bench)), ("harm",))
    empty = [row for row in table_of(found, "harm").rows if row[0] == "degraded, stranger"]
    assert [row[2:] for row in empty] == [(None, None, None, None, 0)] * 4
    assert table_of(found, "harm-kinds").rows == (("nobody among the strangers has a degraded view",),)


def test_clean_photographs_of_which_no_two_show_one_person_still_leave_the_mixed_table(small_bench: Bench) -> None:
    found = measured(only(small_bench, ~clean_later_test(small_bench)), ("single",))
    assert len(table_of(found, "T1").rows) > 3
    (row,) = table_of(found, "T10").rows
    assert str(row[0]).startswith("clean test faces cannot be verified")


def test_a_group_without_a_genuine_pair_has_no_frr(small_bench: Bench) -> None:
    left = np.array([who % 2 == 0 for who in small_bench.corpus.identities.tolist()])
    found = measured(only(small_bench, ~(left & later_photographs(small_bench))), ("bias",))
    rows = {row[0]: row[-2:] for row in table_of(found, "bias-side").rows}
    assert rows["left"] == (None, None)
    assert all(isinstance(cell, Figure) for cell in rows["right"])


def test_a_profile_that_was_given_has_no_source_of_its_own(small_bench: Bench) -> None:
    found = measured(small_bench, ("sources",))
    assert not found.skipped
    assert "degraded faces" not in [row[0] for row in table_of(found, "T4").rows]


def test_a_degradation_of_unknown_kind_is_not_called_by_the_name_of_another(small_bench: Bench) -> None:
    faces = small_bench.corpus
    unknown = replace(small_bench, corpus=replace(faces, kinds=np.where(faces.clean, faces.kinds, UNKNOWN)))
    rows = table_of(measured(unknown, ("harm",)), "harm-kinds").rows
    assert [row[0] for row in rows] == ["of unknown kind"]


def test_a_share_of_probes_draws_their_people(small_bench: Bench) -> None:
    people = np.repeat(np.arange(20), 50)
    drawn = share_of(small_bench, people < 10, people, "test")
    alone = share_of(small_bench, people < 10, np.arange(1000), "test")
    assert drawn is not None
    assert alone is not None
    assert drawn.value == alone.value == 0.5
    widths = [(each.high or 0.0) - (each.low or 0.0) for each in (drawn, alone)]
    assert widths[0] > 3 * widths[1]
    assert share_of(small_bench, np.zeros(0, np.bool_), np.zeros(0, np.int64), "test") is None


def test_a_reduction_of_no_errors_is_an_empty_cell(small_bench: Bench) -> None:
    faces = small_bench.corpus
    centres = np.random.default_rng(0).normal(size=(len(faces.people), faces.dimension))
    alike = centres / np.linalg.norm(centres, axis=1, keepdims=True)
    derived = replace(small_bench.derived, vectors=alike[faces.identities].astype(np.float32))
    rows = table_of(measured(replace(small_bench, derived=derived), ("single",)), "T10").rows
    assert all(isinstance(cell, Figure) and cell.value == 0.0 for cell in rows[0][4:])
    assert rows[2][4:] == (None, None)
