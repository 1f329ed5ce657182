"""Subjects are drawn whole, within the limit of faces, and the same ones each time."""

import numpy as np
from ersgallery_server.calibrations.faces import some_subjects
from hypothesis import given
from hypothesis import strategies as st


@given(
    subjects=st.lists(st.integers(0, 20), max_size=80).map(lambda keys: np.array(keys, np.int64)),
    least=st.integers(1, 3),
    most=st.integers(0, 80),
)
def test_subjects_have_enough_faces_and_all_of_them_together_not_too_many(
    subjects: np.ndarray[tuple[int], np.dtype[np.int64]], least: int, most: int
) -> None:
    chosen = some_subjects(subjects, least, most)
    counts = [int((subjects == key).sum()) for key in chosen]
    assert all(count >= least for count in counts)
    assert sum(counts) <= most
    np.testing.assert_array_equal(chosen, some_subjects(subjects, least, most))


@given(subjects=st.lists(st.integers(0, 20), max_size=80).map(lambda keys: np.array(keys, np.int64)))
def test_where_all_fit_all_are_taken(subjects: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
    keys, counts = np.unique(subjects, return_counts=True)
    np.testing.assert_array_equal(some_subjects(subjects, 2, len(subjects)), keys[counts >= 2])
