"""What a kind of file is to the fuzz."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of file. use: reads one and returns the outcome; expected: the errors it may raise."""

    suffix: str
    draw: Callable[[Random], bytes]
    use: Callable[[Path], Any]
    expected: tuple[type[Exception], ...]
