"""The parts of docs/benchmarks.md that are written by a run, between markers, so that the prose around them stays."""

import re
from collections.abc import Mapping


class MarkerBroken(Exception):
    """The document has no place for a part."""


def with_parts(document: str, parts: Mapping[str, str]) -> str:
    """Return the document with each part between its markers. Raises MarkerBroken where they are not there."""
    for name, text in parts.items():
        place = re.compile(rf"<!-- begin {re.escape(name)} -->.*?<!-- end {re.escape(name)} -->", re.DOTALL)
        if not place.search(document):
            raise MarkerBroken(f"the document has no place for {name!r}")
        block = f"<!-- begin {name} -->\n{text.rstrip()}\n<!-- end {name} -->"
        document = place.sub(lambda _, block=block: block, document, count=1)  # type: ignore[misc]
    return document
