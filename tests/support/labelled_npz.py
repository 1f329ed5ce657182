"""Labelled embeddings of a toy model in .npz files: clean ones are spread out, degraded ones gather."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIMENSION = 64
KINDS = ("BLUR", "NOISE", "DARK", "SMALL")


def toy_columns(people: int = 500, clean: int = 2, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Return the arrays of a sound file: each person has clean embeddings and one that is degraded."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(people, DIMENSION))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    ui = np.eye(DIMENSION)[0]
    identity = np.repeat(np.arange(people), clean + 1)
    is_degraded = np.tile(np.arange(clean + 1) == clean, people)
    severity = np.where(is_degraded, rng.uniform(0.2, 1.0, len(identity)), 0.0)
    noise = rng.normal(size=(len(identity), DIMENSION)) / np.sqrt(DIMENSION)
    lost = np.clip((severity - 0.2) * 1.6, 0.0, 1.0)[:, None]
    raw = (1.0 - lost) * (centres[identity] + 0.5 * noise) + lost * (ui + 0.3 * noise)
    kinds = np.array(KINDS)[rng.integers(len(KINDS), size=len(identity))]
    return {
        "embedding": (raw * 20.0).astype(np.float32),
        "identity": np.array([f"person {number}" for number in identity]),
        "kind": np.where(is_degraded, kinds, "CLEAN"),
        "severity": severity,
    }


def write_npz(path: Path, columns: dict[str, NDArray[Any]]) -> Path:
    """Write arrays to a file and return its path."""
    # The stubs take further arrays for allow_pickle.
    np.savez(path, **columns)  # type: ignore[arg-type]
    return path
