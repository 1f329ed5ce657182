"""Characters as a typeface draws them."""

from pathlib import Path

import numpy as np
import pytest

from tests.evidence.beyond_faces.typefaces import Typeface, in_all, read_typeface


def test_a_typeface_has_the_chinese_characters_that_it_does_not_leave_blank(box_files: list[Path]) -> None:
    toy = read_typeface("toy", box_files)
    assert toy.drawn_by == {0x4E00: box_files[0], 0x4E01: box_files[0], 0x4E04: box_files[1]}


@pytest.mark.parametrize(("character", "height_px"), [(0x4E00, 8), (0x4E01, 32), (0x4E04, 32)])
def test_a_character_is_drawn_in_black_on_white_and_centred(
    box_files: list[Path], character: int, height_px: int
) -> None:
    image = read_typeface("toy", box_files).draw(character)
    assert image.shape == (48, 48)
    ink = np.argwhere(image < 128)
    assert np.abs(ink.mean(axis=0) - 23.5).max() <= 1.0
    assert np.ptp(ink, axis=0) + 1 == pytest.approx([height_px, 32], abs=1)


def test_a_character_that_a_typeface_does_not_have_is_an_error(box_files: list[Path]) -> None:
    with pytest.raises(KeyError):
        read_typeface("toy", box_files).draw(0x4E02)


def test_only_characters_of_every_typeface_are_common() -> None:
    path = Path("any.woff")
    some = Typeface("some", dict.fromkeys((5, 3, 9), path))
    other = Typeface("other", dict.fromkeys((9, 4, 3), path))
    assert in_all([some, other]) == [3, 9]
