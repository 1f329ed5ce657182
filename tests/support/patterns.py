"""Coarse patterns that stand for faces, and a model of them whose embeddings gather as contrast is lost."""

import functools

import numpy as np
from ersgallery_server.profiling.aligned_faces import AlignedFaces
from numpy.typing import NDArray

from tests.support.images import encode

DIMENSION = 48


@functools.cache
def pattern_faces(identities: int = 420, shots: int = 2) -> AlignedFaces:
    """Return aligned crops: each identity is a pattern of its own."""
    rng = np.random.default_rng(1)
    encoded = {}
    for identity in range(identities):
        pattern = rng.integers(40, 216, (14, 14, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
        for shot in range(shots):
            encoded[f"person{identity:03}/{shot}.png"] = encode(pattern, "PNG", compress_level=1)
    return AlignedFaces(encoded)


def embed_pattern(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Embed the middle of the pattern by random projection; the less contrast it has, the more one direction counts."""
    grid = crops.reshape(len(crops), 14, 8, 14, 8, 3).mean(axis=(2, 4))[:, 4:10, 4:10].reshape(len(crops), -1) / 255.0
    detail = grid - grid.mean(axis=1, keepdims=True)
    clearness = np.minimum(detail.std(axis=1, keepdims=True) / 0.15, 1.0) ** 2
    embedding = detail @ np.random.default_rng(7).normal(size=(grid.shape[1], DIMENSION))
    embedding *= clearness / np.maximum(np.linalg.norm(embedding, axis=1, keepdims=True), 1e-9)
    embedding[:, :1] += 1.0 - clearness
    return np.asarray(embedding, np.float32)
