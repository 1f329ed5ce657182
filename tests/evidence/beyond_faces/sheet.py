"""A contact sheet: images by their ERS, so that anyone can see what it measures (the paper's figures 7 and 8)."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_GAP_PX = 4
_LABEL_PX = 18
_PAPER = 244


def contact_sheet(
    images: Sequence[NDArray[np.uint8]], ers: NDArray[np.float64], gamma: float, *, columns: int = 24, seed: int = 0
) -> bytes:
    """Return a PNG with a row of images for each tenth of ERS from high to low, drawn by lot, and gamma's place.

    images: n grey images of one size; ers (n,). Raises ValueError without any image.
    """
    if not images:
        raise ValueError("there is no image to show")
    side = images[0].shape[0] + _GAP_PX
    rng = np.random.default_rng(seed)
    bands = [(low / 10, (low + 1) / 10) for low in range(9, -1, -1)]
    chosen = [(low, high, _some(ers, low, high, columns, rng)) for low, high in bands]
    shown = [band for band in chosen if len(band[2])]
    sheet = Image.new("L", (columns * side + _GAP_PX, len(shown) * (side + _LABEL_PX) + _GAP_PX), _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default()
    for row, (low, high, rows) in enumerate(shown):
        top = _GAP_PX + row * (side + _LABEL_PX)
        pen.text((_GAP_PX, top), _label(low, high, gamma, ers), font=font, fill=0)
        for column, index in enumerate(rows):
            place = (_GAP_PX + column * side, top + _LABEL_PX - _GAP_PX)
            sheet.paste(Image.fromarray(images[index]), place)
    buffer = BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _some(ers: NDArray[np.float64], low: float, high: float, most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    inside = np.flatnonzero((ers >= low) & ((ers < high) | ((high >= 1.0) & (ers <= high))))
    some = rng.permutation(inside)[:most]
    return some[np.argsort(-ers[some], kind="stable")]


def _label(low: float, high: float, gamma: float, ers: NDArray[np.float64]) -> str:
    count = int(((ers >= low) & ((ers < high) | (high >= 1.0))).sum())
    here = f"; gamma {gamma:.3f}: UNSURE below" if low <= gamma < high else ""
    return f"ERS {low:.1f} to {high:.1f}: {count} of {len(ers)} images{here}"
