"""Generated embeddings whose UI centroid is the first axis."""

import numpy as np
from numpy.typing import NDArray

DIMENSION = 32


def clear_faces(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Return (n, d) float32 embeddings that are far from the UI centroid: their ERS is 1."""
    faces = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    faces[:, 0] = -0.1
    return faces


def poor_faces(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Return (n, d) float32 embeddings close to the UI centroid: their ERS is below 0.2."""
    faces = clear_faces(count, seed)
    faces[:, 0] = 20.0
    return faces
