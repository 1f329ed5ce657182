"""Counts calls: a layer around every method, a few microseconds for each."""

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from google.rpc import error_details_pb2, status_pb2

from ersgallery_server.call import Behavior, Call
from ersgallery_server.status import classify
from ersgallery_server.tallies import Spread, Tally

OK, FAULT = ("OK", "OK"), ("INTERNAL", "INTERNAL")


class MethodFigures:
    """Counts of one method. handled: calls by (code, reason). batches: of streams, by reason."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.handled: Tally[tuple[str, str]] = Tally()
        self.batches: Tally[str] = Tally()
        self.seconds = Spread()
        self.handled.add(FAULT, 0)  # told from the beginning: Prometheus sees no increase in what begins with 1
        self._begun = 0
        self._ended = 0
        self._lock = threading.Lock()

    @property
    def in_flight(self) -> int | None:
        """Return how many calls have begun and not ended; None where there never was one."""
        with self._lock:
            return self._begun - self._ended if self._begun else None

    def begin(self) -> None:
        """Count a call that has its thread."""
        with self._lock:
            self._begun += 1

    def end(self, outcome: tuple[str, str]) -> None:
        """Count the end of a call."""
        with self._lock:
            self._ended += 1
        self.handled.add(outcome)


class CallFigures:
    """Counts the calls of all methods; implements transport's Layer."""

    def __init__(self) -> None:
        self.methods: list[MethodFigures] = []

    def around(self, method: MethodDescriptor, behavior: Behavior) -> Behavior:
        """Return what serves a method and counts it."""
        figures = MethodFigures(f"{method.containing_service.name}/{method.name}")
        self.methods.append(figures)
        if method.client_streaming:
            figures.batches.add(FAULT[1], 0)
        return _around_stream(figures, behavior) if method.client_streaming else _around_unary(figures, behavior)


def _around_unary(figures: MethodFigures, behavior: Behavior) -> Behavior:
    def serve(request: Any, call: Call) -> Any:
        figures.begin()
        begun_s = time.monotonic()
        outcome = OK
        try:
            return behavior(request, call)
        except Exception as error:
            outcome = _outcome(error)
            raise
        finally:
            figures.seconds.add(time.monotonic() - begun_s)
            figures.end(outcome)

    return serve


def _around_stream(figures: MethodFigures, behavior: Behavior) -> Behavior:
    def serve(requests: Iterable[Any], call: Call) -> Iterator[Any]:
        figures.begin()
        outcome = OK
        try:
            for response in behavior(requests, call):
                figures.batches.add(_reason(response.error) if response.HasField("error") else OK[1])
                yield response
        except GeneratorExit:
            outcome = ("CANCELLED", "CANCELLED")
            raise
        except Exception as error:
            outcome = _outcome(error)
            raise
        finally:
            figures.end(outcome)

    return serve


def _outcome(error: Exception) -> tuple[str, str]:
    code, reason = classify(error)
    return code.name, reason


def _reason(status: status_pb2.Status) -> str:
    """Return the reason in a status that the server made."""
    info = error_details_pb2.ErrorInfo()
    return info.reason if any(detail.Unpack(info) for detail in status.details) else "INTERNAL"
