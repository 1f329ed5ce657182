"""A server whose database has another owner answers nothing: what it knows is no longer the truth."""

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.descriptor import MethodDescriptor

from ersgallery_server.call import Behavior, Call
from ersgallery_server.store import NotOwner, Ownership


class OwnersOnly:
    """Refuses every call once the ownership is known to be lost."""

    def __init__(self, ownership: Ownership) -> None:
        self._ownership = ownership

    def around(self, method: MethodDescriptor, behavior: Behavior) -> Behavior:
        """Return what asks before a call, and before each answer of a stream; raises NotOwner."""

        def serve(request: Any, call: Call) -> Any:
            self._require()
            return behavior(request, call)

        def stream(requests: Iterable[Any], call: Call) -> Iterator[Any]:
            self._require()
            for response in behavior(requests, call):
                self._require()
                yield response

        return stream if method.client_streaming else serve

    def _require(self) -> None:
        if self._ownership.is_lost:
            raise NotOwner
