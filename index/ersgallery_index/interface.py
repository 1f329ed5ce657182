"""The one interface of every vector index: plain arrays in, plain arrays out.

Face ids and subject ids are int64 and given by the caller; a face id is never used twice. Vectors are the *derived*
rows (centred, perhaps enhanced, unit length, float32). A mutation is idempotent and ordered by its revision, and
results of several indexes over disjoint faces can be merged, so that shards on other machines can be one more
implementation.
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatRows = NDArray[np.float32]
Ids = NDArray[np.int64]
Scores = NDArray[np.float64]


class By(enum.Enum):
    """What k counts: distinct subjects (each with its best face) or faces."""

    SUBJECT = "SUBJECT"
    FACE = "FACE"


class Side(enum.Enum):
    """Which faces a search sees: those with ERS >= gate, or those below it."""

    PASSING = "PASSING"
    FILTERED = "FILTERED"


class IndexKind(enum.Enum):
    """How rows are searched; the answers of all kinds but the last are those of brute force.

    EXACT multiplies the float32 rows. FAST multiplies something smaller, which proposes the few rows that are then
    scored exactly; where its error bound leaves a doubt, more rows are looked at. On a CPU these are int8 codes beside
    the rows, which take a quarter more memory; on a GPU float16 rows in their place, which take half of it.
    AUTO is EXACT for few faces and FAST for many. APPROXIMATE is FAST with sketches beside the codes, by which up to
    four probes at once are searched several times faster: the only kind that can miss a face, which it rarely does. On
    a GPU it is FAST.
    """

    AUTO = "AUTO"
    EXACT = "EXACT"
    FAST = "FAST"
    APPROXIMATE = "APPROXIMATE"


@dataclass(frozen=True, slots=True)
class Hits:
    """Ragged results: hits of probe i are rows offsets[i]:offsets[i+1], by (score falling, face id rising)."""

    offsets: Ids
    face_ids: Ids
    subject_ids: Ids
    scores: Scores
    ers: Scores


@dataclass(frozen=True, slots=True)
class IndexRows:
    """Faces in columns: face_ids, subject_ids and ers (n,), derived vectors (n, d)."""

    face_ids: Ids
    subject_ids: Ids
    ers: Scores
    vectors: FloatRows


@dataclass(frozen=True, slots=True)
class Snapshot(IndexRows):
    """Everything an index holds at one revision, ordered by face id."""

    revision: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What an index holds: faces on either side of the usual gate, tombstones, and the bytes of all rows on the host.

    After a change of the gate, faces that have not been moved yet count on the side on which they were.
    """

    passing: int
    below_gate: int
    tombstones: int
    row_bytes: int


class VectorIndex(Protocol):
    """A set of faces searched by cosine similarity under a recognizability gate.

    Not safe for concurrent use: one thread owns an index.
    """

    @property
    def dimension(self) -> int:
        """The dimension of every vector."""
        ...

    @property
    def revision(self) -> int:
        """The revision of the last mutation applied."""
        ...

    @property
    def precision(self) -> str:
        """What a score is worth, for the answer: for example `exact-float64`."""
        ...

    @property
    def kind(self) -> IndexKind:
        """How the rows are searched now: EXACT or FAST."""
        ...

    @property
    def batch_rows(self) -> int:
        """How many probes one search takes at once; more are searched in parts, for which nobody need wait."""
        ...

    @property
    def capacity(self) -> int | None:
        """How many faces fit in the memory there is, those that are there included; None: nobody knows."""
        ...

    @property
    def device(self) -> str:
        """Where the rows are: `cpu`, `cuda:N` or, over several GPUs, `cuda:N,M`."""
        ...

    def apply(
        self,
        revision: int,
        removed_ids: Ids,
        ids: Ids,
        subject_ids: Ids,
        ers: Scores,
        vectors: FloatRows,
    ) -> None:
        """Remove, then add or replace faces, as one step.

        A revision at or below the present one is a repetition and changes nothing; revisions need not be contiguous.
        Unknown removed ids are ignored. Vectors must be the derived rows that were usable: another dimension, NaN,
        infinity or no unit length raises InvalidEmbedding. Raises ValueError for columns that do not fit together, a
        face id given twice or an ERS outside 0..1, and DeviceFull; then nothing has changed.
        """

    def restore(self, revision: int, parts: Iterable[IndexRows]) -> None:
        """Fill an empty index with disjoint parts, such as those of a snapshot, and take their revision.

        Raises as apply does, and ValueError when the index is not empty.
        """

    def search(self, vectors: FloatRows, gates: Scores, k: int, by: By, side: Side = Side.PASSING) -> Hits:
        """Return the k best of each probe among the faces on the wanted side of that probe's gate, exactly.

        vectors (q, d) float32 of unit length; gates (q,) float64. Fewer than k hits are returned when there are no
        more. The answer to a probe does not depend on the others of its batch.
        """
        ...

    def require_room(self, faces: int) -> None:
        """Raise DeviceFull unless so many more faces fit; any thread may ask, before it promises to add them.

        On a GPU the memory is then kept for them for a minute, so that two galleries are not told of the same.
        """

    def subject_faces(self, subject_id: int) -> Snapshot:
        """Return the rows of one subject (empty when it has none)."""
        ...

    def count(self, gate: float = 0.0) -> int:
        """Return how many faces have ERS >= gate."""
        ...

    def usage(self) -> Usage:
        """Return what the index holds; any thread may ask, while others change it too."""
        ...

    def set_gate(self, gate: float) -> None:
        """Tell the gate that most searches will use, so that it costs nothing once all is tidy."""

    def tidy(self) -> bool:
        """Do one short piece of the work that is left from mutations and gates; return whether there may be more.

        It never changes an answer. Owners call it when nobody waits, and now and then when somebody always does.
        """
        ...

    def set_kind(self, kind: IndexKind) -> None:
        """Tell how rows are to be searched; it takes effect piece by piece, as codes are made and tidy is called."""

    def snapshot(self) -> Snapshot:
        """Return a copy of all rows."""
        ...

    def rows_after(self, face_id: int, limit: int) -> IndexRows:
        """Return a copy of the rows with the lowest face ids above one, by face id, at most `limit`.

        A walk from face to face meets every row that is there throughout, whatever else is applied between its steps.
        """
        ...
