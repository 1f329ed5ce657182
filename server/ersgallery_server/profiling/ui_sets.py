"""A set of unrecognizable images in a tar file: found with one model, used for others (the paper's shortcut)."""

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ersgallery_server.models.errors import StorageFailed
from ersgallery_server.models.storage import atomic_write

DESCRIPTION = "ui-set.json"


def write_ui_set(images: Iterable[tuple[str, NDArray[np.uint8]]], description: dict[str, Any], path: Path) -> None:
    """Write (112, 112, 3) uint8 RGB crops with the kind of each, as `kind/00001.png`, losslessly. Raises StorageFailed.

    Nobody's name is in it, but photographs of people are: it is to be kept as they are.
    """
    with atomic_write(path) as stream, tarfile.open(fileobj=stream, mode="w") as archive:
        _add(archive, DESCRIPTION, json.dumps(description, indent=1).encode())
        for number, (kind, crop) in enumerate(images):
            _add(archive, f"{kind}/{number:05}.png", _png(crop))


def _png(crop: NDArray[np.uint8]) -> bytes:
    done, encoded = cv2.imencode(".png", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR))
    if not done:
        raise StorageFailed("an image of the UI set cannot be encoded as PNG")
    return encoded.tobytes()


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))
