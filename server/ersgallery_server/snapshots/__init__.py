"""The index of a gallery on the disk, so that the next start need not derive it again. The store stays the truth."""

from ersgallery_server.snapshots.layout import Header, Origin, SnapshotRefused, usual_block_rows
from ersgallery_server.snapshots.reading import read_rows
from ersgallery_server.snapshots.row_file import RowFile
from ersgallery_server.snapshots.saved_index import SavedIndex, SnapshotFolder

__all__ = [
    "Header",
    "Origin",
    "RowFile",
    "SavedIndex",
    "SnapshotFolder",
    "SnapshotRefused",
    "read_rows",
    "usual_block_rows",
]
