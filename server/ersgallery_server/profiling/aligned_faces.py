"""Aligned face crops in a tar file or a folder, one sub-folder for each identity."""

import hashlib
import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ersgallery_server.faces.alignment import CROP_PX
from ersgallery_server.faces.images import ImageLimits, ImageRejected, decode_image
from ersgallery_server.models.errors import CalibrationFailed

_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp"))
_LIMITS = ImageLimits(max_bytes=1024 * 1024, max_pixels=CROP_PX * CROP_PX)


class AlignedFaces:
    """Faces named `identity/photograph.jpg`; `names` are sorted, and the encoded bytes are held in memory."""

    def __init__(self, encoded: dict[str, bytes]) -> None:
        self.names: tuple[str, ...] = tuple(sorted(encoded))
        self._encoded = encoded

    @classmethod
    def open(cls, path: Path) -> "AlignedFaces":
        """Read a tar file or a folder. Raises CalibrationFailed when it cannot be read or has no faces."""
        try:
            encoded = _read_folder(path) if path.is_dir() else _read_tar(path)
        except Exception as error:  # tarfile and what decompresses raise a dozen unrelated types on damaged bytes
            raise CalibrationFailed(f"the faces in {path} cannot be read: {error}") from error
        if not encoded:
            raise CalibrationFailed(f"{path} holds no images named identity/photograph.jpg")
        return cls(encoded)

    def subset(self, names: Iterable[str]) -> "AlignedFaces":
        """Return only the faces with these names."""
        return AlignedFaces({name: self._encoded[name] for name in names})

    def without(self, identities: Iterable[str]) -> "AlignedFaces":
        """Return the faces of everybody else. Raises CalibrationFailed for an identity that is not there."""
        groups = self.by_identity()
        left_out = set(identities)
        if missing := sorted(left_out - groups.keys()):
            raise CalibrationFailed(f"there is nobody named {', '.join(missing)} to leave out")
        return self.subset(name for identity, names in groups.items() if identity not in left_out for name in names)

    def by_identity(self) -> dict[str, list[str]]:
        """Return the names of each identity's photographs."""
        groups: dict[str, list[str]] = {}
        for name in self.names:
            groups.setdefault(str(PurePosixPath(name).parent), []).append(name)
        return groups

    @property
    def sha256(self) -> str:
        """SHA-256 of all names and contents: the same for a tar file and for the folder that it was made from."""
        whole = hashlib.sha256()
        for name in self.names:
            whole.update(f"{name}\0{hashlib.sha256(self._encoded[name]).hexdigest()}\n".encode())
        return whole.hexdigest()

    def crop(self, name: str) -> NDArray[np.uint8]:
        """Decode one crop: (112, 112, 3) uint8 RGB. Raises CalibrationFailed for another size or a corrupt image."""
        try:
            crop = decode_image(self._encoded[name], _LIMITS)
        except ImageRejected as error:
            raise CalibrationFailed(f"{name}: {error.detail}") from error
        if crop.shape != (CROP_PX, CROP_PX, 3):
            raise CalibrationFailed(f"{name} is no aligned face of {CROP_PX} x {CROP_PX} pixels")
        return crop


def _read_folder(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def _read_tar(path: Path) -> dict[str, bytes]:
    encoded: dict[str, bytes] = {}
    with tarfile.open(path) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isfile() else None
            if stream is not None and PurePosixPath(member.name).suffix.lower() in _SUFFIXES:
                encoded[member.name.removeprefix("./")] = stream.read()
        _require_end(archive)
    return encoded


def _require_end(archive: tarfile.TarFile) -> None:
    """Raise TarError where the archive stops without its end mark, which tarfile does not mind."""
    stream = archive.fileobj
    if stream is not None:
        stream.seek(archive.offset)
        if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.TarError("it is truncated")
