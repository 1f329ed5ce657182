"""Embeddings with the names of the people they show: an .npz file, and labels in it or in a text file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from ersgallery_index.embeddings import normalize
from ersgallery_index.errors import CalibrationFailed, InvalidEmbedding
from numpy.typing import NDArray

from ersgallery_server.models.errors import CalibrationFailed as UnreadableFile
from ersgallery_server.models.npz_file import read_npz

_FLOATING_OR_INTEGER = "fiu"


@dataclass(frozen=True, slots=True, eq=False)
class LabelledEmbeddings:
    """n embeddings of one model, and whom they show.

    raw (n, d) float32: as the model gave them. unit (n, d) float32: at unit length, as a gallery stores them.
    identities (n,) int64: positions in people, whose names are sorted. names (n,): the label of each row as it was
    given; empty where the file has identities alone.
    """

    raw: NDArray[np.float32]
    unit: NDArray[np.float32]
    identities: NDArray[np.int64]
    people: tuple[str, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.identities)

    @property
    def dimension(self) -> int:
        """Length d of an embedding."""
        return int(self.raw.shape[1])

    @classmethod
    def read(cls, path: Path, labels: Path | None = None) -> Self:
        """Read an .npz file with `embedding` (n, d), and either `identity` (n,) in it or a text file of labels.

        The text file has a line for each row, `Identity/photograph` or just `Identity`. Raises CalibrationFailed:
        UNREADABLE, LABELS_MISMATCH, TOO_FEW_FACES, NOT_FINITE, ZERO_NORM.
        """
        arrays = _arrays(path)
        raw = _embeddings(path, arrays)
        names = _names(path, arrays) if labels is None else _lines(labels)
        if len(names) != len(raw):
            where = path if labels is None else labels
            message = f"{where} has {len(names)} labels, and {path} has {len(raw)} embeddings"
            raise CalibrationFailed("LABELS_MISMATCH", message)
        people, identities = np.unique([name.rpartition("/")[0] or name for name in names], return_inverse=True)
        return cls(
            raw=raw,
            unit=_unit(path, raw),
            identities=identities.astype(np.int64),
            people=tuple(str(person) for person in people),
            names=names,
        )

    def require_dimension(self, dimension: int, of: str) -> None:
        """Raise CalibrationFailed MIXED_DIMENSIONS unless the embeddings have this dimension, which is that of `of`."""
        if self.dimension != dimension:
            message = f"the embeddings have dimension {self.dimension}, and {of} has {dimension}"
            raise CalibrationFailed("MIXED_DIMENSIONS", message)


def read_embeddings(path: Path) -> NDArray[np.float32]:
    """Read raw embeddings (n, d) without labels. Raises CalibrationFailed: UNREADABLE, TOO_FEW_FACES, NOT_FINITE."""
    raw = _embeddings(path, _arrays(path))
    _unit(path, raw)
    return raw


def _arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    try:
        return read_npz(path, ("embedding", "identity"))
    except UnreadableFile as error:
        raise CalibrationFailed("UNREADABLE", str(error)) from error


def _embeddings(path: Path, arrays: dict[str, NDArray[np.generic]]) -> NDArray[np.float32]:
    if "embedding" not in arrays:
        raise CalibrationFailed("UNREADABLE", f"{path} has no array `embedding`")
    found = arrays["embedding"]
    if found.ndim != 2 or found.dtype.kind not in _FLOATING_OR_INTEGER or found.shape[1] == 0:
        shape = f"{found.dtype} of shape {found.shape}"
        raise CalibrationFailed("UNREADABLE", f"`embedding` of {path} must be numbers of shape (n, d), and is {shape}")
    if len(found) == 0:
        raise CalibrationFailed("TOO_FEW_FACES", f"{path} has no embedding")
    with np.errstate(over="ignore"):
        return found.astype(np.float32)


def _names(path: Path, arrays: dict[str, NDArray[np.generic]]) -> tuple[str, ...]:
    if "identity" not in arrays:
        message = f"{path} has no array `identity`: add it, or give a text file with a label for each row"
        raise CalibrationFailed("LABELS_MISMATCH", message)
    found = arrays["identity"]
    if found.ndim != 1 or found.dtype.kind not in "USiu":
        raise CalibrationFailed("LABELS_MISMATCH", f"`identity` of {path} must be names or whole numbers of shape (n,)")
    if found.dtype.kind == "S":
        try:
            found = np.char.decode(found.astype(np.bytes_), "utf-8")
        except UnicodeError as error:
            raise CalibrationFailed("LABELS_MISMATCH", f"`identity` of {path} is no UTF-8") from error
    # A slash belongs to the name here: there is no photograph after it.
    return tuple(f"{name}/" if "/" in str(name) else str(name) for name in found)


def _lines(labels: Path) -> tuple[str, ...]:
    try:
        lines = labels.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise CalibrationFailed("UNREADABLE", f"{labels} cannot be read: {error}") from error
    names = tuple(line.strip() for line in lines)
    while names and not names[-1]:
        names = names[:-1]
    if not all(names):
        raise CalibrationFailed("LABELS_MISMATCH", f"line {names.index('') + 1} of {labels} is empty")
    return names


def _unit(path: Path, raw: NDArray[np.float32]) -> NDArray[np.float32]:
    try:
        return normalize(raw, raw.shape[1]).vectors
    except InvalidEmbedding as error:
        reason = "ZERO_NORM" if "norm" in error.problem else "NOT_FINITE"
        raise CalibrationFailed(reason, f"{path}: {error}") from error
