"""The scores that tau is chosen from: how similar probes are to the faces of people they do not show.

Both gates apply as they do in a search: a probe below gamma is UNSURE and has no scores, but stays in every
denominator; a face below gamma_gallery is met by nobody. A subject counts once, by its best face.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.errors import CalibrationFailed
from ersgallery_index.interface import By, Ids, VectorIndex
from ersgallery_index.policy import MAX_CANDIDATES, Policy
from ersgallery_index.representation import Representation
from ersgallery_index.sums import Float64

Progress = Callable[[int, int], None]
"""Told (probes done, probes in all) after every block; what it raises ends the work."""

STRANGER = -1
"""The owner of a probe whose identity is not known: shown nowhere else, neither as a probe nor in the gallery."""

KEPT = 32
"""How many subjects are kept for each probe: enough for gallery sizes from a tenth of the subjects compared."""

PER_PERSON = 3
"""How many faces of one person are probes: somebody with hundreds of photographs would decide the FPIR alone."""

_BLOCK_SCORES = 1 << 22
_BLOCK_PROBES = 256


@dataclass(frozen=True, slots=True, eq=False)
class NonMatedScores:
    """The best scores of non-mated probes against a gallery of `gallery_subjects` other people.

    top (p, k) float64: for each probe that was searched, its best k subjects' similarities, falling, -inf where there
    were no more. subjects (p, k) int64: whose they are, -1 where there were none. owners (p,) int64: who the probe
    shows, or STRANGER; in one space of numbers with the subjects. unsure: how many more probes were UNSURE.
    gallery_subjects: enrolled subjects that each probe was compared with, those without a searchable face included.
    """

    top: Float64
    subjects: Ids
    owners: Ids
    gallery_subjects: int
    unsure: int

    def __post_init__(self) -> None:
        fits = self.top.ndim == 2 and self.top.shape == self.subjects.shape and len(self.owners) == len(self.top)
        _require(fits, "LABELS_MISMATCH", "scores, subjects and owners of the probes do not fit together")
        _require(not np.isnan(self.top).any(), "NOT_FINITE", "a score is not a number")
        _require(bool((self.top[:, 1:] <= self.top[:, :-1]).all()), "NOT_SORTED", "scores of a probe must not rise")
        _require(
            self.gallery_subjects >= 2,
            "TOO_FEW_IDENTITIES",
            f"at least 2 enrolled subjects besides the probe's are needed, and there are {self.gallery_subjects}",
        )

    @property
    def probes(self) -> int:
        """How many probes there were, UNSURE ones included: the denominator of the FPIR."""
        return len(self.top) + self.unsure

    @property
    def searched_share(self) -> float:
        """The share of probes that passed the gate."""
        return len(self.top) / self.probes if self.probes else 0.0


def non_mated_scores(
    probes: Representation,
    owners: Ids,
    gallery: Representation,
    gallery_subjects: Ids,
    *,
    gamma: float,
    gamma_gallery: float,
    k: int = KEPT,
    progress: Progress | None = None,
) -> NonMatedScores:
    """Compare probes (p rows) with the faces of a gallery (n rows) of other people.

    owners (p,) int64: who each probe shows, or STRANGER; faces of the same person (same number in gallery_subjects
    (n,)) are left out, so a set of labelled faces can be probes and gallery at once. Products are float32; memory is
    the result and a block of about 4 M scores. Raises CalibrationFailed: LABELS_MISMATCH, MIXED_DIMENSIONS,
    TOO_FEW_IDENTITIES, ALL_DEGRADED.
    """
    _require(len(owners) == len(probes), "LABELS_MISMATCH", f"{len(owners)} owners for {len(probes)} probes")
    _require(
        len(gallery_subjects) == len(gallery),
        "LABELS_MISMATCH",
        f"{len(gallery_subjects)} subjects for {len(gallery)} enrolled faces",
    )
    _require(
        probes.vectors.shape[1] == gallery.vectors.shape[1],
        "MIXED_DIMENSIONS",
        f"probes have dimension {probes.vectors.shape[1]} and enrolled faces {gallery.vectors.shape[1]}",
    )
    searched, shown = _passing(probes, gamma, "probe"), _passing(gallery, gamma_gallery, "enrolled face")
    everyone = np.unique(gallery_subjects)
    own = bool(np.isin(owners, everyone).any())
    faces = _Grouped.of(gallery.vectors[shown], gallery_subjects[shown])
    kept = min(k, len(faces.subjects))
    top, subjects = np.empty((len(searched), kept)), np.empty((len(searched), kept), dtype=np.int64)
    step = max(1, _BLOCK_SCORES // len(faces.vectors))
    for start in range(0, len(searched), step):
        block = searched[start : start + step]
        found = slice(start, start + len(block))
        top[found], subjects[found] = faces.best(probes.vectors[block], owners[block], kept)
        if progress is not None:
            progress(found.stop, len(searched))
    unsure = len(probes) - len(searched)
    return NonMatedScores(top, subjects, owners[searched], len(everyone) - own, unsure)


def leave_one_subject_out(
    faces: Representation,
    identities: Ids,
    *,
    gamma: float,
    gamma_gallery: float,
    per_person: int = PER_PERSON,
    seed: int = 0,
    k: int = KEPT,
    progress: Progress | None = None,
) -> NonMatedScores:
    """Compare up to per_person faces of everybody with all faces of all others: a gallery that is its own data.

    Raises as non_mated_scores does.
    """
    _require(len(identities) == len(faces), "LABELS_MISMATCH", f"{len(identities)} labels for {len(faces)} faces")
    rows = some_of_each(identities, per_person, seed)
    probes = Representation(faces.vectors[rows], faces.ers[rows], faces.raw_ers[rows], faces.usable[rows])
    return non_mated_scores(
        probes, identities[rows], faces, identities, gamma=gamma, gamma_gallery=gamma_gallery, k=k, progress=progress
    )


@dataclass(frozen=True, slots=True)
class ClosePair:
    """A non-mated probe's person (or STRANGER), the subject most like it, and their similarity."""

    owner: int
    subject: int
    score: float


def closest_pairs(scores: NonMatedScores, count: int = 10) -> tuple[ClosePair, ...]:
    """Return the most similar pairs of different people, each once, the most similar first.

    They decide tau at low targets: where they turn out to be one person under two names, the labels are to be mended.
    """
    found: dict[tuple[int, int], ClosePair] = {}
    for row in np.argsort(-scores.top[:, 0], kind="stable"):
        owner, subject = int(scores.owners[row]), int(scores.subjects[row, 0])
        pair = (min(owner, subject), max(owner, subject)) if owner >= 0 else (int(-2 - row), subject)
        if subject >= 0:
            found.setdefault(pair, ClosePair(owner, subject, float(scores.top[row, 0])))
        if len(found) == count:
            break
    return tuple(found.values())


def some_of_each(identities: Ids, most: int, seed: int = 0) -> Ids:
    """Return the rows, rising, of at most `most` faces of each identity (n,), chosen at random."""
    mixed = np.random.default_rng(seed).permutation(len(identities))
    mixed = mixed[np.argsort(identities[mixed], kind="stable")]
    people = identities[mixed]
    begins = np.append(True, people[1:] != people[:-1])[: len(people)]
    rank = np.arange(len(people)) - np.maximum.accumulate(np.where(begins, np.arange(len(people)), 0))
    return np.sort(mixed[rank < most])


def non_mated_scores_of_index(
    index: VectorIndex,
    probes: Representation,
    owners: Ids,
    policy: Policy,
    *,
    gallery_subjects: int,
    k: int = KEPT,
    progress: Progress | None = None,
) -> NonMatedScores:
    """Search an index for probes (p rows) that are non-mated once their own subject is left out.

    owners (p,) int64: the probe's subject in the index, or STRANGER. policy: its two gates are used.
    gallery_subjects: how many subjects are enrolled besides the probe's own. k: 1..MAX_CANDIDATES - 1. Searches
    256 probes at a time; between them other work may use the index. Raises CalibrationFailed as non_mated_scores does.
    """
    _require(len(owners) == len(probes), "LABELS_MISMATCH", f"{len(owners)} owners for {len(probes)} probes")
    searched = _passing(probes, policy.gamma, "probe")
    wanted = min(k, MAX_CANDIDATES - 1)
    top, subjects = np.full((len(searched), wanted), -np.inf), np.full((len(searched), wanted), -1, dtype=np.int64)
    for start in range(0, len(searched), _BLOCK_PROBES):
        block = searched[start : start + _BLOCK_PROBES]
        gates = np.full(len(block), policy.gamma_gallery)
        hits = index.search(probes.vectors[block], gates, wanted + 1, By.SUBJECT)
        # Ranks within each probe once the own subject is gone.
        probe = np.repeat(np.arange(len(block)), np.diff(hits.offsets))
        other = hits.subject_ids != owners[block][probe]
        probe, scores, ids = probe[other], hits.scores[other], hits.subject_ids[other]
        first = np.searchsorted(probe, np.arange(len(block)))
        place = np.arange(len(probe)) - first[probe]
        fits = place < wanted
        top[start + probe[fits], place[fits]] = scores[fits]
        subjects[start + probe[fits], place[fits]] = ids[fits]
        if progress is not None:
            progress(start + len(block), len(searched))
    return NonMatedScores(top, subjects, owners[searched], gallery_subjects, len(probes) - len(searched))


@dataclass(frozen=True, slots=True, eq=False)
class _Grouped:
    """Faces ordered by subject: vectors (n, d); subjects (s,), and starts (s,) of their rows."""

    vectors: NDArray[np.float32]
    subjects: Ids
    starts: Ids

    @classmethod
    def of(cls, vectors: NDArray[np.float32], subject_ids: Ids) -> "_Grouped":
        order = np.argsort(subject_ids, kind="stable")
        subjects, starts = np.unique(subject_ids[order], return_index=True)
        return cls(vectors[order], subjects, starts.astype(np.int64))

    def best(self, probes: NDArray[np.float32], owners: Ids, k: int) -> tuple[Float64, Ids]:
        scores = np.maximum.reduceat(probes @ self.vectors.T, self.starts, axis=1)
        scores[owners[:, None] == self.subjects[None, :]] = -np.inf
        if k < scores.shape[1]:
            columns = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        else:
            columns = np.broadcast_to(np.arange(k), scores.shape)
        found = np.take_along_axis(scores, columns, axis=1)
        order = np.argsort(-found, axis=1, kind="stable")
        found = np.take_along_axis(found, order, axis=1).astype(np.float64)
        ids = self.subjects[np.take_along_axis(columns, order, axis=1)]
        return found, np.where(np.isfinite(found), ids, -1)


def _passing(faces: Representation, gate: float, word: str) -> Ids:
    found = np.flatnonzero(faces.passes(gate))
    _require(len(faces) > 0, "TOO_FEW_FACES", f"there is no {word}")
    _require(len(found) > 0, "ALL_DEGRADED", f"every {word} is below the gate of {gate:g}, so nothing can be compared")
    _require(bool(np.isfinite(faces.vectors[found]).all()), "NOT_FINITE", f"a vector of a {word} is not finite")
    return found


def _require(holds: bool, reason: str, message: str) -> None:
    if not holds:
        raise CalibrationFailed(reason, message)
