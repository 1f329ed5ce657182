"""The messages of a stream that were read from their source and are not answered yet."""

from collections import deque

from ersgallery_client.errors import UnexpectedAnswer


class InFlight:
    """A window over numbered messages, kept so that a broken stream can send them again.

    Not safe for concurrent use: the outboxes guard it.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._messages: deque[bytes] = deque()
        self.first = 0

    def __len__(self) -> int:
        return len(self._messages)

    def has_room(self) -> bool:
        """Say whether another message may be read from the source."""
        return len(self._messages) < self._size

    def add(self, message: bytes) -> None:
        """Append the next message."""
        self._messages.append(message)

    def holds(self, sequence: int) -> bool:
        """Say whether the message of this number is there."""
        return self.first <= sequence < self.first + len(self._messages)

    def __getitem__(self, sequence: int) -> bytes:
        return self._messages[sequence - self.first]

    def acknowledge(self, sequence: int) -> None:
        """Drop the oldest message; raises UnexpectedAnswer where the server answered another one."""
        if not self._messages or sequence != self.first:
            raise UnexpectedAnswer(f"the server answered message {sequence} where {self.first} was due")
        self._messages.popleft()
        self.first += 1
