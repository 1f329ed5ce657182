"""Batches that stay under the limits of one message."""

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from google.protobuf.message import Message

from ersgallery_client.errors import MessageTooLarge
from ersgallery_client.options import Limits

MessageT = TypeVar("MessageT", bound=Message)

# Key and length of a repeated field: a tag of at most 2 bytes and a length of at most 5.
FRAMING_BYTES = 7
# Names, policy and whatever else a request carries beside its items.
HEAD_BYTES = 4096


class Batcher(Generic[MessageT]):
    """Gathers messages until a further one would exceed a count or `Limits.batch_bytes`.

    One that is larger than that alone makes a batch of its own, up to `Limits.max_message_bytes`.
    weight: what a message counts, by default 1.
    """

    def __init__(self, limits: Limits, max_weight: int, weight: Callable[[MessageT], int] = lambda _: 1) -> None:
        self._limits = limits
        self._max_weight = max_weight
        self._weight = weight
        self._batch: list[MessageT] = []
        self._batch_weight = 0
        self._batch_bytes = HEAD_BYTES

    def add(self, message: MessageT) -> list[MessageT]:
        """Take a message and return the batch that it ended, or nothing; raises MessageTooLarge."""
        size = message.ByteSize() + FRAMING_BYTES
        if size + HEAD_BYTES > self._limits.max_message_bytes:
            raise MessageTooLarge(
                f"one item has {size} bytes and Limits.max_message_bytes is {self._limits.max_message_bytes}"
            )
        weight = self._weight(message)
        full = self._batch_weight + weight > self._max_weight or self._batch_bytes + size > min(
            self._limits.batch_bytes, self._limits.max_message_bytes
        )
        finished = self.rest() if full else []
        self._batch.append(message)
        self._batch_weight += weight
        self._batch_bytes += size
        return finished

    def rest(self) -> list[MessageT]:
        """Return what is left."""
        batch, self._batch = self._batch, []
        self._batch_weight = 0
        self._batch_bytes = HEAD_BYTES
        return batch


def split(messages: Iterable[MessageT], limits: Limits, max_items: int) -> Iterator[list[MessageT]]:
    """Give the messages in batches; one empty batch where there are none, so that the server says what it thinks."""
    batcher: Batcher[MessageT] = Batcher(limits, max_items)
    any_batch = False
    for message in messages:
        if batch := batcher.add(message):
            any_batch = True
            yield batch
    batch = batcher.rest()
    if batch or not any_batch:
        yield batch


def rows_per_message(limits: Limits, row_bytes: int, answer_bytes: int) -> int:
    """Return how many rows of a matrix, with answers of the given size, fit into one message each way."""
    room = limits.max_message_bytes - HEAD_BYTES
    return max(1, min(limits.max_matrix_rows, room // max(row_bytes, 1), room // max(answer_bytes, 1)))
