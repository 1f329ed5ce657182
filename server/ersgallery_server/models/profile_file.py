"""Recognizability profiles as JSON files: read strictly, written atomically, protected by a checksum.

The checksum is the SHA-256 of the content without it, as JSON with sorted keys and no spaces: laying the file out
differently does not change it, changing a number does.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from ersgallery_index.recognizability import Profile
from numpy.typing import NDArray

from ersgallery_server.models.errors import InvalidProfileFile, ProfileNotFound
from ersgallery_server.models.manifest import ModelPackage
from ersgallery_server.models.storage import write_file

SCHEMA_VERSION = 2
"""Version 2 added checks, decisions and histogram; version 1 has all the rest and is read too."""

_MAX_BYTES = 16 * 1024 * 1024
_DECIMALS = 6
_FIRST_KEYS = frozenset(
    ("schema_version", "name", "model", "dimension", "mean", "centroids", "gamma", "provenance", "sha256")
)
_KEYS = {1: _FIRST_KEYS, 2: _FIRST_KEYS | {"checks", "decisions", "histogram"}}
_UNIT_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class ProfileFile:
    """One recognizability profile and how it was made.

    centroids: (K, d) float64, unit length to 1e-4. mean: (d,) float64 or None. gamma: 0..1.
    provenance: JSON values: command, data, counts, seed, figures, date. checks: on the UI cluster, each with its value
    and limit. decisions: on centring and K, with every variant's figures. histogram: of raw ERS; None in version 1.
    """

    name: str
    model: str
    centroids: NDArray[np.float64]
    gamma: float
    mean: NDArray[np.float64] | None
    provenance: Mapping[str, Any]
    checks: Sequence[Mapping[str, Any]] = ()
    decisions: Sequence[Mapping[str, Any]] = ()
    histogram: Mapping[str, Any] | None = None

    @property
    def dimension(self) -> int:
        """Length d of the embeddings it is for."""
        return int(self.centroids.shape[1])

    def profile(self) -> Profile:
        """Return what the index computes with. Raises ersgallery_index.errors.InvalidProfile."""
        return Profile(model=self.model, centroids=self.centroids, gamma=self.gamma, mean=self.mean)

    def as_sent(self) -> Profile:
        """Return the profile in the float32 that requests carry: whoever sends the file makes no other one of it."""
        mean = None if self.mean is None else self.mean.astype(np.float32).astype(np.float64)
        return Profile(self.model, self.centroids.astype(np.float32).astype(np.float64), self.gamma, mean)


def rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round numbers to what a profile file keeps: 6 decimals, which moves an ERS by less than 1e-5."""
    return np.asarray(np.round(values, _DECIMALS), np.float64)


def write_profile(profile: ProfileFile, path: Path) -> None:
    """Write a profile file. Raises StorageFailed."""
    content: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "name": profile.name,
        "model": profile.model,
        "dimension": profile.dimension,
        "gamma": profile.gamma,
        "provenance": dict(profile.provenance),
        "checks": list(profile.checks),
        "decisions": list(profile.decisions),
        "histogram": profile.histogram,
        "mean": None if profile.mean is None else rounded(profile.mean).tolist(),
        "centroids": rounded(profile.centroids).tolist(),
    }
    content["sha256"] = _checksum(content)
    write_file(path, _layout(content).encode())


def read_profile(path: Path) -> ProfileFile:
    """Read a profile file. Raises ProfileNotFound, InvalidProfileFile."""
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ProfileNotFound(f"{path} cannot be read: {error.strerror}") from error
    return parse_profile(data, str(path))


def catalogued_profile(package: ModelPackage) -> ProfileFile:
    """Return the profile that comes with a catalogued model. Raises ProfileNotFound, InvalidProfileFile."""
    entry = resources.files("ersgallery_server.models") / "profiles" / package.profile
    if not entry.is_file():
        raise ProfileNotFound(f"no profile comes with model {package.name}; make one: ersgallery-server calibrate")
    return parse_profile(entry.read_bytes(), package.profile)


def parse_profile(data: bytes, origin: str) -> ProfileFile:
    """Read a profile from the bytes of its file; `origin` names it in errors. Raises InvalidProfileFile."""
    if len(data) > _MAX_BYTES:
        raise InvalidProfileFile(f"{origin} has more than {_MAX_BYTES} bytes")
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidProfileFile(f"{origin} is truncated or corrupt: it is no JSON") from error
    problem = _problem(content)
    if problem:
        raise InvalidProfileFile(f"{origin}: {problem}")
    return ProfileFile(
        name=content["name"],
        model=content["model"],
        centroids=np.array(content["centroids"], np.float64),
        gamma=float(content["gamma"]),
        mean=None if content["mean"] is None else np.array(content["mean"], np.float64),
        provenance=content["provenance"],
        checks=content.get("checks", ()),
        decisions=content.get("decisions", ()),
        histogram=content.get("histogram"),
    )


def _problem(content: Any) -> str | None:
    if not isinstance(content, dict):
        return "it is no JSON object"
    found = content.get("schema_version")
    if type(found) is not int or found not in _KEYS:
        return f"its schema version is {found}; this version reads {' and '.join(str(known) for known in _KEYS)}"
    if content.keys() != _KEYS[found]:
        return f"its keys differ from the schema's: {', '.join(sorted(content.keys() ^ _KEYS[found]))}"
    if _checksum(content) != content["sha256"]:
        return "its checksum does not fit its content: it was changed or damaged"
    return _problem_of_values(content)


def _problem_of_values(content: Mapping[str, Any]) -> str | None:
    dimension, mean, centroids, gamma = (content[key] for key in ("dimension", "mean", "centroids", "gamma"))
    rows = centroids if isinstance(centroids, list) else []
    checks = (
        (all(isinstance(content[key], str) for key in ("name", "model")), "name and model must be texts"),
        (isinstance(content["provenance"], dict), "provenance must be an object"),
        *((_are_objects(content.get(key, [])), f"{key} must be a list of objects") for key in ("checks", "decisions")),
        (isinstance(content.get("histogram"), dict | None), "histogram must be an object or null"),
        (isinstance(dimension, int) and dimension > 0, "dimension must be a positive integer"),
        (_is_number(gamma) and 0.0 <= gamma <= 1.0, "gamma must lie in 0..1"),
        (mean is None or _is_vector(mean, dimension), f"mean must be null or {dimension} numbers"),
        (
            rows and all(_is_unit(row, dimension) for row in rows),
            f"centroids must be unit vectors of {dimension} numbers",
        ),
    )
    return next((problem for holds, problem in checks if not holds), None)


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


def _is_unit(value: Any, dimension: int) -> bool:
    return _is_vector(value, dimension) and abs(math.hypot(*value) - 1.0) <= _UNIT_TOLERANCE


def _is_vector(value: Any, dimension: int) -> bool:
    return isinstance(value, list) and len(value) == dimension and all(_is_number(entry) for entry in value)


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # JSON has whole numbers of any length
        return False


def _checksum(content: Mapping[str, Any]) -> str:
    plain = {key: value for key, value in content.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _layout(content: Mapping[str, Any]) -> str:
    """Indent what people read and keep each vector on one line."""
    lines = []
    for key, value in content.items():
        if key in ("provenance", "checks", "decisions"):
            text = json.dumps(value, indent=1).replace("\n", "\n ")
        else:
            text = json.dumps(value, separators=(",", ":"))
        lines.append(f' "{key}": {text}')
    return "{\n" + ",\n".join(lines) + "\n}\n"
