"""The tables of the document, and the picture."""

import xml.etree.ElementTree as ET

import pytest

from tests.benchmarks.document import MarkerBroken, with_parts
from tests.benchmarks.goals import Goal, judged
from tests.benchmarks.growth import curves, growth_svg
from tests.benchmarks.results import left_out, ratio_of
from tests.benchmarks.summary import Measured
from tests.benchmarks.tables import goals_table, index_table, peers_table, plain_table, service_table, step_table

GOAL = Goal("`exact` against FlatIP", "index/exact/{faces}/64/flat-tuned", 1.0, 1_000_000)
INDEX = (
    ratio_of("index/exact/10000/64/flat-tuned", "exact", "flat-tuned", [1.25], ms=20.0, probes_per_s=3200.0),
    ratio_of("index/exact/10000/64/flat-default", "exact", "flat-default", [4.0], ms=20.0, probes_per_s=3200.0),
    ratio_of("index/exact/10000/64/limit", "exact", "limit", [0.9], ms=20.0, probes_per_s=3200.0, limit_ms=18.0),
    ratio_of("index/exact/1000/64/limit", "exact", "limit", [0.9], ms=2.0, probes_per_s=32000.0, limit_ms=1.8),
    left_out("index/exact/10000000", "exact, 10,000,000 faces", "needs 22.9 GiB"),
)


def test_a_goal_says_what_was_measured_where_and_by_which_command() -> None:
    row = goals_table(judged(INDEX, [GOAL])).splitlines()[2]
    assert row == (
        "| `exact` against FlatIP, 1,000,000 | >= 1 | 1.25 at 10,000 (would be met; not measured) |"
        " `python -m tests.benchmarks --only index` |"
    )


def test_the_yardsticks_of_an_index_stand_side_by_side_and_what_was_left_out_below() -> None:
    lines = index_table(INDEX).splitlines()
    assert lines[2] == "| exact | 10,000 | 64 | 20 | 3,200 | 1.25 | 4 | 0.9 |"
    assert lines[3] == "| exact | 1,000 | 64 | 2 | 32,000 | – | – | 0.9 |"
    assert lines[-1] == "- exact, 10,000,000 faces: left out: needs 22.9 GiB"


def test_calls_of_a_service_have_both_yardsticks() -> None:
    figures = {"probes_per_s": 800.0, "p50_ms": 1.0, "p99_ms": 3.0, "server_cpu_us_per_probe": 170.0}
    results = [
        ratio_of("service/exact/10000/unary-1/in-process", "", "", [0.4], **figures),
        ratio_of("service/exact/10000/unary-1/empty", "", "", [0.7], **figures),
    ]
    assert service_table(results).splitlines()[2] == "| exact | 10,000 | unary-1 | 800 | 1 / 3 | 170 | 0.4 | 0.7 |"


def test_an_engine_has_a_row_for_each_way_to_search_and_one_that_is_missing_says_so() -> None:
    figures = {
        "theirs_per_s": 70.4, "inserted_per_s": 29_000.0, "build_s": 121.0, "mate1": 0.814, "of": 1400.0,
        "ratio_in_process": 7.0,
    }  # fmt: skip
    results = [
        ratio_of("peers/100000/qdrant-HNSW/1", "", "", [5.5], **figures),
        ratio_of("peers/100000/qdrant-HNSW/64", "", "", [12.0], **figures),
        left_out("peers/100000/usearch", "usearch, 100,000 faces", "usearch is not installed"),
    ]
    lines = peers_table(results).splitlines()
    assert lines[2].startswith(
        "| qdrant-HNSW | 100,000 | 29,000 (+121 s) | 0.8140 of 1400 | 70 | 5.5x | 70 | 12x | 7x |"
    )
    assert lines[-1] == "- usearch, 100,000 faces: left out: usearch is not installed"


def test_other_steps_have_a_row_for_each_result() -> None:
    result = ratio_of("enrolment/10000/1", "one stream", "SQLite", [0.75], faces_per_s=15_000.0)
    assert (
        plain_table([result]).splitlines()[2] == "| one stream | SQLite | 0.75 [0.75, 0.75] | faces per s 15,000 |  |"
    )


def test_a_table_ends_with_dates_commands_and_machines() -> None:
    entries = [Measured(result, "2026-01-01", "python -m one", "two cores") for result in INDEX]
    assert step_table("index", entries).endswith("Measured 2026-01-01, `python -m one`, two cores.\n")


def test_parts_go_between_their_markers_and_the_prose_stays() -> None:
    document = "Before.\n<!-- begin goals -->\nold\n<!-- end goals -->\nAfter.\n"
    once = with_parts(document, {"goals": "new \\1\n"})
    assert once == "Before.\n<!-- begin goals -->\nnew \\1\n<!-- end goals -->\nAfter.\n"
    with pytest.raises(MarkerBroken, match="peers"):
        with_parts(document, {"peers": "new"})


def test_the_picture_shows_milliseconds_per_probe_over_the_faces() -> None:
    assert curves(INDEX) == {
        "exact, batch 64": [(1000, 2.0 / 64), (10_000, 20.0 / 64)],
        "limit, batch 64": [(1000, 1.8 / 64), (10_000, 18.0 / 64)],
    }
    picture = growth_svg(INDEX)
    assert ET.fromstring(picture).tag.endswith("svg")
    assert "exact, batch 64" in picture
    assert growth_svg(INDEX) == picture
