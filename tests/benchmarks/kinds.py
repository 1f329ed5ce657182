"""The kinds of index that are offered, and one filled with a generated gallery."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ersgallery_index import IndexRows, VectorIndex, open_index

from tests.benchmarks.geometry import Crowd


@dataclass(frozen=True, slots=True)
class IndexKind:
    """One kind of index.

    open: of a dimension, empty. bytes_per_face: of 512 dimensions, for vectors and codes alone. exact: whether its
    answers are those of a brute force.
    """

    name: str
    open: Callable[[int], VectorIndex]
    bytes_per_face: int
    exact: bool


def index_kinds(device: str = "cpu") -> dict[str, IndexKind]:
    """Return every kind of index by its name."""
    kinds = (IndexKind("exact", lambda dimension: open_index(dimension, device), 2048, exact=True),)
    return {kind.name: kind for kind in kinds}


def fill(kind: IndexKind, crowd: Crowd) -> VectorIndex:
    """Return an index of everybody, block by block; its usual gate is the profile's gamma."""
    index = kind.open(crowd.geometry.dimension)
    index.set_gate(crowd.geometry.gamma)
    index.restore(1, derived_parts(crowd))
    return index


def derived_parts(crowd: Crowd) -> Iterator[IndexRows]:
    """Yield everybody's derived rows; a subject's one face has the subject's number."""
    derivation = crowd.derivation
    for block in crowd.blocks():
        derived = derivation.derive(block.rows)
        yield IndexRows(block.subject_ids, block.subject_ids, derived.ers, derived.vectors)
