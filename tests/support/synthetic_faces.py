"""Synthetic faces whose unrecognizable identity is known: degraded people gather around one direction."""

import numpy as np
from ersgallery_index.calibration import CLEAN, FaceSet
from numpy.typing import NDArray

KINDS = ("BLUR", "NOISE", "DARK", "SMALL")
DIMENSION = 128


def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows of unit length."""
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float64)


def ui_direction(number: int = 0, dimension: int = DIMENSION) -> NDArray[np.float64]:
    """Return where the degraded faces of a place gather (d,)."""
    return unit(np.random.default_rng([7, number]).normal(size=dimension))


def people(
    count: int, seed: int = 0, *, images: int = 1, first: int = 0, common: float = 0.0, dimension: int = DIMENSION
) -> FaceSet:
    """Return clean faces of `count` people numbered from `first`; common: weight of a direction that all share."""
    rng = np.random.default_rng(seed)
    persons = np.repeat(unit(rng.normal(size=(count, dimension))), images, axis=0)
    faces = unit(persons + 0.5 * unit(rng.normal(size=persons.shape)))
    shared = unit(np.random.default_rng(99).normal(size=dimension))
    rows = unit(faces + common * shared)
    identities = np.repeat(np.arange(first, first + count), images)
    return _set(rows, identities, np.full(len(rows), CLEAN, np.int16))


def unrecognizable(
    count: int, seed: int = 1, *, first: int = 0, place: int = 0, kinds: int = len(KINDS), dimension: int = DIMENSION
) -> FaceSet:
    """Return degraded faces of `count` people, all near one direction, of several kinds in turn."""
    rng = np.random.default_rng(seed)
    rows = unit(0.85 * ui_direction(place, dimension) + 0.5 * unit(rng.normal(size=(count, dimension))))
    return _set(rows, np.arange(first, first + count), (np.arange(count) % kinds).astype(np.int16))


def _set(rows: NDArray[np.float64], identities: NDArray[np.int64], kinds: NDArray[np.int16]) -> FaceSet:
    severities = np.where(kinds == CLEAN, 0.0, 1.0)
    return FaceSet(rows.astype(np.float32), identities, kinds, severities, KINDS)


def together(*parts: FaceSet) -> FaceSet:
    """Return the faces of all parts."""
    return FaceSet.concatenate(parts)
