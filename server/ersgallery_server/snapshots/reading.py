"""Reading a snapshot at the speed of the disk: blocks are read and checked ahead of whoever takes them."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from ersgallery_index import IndexRows

from ersgallery_server.snapshots.layout import Block
from ersgallery_server.snapshots.row_file import RowFile

READERS = 2
BLOCKS_AHEAD = 4


def read_rows(file: RowFile) -> Iterator[IndexRows]:
    """Yield the rows that were not erased, by face id, a block at a time; raises SnapshotRefused for a damaged one."""
    with ThreadPoolExecutor(READERS, thread_name_prefix="snapshot-reader") as readers:
        ahead: deque[Future[Block]] = deque()
        try:
            for number in range(file.blocks):
                ahead.append(readers.submit(file.read, number))
                if len(ahead) > BLOCKS_AHEAD:
                    yield ahead.popleft().result().living
            while ahead:
                yield ahead.popleft().result().living
        finally:
            for future in ahead:
                future.cancel()
