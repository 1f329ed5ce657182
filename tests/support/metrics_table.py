"""The table of metrics in docs/monitoring.md; `python -m tests.support.metrics_table` writes it anew."""

import re
from pathlib import Path

from ersgallery_server.metrics.catalogue import METRICS

PAGE = Path(__file__).parents[2] / "docs" / "monitoring.md"
_BETWEEN = re.compile(r"(?<=<!-- metrics -->\n).*(?=<!-- /metrics -->)", re.DOTALL)


def table() -> str:
    """Return all metrics as Markdown."""
    lines = [
        f"| `{metric.name}` | {metric.kind.value} | {', '.join(metric.labels) or '-'} | {metric.meaning} |\n"
        for metric in METRICS
    ]
    return "| metric | kind | labels | meaning |\n|---|---|---|---|\n" + "".join(lines)


def written() -> str:
    """Return the table as the page has it."""
    found = _BETWEEN.search(PAGE.read_text(encoding="utf-8"))
    return found[0] if found else ""


if __name__ == "__main__":
    PAGE.write_text(_BETWEEN.sub(lambda _: table(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
