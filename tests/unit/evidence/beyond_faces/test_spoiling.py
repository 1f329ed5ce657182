"""Drawings of characters, spoilt."""

import itertools

import numpy as np
import pytest
from ersgallery_server.faces.degrade import Degradation
from numpy.typing import NDArray

from tests.evidence.beyond_faces.spoiling import INK_SPREAD, KINDS, spoil


@pytest.fixture
def cross() -> NDArray[np.uint8]:
    """Return a black cross on white paper."""
    image = np.full((48, 48), 255, np.uint8)
    image[22:26, 8:40] = image[8:40, 22:26] = 0
    return image


def spoilt(image: NDArray[np.uint8], kind: str, severity: float) -> NDArray[np.uint8]:
    return spoil(image, kind, severity, np.random.default_rng(0))


@pytest.mark.parametrize("kind", KINDS)
def test_severity_0_changes_nothing_and_severity_1_a_lot(kind: str, cross: NDArray[np.uint8]) -> None:
    assert np.array_equal(spoilt(cross, kind, 0.0), cross)
    ruined = spoilt(cross, kind, 1.0)
    assert ruined.shape == cross.shape
    assert ruined.dtype == np.uint8
    # A cross looks the same after half a turn, up to a pixel.
    least = 0.5 if kind == Degradation.ROTATION.value else 10.0
    assert np.abs(ruined.astype(float) - cross).mean() > least


@pytest.mark.parametrize("kind", KINDS)
def test_a_severity_outside_0_to_1_is_refused(kind: str, cross: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="severity"):
        spoilt(cross, kind, 1.1)


def test_ink_spreads_from_where_it_was(cross: NDArray[np.uint8]) -> None:
    black = [spoilt(cross, INK_SPREAD, severity) == 0 for severity in (0.0, 0.3, 0.6, 1.0)]
    assert [bool((less <= more).all()) for less, more in itertools.pairwise(black)] == [True] * 3
    assert black[1].sum() < black[2].sum() < black[3].sum() < 48 * 48


@pytest.mark.parametrize("kind", [Degradation.ROTATION, Degradation.AFFINE])
def test_what_a_turn_uncovers_is_paper(kind: Degradation, cross: NDArray[np.uint8]) -> None:
    for severity in (0.2, 0.5, 0.8):
        turned = spoilt(np.full_like(cross, 255), kind.value, severity)
        assert (turned == 255).all()


def test_an_unknown_kind_is_refused(cross: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="RAIN"):
        spoilt(cross, "RAIN", 0.5)
