"""Pictures to damage: made ones in every form, and real photographs where there are some."""

import functools
import io
import os
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from tests.support.images import encode, gradient

_REAL = 6


@functools.cache
def made_images() -> tuple[bytes, ...]:
    """Return small pictures of all modes and forms: alpha, palette, 16 bits, CMYK, progressive, animated, with EXIF."""
    colour = Image.fromarray(gradient(40, 56))
    grey = Image.fromarray(np.linspace(0, 65535, 40 * 56).reshape(40, 56).astype(np.uint16))
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (24, 32, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "x" * 40
    frames = [colour, colour.rotate(90), colour.rotate(180)]
    return (
        *(encode(colour, form) for form in ("JPEG", "PNG", "WEBP")),
        encode(colour, "JPEG", progressive=True, exif=exif.tobytes()),
        encode(colour, "JPEG", subsampling=0, restart_marker_blocks=2),
        encode(colour.convert("CMYK"), "JPEG"),
        encode(colour.convert("L"), "JPEG"),
        encode(colour.convert("RGBA"), "PNG", exif=exif.tobytes()),
        encode(colour.convert("P"), "PNG", transparency=3),
        encode(colour.convert("1"), "PNG"),
        encode(colour.convert("LA"), "PNG"),
        encode(grey, "PNG"),
        encode(noise, "PNG", icc_profile=bytes(200)),
        encode(colour, "PNG", save_all=True, append_images=frames),
        encode(colour.convert("RGBA"), "WEBP", lossless=True, exif=exif.tobytes()),
        encode(noise, "WEBP", quality=1),
        encode(colour, "WEBP", save_all=True, append_images=frames),
        encode(Image.new("RGB", (1, 1)), "PNG"),
    )


@functools.cache
def photographs() -> tuple[bytes, ...]:
    """Return real photographs of faces as files; none without ERSGALLERY_TEST_DATA."""
    data = os.environ.get("ERSGALLERY_TEST_DATA")
    found = sorted(Path(data, "lfw", "lfw_small").rglob("*.jpg"))[::37][:_REAL] if data else []
    return tuple(_anew(path, form) for path in found for form in ("JPEG", "PNG", "WEBP"))


def _anew(path: Path, form: str) -> bytes:
    with Image.open(path) as image:
        image.load()
        buffer = io.BytesIO()
        image.resize((120, 120)).save(buffer, form)
        return path.read_bytes() if form == "JPEG" else buffer.getvalue()


@functools.cache
def small_images() -> tuple[bytes, ...]:
    """Return what is sent to a server: some sound, some not."""
    rng = Random(5)
    sound = (*made_images(), *photographs()[:6])
    return (*sound, *(data[: rng.randint(0, len(data))] for data in sound[:6]), b"\x89PNG\r\n\x1a\n" + bytes(40))
