"""Keeps a thread of the server busy, so that a test can say what waits meanwhile."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Self


class Held:
    """Some thread that stands still until it is let go; leaving the block lets it go."""

    def __init__(self, submit: Callable[[Callable[..., None]], "Future[None]"]) -> None:
        """Hand the owner of the thread, such as Store.submit, a piece of work that stands still; wait until it does."""
        self._begun, self._end = threading.Event(), threading.Event()
        self.work = submit(self._stand)
        self._begun.wait()

    def let_go(self) -> None:
        """Let the thread go on."""
        self._end.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()

    def _stand(self, *_: object) -> None:
        self._begun.set()
        self._end.wait()
