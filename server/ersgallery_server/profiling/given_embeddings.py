"""Embeddings that a user made with a model of their own, from NumPy's .npz files instead of images.

Arrays: `embedding` (n, d) floats as the model gives them; optional, each (n,): `identity` (anything that tells people
apart), `kind` (the kind of degradation; CLEAN or nothing for a clean face, UNKNOWN where nobody knows) and `severity`
(numbers). Without `kind`, all are clean.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from ersgallery_index.calibration.faces import CLEAN, NOBODY, UNKNOWN, FaceSet
from numpy.typing import NDArray

from ersgallery_server.models.errors import CalibrationFailed
from ersgallery_server.models.npz_file import read_npz
from ersgallery_server.profiling.amount import degraded_of, notes_of
from ersgallery_server.profiling.material import Faces, Material, together

_LABELS = ("identity", "kind", "severity")
_CLEAN_WORDS = ("", "CLEAN")


def read_embeddings(path: Path, *, labelled: bool = True) -> FaceSet:
    """Read a set of embeddings; labelled=False takes them for faces of which nothing is known.

    Raises models.errors.CalibrationFailed for a file that is no sound .npz or lacks `embedding`, and
    ersgallery_index.errors.CalibrationFailed (NOT_FINITE, LABELS_MISMATCH, MIXED_DIMENSIONS, ZERO_NORM) for its values.
    """
    arrays = read_npz(path)
    if "embedding" not in arrays:
        raise CalibrationFailed(f"{path} has no array called embedding; it has {', '.join(sorted(arrays)) or 'none'}")
    raw = arrays["embedding"]
    if raw.ndim != 2 or not np.issubdtype(raw.dtype, np.floating):
        raise CalibrationFailed(f"embedding in {path} must be a matrix of floats, got {raw.dtype} of shape {raw.shape}")
    found = {name: arrays[name] for name in _LABELS if name in arrays}
    for name, column in found.items():
        if column.shape != (len(raw),):
            raise CalibrationFailed(f"labels do not match in {path}: {len(raw)} embeddings, {name} has {column.shape}")
    if "severity" in found and found["severity"].dtype.kind not in "fiub":
        raise CalibrationFailed(f"severity in {path} must be numbers, got {found['severity'].dtype}")
    floats: NDArray[np.float32] = raw.astype(np.float32)
    return _labelled(floats, found) if labelled else FaceSet.of_raw(floats)


def choose_faces(
    faces: FaceSet,
    degraded_share: float | None,
    held_per_identity: int,
    seed: int,
    wild: FaceSet | None,
    ui: FaceSet | None,
) -> Material:
    """Divide given faces by person into those that make a profile and those that test it.

    Of each person who makes it one clean face is taken, and of a share of them one degraded face too (None: of as many,
    and as many of each, as are enough); of people without a clean face always a degraded one. wild: crops that are
    clustered with the clean ones; ui: a given UI set; with either, no degraded face makes the profile.
    """
    rng = np.random.default_rng([seed, 0])
    people = np.where(faces.identities == NOBODY, -2 - np.arange(len(faces)), faces.identities)
    order = rng.permutation(np.unique(people))
    is_making = np.isin(people, order[: (len(order) + 1) // 2])
    rows = rng.permutation(len(faces))
    clean = _first_of_each(rows[is_making[rows] & faces.clean[rows]], people, 1)
    amount = degraded_of(len(clean), degraded_share)
    degraded = _first_of_each(rows[is_making[rows] & ~faces.clean[rows]], people, amount.views)
    only = ~np.isin(people[degraded], people[clean])
    share = np.isin(people[degraded], list(dict.fromkeys(people[degraded].tolist()))[: amount.people])
    spoilt = degraded[:0] if wild is not None or ui is not None else degraded[only | share]
    tested = np.concatenate(
        [
            _first_of_each(rows[~is_making[rows] & faces.clean[rows]], people, held_per_identity),
            rows[~is_making[rows] & faces.degraded[rows]],
        ]
    )
    making = Faces(faces.take(np.concatenate([clean, spoilt])))
    alike = None if wild is None else Faces(_named_alike(wild, faces))
    return Material(
        making=making if alike is None else together(making, alike),
        testing=Faces(faces.take(tested)),
        wild=alike,
        ui_set=None if ui is None else Faces(_named_alike(ui, faces)),
        notes=(
            *_notes(int((is_making & faces.clean).sum()) - len(clean)),
            *notes_of(making.faces, degraded_share),
        ),
    )


def sha256_of_embeddings(path: Path) -> str:
    """Return the SHA-256 of a file; call it after the file was read. Raises OSError."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _labelled(raw: NDArray[np.float32], found: Mapping[str, NDArray[np.generic]]) -> FaceSet:
    count = len(raw)
    words = [str(word) for word in found["kind"].tolist()] if "kind" in found else ["CLEAN"] * count
    names = tuple(sorted(set(words) - {*_CLEAN_WORDS, "UNKNOWN"}))
    places = {name: place for place, name in enumerate(names)}
    special = {**dict.fromkeys(_CLEAN_WORDS, CLEAN), "UNKNOWN": UNKNOWN}
    kinds = np.array([special.get(word, places.get(word, CLEAN)) for word in words], np.int16)
    identities = np.full(count, NOBODY, np.int64)
    if "identity" in found:
        identities = np.unique(found["identity"], return_inverse=True)[1].reshape(-1).astype(np.int64)
    severities = np.where(kinds == CLEAN, 0.0, np.nan)
    if "severity" in found:
        severities = np.where(kinds == CLEAN, 0.0, found["severity"].astype(np.float64))
    return FaceSet.of_raw(raw, identities, kinds, severities, names)


def _first_of_each(rows: NDArray[np.intp], people: NDArray[np.int64], most: int) -> NDArray[np.intp]:
    """Return the first rows of each person, in their order."""
    taken: dict[int, int] = {}
    kept = []
    for row in rows.tolist():
        person = int(people[row])
        taken[person] = taken.get(person, 0) + 1
        if taken[person] <= most:
            kept.append(row)
    return np.array(kept, np.intp)


def _named_alike(given: FaceSet, faces: FaceSet) -> FaceSet:
    return FaceSet(given.rows, given.identities, given.kinds, given.severities, faces.kind_names)


def _notes(unused: int) -> tuple[str, ...]:
    if not unused:
        return ()
    return (
        f"{unused} further clean embeddings of the people who make the profile were not used: one of each is taken",
    )
