"""What a client asks for: how it is sent, what follows when it was done, and how it can be seen whether it was."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from tests.crash.known import KnownGallery, Violation, World
from tests.crash.seen import Seen
from tests.support.server import RemoteServer

TIMEOUT_S = 120.0
"""Nothing takes so long: whoever waits longer hangs."""


@dataclass(frozen=True)
class Operation(ABC):
    """Something that one client asks for, and waits for, in one gallery."""

    gallery: str

    @property
    def parent(self) -> str:
        """Return the gallery's resource name."""
        return f"galleries/{self.gallery}"

    @abstractmethod
    def send(self, server: RemoteServer, world: World) -> None:
        """Ask for it, and take it over into what is known once it is acknowledged. Raises grpc.RpcError."""

    @abstractmethod
    def happened(self, seen: Seen) -> bool:
        """Tell from what a restarted server shows whether it was done; raises Violation where it is half there."""

    @abstractmethod
    def settle(self, world: World, seen: Seen) -> None:
        """Take over what a restarted server shows of it, which it did without having said so."""


@dataclass(frozen=True)
class Change(Operation):
    """An operation of which is known beforehand what follows."""

    def send(self, server: RemoteServer, world: World) -> None:
        """Ask for it and take it over; raises Violation where the answer names another number of faces than known."""
        with world.lock:
            known = self.concerned(world.galleries[self.gallery])
        told = self.ask(server)
        if told != known:
            raise Violation(str(self), f"concerned {told} faces and not {known}")
        with world.lock:
            self.take(world)

    def settle(self, world: World, seen: Seen) -> None:  # noqa: ARG002 - nothing is to be learnt of it
        """Take it over."""
        self.take(world)

    @abstractmethod
    def ask(self, server: RemoteServer) -> int | None:
        """Send it; return how many faces the answer says it concerned, None where it says nothing of it."""

    @abstractmethod
    def take(self, world: World) -> None:
        """Let it be done in what is known."""

    def concerned(self, known: KnownGallery) -> int | None:  # noqa: ARG002 - for those that tell
        """Return how many faces the answer must name."""
        return None
