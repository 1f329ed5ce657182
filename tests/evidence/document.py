"""The tables inside docs/evidence.md, between markers, so that the prose around them stays."""

import re
from collections.abc import Iterable, Mapping

from ersgallery_server.evaluation.outputs import markdown_table
from ersgallery_server.evaluation.tables import Table


class MarkerBroken(Exception):
    """A marker in the document has no end."""


def block_name(key: str, model: str = "") -> str:
    """Return the name of a table's place: `T1 sface`."""
    return f"{key} {model}".strip()


def with_tables(document: str, tables: Mapping[str, Table]) -> str:
    """Return the document with each table in its place; those without one go before the end marker of `results`.

    Raises MarkerBroken for a place that begins and does not end.
    """
    for name, table in tables.items():
        text = _block(name, table)
        place = re.compile(rf"<!-- begin {re.escape(name)} -->.*?<!-- end {re.escape(name)} -->", re.DOTALL)
        if place.search(document):
            document = place.sub(lambda _, text=text: text, document, count=1)  # type: ignore[misc]
        elif f"<!-- begin {name} -->" in document:
            raise MarkerBroken(f"the place of {name} in the document begins and does not end")
        elif "<!-- end results -->" in document:
            document = document.replace("<!-- end results -->", f"{text}\n\n<!-- end results -->", 1)
        else:
            raise MarkerBroken(f"the document has no place for {name}, and no end of results")
    return document


def named(model: str, tables: Iterable[Table]) -> dict[str, Table]:
    """Return tables by the names of their places."""
    return {block_name(table.key, model): table for table in tables}


def _block(name: str, table: Table) -> str:
    return f"<!-- begin {name} -->\n{markdown_table(table, level=4)}<!-- end {name} -->"
