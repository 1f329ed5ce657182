"""NumPy's .npz files, read without ever unpickling, with a sentence for each way in which one cannot be read."""

import zipfile
import zlib
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
        if not zipfile.is_zipfile(path):
            raise CalibrationFailed(_no_archive(path))
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files if names is None or name in names}
    except OSError as error:
        raise CalibrationFailed(f"{path} cannot be read: {error.strerror or 'it is damaged'}") from error
    except (ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        cause = "it holds Python objects" if "allow_pickle" in str(error) else "it is truncated or corrupt"
        raise CalibrationFailed(f"{path} cannot be read: {cause}") from error


def _no_archive(path: Path) -> str:
    with path.open("rb") as file:
        begin = file.read(6)
    what = "is a single array" if begin == b"\x93NUMPY" else "is no .npz file, or is truncated"
    return f"{path} {what}; numpy.savez(path, embedding=..., identity=...) writes what is needed"
