"""OpenTelemetry traces: a span for each call, below it what it waited for. Imported only where traces are wanted.

Spans tell times, names of methods and galleries, and counts; nothing of a face, a subject or a photograph.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ersgallery_server.call import Behavior, Call
from ersgallery_server.status import classify

EXPORT_TIMEOUT_S = 2.0
"""A collector that is away keeps neither calls nor the end of the server waiting longer."""

_PROPAGATOR = TraceContextTextMapPropagator()


class Tracing:
    """Makes spans and sends them to an OTLP collector in the background; implements transport's Layer.

    endpoint: of the collector, such as http://localhost:4317. What OpenTelemetry's own variables say of headers,
    certificates, sampling and resources holds too.
    """

    def __init__(self, endpoint: str) -> None:
        insecure = None if endpoint.startswith("https://") else True
        exporter = OTLPSpanExporter(endpoint, insecure=insecure, timeout=EXPORT_TIMEOUT_S)
        resource = Resource.create()
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):  # the environment says none
            resource = resource.merge(Resource({SERVICE_NAME: "ersgallery"}))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("ersgallery_server")

    def around(self, method: MethodDescriptor, behavior: Behavior) -> Behavior:
        """Return what serves a method within a span, whose parent is the caller's where its traceparent names one."""
        name = f"{method.containing_service.full_name}/{method.name}"
        attributes = {
            "rpc.system": "grpc",
            "rpc.service": method.containing_service.full_name,
            "rpc.method": method.name,
        }
        stream = method.client_streaming

        def serve(request: Any, call: Call) -> Any:
            parent = _PROPAGATOR.extract({key: text for key, text in call.metadata if isinstance(text, str)})
            span = self._tracer.start_span(name, parent, SpanKind.SERVER, attributes)
            traced = replace(call, trace=CallTrace(self._tracer, span)) if span.is_recording() else call
            return _stream(behavior, request, traced, span) if stream else _unary(behavior, request, traced, span)

        return serve

    def close(self) -> None:
        """Send what is left, if the collector takes it."""
        self._provider.force_flush(int(1000 * EXPORT_TIMEOUT_S))
        self._provider.shutdown()


class CallTrace:
    """Adds spans below that of a call; any thread may."""

    def __init__(self, tracer: Tracer, span: Span) -> None:
        self._tracer = tracer
        self._below: Context = set_span_in_context(span, Context())
        self._epoch_ns = time.time_ns() - time.monotonic_ns()

    def add(self, name: str, begun_s: float, ended_s: float, /, **attributes: str | int) -> None:
        """Add what lasted from one moment to another, as of time.monotonic()."""
        named = {f"ersgallery.{key}": value for key, value in attributes.items()}
        span = self._tracer.start_span(name, self._below, attributes=named, start_time=self._at_ns(begun_s))
        span.end(self._at_ns(ended_s))

    def _at_ns(self, moment_s: float) -> int:
        return self._epoch_ns + round(moment_s * 1e9)


def _unary(behavior: Behavior, request: Any, call: Call, span: Span) -> Any:
    try:
        return behavior(request, call)
    except Exception as error:
        _failed(span, error)
        raise
    finally:
        span.end()


def _stream(behavior: Behavior, requests: Iterable[Any], call: Call, span: Span) -> Iterator[Any]:
    try:
        yield from behavior(requests, call)
    except Exception as error:
        _failed(span, error)
        raise
    finally:
        span.end()


def _failed(span: Span, error: Exception) -> None:
    """Note code and reason; never the text, which may quote the request."""
    code, reason = classify(error)
    span.set_attribute("rpc.grpc.status_code", code.value[0])
    span.set_attribute("ersgallery.reason", reason)
    span.set_status(Status(StatusCode.ERROR))
