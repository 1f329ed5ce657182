"""Writes down every call as it ends: two layers, one outside of whatever refuses calls, one inside."""

import datetime as dt
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from google.protobuf.descriptor import MethodDescriptor

from ersgallery_server.audit.entries import OK, answer_entry, reason_of, request_entry
from ersgallery_server.audit.line_file import SYNC_S, LineFile
from ersgallery_server.audit.summaries import Summaries
from ersgallery_server.call import Behavior, Call
from ersgallery_server.status import classify
from ersgallery_server.values import Identifications

IDENTIFICATIONS = frozenset({"Identify", "BatchIdentify", "StreamIdentify", "Verify", "Score"})
"""Methods that bring probes and change nothing."""

REFUSED_BY_THE_THOUSAND = frozenset({"UNAUTHENTICATED", "RATE_LIMITED"})
"""Outcomes that anybody can cause as often as he likes: a line for each would fill the disk."""


class Audit:
    """Writes a line for every call: who, what, on which resource, with what outcome; implements transport's Layer.

    Where the log cannot be written, what belongs there is refused with AuditUnavailable before anything is done.
    """

    def __init__(self, file: LineFile, identifications: Identifications) -> None:
        self._file = file
        self._identifications = identifications
        self._summaries = Summaries(self._write)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._write({"event": "opened"})
        self._thread.start()

    @property
    def inner(self) -> "WhoCalled":
        """Return the layer that stands inside all others: it learns there by which name the caller is known."""
        return WhoCalled()

    def close(self) -> None:
        """Write what is left and close the file."""
        self._closed.set()
        self._thread.join()
        self._summaries.write()
        self._write({"event": "closed"})
        self._file.close()

    def around(self, method: MethodDescriptor, behavior: Behavior) -> Behavior:
        """Return what serves a method and writes its calls down."""
        how = self._identifications if method.name in IDENTIFICATIONS else Identifications.EACH
        if how is Identifications.OFF:
            return behavior
        name = f"{method.containing_service.name}/{method.name}"
        serve = _around_stream if method.client_streaming else _around_unary
        if how is Identifications.SUMMARY:
            return serve(name, behavior, _nothing_required, self._summarize)
        return serve(name, behavior, self._file.require, self._each)

    def refused(self, method: str, peer: str, error: Exception) -> None:
        """Count a call that no layer meets, for nobody knows who sent it. method: /package.Service/Method."""
        who = {"caller": "", "peer": peer, "method": method.rpartition(".")[2]}
        self._summarize(who, {"resource": ""}, {"outcome": classify(error)[1]})

    def _each(self, who: Mapping[str, str], request: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        if answer["outcome"] in REFUSED_BY_THE_THOUSAND:
            self._summarize(who, request, answer)
        else:
            self._write({**who, **request, **answer})

    def _summarize(self, who: Mapping[str, str], request: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        # Neither the port nor more of a name than its gallery, or each call would be of a kind of its own.
        peer = who["peer"].rpartition(":")[0] if who["peer"].startswith("ip") else who["peer"]
        gallery = "/".join(str(request["resource"]).split("/")[:2])
        if answer["outcome"] in REFUSED_BY_THE_THOUSAND:  # whoever is refused may name what he likes
            gallery = ""
        kind = {**who, "peer": peer, "resource": gallery, "outcome": answer["outcome"]}
        self._summaries.add(kind, answer.get("counts", {}))

    def _write(self, entry: Mapping[str, Any]) -> None:
        self._file.append({"time": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"), **entry})

    def _run(self) -> None:
        while not self._closed.wait(SYNC_S):
            self._summaries.write_when_due()
            with suppress(OSError):  # the next line tells
                self._file.sync()


class WhoCalled:
    """Notes the name that the layers outside have found for a caller; implements transport's Layer."""

    def around(self, method: MethodDescriptor, behavior: Behavior) -> Behavior:  # noqa: ARG002 - Layer's signature
        """Return what notes a method's callers."""

        def serve(request: Any, call: Call) -> Any:
            call.notes["caller"] = call.caller
            return behavior(request, call)

        return serve


Required = Callable[[], None]
End = Callable[[Mapping[str, str], Mapping[str, Any], Mapping[str, Any]], None]


def _nothing_required() -> None:
    """Let calls pass that nothing is written of."""


def _around_unary(name: str, behavior: Behavior, required: Required, end: End) -> Behavior:
    def serve(request: Any, call: Call) -> Any:
        required()
        call = replace(call, notes={})
        try:
            answer = behavior(request, call)
        except Exception as error:
            end(_who(name, call), request_entry(request), {"outcome": classify(error)[1]})
            raise
        end(_who(name, call), request_entry(request), {"outcome": OK, **answer_entry(answer)})
        return answer

    return serve


def _around_stream(name: str, behavior: Behavior, required: Required, end: End) -> Behavior:
    """Write a line for each batch of a stream, and one where it ends with an error."""

    def serve(requests: Iterable[Any], call: Call) -> Iterator[Any]:
        required()
        call = replace(call, notes={})
        under_way: deque[Mapping[str, Any]] = deque()
        ending = threading.Lock()
        has_ended = False

        def noted() -> Iterator[Any]:
            for request in requests:
                required()
                with ending:
                    if has_ended:  # who reads ahead on another thread may still ask, and nothing would be written of it
                        return
                    under_way.append(request_entry(request.batch))
                yield request

        try:
            for answer in behavior(noted(), call):
                end(_who(name, call), under_way.popleft(), _batch_entry(answer))
                yield answer
        except Exception as error:
            outcome = {"outcome": classify(error)[1]}
            end(_who(name, call), under_way.popleft() if under_way else {"resource": ""}, outcome)
            raise
        finally:
            with ending:
                has_ended = True
            for request in under_way:  # nobody heard what became of them
                end(_who(name, call), request, {"outcome": "CANCELLED"})

    return serve


def _batch_entry(answer: Any) -> Mapping[str, Any]:
    if answer.HasField("error"):
        return {"outcome": reason_of(answer.error)}
    return {"outcome": OK, **answer_entry(answer.response)}


def _who(name: str, call: Call) -> dict[str, str]:
    who = {"caller": str(call.notes.get("caller", "")), "peer": call.peer, "method": name}
    return {**who, "peer_name": call.peer_name} if call.peer_name else who
