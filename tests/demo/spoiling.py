"""Make the photograph of a shot: the file as it is, or a portrait degraded as far as its face is still found."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from ersgallery_server.faces.degrade import Image, Region, degrade
from ersgallery_server.faces.images import ImageLimits, decode_image
from PIL import Image as Pictures

from tests.demo.protocol import Shot, Spoiling
from tests.demo.settings import FACE_PX, PORTRAIT_SIDES, Settings
from tests.demo.survey import Located


@dataclass(frozen=True, slots=True)
class Picture:
    """What is sent for a shot: an encoded photograph.

    severity: the one used, 0 for a photograph as it is. found: whether the detector finds a face.
    """

    shot: Shot
    data: bytes
    severity: float = 0.0
    found: bool = True


def make_picture(shot: Shot, located: Located, settings: Settings, finds_face: Callable[[Image], bool]) -> Picture:
    """Return what is sent for a shot."""
    data = located.photograph.path.read_bytes()
    if shot.spoiling is None:
        return Picture(shot, data)
    portrait, region = cut_portrait(decode_image(data, ImageLimits()), located.box_px)
    image, severity, found = spoil(portrait, region, shot.spoiling, settings, finds_face)
    return Picture(shot, encode_png(image), severity, found)


def cut_portrait(image: Image, box_px: Region) -> tuple[Image, Region]:
    """Cut a (h, w, 3) uint8 image around a face and scale it so that the face measures FACE_PX.

    Returns the portrait and the face's box in it.
    """
    x, y, width, height = box_px
    face = (width * height) ** 0.5
    margin = PORTRAIT_SIDES * face / 2
    left, top = (max(0, round(centre - margin)) for centre in (x + width / 2, y + height / 2))
    part = image[top : round(y + height / 2 + margin), left : round(x + width / 2 + margin)]
    scale = FACE_PX / face
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    scaled = cv2.resize(part, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return np.asarray(scaled, np.uint8), ((x - left) * scale, (y - top) * scale, width * scale, height * scale)


def spoil(
    portrait: Image, region: Region, spoiling: Spoiling, settings: Settings, finds_face: Callable[[Image], bool]
) -> tuple[Image, float, bool]:
    """Degrade a portrait at the grade asked for, and less while no face is found.

    Returns the image, the severity used, and whether a face is found; at the mildest severity it may still not be.
    Each try repeats the same random choices, so that a milder one differs in its severity alone.
    """
    severity = spoiling.grade
    while True:
        image = degrade(portrait, spoiling.kind, severity, np.random.default_rng(spoiling.seed), region)
        found = finds_face(image)
        milder = round(severity - settings.step, 6)
        if found or milder < settings.mildest:
            return image, severity, found
        severity = milder


def encode_png(image: Image) -> bytes:
    """Encode without loss, so that nothing but the degradation spoils it."""
    buffer = io.BytesIO()
    Pictures.fromarray(image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
