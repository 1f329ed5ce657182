"""Typefaces as what they are here: several drawings of the same characters."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]  # it has no types
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SIDE_PX = 48
"""Height and width of a drawing: the height that the network reads."""

_EM_PX = 40
_FIRST, _LAST = 0x4E00, 0x9FFF  # CJK unified ideographs


@dataclass(frozen=True, slots=True)
class Typeface:
    """A name, and for each character by code point the file that draws it."""

    name: str
    drawn_by: dict[int, Path]

    def draw(self, character: int) -> NDArray[np.uint8]:
        """Return the character in black on white, centred by its ink: (48, 48) uint8.

        Raises KeyError for a character that the typeface does not have.
        """
        font = _font(self.drawn_by[character])
        left, top, right, bottom = font.getbbox(chr(character))
        image = Image.new("L", (SIDE_PX, SIDE_PX), 255)
        corner = ((SIDE_PX - left - right) / 2, (SIDE_PX - top - bottom) / 2)
        ImageDraw.Draw(image).text(corner, chr(character), font=font, fill=0)
        return np.asarray(image, np.uint8)


def read_typeface(name: str, files: Sequence[Path]) -> Typeface:
    """Read which Chinese characters each file of a typeface draws; those that it leaves blank are not counted."""
    drawn_by: dict[int, Path] = {}
    for path in files:
        with TTFont(path, lazy=True) as font:
            covered = [code for code in font.getBestCmap() or {} if _FIRST <= code <= _LAST]
        drawn_by.update((code, path) for code in covered if _has_ink(path, code))
    return Typeface(name, drawn_by)


def in_all(typefaces: Sequence[Typeface]) -> list[int]:
    """Return the code points that all of the typefaces draw, in order."""
    return sorted(set.intersection(*(set(typeface.drawn_by) for typeface in typefaces)))


def _has_ink(path: Path, code: int) -> bool:
    left, top, right, bottom = _font(path).getbbox(chr(code))
    return right > left and bottom > top


@lru_cache(maxsize=1024)
def _font(path: Path) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, _EM_PX)
