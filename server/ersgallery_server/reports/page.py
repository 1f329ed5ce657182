"""Pages that stand alone: one HTML file with its style, charts and pictures inside, in light and dark.

Everything but the charts is escaped; charts come from `reports.charts`, which escapes its texts itself.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader
from markupsafe import Markup


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart, as an `<svg>` element, and what it shows in a sentence or two."""

    svg: str
    caption: str = ""

    @property
    def markup(self) -> Markup:
        """The chart as it is put into the page."""
        return Markup(self.svg)  # noqa: S704 - drawn here; charts escapes the texts in it


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values, one pair a line."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table. tone: `good`, `bad`, `faint` or nothing."""

    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: rows of texts or cells under columns; the first entry of a row names it. notes: sentences below it.

    prose: the last column holds sentences.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str | Cell, ...], ...]
    caption: str = ""
    notes: tuple[str, ...] = ()
    prose: bool = False

    @property
    def cells(self) -> list[list[Cell]]:
        """All entries as cells."""
        return [[entry if isinstance(entry, Cell) else Cell(entry) for entry in row] for row in self.rows]


@dataclass(frozen=True, slots=True)
class Picture:
    """A small JPEG with a caption below it."""

    jpeg: bytes
    caption: str

    @property
    def source(self) -> str:
        """The picture as a data URI."""
        return f"data:image/jpeg;base64,{base64.b64encode(self.jpeg).decode()}"


@dataclass(frozen=True, slots=True)
class Strip:
    """A row of pictures under a title."""

    title: str
    pictures: tuple[Picture, ...]


Block = Text | Drawing | Facts | Grid | Strip


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page under its own heading. note: what to know before reading it."""

    title: str
    blocks: tuple[Block, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page. lead: the result in a sentence or two. figures: a few large numbers with what they are."""

    title: str
    lead: str
    sections: tuple[Section, ...]
    figures: tuple[tuple[str, str], ...] = ()


def render_page(page: Page) -> str:
    """Return the page as one HTML document that loads nothing."""
    environment = Environment(
        loader=PackageLoader("ersgallery_server.reports", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("page.html.j2")
    return template.render(page=page, kinds=_kinds(page.sections))


def _kinds(sections: Sequence[Section]) -> dict[int, list[str]]:
    """Name the kind of each block, since a template cannot ask for a type."""
    return {i: [type(block).__name__ for block in section.blocks] for i, section in enumerate(sections)}
