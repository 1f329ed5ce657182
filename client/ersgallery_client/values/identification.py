"""What a search answers."""

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from ersgallery_client.errors import GalleryError
from ersgallery_client.values.galleries import IndexDescription
from ersgallery_client.values.policies import EffectivePolicy
from ersgallery_client.values.recognizability import Recognizability


class Decision(enum.StrEnum):
    """The three answers; UNSPECIFIED only stands in a batch at a probe that has an error."""

    UNSPECIFIED = "UNSPECIFIED"
    MATCH = "MATCH"
    NO_MATCH = "NO_MATCH"
    UNSURE = "UNSURE"


class UnsureReason(enum.StrEnum):
    """Why an answer is UNSURE; UNSPECIFIED is a reason this client is too old to know."""

    UNSPECIFIED = "UNSPECIFIED"
    PROBE_UNRECOGNIZABLE = "PROBE_UNRECOGNIZABLE"
    REFERENCE_UNRECOGNIZABLE = "REFERENCE_UNRECOGNIZABLE"
    AMBIGUOUS = "AMBIGUOUS"
    NO_FACE = "NO_FACE"
    SEVERAL_FACES = "SEVERAL_FACES"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A subject with its best face: cosine similarity, -1..1, and the ERS of that face.

    In a gallery that is searched by template face_id is 0, and ers the template's.
    """

    subject_id: str
    face_id: int
    similarity: float
    ers: float


@dataclass(frozen=True, slots=True)
class Applied:
    """What produced an answer: the gallery's revision, the profile with version, gates and thresholds, the index."""

    revision: int
    profile: str
    policy: EffectivePolicy
    index: IndexDescription


@dataclass(frozen=True, slots=True, eq=False)
class MemberOutcome:
    """What became of one member of a template probe: used, or left out because of `error`."""

    recognizability: Recognizability | None
    error: GalleryError | None


@dataclass(frozen=True, slots=True)
class Identification:
    """The answer to one probe.

    candidates: by falling similarity, equal ones by the lower face; at a MATCH the first is the person.
    filtered: subjects that only the gallery gate kept out, where asked for; they had no influence.
    probe: None when it has no face. members: for a template.
    """

    decision: Decision
    reasons: tuple[UnsureReason, ...]
    candidates: tuple[Candidate, ...]
    filtered: tuple[Candidate, ...]
    probe: Recognizability | None
    members: tuple[MemberOutcome, ...]
    applied: Applied

    @property
    def match(self) -> Candidate | None:
        """The person, at a MATCH; else None."""
        return self.candidates[0] if self.decision is Decision.MATCH else None


@dataclass(frozen=True, slots=True, eq=False)
class CandidateColumns:
    """The candidates of n probes: those of probe i are rows offsets[i]:offsets[i + 1] of the m rows.

    offsets (n + 1,) int64; subject_index (m,) int64, positions in `subjects`; face_ids (m,) int64;
    similarities, ers (m,) float64.
    """

    offsets: NDArray[np.int64]
    subject_index: NDArray[np.int64]
    face_ids: NDArray[np.int64]
    similarities: NDArray[np.float64]
    ers: NDArray[np.float64]
    subjects: tuple[str, ...]

    def of(self, probe: int) -> tuple[Candidate, ...]:
        """Return the candidates of one probe."""
        rows = slice(self.offsets[probe], self.offsets[probe + 1])
        return tuple(
            Candidate(self.subjects[subject], face, similarity, ers)
            for subject, face, similarity, ers in zip(
                self.subject_index[rows].tolist(),
                self.face_ids[rows].tolist(),
                self.similarities[rows].tolist(),
                self.ers[rows].tolist(),
                strict=True,
            )
        )


@dataclass(frozen=True, slots=True, eq=False)
class IdentificationBatch(Sequence[Identification]):
    """The answers to n probes, as columns and, by `[i]`, as Identifications.

    decisions: (n,) strings, so that `batch.decisions == Decision.MATCH` is a mask.
    ers, raw_ers: (n,) float64, NaN where there is none.
    reasons: of the probes that are UNSURE. errors: of those that are not proper probes; `[i]` raises it.
    applied: one per probe. rows: whole answers where the probes were sent as a list; empty for a matrix, where
    `[i].probe` has no embedding_norm (NaN) and no box.
    """

    decisions: NDArray[np.str_]
    ers: NDArray[np.float64]
    raw_ers: NDArray[np.float64]
    reasons: Mapping[int, tuple[UnsureReason, ...]]
    candidates: CandidateColumns
    filtered: CandidateColumns
    errors: Mapping[int, GalleryError]
    applied: tuple[Applied, ...]
    rows: tuple[Identification | None, ...] = ()

    def __len__(self) -> int:
        return len(self.decisions)

    @overload
    def __getitem__(self, index: int) -> Identification: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Identification, ...]: ...

    def __getitem__(self, index: int | slice) -> Identification | tuple[Identification, ...]:
        if isinstance(index, slice):
            return tuple(self._row(i) for i in range(*index.indices(len(self))))
        if not -len(self) <= index < len(self):
            raise IndexError(f"probe {index} of {len(self)}")
        return self._row(index % len(self))

    def __iter__(self) -> Iterator[Identification]:
        return (self._row(i) for i in range(len(self)))

    def _row(self, index: int) -> Identification:
        if index in self.errors:
            raise self.errors[index]
        whole = self.rows[index] if self.rows else None
        return whole or Identification(
            decision=Decision(str(self.decisions[index])),
            reasons=self.reasons.get(index, ()),
            candidates=self.candidates.of(index),
            filtered=self.filtered.of(index),
            probe=Recognizability(float(self.ers[index]), float(self.raw_ers[index]), np.nan, None),
            members=(),
            applied=self.applied[index],
        )


@dataclass(frozen=True, slots=True)
class Verification:
    """The answer to one comparison (eq. 2).

    similarity: None when UNSURE. probe, reference: None when that side has no face. reference_face_id: the best face of
    an enrolled subject.
    """

    decision: Decision
    reasons: tuple[UnsureReason, ...]
    similarity: float | None
    probe: Recognizability | None
    reference: Recognizability | None
    reference_face_id: int | None
    applied: Applied
