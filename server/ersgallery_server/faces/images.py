"""Decode untrusted JPEG, PNG and WebP bytes under limits that are checked before any pixel is decoded."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ersgallery_server.faces.outcomes import FailureReason

_FORMATS = ("JPEG", "PNG", "WEBP")
_EXIF_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """How large a photograph may be, encoded and decoded; 50 million pixels decode to 150 MB."""

    max_bytes: int = 20 * 1024 * 1024
    max_pixels: int = 50_000_000


class ImageRejected(Exception):
    """The bytes are no image that may be used: `reason` is stable, `detail` is a sentence for people."""

    def __init__(self, reason: FailureReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def decode_image(data: bytes, limits: ImageLimits) -> NDArray[np.uint8]:
    """Decode one photograph to (h, w, 3) uint8 RGB, upright after its EXIF orientation.

    Alpha is laid on white, 16-bit greys keep their high byte, of an animation the first frame counts. Raises
    ImageRejected: too many bytes or pixels, another format, corrupt or truncated data.
    """
    if len(data) > limits.max_bytes:
        raise ImageRejected(
            FailureReason.IMAGE_TOO_LARGE, f"the image has {len(data)} bytes; the limit is {limits.max_bytes} bytes"
        )
    _require_known_format(data)
    _require_pixels(_webp_size(data), limits)
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            _require_pixels(image.size, limits)
            image.load()
            return _to_rgb(_upright(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # Pillow's own limit may be the lower one.
        limit = min(limits.max_pixels, 2 * (Image.MAX_IMAGE_PIXELS or limits.max_pixels))
        raise ImageRejected(
            FailureReason.IMAGE_TOO_LARGE, f"the image has too many pixels; the limit is {limit} pixels"
        ) from error
    except (ImageRejected, MemoryError):
        raise
    except Exception as error:  # Pillow's plugins raise a dozen unrelated types on malformed bytes
        raise ImageRejected(FailureReason.IMAGE_CORRUPT, "the image is truncated or corrupt") from error


def _require_known_format(data: bytes) -> None:
    known = data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")
    if not known:
        raise ImageRejected(FailureReason.IMAGE_FORMAT_UNSUPPORTED, "the image is neither JPEG, PNG nor WebP")


def _require_pixels(size: tuple[int, int] | None, limits: ImageLimits) -> None:
    if size is not None and size[0] * size[1] > limits.max_pixels:
        raise ImageRejected(
            FailureReason.IMAGE_TOO_LARGE,
            f"the image has {size[0]} x {size[1]} pixels; the limit is {limits.max_pixels} pixels",
        )


def _webp_size(data: bytes) -> tuple[int, int] | None:
    # Pillow's WebP plugin allocates the whole canvas when it opens a file, so its size must be known before.
    if data[8:12] != b"WEBP" or len(data) < 30:
        return None
    if data[12:16] == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if data[12:16] == b"VP8 ":
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    return None


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # broken metadata does not make a photograph unusable # noqa: BLE001
        return image
    method = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if method is None else image.transpose(method)


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I"):
        high_byte = np.clip(np.asarray(image).astype(np.int64) >> 8, 0, 255).astype(np.uint8)
        return np.repeat(high_byte[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        alpha = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", alpha.size, "white"), alpha)
    return np.array(image.convert("RGB"), dtype=np.uint8)
