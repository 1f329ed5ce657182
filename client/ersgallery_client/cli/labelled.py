"""Labelled embeddings that `calibrate` can read: an .npz with whom each row shows, and what was done to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from ersgallery_client.cli.sources import load_arrays, read_embeddings

SUBJECT_NAMES = ("subject", "identity")
"""Either array says whom a row shows: the one is that of `enroll`, the other that of `ersgallery-server calibrate`."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFaces:
    """embeddings (n, d) float32; subjects (n,): whom each shows; kinds (n,): what was done to it, CLEAN for nothing."""

    embeddings: NDArray[np.float32]
    subjects: Sequence[str]
    kinds: Sequence[str]


def read_labelled(path: Path) -> LabelledFaces:
    """Read an .npz with `embedding`, `subject` (or `identity`) and perhaps `kind`; raises click.ClickException."""
    embeddings = read_embeddings(path)
    arrays = load_arrays(path, (), (*SUBJECT_NAMES, "kind"))
    found = [name for name in SUBJECT_NAMES if name in arrays]
    if not found:
        raise click.ClickException(f"{path} has no array `subject` that says whom each embedding shows")
    subjects = _column(path, found[0], arrays[found[0]], len(embeddings))
    kinds = _column(path, "kind", arrays["kind"], len(embeddings)) if "kind" in arrays else ["CLEAN"] * len(subjects)
    return LabelledFaces(embeddings, subjects, kinds)


def _column(path: Path, name: str, labels: NDArray[np.generic], rows: int) -> list[str]:
    if labels.shape != (rows,):
        raise click.ClickException(f"{path}: `{name}` must have one label for each of the {rows} embeddings")
    if labels.dtype.kind not in "USiu":
        raise click.ClickException(f"{path}: `{name}` must be words or whole numbers, not {labels.dtype}")
    if labels.dtype.kind == "S":
        try:
            labels = np.char.decode(labels.astype(np.bytes_), "utf-8")
        except UnicodeError as error:
            raise click.ClickException(f"{path}: `{name}` is no UTF-8") from error
    return [str(label) for label in labels.tolist()]
