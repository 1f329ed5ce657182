"""Figures are shown with their uncertainty, and all outputs hold the same."""

import json
import re
from dataclasses import replace
from io import StringIO

import pytest
from ersgallery_server.evaluation.bench import Bench
from ersgallery_server.evaluation.outputs import as_json, as_markdown, cells, headings, markdown_table, shown, summary
from ersgallery_server.evaluation.pages import evaluation_page, print_evaluation
from ersgallery_server.evaluation.runner import Evaluation, Skipped
from ersgallery_server.evaluation.tables import Chart, Entry, Figure, Series, Table
from rich.console import Console

TABLE = Table(
    key="T1",
    title="Errors <of> pairs",
    columns=("gate", "FRR", "gamma"),
    rows=(
        ("no | gate", Figure(0.0123, 0.0101, 0.015), Figure(0.5, percent=False, digits=4)),
        ("ERS", Figure(0.001, supported=False), None),
    ),
    source="table 1",
    notes=("UNSURE is an error.",),
    charts=(Chart("c", "DET & more", "FAR", "FRR", (Series("ERS", (1e-3, 1e-2), (0.2, float("nan"))),), log_x=True),),
)


@pytest.fixture
def evaluation(toy_bench: Bench) -> Evaluation:
    return Evaluation(toy_bench, (TABLE,), (Skipped("bias", "no groups were given"),))


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (Figure(0.0123, 0.0101, 0.015), "1.23 [1.01, 1.50]"),
        (Figure(0.0123, supported=False), "1.23 †"),
        (Figure(0.0123, 0.0, 0.03, supported=False, digits=1), "1.2 [0.0, 3.0] †"),
        (Figure(0.5, percent=False, digits=4), "0.5000"),
        (Figure(float("nan")), "–"),
        (Figure(0.5, float("nan"), 0.6), "50.00"),
        (None, "–"),
        (12345, "12,345"),
        ("ERS", "ERS"),
    ],
)
def test_an_entry_is_shown_with_its_interval_and_its_mark(entry: Entry, text: str) -> None:
    assert shown(entry) == text


def test_a_column_names_its_unit() -> None:
    assert headings(TABLE) == ("gate", "FRR, %", "gamma")


def test_a_figure_names_its_unit_where_its_column_holds_several() -> None:
    mixed = Table("k", "t", ("what", "value"), (("share", Figure(0.5)), ("AUC", Figure(0.5, percent=False))))
    assert headings(mixed) == ("what", "value")
    assert cells(mixed) == [["share", "50.00 %"], ["AUC", "0.50"]]


def test_markdown_keeps_its_columns() -> None:
    lines = markdown_table(TABLE).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert lines[0] == "## T1: Errors <of> pairs (the paper's table 1)"
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {4}
    assert "- UNSURE is an error." in lines


def test_the_whole_document_says_what_was_not_measured(evaluation: Evaluation) -> None:
    text = as_markdown(evaluation)
    assert "- bias: no groups were given." in text
    assert f"gamma {evaluation.bench.profile.gamma:.4f}" in text


def test_the_summary_is_strict_json_with_all_figures(evaluation: Evaluation) -> None:
    content = json.loads(as_json(summary(evaluation)))
    assert content["tables"][0]["rows"][0][1] == {
        "value": 0.0123,
        "low": 0.0101,
        "high": 0.015,
        "supported": True,
        "percent": True,
        "digits": 2,
    }
    assert content["tables"][0]["charts"][0]["series"][0]["y"] == [0.2, None]
    assert content["plan"]["unseen"] == ["LOW_LIGHT"]
    assert content["skipped"] == [{"protocol": "bias", "reason": "no groups were given"}]


def test_the_page_stands_alone_and_escapes(evaluation: Evaluation) -> None:
    page = evaluation_page(evaluation)
    assert "Errors &lt;of&gt; pairs" in page
    assert "1.23 [1.01, 1.50]" in page
    assert page.count("<svg") == 1
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", page)
    assert "no groups were given" in page


def test_the_terminal_shows_the_same_figures(evaluation: Evaluation) -> None:
    text = StringIO()
    print_evaluation(replace(evaluation), Console(file=text, width=160))
    assert "1.23 [1.01, 1.50]" in text.getvalue()
    assert "not measured: bias: no groups were given" in text.getvalue()
