"""The kinds of index that are offered, and one filled with a generated gallery."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ersgallery_index import IndexKind, IndexRows, VectorIndex, open_index
from ersgallery_index.backends.exact_index import ExactIndex

from tests.benchmarks.geometry import Crowd
from tests.benchmarks.memory import GIB, lacking

_ROW_BYTES = 2048
_GROWING = 1.2
"""How much more an index takes than its vectors and codes, at most, while it is filled."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of index with rows of 512 numbers.

    name: in keys. kind: how rows are searched. bytes_per_face: of memory, for vectors and codes. rows_on_disk: whether
    the float32 rows are in a file. open: an empty index of a dimension.
    """

    name: str
    kind: IndexKind
    bytes_per_face: int
    rows_on_disk: bool
    open: Callable[[int], VectorIndex]

    @property
    def label(self) -> str:
        """Its name for people."""
        return f"{self.name}, rows on disk" if self.rows_on_disk else self.name

    def lacking(self, faces: int) -> str:
        """Return what is missing for an index of so many faces, or an empty text."""
        free, wanted = shutil.disk_usage(_rows_folder()).free, faces * _ROW_BYTES + GIB
        if self.rows_on_disk and free < wanted:
            return f"needs {wanted / GIB:.1f} GiB of disk, {free / GIB:.1f} are free"
        return lacking(faces * self.bytes_per_face * _GROWING)


IN_MEMORY = (
    Kind("exact", IndexKind.EXACT, 2048, False, lambda size: open_index(size, "cpu")),
    Kind("fast", IndexKind.FAST, 2560, False, lambda size: open_index(size, "cpu")),
    Kind("approximate", IndexKind.APPROXIMATE, 2688, False, lambda size: open_index(size, "cpu")),
)
ON_DISK = (
    Kind("fast", IndexKind.FAST, 512, True, lambda size: open_index(size, "cpu", _rows_folder())),
    Kind("approximate", IndexKind.APPROXIMATE, 640, True, lambda size: open_index(size, "cpu", _rows_folder())),
)


def index_kinds(faces: int) -> tuple[Kind, ...]:
    """Return every kind of index for so many faces, with rows on disk where memory is too small for them."""
    on_disk = {kind.name: kind for kind in ON_DISK}
    return tuple(on_disk.get(kind.name, kind) if kind.lacking(faces) else kind for kind in IN_MEMORY)


def fill(kind: Kind, crowd: Crowd) -> VectorIndex:
    """Return an index of everybody, block by block, when all its codes are made; its usual gate is the profile's."""
    index = kind.open(crowd.geometry.dimension)
    index.set_kind(kind.kind)
    index.set_gate(crowd.geometry.gamma)
    index.restore(1, derived_parts(crowd))
    settle(index)
    return index


def settle(index: VectorIndex) -> None:
    """Let an index finish everything that it does behind the searches."""
    while index.tidy():
        pass
    if isinstance(index, ExactIndex):
        index.settle()


def derived_parts(crowd: Crowd) -> Iterator[IndexRows]:
    """Yield everybody's derived rows; a subject's one face has the subject's number."""
    derivation = crowd.derivation
    for block in crowd.blocks():
        derived = derivation.derive(block.rows)
        yield IndexRows(block.subject_ids, block.subject_ids, derived.ers, derived.vectors)


def _rows_folder() -> Path:
    return Path(tempfile.gettempdir())
