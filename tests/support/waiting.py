"""Waits for what another thread does."""

import time
from collections.abc import Callable


def until(holds: Callable[[], bool], patience_s: float = 60.0) -> None:
    """Return as soon as something holds; fail after a time that only a fault takes."""
    end_s = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < end_s, "it never came"
        time.sleep(0.002)
