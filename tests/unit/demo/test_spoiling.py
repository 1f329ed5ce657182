"""How photographs are degraded."""

import cv2
import numpy as np
import pytest
from ersgallery_server.faces.degrade import Degradation, Image
from ersgallery_server.faces.images import ImageLimits, decode_image

from tests.demo.protocol import Spoiling
from tests.demo.settings import FACE_PX, KINDS, Settings
from tests.demo.spoiling import cut_portrait, encode_png, spoil

REGION = (100.0, 100.0, 80.0, 120.0)


def texture() -> Image:
    """Return an image with details of all sizes from ten pixels on."""
    coarse = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (400, 400), interpolation=cv2.INTER_CUBIC), np.uint8)


def test_in_a_portrait_the_face_has_the_size_that_severities_are_made_for() -> None:
    portrait, (x, y, width, height) = cut_portrait(texture(), REGION)
    assert (width * height) ** 0.5 == pytest.approx(FACE_PX)
    assert 0 <= x < x + width <= portrait.shape[1]
    assert 0 <= y < y + height <= portrait.shape[0]


def test_a_portrait_at_the_border_has_no_padding() -> None:
    portrait, (x, y, _, _) = cut_portrait(np.full((60, 60, 3), 200, np.uint8), (0.0, 0.0, 50.0, 50.0))
    assert (x, y) == (0.0, 0.0)
    assert portrait.min() == 200


@pytest.mark.parametrize("kind", KINDS)
def test_a_photograph_is_spoilt_less_until_a_face_is_found(kind: Degradation) -> None:
    portrait, region = cut_portrait(texture(), REGION)
    tries: list[Image] = []

    def third_time(image: Image) -> bool:
        tries.append(image)
        return len(tries) == 3

    image, severity, found = spoil(portrait, region, Spoiling(kind, 0.8, (1, 2)), Settings(), third_time)
    assert (round(severity, 6), found, len(tries)) == (0.6, True, 3)
    assert image is tries[-1]
    errors = [np.abs(tried.astype(float) - portrait).mean() for tried in tries]
    assert errors == sorted(errors, reverse=True)


def test_where_no_face_is_ever_found_the_mildest_severity_stays() -> None:
    portrait, region = cut_portrait(texture(), REGION)
    spoiling = Spoiling(Degradation.LOW_LIGHT, 1.0, (1,))
    _, severity, found = spoil(portrait, region, spoiling, Settings(), lambda _: False)
    assert (round(severity, 6), found) == (0.2, False)


def test_what_is_sent_is_what_was_made() -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    assert np.array_equal(decode_image(encode_png(image), ImageLimits()), image)
