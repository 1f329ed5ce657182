"""A typeface of two files, made by the test: boxes for characters."""

from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder  # type: ignore[import-untyped]  # it has no types
from fontTools.pens.ttGlyphPen import TTGlyphPen  # type: ignore[import-untyped]  # it has no types


@pytest.fixture
def box_files(tmp_path: Path) -> list[Path]:
    """Return two .woff files: 一 is a low box and 丁 a high one; 丂 is blank; 丄 is high, in the second file."""
    first, second = tmp_path / "toy-1.woff", tmp_path / "toy-2.woff"
    _write(first, {0x4E00: 200, 0x4E01: 800, 0x4E02: 0, 0x41: 500})
    _write(second, {0x4E04: 800})
    return [first, second]


def _write(path: Path, heights: dict[int, int]) -> None:
    builder = FontBuilder(1000, isTTF=True)
    names = {code: f"u{code:04X}" for code in heights}
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap(names)
    builder.setupGlyf({".notdef": _box(500), **{names[code]: _box(height) for code, height in heights.items()}})
    builder.setupHorizontalMetrics(dict.fromkeys((".notdef", *names.values()), (1000, 100)))
    builder.setupHorizontalHeader(ascent=880, descent=-120)
    builder.setupOS2(sTypoAscender=880, sTypoDescender=-120)
    builder.setupNameTable({"familyName": "Boxes", "styleName": "Regular"})
    builder.setupPost()
    builder.font.flavor = "woff"
    builder.save(path)


def _box(height: int) -> object:
    pen = TTGlyphPen(None)
    if height:
        pen.moveTo((100, 0))
        for corner in ((100, height), (900, height), (900, 0)):
            pen.lineTo(corner)
        pen.closePath()
    return pen.glyph()
