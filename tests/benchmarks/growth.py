"""How the time of a search grows with the faces, as a picture."""

import io
from collections.abc import Sequence

from tests.benchmarks.results import Result

_BATCHES = ("1", "64")
_COLOURS = ("#1b6ca8", "#c8553d", "#3a7d44", "#7a4fa3")


def growth_svg(results: Sequence[Result]) -> str:
    """Return milliseconds per probe over the faces of every kind, and of the machine's limit, as SVG on log scales."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "ersgallery", "svg.fonttype": "none", "font.size": 10}):
        figure = Figure(figsize=(7, 4.2), layout="constrained")
        axes = figure.subplots()
        for colour, (name, points) in zip(_COLOURS * 4, sorted(curves(results).items()), strict=False):
            style = "--" if name.startswith("limit") else "o-"
            axes.plot([faces for faces, _ in points], [ms for _, ms in points], style, label=name, color=colour)
        axes.set(xscale="log", yscale="log", xlabel="faces in the gallery", ylabel="milliseconds per probe")
        axes.grid(which="both", alpha=0.2)
        axes.legend(frameon=False)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def curves(results: Sequence[Result]) -> dict[str, list[tuple[int, float]]]:
    """Return (faces, ms per probe) of every kind and batch, and of the limit, by rising faces."""
    found: dict[str, list[tuple[int, float]]] = {}
    for result in results:
        parts = result.key.split("/")
        if len(parts) != 5 or parts[0] != "index" or parts[3] not in _BATCHES or parts[4] != "limit":
            continue
        _, kind, faces, batch, _ = parts
        found.setdefault(f"{kind}, batch {batch}", []).append((int(faces), result.figures["ms"] / int(batch)))
        if kind == "exact":
            found.setdefault(f"limit, batch {batch}", []).append((int(faces), result.figures["limit_ms"] / int(batch)))
    return {name: sorted(points) for name, points in found.items()}
