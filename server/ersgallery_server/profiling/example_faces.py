"""Faces of high, middle and low ERS as small pictures (the paper's figure 4)."""

import cv2
import numpy as np
from numpy.typing import NDArray

from ersgallery_server.models.errors import CalibrationFailed
from ersgallery_server.profiling.material import Faces
from ersgallery_server.reports.page import Picture, Strip

_EACH = 9
_SIDE_PX = 84
_QUALITY = 80


def example_faces(testing: Faces, raw_ers: NDArray[np.float64], gamma: float) -> list[Strip]:
    """Return rows of pictures of faces whose images are there; evenly spaced by ERS, so that nothing is picked."""
    if testing.show is None:
        return []
    low, middle = raw_ers < gamma, (raw_ers >= gamma) & (raw_ers < 1.0)
    groups = {
        "High: raw ERS of 1 or more": raw_ers >= 1.0,
        f"Middle: from gamma, {gamma:.3f}, up to 1": middle,
        "Low: below gamma, answered with UNSURE": low,
    }
    return [
        Strip(title, tuple(_picture(testing, int(row), float(raw_ers[row])) for row in _spread(inside, raw_ers)))
        for title, inside in groups.items()
        if inside.any()
    ]


def _spread(inside: NDArray[np.bool_], raw_ers: NDArray[np.float64]) -> NDArray[np.intp]:
    rows = np.flatnonzero(inside)
    rows = rows[np.argsort(-raw_ers[rows], kind="stable")]
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(_EACH, len(rows))).round().astype(np.intp))]


def _picture(testing: Faces, row: int, raw_ers: float) -> Picture:
    if testing.show is None:
        raise ValueError("these faces have no images")
    small = cv2.resize(testing.show(row), (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
    done, encoded = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise CalibrationFailed("an example face cannot be encoded as JPEG")
    kind = int(testing.faces.kinds[row])
    words = "clean" if kind < 0 else testing.faces.kind_names[kind].lower().replace("_", " ")
    level = float(testing.faces.severities[row])
    return Picture(encoded.tobytes(), f"{raw_ers:.2f}, {words}{f' {level:g}' if level > 0 else ''}")
