"""Where installed model files lie, and whether they are still the ones that were pinned."""

import enum
from dataclasses import dataclass
from pathlib import Path

from ersgallery_server.models.errors import ModelNotInstalled
from ersgallery_server.models.hashing import require_sha256, sha256_of_file
from ersgallery_server.models.manifest import ModelFile, ModelPackage, Role


class FileState(enum.Enum):
    """What became of an installed file."""

    OK = "OK"
    MISSING = "MISSING"
    CHANGED = "CHANGED"


@dataclass(frozen=True, slots=True)
class FileCheck:
    """The state of one file of a package."""

    file: ModelFile
    path: Path
    state: FileState


def model_folder(package: ModelPackage, models_dir: Path) -> Path:
    """Return the folder of a package below the models directory."""
    return models_dir / package.name


def is_installed(package: ModelPackage, models_dir: Path) -> bool:
    """Tell whether every file of the package is there with its size; `verify` re-hashes them."""
    paths = [(model_folder(package, models_dir) / found.name, found.bytes) for found in package.files]
    return all(path.is_file() and path.stat().st_size == size_bytes for path, size_bytes in paths)


def verify(package: ModelPackage, models_dir: Path) -> tuple[FileCheck, ...]:
    """Re-hash the files of a package and return the state of each."""
    folder = model_folder(package, models_dir)
    return tuple(FileCheck(found, folder / found.name, _state(folder / found.name, found)) for found in package.files)


def read_model_file(package: ModelPackage, role: Role, models_dir: Path) -> bytes:
    """Return a file's bytes, checked against its SHA-256. Raises ModelNotInstalled, HashMismatch."""
    wanted = package.file(role)
    path = model_folder(package, models_dir) / wanted.name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelNotInstalled(
            f"model {package.name} is not installed in {models_dir}; "
            f"run: ersgallery-server models install {package.name}"
        ) from error
    require_sha256(data, wanted.sha256, str(path))
    return data


def _state(path: Path, wanted: ModelFile) -> FileState:
    if not path.is_file():
        return FileState.MISSING
    return FileState.OK if sha256_of_file(path) == wanted.sha256 else FileState.CHANGED
