"""Pages stand alone, escape what they are given, and show every block; charts say what they are drawn from."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from ersgallery_server.reports.charts import Line, Mark, Points, histogram_chart, line_chart, scatter_chart
from ersgallery_server.reports.page import (
    Block,
    Cell,
    Drawing,
    Facts,
    Grid,
    Page,
    Picture,
    Section,
    Strip,
    Text,
    render_page,
)

EVIL = "<script>alert('&\"')</script> $x_1$"
CHARTS = {
    "line": line_chart("Title", "FAR", EVIL, [Line(EVIL, [1, 2, 3], [0, 0.1, 0.2], [0, 0, 0], [0.1, 0.2, 0.3])] * 2),
    "log": line_chart(
        "Title", "x", "y", [Line("a", [0, 1, 10], [0.0, 1e-3, 1e-1], points=True)], log_x=True, log_y=True
    ),
    "histogram": histogram_chart(
        "Title", "ERS", "share", [0, 1, 2], {"clean": [1, 3], EVIL: [4, 0]}, marks=[Mark("gamma", 0.8)]
    ),
    "scatter": scatter_chart(
        "Title", [Points(EVIL, [0, 1], [1, 0], colour=3), Points("UI", [0.5], [0.5], shape="star")]
    ),
}


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.data: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the parser's own signature
        self.seen.append(tag)
        if tag not in ("meta", "img", "path", "use", "rect", "stop"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("path", "use", "rect", "stop"):
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.data.append(data)


def page(*blocks: Block) -> str:
    return render_page(Page(EVIL, EVIL, (Section(EVIL, blocks, EVIL),), ((EVIL, EVIL),)))


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_sound_xml_that_follows_the_scheme_of_the_page(name: str) -> None:
    svg = CHARTS[name]
    root = ET.fromstring(svg)
    assert root.attrib["aria-label"] == "Title"
    assert "var(--ink)" in svg
    assert "var(--series-" in svg
    assert re.findall(r"#(?:010203|040506|0a0b)", svg) == []
    assert "script" not in {element.tag.rpartition("}")[2] for element in root.iter()}


@pytest.mark.parametrize("name", ["line", "histogram", "scatter"])
def test_names_are_plain_text_in_a_chart(name: str) -> None:
    texts = ["".join(element.itertext()) for element in ET.fromstring(CHARTS[name]).iter() if "text" in element.tag]
    assert any(EVIL in text for text in texts)


def test_a_chart_is_the_same_each_time() -> None:
    drawn = [line_chart("T", "x", "y", [Line("a", np.arange(5), np.arange(5) ** 2)]) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != line_chart("T", "x", "y", [Line("a", np.arange(5), np.arange(5) ** 3)])


def test_a_histogram_shows_shares_of_each_group_and_their_sizes() -> None:
    assert "clean (4)" in CHARTS["histogram"]
    assert "gamma" in CHARTS["histogram"]
    assert "100%" in CHARTS["histogram"]


def test_a_page_stands_alone_and_every_block_is_in_it() -> None:
    html = page(
        Text("a paragraph"),
        Drawing(CHARTS["line"], "what the chart shows"),
        Facts((("seed", "0"),)),
        Grid(("check", "value"), (("one", Cell("0.5", "bad")),), "a table", ("a note",), prose=True),
        Strip("high ERS", (Picture(b"\xff\xd8jpeg", "ERS 1.02"),)),
    )
    tags = _Tags()
    tags.feed(html)
    assert tags.open == []
    assert {"svg", "table", "img", "dl", "ul", "figcaption"} <= set(tags.seen)
    shown = " ".join(tags.data)
    for text in ("a paragraph", "what the chart shows", "seed", "0.5", "a table", "a note", "high ERS", "ERS 1.02"):
        assert text in shown
    assert 'class="bad"' in html
    assert re.findall(r"(?:src|href)=\"(?!data:|#)", html) == []
    assert "url(http" not in html


def test_what_is_reported_cannot_become_part_of_the_page() -> None:
    html = page(
        Text(EVIL), Facts(((EVIL, EVIL),)), Grid((EVIL,), ((EVIL,),), EVIL, (EVIL,)), Strip(EVIL, (Picture(b"", EVIL),))
    )
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 17
