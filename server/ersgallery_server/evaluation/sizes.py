"""Sizes of unlabelled faces in their photographs, from a text file."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ersgallery_server.models.errors import CalibrationFailed

_HEADER = ["photograph", "face_px"]


def read_sizes(path: Path, names: Sequence[str]) -> NDArray[np.float64]:
    """Return the size in pixels of each named face (n,).

    The file is a CSV that begins with photograph,face_px, or one number a line in the order of the sorted names. Raises
    CalibrationFailed for a file that cannot be read, a face that is not there or there twice, or no positive number.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = [row for row in csv.reader(stream) if row]
    except (OSError, UnicodeError, csv.Error) as error:
        raise CalibrationFailed(f"the sizes in {path} cannot be read: {error}") from error
    named = bool(rows) and rows[0] == _HEADER
    for line, row in enumerate(rows[named:], 1 + named):
        if len(row) != 1 + named or not _is_size(row[-1]):
            raise CalibrationFailed(f"{path}, line {line}: {','.join(row)!r} is no size of a face in pixels")
    return _by_name(path, rows[1:], names) if named else _in_order(path, rows, names)


def _by_name(path: Path, rows: Sequence[Sequence[str]], names: Sequence[str]) -> NDArray[np.float64]:
    sizes = {name: float(size) for name, size in rows}
    if len(sizes) != len(rows):
        raise CalibrationFailed(f"{path} has a face twice")
    if missing := [name for name in names if name not in sizes]:
        raise CalibrationFailed(f"{path} has no size of {len(missing)} of {len(names)} faces, such as {missing[0]}")
    return np.array([sizes[name] for name in names])


def _in_order(path: Path, rows: Sequence[Sequence[str]], names: Sequence[str]) -> NDArray[np.float64]:
    if len(rows) != len(names):
        raise CalibrationFailed(f"{path} has {len(rows)} sizes, and there are {len(names)} faces")
    order = sorted(range(len(names)), key=names.__getitem__)
    sizes = np.empty(len(names))
    sizes[order] = [float(row[0]) for row in rows]
    return sizes


def _is_size(text: str) -> bool:
    try:
        return 0.0 < float(text) < float("inf")
    except ValueError:
        return False
