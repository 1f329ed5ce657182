"""What the streams of batches share."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from google.protobuf.message import Message

from ersgallery_server.status import to_status


def answer_each(
    requests: Iterable[Any], ask: Callable[[Any], Message], response_type: Callable[..., Message]
) -> Iterator[Any]:
    """Answer the batch of each request with its sequence; a batch that is refused does not end the stream."""
    for request in requests:
        try:
            response = ask(request.batch)
        except Exception as error:  # noqa: BLE001 - the batch's own answer; the stream goes on
            yield response_type(sequence=request.sequence, error=to_status(error))
        else:
            yield response_type(sequence=request.sequence, response=response)
