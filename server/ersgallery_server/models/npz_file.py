"""NumPy's .npz files, read without ever unpickling, with a sentence for each way in which one cannot be read."""

import zipfile
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ersgallery_server.models.errors import CalibrationFailed


def read_npz(path: Path, names: Collection[str] | None = None) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of a file by name, those of `names` that it has where some are named; raises CalibrationFailed.

    An array of Python objects is refused, for reading it could run anything.
    """
    try:
        problem = None if zipfile.is_zipfile(path) else _no_archive(path)
        found = {} if problem else _arrays(path, names)
    except FileNotFoundError as error:
        raise CalibrationFailed(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:  # NumPy and zipfile raise a dozen unrelated types on damaged bytes
        cause = "it holds Python objects" if "allow_pickle" in str(error) else "it is truncated or corrupt"
        raise CalibrationFailed(f"{path} cannot be read: {cause}") from error
    if problem:
        raise CalibrationFailed(problem)
    return {name: array for name, array in found.items() if isinstance(array, np.ndarray)}


def _arrays(path: Path, names: Collection[str] | None) -> dict[str, NDArray[np.generic]]:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files if names is None or name in names}


def _no_archive(path: Path) -> str:
    with path.open("rb") as file:
        begin = file.read(6)
    what = "is a single array" if begin == b"\x93NUMPY" else "is no .npz file, or is truncated"
    return f"{path} {what}; numpy.savez(path, embedding=..., identity=...) writes what is needed"
