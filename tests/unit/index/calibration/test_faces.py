"""Faces that a calibration works on are checked when they are put together."""

from collections.abc import Callable

import numpy as np
import pytest
from ersgallery_index.calibration import CLEAN, NOBODY, UNKNOWN, FaceSet
from ersgallery_index.errors import CalibrationFailed
from numpy.typing import NDArray

from tests.support.synthetic_faces import people

RAW = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)


def with_value(value: float) -> NDArray[np.float32]:
    raw = RAW.copy()
    raw[2] = value
    return raw


@pytest.mark.parametrize(
    ("make", "reason", "said"),
    [
        (lambda: FaceSet.of_raw(with_value(np.nan)), "NOT_FINITE", "row 2"),
        (lambda: FaceSet.of_raw(with_value(np.inf)), "NOT_FINITE", "row 2"),
        (lambda: FaceSet.of_raw(with_value(0.0)), "ZERO_NORM", "row 2"),
        (lambda: FaceSet.of_raw(RAW[0]), "MIXED_DIMENSIONS", "one row per face"),
        (lambda: FaceSet.of_raw(RAW, identities=np.arange(3)), "LABELS_MISMATCH", r"4 embeddings .* \(3\)"),
        (lambda: FaceSet.of_raw(RAW, kinds=np.zeros(4, np.int16)), "LABELS_MISMATCH", "has no name"),
        (lambda: FaceSet.of_raw(RAW, kinds=np.full(4, -3, np.int16)), "LABELS_MISMATCH", "has no name"),
        (lambda: FaceSet.concatenate([people(3), people(3, dimension=64)]), "MIXED_DIMENSIONS", "128, 64"),
        (lambda: FaceSet.concatenate([people(3), FaceSet.of_raw(people(3).rows)]), "LABELS_MISMATCH", "differently"),
    ],
)
def test_faces_that_do_not_fit_are_refused_with_a_reason(make: Callable[[], FaceSet], reason: str, said: str) -> None:
    with pytest.raises(CalibrationFailed, match=said) as caught:
        make()
    assert caught.value.reason == reason


def test_what_is_not_said_of_raw_embeddings_is_unknown() -> None:
    faces = FaceSet.of_raw(7 * RAW)
    np.testing.assert_allclose(np.linalg.norm(faces.rows, axis=1), 1.0, atol=1e-6)
    assert set(faces.identities) == {NOBODY}
    assert set(faces.kinds) == {UNKNOWN}
    assert np.isnan(faces.severities).all()
    assert not faces.clean.any()
    assert not faces.degraded.any()


def test_taking_faces_keeps_their_labels_beside_them() -> None:
    faces = FaceSet.of_raw(RAW, np.arange(4), np.array([CLEAN, 0, 1, CLEAN], np.int16), np.arange(4.0), ("A", "B"))
    taken = faces.take(faces.degraded)
    assert taken.identities.tolist() == [1, 2]
    assert taken.severities.tolist() == [1.0, 2.0]
    np.testing.assert_array_equal(taken.rows, faces.rows[1:3])
