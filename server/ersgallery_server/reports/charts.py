"""Charts as inline SVG, drawn by matplotlib without a display and without its global figures.

Colours are CSS variables of the page, so that a chart follows its light and dark scheme.
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

_INK, _FAINT = "#010203", "#040506"
# Matplotlib wants a colour of its own: each stands for a variable of the page and is replaced in the SVG.
_SERIES = tuple(f"#0a0b{place:02x}" for place in range(8))
_VARIABLES = {
    _INK: "var(--ink)",
    _FAINT: "var(--faint)",
    **{colour: f"var(--series-{place})" for place, colour in enumerate(_SERIES)},
}
SERIES_COLOURS = len(_SERIES)
"""How many colours there are for series; further ones begin again."""

_RC: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ersgallery",
    "font.size": 10.0,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _FAINT,
    "xtick.color": _FAINT,
    "ytick.color": _FAINT,
    "text.color": _INK,
    "grid.color": _FAINT,
    "grid.alpha": 0.25,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "path.simplify": True,
}
_WIDTH_IN, _HEIGHT_IN = 7.2, 3.7
Shape = Literal["dot", "star", "cross", "square"]
_MARKERS: Mapping[Shape, str] = {"dot": "o", "star": "*", "cross": "X", "square": "s"}


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One line of a chart: x and y (n,); low and high (n,) bound a band around it. points: mark each of the n."""

    name: str
    x: ArrayLike
    y: ArrayLike
    low: ArrayLike | None = None
    high: ArrayLike | None = None
    points: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """One group of a scatter chart: x and y (n,). colour: 0..7, its place; size: of the mark, in points."""

    name: str
    x: ArrayLike
    y: ArrayLike
    colour: int = 0
    shape: Shape = "dot"
    size: float = 4.0


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line at x with a short name, such as gamma."""

    name: str
    x: float


def line_chart(
    title: str,
    x_label: str,
    y_label: str,
    series: Sequence[Line],
    *,
    log_x: bool = False,
    log_y: bool = False,
    marks: Sequence[Mark] = (),
) -> str:
    """Draw lines; on a log axis values that are not positive are left out. Returns an `<svg>` element."""
    with _drawing(title, x_label, y_label) as (figure, axes):
        axes.set_xscale("log" if log_x else "linear", **({"nonpositive": "mask"} if log_x else {}))
        axes.set_yscale("log" if log_y else "linear", **({"nonpositive": "mask"} if log_y else {}))
        for place, line in enumerate(series):
            colour = _SERIES[place % len(_SERIES)]
            axes.plot(
                line.x, line.y, color=colour, label=line.name, marker="o" if line.points else None, markersize=3.5
            )
            if line.low is not None and line.high is not None:
                axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.15, linewidth=0)
        _mark(axes, marks)
        _explain(axes, len(series))
        return _svg(figure, title)


def histogram_chart(
    title: str,
    x_label: str,
    y_label: str,
    edges: ArrayLike,
    counts: Mapping[str, ArrayLike],
    *,
    marks: Sequence[Mark] = (),
) -> str:
    """Draw counts (b,) of several groups over bins with edges (b + 1,), each as a share of its own group."""
    with _drawing(title, x_label, y_label) as (figure, axes):
        for place, (name, group) in enumerate(counts.items()):
            found: NDArray[np.float64] = np.asarray(group, np.float64)
            shares = found / max(found.sum(), 1.0)
            colour = _SERIES[place % len(_SERIES)]
            axes.stairs(shares, np.asarray(edges), color=colour, alpha=0.3, fill=True)
            axes.stairs(shares, np.asarray(edges), color=colour, label=f"{name} ({int(found.sum()):,})")
        axes.yaxis.set_major_formatter(lambda value, _place: f"{value:.0%}")
        _mark(axes, marks)
        _explain(axes, len(counts))
        return _svg(figure, title)


def scatter_chart(title: str, groups: Sequence[Points]) -> str:
    """Draw groups of points on axes that have no meaning, such as those of t-SNE. Returns an `<svg>` element."""
    with _drawing(title, "", "", height_in=5.6) as (figure, axes):
        for group in groups:
            axes.scatter(
                group.x,
                group.y,
                s=group.size**2,
                marker=_MARKERS[group.shape],
                color=_SERIES[group.colour % len(_SERIES)],
                edgecolors=_INK if group.shape != "dot" else "none",
                alpha=1.0 if group.shape != "dot" else 0.7,
                label=group.name,
            )
        axes.set_xticks([])
        axes.set_yticks([])
        axes.grid(visible=False)
        _explain(axes, len(groups), beside=True)
        return _svg(figure, title)


@contextmanager
def _drawing(title: str, x_label: str, y_label: str, height_in: float = _HEIGHT_IN) -> Iterator[tuple[Figure, Axes]]:
    with mpl.rc_context(_RC):
        figure = Figure(figsize=(_WIDTH_IN, height_in), layout="constrained")
        FigureCanvasSVG(figure)
        figure.patch.set_alpha(0.0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0.0)
        axes.grid(visible=True)
        axes.set_axisbelow(True)
        # Names and labels are plain text: a dollar sign begins no formula.
        axes.set_title(title, loc="left", fontsize=11, color=_INK, parse_math=False)
        axes.set_xlabel(x_label, parse_math=False)
        axes.set_ylabel(y_label, parse_math=False)
        yield figure, axes


def _mark(axes: Axes, marks: Sequence[Mark]) -> None:
    for mark in marks:
        axes.axvline(mark.x, color=_INK, linestyle="--", linewidth=1.2)
        axes.annotate(
            mark.name,
            (mark.x, 1.0),
            xycoords=axes.get_xaxis_transform(),
            xytext=(4, -10),
            textcoords="offset points",
            fontsize=9,
            parse_math=False,
        )


def _explain(axes: Axes, groups: int, *, beside: bool = False) -> None:
    if groups > 1:
        # Points may lie anywhere, so that their legend stands beside the axes.
        beside_axes = axes.legend(fontsize=9, bbox_to_anchor=(1.01, 1.0), loc="upper left") if beside else None
        for text in (beside_axes or axes.legend(fontsize=9, loc="best")).get_texts():
            text.set_parse_math(False)


def _svg(figure: Figure, title: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # Only marks and clip paths are referred to; the other ids would come again in the next chart of a page.
    text = re.sub(r"<g id=\"[^\"]*\"", "<g", text)
    text = re.sub(r" (?:width|height)=\"[0-9.]+pt\"", "", text, count=2)
    text = re.sub(r"font: ([0-9.]+px) [^;\"]+", r"font: \1 system-ui, sans-serif", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    return text.replace("<svg ", f'<svg role="img" aria-label="{_attribute(title)}" ', 1)


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
