"""Binds handlers, which know no transport, to the methods of the .proto services."""

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

import grpc
from ersgallery.v1 import (
    calibration_service_pb2,
    enrollment_service_pb2,
    gallery_service_pb2,
    hygiene_service_pb2,
    identification_service_pb2,
    recognizability_service_pb2,
)
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from grpc_status import rpc_status

from ersgallery_server.call import Behavior, Call, Cancellation
from ersgallery_server.errors import BatchTooLarge, Cancelled, InvalidRequest, NotReady, Overloaded, TooManyStreams
from ersgallery_server.status import classify, to_status
from ersgallery_server.transport.activity import Activity
from ersgallery_server.transport.patience import Patience
from ersgallery_server.turns import Turn, Turns

SERVICES: tuple[ServiceDescriptor, ...] = tuple(
    file.DESCRIPTOR.services_by_name[name]
    for file, name in (
        (gallery_service_pb2, "GalleryService"),
        (enrollment_service_pb2, "EnrollmentService"),
        (identification_service_pb2, "IdentificationService"),
        (recognizability_service_pb2, "RecognizabilityService"),
        (calibration_service_pb2, "CalibrationService"),
        (hygiene_service_pb2, "HygieneService"),
    )
)

LONGEST_DEADLINE_S = 86_400.0
"""gRPC tells a call without a deadline as one in some hundred years, which no lock can wait for."""

_REFUSALS = ThreadPoolExecutor(1, thread_name_prefix="rpc-refusal")


class _AtOnce(ThreadPoolExecutor):
    """Serves calls on gRPC's own thread, which is the cheapest way: for what neither waits nor writes anything.

    gRPC takes no other kind of executor; this one has no threads.
    """

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Serve a call now; gRPC's work raises nothing."""
        done: Future[Any] = Future()
        done.set_result(work(*args, **kwargs))
        return done


_AT_ONCE = _AtOnce(1)
_MOST_PREPARED = 256


class Layer(Protocol):
    """Something that is done around every call: who may call is asked, what happened is counted or written down."""

    def around(self, method: MethodDescriptor, behavior: Behavior) -> Behavior:
        """Return what serves a method in place of a behavior, and calls it; asked once, when the server is made."""
        ...


Metadata = Iterable[tuple[str, str | bytes]]


@dataclass(frozen=True, slots=True)
class Admission:
    """What is asked of a call before a thread is taken for it and its message is read.

    admit: gets its metadata and raises the error that refuses it. refused: gets its method, its peer and the error.
    """

    admit: Callable[[Metadata], object]
    refused: Callable[[str, str, Exception], None]


class MethodTable(grpc.GenericRpcHandler):
    """The methods of all services, each found by its name among the handlers.

    A stream holds a thread as long as it is open, so no more than `max_streams` are, and the other threads stay free
    for unary calls. Calls that wait for a thread beyond `max_waiting`, or would wait for longer than `max_wait_s`, are
    refused. The first of the layers is the outermost; calls that are not admitted, which are to cost nothing, reach
    none of them. Raises AttributeError when no handler has a method.
    """

    def __init__(
        self,
        handlers: Sequence[object],
        activity: Activity,
        layers: Sequence[Layer],
        patience: Patience,
        *,
        max_streams: int,
        max_waiting: int,
        max_wait_s: float,
        max_message_bytes: int,
        admission: Admission,
    ) -> None:
        self._activity = activity
        self._patience = patience
        self._turns = Turns()
        self._admission = admission
        self._max_streams = max_streams
        self._max_waiting = max_waiting
        self._max_wait_s = max_wait_s
        self._max_message_bytes = max_message_bytes
        self._streams = threading.BoundedSemaphore(max_streams)
        self._ready = False
        self._not_ready = self._refusal(NotReady)
        self._full = self._refusal(self._overloaded)
        self._prepared: dict[tuple[type[Exception], str], grpc.Status] = {}
        self._methods = {
            f"/{service.full_name}/{method.name}": self._bind(method, _layered(layers, method, _find(handlers, method)))
            for service in SERVICES
            for method in service.methods
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Return what serves a call that has just come; None for a method that is not ours."""
        method = self._methods.get(handler_call_details.method)
        return None if method is None else self.admitted(method, handler_call_details)

    def admitted(
        self, method: "grpc.RpcMethodHandler[Any, Any]", details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[Any, Any]":
        """Return what serves a call that has just come: the method, or a refusal that reads nothing."""
        try:
            self._admission.admit(details.invocation_metadata or ())
        except Exception as error:  # noqa: BLE001 - the table decides what the caller learns
            return self._not_admitted(details.method, error)
        if not self._ready:
            return self._not_ready
        activity = self._activity
        full = activity.waiting >= self._max_waiting or activity.expected_wait_s > self._max_wait_s
        return self._full if full else method

    def ready(self) -> None:
        """Serve calls from now on; until then they are refused."""
        self._ready = True

    def limited(self, behavior: Behavior) -> Callable[[Iterable[Any], grpc.ServicerContext], Iterator[Any]]:
        """Return what serves a stream within the limit of open streams."""

        def serve(requests: Iterable[Any], context: grpc.ServicerContext) -> Iterator[Any]:
            if not self._streams.acquire(blocking=False):
                self._patience.want_stream()
                self._refuse(context, TooManyStreams(self._max_streams))
            stream = self._activity.open_stream(context.cancel)
            try:
                for response in behavior(stream.each(requests), _call(context)):
                    stream.sending()
                    yield response
                    stream.answered()
            except grpc.RpcError:  # gRPC's own word for a caller that went away
                raise
            except Exception as error:  # noqa: BLE001 - the table decides what the caller learns
                _abort(context, error)
            finally:
                stream.close()
                self._streams.release()

        return serve

    def _overloaded(self) -> Overloaded:
        wait_s = round(self._activity.expected_wait_s, 1)  # so that few kinds of refusals are prepared
        if self._activity.waiting >= self._max_waiting:
            return Overloaded("calls", self._max_waiting)
        return Overloaded.too_slow("calls", wait_s, self._max_wait_s)

    def _refusal(self, error: Callable[[], Exception]) -> "grpc.RpcMethodHandler[Any, Any]":
        refusal = _RefusalAtOnce(lambda context: self._refuse_cheaply(context, error()))
        return grpc.stream_stream_rpc_method_handler(refusal)

    def _refuse_cheaply(self, context: grpc.ServicerContext, error: Exception) -> NoReturn:
        """Refuse with a status that is kept for the next one: in a rush this is most of what is done."""
        self._activity.refused.add(classify(error)[1])
        key = (type(error), str(error))
        if key not in self._prepared:
            if len(self._prepared) > _MOST_PREPARED:
                self._prepared.clear()
            self._prepared[key] = rpc_status.to_status(to_status(error))
        context.abort_with_status(self._prepared[key])
        raise AssertionError("abort_with_status always raises")

    def _not_admitted(self, method: str, error: Exception) -> "grpc.RpcMethodHandler[Any, Any]":
        def refuse(context: grpc.ServicerContext) -> NoReturn:
            self._admission.refused(method, context.peer(), error)
            self._refuse(context, error)

        return grpc.stream_stream_rpc_method_handler(_Refusal(refuse))

    def _refuse(self, context: grpc.ServicerContext, error: Exception) -> NoReturn:
        self._activity.refused.add(classify(error)[1])
        _abort(context, error)

    def _bind(self, method: MethodDescriptor, behavior: Behavior) -> "grpc.RpcMethodHandler[Any, Any]":
        decode = _decoder(method)
        if method.client_streaming:
            return grpc.stream_stream_rpc_method_handler(self._stream(behavior, decode))
        # For the caller the same as unary_unary; here the call is known before its message has come.
        return grpc.stream_unary_rpc_method_handler(self._unary(behavior, decode))

    def _unary(
        self, behavior: Behavior, decode: Callable[[bytes], Message]
    ) -> Callable[[Iterator[bytes], grpc.ServicerContext], bytes]:
        def serve(requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
            begun_s = time.monotonic()
            try:
                with self._patience.receiving(context.cancel):
                    request = _only(requests)
                with self._turns.turn() as turn:
                    _require_caller(context)
                    return self._encode(behavior(decode(request), _call(context, turn)))
            except grpc.RpcError:  # as below
                raise
            except Exception as error:  # noqa: BLE001 - the table decides what the caller learns
                _abort(context, error)
            finally:
                if context.is_active():  # what was dropped took no time, and says nothing of what calls take
                    self._activity.served(time.monotonic() - begun_s)

        return serve

    def _stream(
        self, behavior: Behavior, decode: Callable[[bytes], Message]
    ) -> Callable[[Iterable[Any], grpc.ServicerContext], Iterator[Any]]:
        def each(requests: Iterable[bytes], call: Call) -> Iterator[bytes]:
            for response in behavior(map(decode, requests), call):
                try:
                    yield self._encode(response)
                except BatchTooLarge as error:
                    yield type(response)(sequence=response.sequence, error=to_status(error)).SerializeToString()

        return self.limited(each)

    def _encode(self, response: Message) -> bytes:
        """Serialize an answer; gRPC would break off a larger one without a reason."""
        encoded = response.SerializeToString()
        if len(encoded) > self._max_message_bytes:
            raise BatchTooLarge("bytes of answer", len(encoded), self._max_message_bytes)
        return encoded


class _Refusal:
    """Answers on a thread of its own who may not call."""

    experimental_thread_pool = _REFUSALS

    def __init__(self, refuse: Callable[[grpc.ServicerContext], NoReturn]) -> None:
        self._refuse = refuse

    def __call__(self, _requests: Iterable[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        self._refuse(context)


class _RefusalAtOnce(_Refusal):
    """Answers who may call while all threads are busy, or what they work with is not there."""

    experimental_thread_pool = _AT_ONCE


def _find(handlers: Sequence[object], method: MethodDescriptor) -> Behavior:
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower()
    for handler in handlers:
        if behavior := getattr(handler, name, None):
            return behavior  # type: ignore[no-any-return]  # a bound method of a handler
    raise AttributeError(f"no handler has the method {name}")


def _only(requests: Iterator[bytes]) -> bytes:
    request = next(requests, None)
    if request is None:
        raise InvalidRequest.field("request", "must be exactly one message")
    return request


def _decoder(method: MethodDescriptor) -> Callable[[bytes], Message]:
    """Return what reads a request; gRPC, which could do it too, would call one that cannot be read INTERNAL."""
    read = GetMessageClass(method.input_type).FromString

    def decode(encoded: bytes) -> Message:
        try:
            return read(encoded)
        except DecodeError as error:
            raise InvalidRequest.field("request", f"is no message {method.input_type.full_name}") from error

    return decode


def _layered(layers: Sequence[Layer], method: MethodDescriptor, behavior: Behavior) -> Behavior:
    for layer in reversed(layers):
        behavior = layer.around(method, behavior)
    return behavior


def _require_caller(context: grpc.ServicerContext) -> None:
    """Raise Cancelled where the caller went away or the deadline passed: the work would be for nobody."""
    if not context.is_active():
        raise Cancelled


def _call(context: grpc.ServicerContext, turn: Turn | None = None) -> Call:
    remaining = context.time_remaining()
    endless = remaining is None or remaining > LONGEST_DEADLINE_S
    cancellation = Cancellation()
    if not context.add_callback(cancellation.happen):
        cancellation.happen()
    return Call(
        None if endless else time.monotonic() + remaining,
        cancellation,
        metadata=tuple((key, value) for key, value in context.invocation_metadata()),
        peer=context.peer(),
        peer_name=_peer_name(context),
        hang_up=context.cancel,
        turn=turn,
    )


def _peer_name(context: grpc.ServicerContext) -> str:
    """Return the common name of a client's certificate, or its first alternative name where it has none."""
    facts = context.auth_context()
    names = (name for key in ("x509_common_name", "x509_subject_alternative_name") for name in _all(facts.get(key)))
    return next(filter(None, names), b"").decode(errors="replace")


def _all(values: Any) -> Iterable[bytes]:
    """Return the values of a fact, which the stubs type as one."""
    return values or ()


def _abort(context: grpc.ServicerContext, error: Exception) -> NoReturn:
    context.abort_with_status(rpc_status.to_status(to_status(error)))
    raise AssertionError("abort_with_status always raises")
