"""Which photographs are used."""

from pathlib import Path

import numpy as np

from tests.demo.photographs import Photograph
from tests.demo.survey import Located, without_twins


def located(person: str, name: str, *embedding: float) -> Located:
    unit = np.array(embedding, np.float32) / np.float32(np.linalg.norm(embedding))
    return Located(Photograph(person, Path(name)), (0, 0, 1, 1), unit)


def test_a_near_copy_of_a_photograph_is_left_out_and_a_double_of_another_person_is_not() -> None:
    first = located("ada", "1", 1, 0)
    copy = located("ada", "2", 1, 0.1)
    other = located("ada", "3", 1, 1)
    double = located("eve", "4", 1, 0)
    assert without_twins([first, copy, other, double], 0.9) == [first, other, double]
