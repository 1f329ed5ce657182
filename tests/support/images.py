"""Generated photographs without faces, encoded in every way the tests need."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def gradient(height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """Return a smooth (h, w, 3) uint8 RGB image whose four corners all differ."""
    rows, columns = np.mgrid[0:height, 0:width]
    red, green = 255 * rows / max(height - 1, 1), 255 * columns / max(width - 1, 1)
    return np.stack([red, green, 128 - red / 4 + green / 4], axis=2).astype(np.uint8)


def encode(image: NDArray[np.uint8] | Image.Image, form: str, **options: Any) -> bytes:
    """Encode an image as `form` (JPEG, PNG, WEBP, GIF, ...)."""
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()
