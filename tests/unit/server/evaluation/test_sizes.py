"""Sizes of faces are read by name or in order, and strictly."""

from pathlib import Path

import pytest
from ersgallery_server.evaluation.sizes import read_sizes
from ersgallery_server.models.errors import CalibrationFailed

NAMES = ("b.jpg", "a.jpg", "c.jpg")


def written(folder: Path, text: str) -> Path:
    path = folder / "sizes.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_numbers_alone_are_in_the_order_of_the_sorted_names(tmp_path: Path) -> None:
    assert read_sizes(written(tmp_path, "10\n20.5\n30\n"), NAMES).tolist() == [20.5, 10.0, 30.0]


def test_a_csv_tells_the_size_of_each_name_and_may_know_more_faces(tmp_path: Path) -> None:
    text = "photograph,face_px\nc.jpg,30\na.jpg,10\nb.jpg,20\nd.jpg,40\n"
    assert read_sizes(written(tmp_path, text), NAMES).tolist() == [20.0, 10.0, 30.0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("10\n20\n", "has 2 sizes, and there are 3 faces"),
        ("10\nlarge\n30\n", "line 2: 'large' is no size"),
        ("10\n-1\n30\n", "line 2: '-1' is no size"),
        ("10\nnan\n30\n", "line 2: 'nan' is no size"),
        ("photograph,face_px\na.jpg,10\na.jpg,20\n", "has a face twice"),
        ("photograph,face_px\na.jpg,10\nb.jpg,20\n", "no size of 1 of 3 faces, such as c.jpg"),
        ("photograph,face_px\na.jpg\n", "line 2: 'a.jpg' is no size"),
    ],
)
def test_a_file_that_does_not_tell_every_size_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(CalibrationFailed, match=problem):
        read_sizes(written(tmp_path, text), NAMES)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CalibrationFailed, match=r"none\.txt cannot be read"):
        read_sizes(tmp_path / "none.txt", NAMES)
