"""What a target is: it draws a case from a random generator, and checks what the attacked code makes of it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Protocol, Self


class Finding(AssertionError):
    """What was attacked did what it must not."""


@dataclass(frozen=True, slots=True)
class Case:
    """One input: what kind it is of (one word, a name of a method or a form of a file) and its bytes."""

    kind: str
    data: bytes

    def pack(self) -> bytes:
        """Return what is kept in a file: the kind, a line feed, the bytes."""
        return f"{self.kind}\n".encode() + self.data

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Return what `pack` kept."""
        kind, _, data = packed.partition(b"\n")
        return cls(kind.decode(), data)


class Attack(Protocol):
    """An opened target."""

    def draw(self, rng: Random) -> Case:
        """Return a case that depends on the generator alone."""
        ...

    def check(self, case: Case) -> str:
        """Try a case and return the outcome in a word or two; raises Finding, or whatever the attacked code raised."""
        ...

    def settle(self) -> None:
        """Check what must hold after many cases; raises Finding."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """Something that parses. opened: prepares it in an empty folder; share: its part of the time of a campaign."""

    name: str
    opened: Callable[[Path], AbstractContextManager[Attack]]
    share: float = 1.0
