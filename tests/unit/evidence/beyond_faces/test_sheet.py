"""The picture of images by ERS."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.evidence.beyond_faces.sheet import contact_sheet


def grey(value: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.full((16, 16), value, np.uint8)


def pixels(png: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    with Image.open(BytesIO(png)) as image:
        return np.asarray(image)


def test_a_row_for_each_tenth_of_ers_that_has_images_from_high_to_low() -> None:
    ers = np.array([0.05, 0.95, 1.0, 0.92])
    sheet = pixels(contact_sheet([grey(10), grey(40), grey(20), grey(70)], ers, 0.5, columns=3))
    assert sheet.shape == (2 * (20 + 18) + 4, 3 * 20 + 4)
    first, second = sheet[18 + 8, [12, 32, 52]], sheet[38 + 18 + 8, [12, 32, 52]]
    assert first.tolist() == [20, 40, 70]
    assert second.tolist() == [10, 244, 244]


def test_more_images_than_columns_are_drawn_by_lot_with_a_seed() -> None:
    images = [grey(value) for value in range(60)]
    ers = np.full(60, 0.45)
    first, again, other = (contact_sheet(images, ers, 0.4, columns=5, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match="no image"):
        contact_sheet([], np.zeros(0), 0.5)
