"""Binds handlers, which know no transport, to the methods of the .proto services."""

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

import grpc
from ersgallery.v1 import (
    enrollment_service_pb2,
    gallery_service_pb2,
    identification_service_pb2,
    recognizability_service_pb2,
)
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc_status import rpc_status

from ersgallery_server.call import Call
from ersgallery_server.errors import TooManyStreams
from ersgallery_server.status import to_status
from ersgallery_server.transport.activity import Activity

SERVICES: tuple[ServiceDescriptor, ...] = tuple(
    file.DESCRIPTOR.services_by_name[name]
    for file, name in (
        (gallery_service_pb2, "GalleryService"),
        (enrollment_service_pb2, "EnrollmentService"),
        (identification_service_pb2, "IdentificationService"),
        (recognizability_service_pb2, "RecognizabilityService"),
    )
)

LONGEST_DEADLINE_S = 86_400.0
"""gRPC tells a call without a deadline as one in some hundred years, which no lock can wait for."""

Behavior = Callable[[Any, Call], Any]


class MethodTable:
    """The methods of all services, each found by its name among the handlers.

    A stream holds a thread as long as it is open, so no more than `max_streams` are, and the other threads stay free
    for unary calls. Raises AttributeError when no handler has a method.
    """

    def __init__(self, handlers: Sequence[object], *, max_streams: int) -> None:
        self.activity = Activity()
        self._max_streams = max_streams
        self._streams = threading.BoundedSemaphore(max_streams)
        self.generic_handlers = [
            grpc.method_handlers_generic_handler(
                service.full_name,
                {each.name: self._bind(each, _find(handlers, each)) for each in service.methods},
            )
            for service in SERVICES
        ]

    def _bind(self, method: MethodDescriptor, behavior: Behavior) -> "grpc.RpcMethodHandler[Any, Any]":
        decode = GetMessageClass(method.input_type).FromString
        encode = GetMessageClass(method.output_type).SerializeToString
        if method.client_streaming:
            return grpc.stream_stream_rpc_method_handler(self._stream(behavior), decode, encode)
        return grpc.unary_unary_rpc_method_handler(self._unary(behavior), decode, encode)

    def _unary(self, behavior: Behavior) -> Callable[[Any, grpc.ServicerContext], Any]:
        def serve(request: Any, context: grpc.ServicerContext) -> Any:
            with self.activity.one():
                try:
                    return behavior(request, _call(context))
                except Exception as error:  # noqa: BLE001 - the table decides what the caller learns
                    _abort(context, error)

        return serve

    def _stream(self, behavior: Behavior) -> Callable[[Iterable[Any], grpc.ServicerContext], Iterator[Any]]:
        def serve(requests: Iterable[Any], context: grpc.ServicerContext) -> Iterator[Any]:
            if not self._streams.acquire(blocking=False):
                _abort(context, TooManyStreams(self._max_streams))
            try:
                yield from behavior(self.activity.each(requests), _call(context))
            except Exception as error:  # noqa: BLE001 - the table decides what the caller learns
                _abort(context, error)
            finally:
                self._streams.release()

        return serve


def _find(handlers: Sequence[object], method: MethodDescriptor) -> Behavior:
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower()
    for handler in handlers:
        if behavior := getattr(handler, name, None):
            return behavior  # type: ignore[no-any-return]  # a bound method of a handler
    raise AttributeError(f"no handler has the method {name}")


def _call(context: grpc.ServicerContext) -> Call:
    remaining = context.time_remaining()
    endless = remaining is None or remaining > LONGEST_DEADLINE_S
    return Call(None if endless else time.monotonic() + remaining, context.add_callback)


def _abort(context: grpc.ServicerContext, error: Exception) -> NoReturn:
    context.abort_with_status(rpc_status.to_status(to_status(error)))
    raise AssertionError("abort_with_status always raises")
