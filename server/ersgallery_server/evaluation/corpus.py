"""The faces of an evaluation, embedded once: who they show, how they were degraded, and other measures of quality."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ersgallery_index import normalize
from numpy.typing import NDArray

from ersgallery_server.evaluation.plan import Part, Role
from ersgallery_server.faces.degrade import Degradation
from ersgallery_server.models.errors import CalibrationFailed
from ersgallery_server.models.npz_file import read_npz
from ersgallery_server.models.storage import atomic_write

KINDS = tuple(Degradation)
CLEAN = -1
UNKNOWN = -2
_PARTS, _ROLES = tuple(Part), tuple(Role)


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """n embedded faces in columns.

    names: the photograph of each, `identity/photograph`. identities (n,) int64, numbers of `people`; -1 unknown.
    parts, roles (n,) int8: positions in Part and Role. kinds (n,) int8: positions in KINDS, CLEAN or UNKNOWN.
    severities (n,) float64: 0 for clean faces, NaN where unknown. raw (n, d) float32: embeddings as the model
    gave them. sharpness, detector_scores (n,) float64: NaN where they were not measured.
    """

    model: str
    names: tuple[str, ...]
    people: tuple[str, ...]
    identities: NDArray[np.int64]
    parts: NDArray[np.int8]
    roles: NDArray[np.int8]
    kinds: NDArray[np.int8]
    severities: NDArray[np.float64]
    raw: NDArray[np.float32]
    sharpness: NDArray[np.float64]
    detector_scores: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def dimension(self) -> int:
        """Numbers per embedding."""
        return int(self.raw.shape[1])

    @property
    def norms(self) -> NDArray[np.float64]:
        """Return the length of each embedding before normalisation."""
        return np.asarray(np.linalg.norm(self.raw.astype(np.float64), axis=1), np.float64)

    @property
    def rows(self) -> NDArray[np.float32]:
        """Return the stored unit rows (n, d)."""
        return normalize(self.raw, self.dimension).vectors

    @property
    def clean(self) -> NDArray[np.bool_]:
        """Return which faces were left as they were."""
        return np.asarray(self.kinds == CLEAN, np.bool_)

    def of(self, part: Part, role: Role | None = None) -> NDArray[np.bool_]:
        """Return which faces belong to a part and, where it is given, have a role."""
        chosen = self.parts == _PARTS.index(part)
        return np.asarray(chosen if role is None else chosen & (self.roles == _ROLES.index(role)), np.bool_)

    def save(self, path: Path) -> None:
        """Write the corpus as an .npz file without pickles. Raises StorageFailed."""
        about = json.dumps({"model": self.model, "names": self.names, "people": self.people})
        with atomic_write(path) as stream:
            columns = self._columns()
            np.savez(stream, allow_pickle=False, about=np.frombuffer(about.encode(), np.uint8), **columns)

    @classmethod
    def load(cls, path: Path) -> "Corpus":
        """Read what `save` wrote. Raises CalibrationFailed for a file that is none."""
        arrays = read_npz(path)
        try:
            about: dict[str, Any] = json.loads(arrays["about"].tobytes())
            columns: dict[str, NDArray[Any]] = {name: arrays[name] for name in _COLUMNS}
            return cls(about["model"], tuple(about["names"]), tuple(about["people"]), **columns)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise CalibrationFailed(f"{path} is no corpus of this version: {error}") from error

    def _columns(self) -> dict[str, NDArray[Any]]:
        return {name: getattr(self, name) for name in _COLUMNS}


_COLUMNS = ("identities", "parts", "roles", "kinds", "severities", "raw", "sharpness", "detector_scores")
