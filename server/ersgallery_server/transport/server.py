"""The gRPC server: a thread pool that streams cannot fill, health that flips before the drain, reflection."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from ersgallery_server.config import Settings
from ersgallery_server.transport.activity import Activity, CallPool
from ersgallery_server.transport.certificates import Certificates
from ersgallery_server.transport.methods import SERVICES, Admission, Layer, MethodTable
from ersgallery_server.transport.patience import Patience
from ersgallery_server.transport.readiness import Readiness

SENDING_S = 0.5
"""What the last answers are given to leave the process."""

MAX_METADATA_BYTES = 16 * 1024
HANDSHAKE_MS = 20_000
LONGEST_IDLE_MS = 30 * 60_000
LONGEST_AGE_MS = 60 * 60_000
MAX_WATCHES = 1024
"""Health watches that are open at a time: anybody may begin one, and each takes memory until it ends."""

NAMES = tuple(service.full_name for service in SERVICES)

_NO_SERVICE = "no service"

_HEALTH = ThreadPoolExecutor(2, thread_name_prefix="rpc-health")
"""One for the process: gRPC's health servicer keeps it on its class."""

_ENDED_WATCHES = ThreadPoolExecutor(1, thread_name_prefix="rpc-watch-ended")


class GrpcServer:
    """Serves handlers on one address."""

    def __init__(
        self,
        settings: Settings,
        handlers: Sequence[object],
        layers: Sequence[Layer],
        ping: Callable[[], None],
        admission: Admission,
    ) -> None:
        """Bind the address; raises OSError where that is not possible, CertificateUnusable.

        ping: asks whether the store answers.
        """
        self.certificates = None if settings.tls is None else Certificates(settings.tls)
        threads = settings.unary_threads + settings.max_streams
        self._activity = Activity(threads)
        self._patience = Patience(self._activity, stream_idle_s=settings.stream_idle_s)
        self._server = grpc.server(CallPool(threads, self._activity), options=_options(settings))
        self._methods = MethodTable(
            handlers,
            self._activity,
            layers,
            self._patience,
            max_streams=settings.max_streams,
            max_waiting=settings.max_waiting_calls,
            max_wait_s=settings.max_wait_s,
            max_message_bytes=settings.max_message_bytes,
            admission=admission,
        )
        self._health = _Health(experimental_thread_pool=_HEALTH)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._server.add_generic_rpc_handlers((self._methods, _Reflection(self._methods)))
        self.readiness = Readiness(NAMES, self._health.set, ping)
        host = f"[{settings.host}]" if ":" in settings.host.strip("[]") and settings.host[0] != "[" else settings.host
        self.address = f"{host}:{_bind(self._server, f'{host}:{settings.port}', self.certificates)}"

    @property
    def activity(self) -> Activity:
        """Return what counts the work under way."""
        return self._activity

    def start(self) -> None:
        """Accept connections; health says NOT_SERVING and calls are refused until `ready`."""
        self._server.start()
        self._patience.start()

    def ready(self, start_s: float) -> None:
        """Serve calls and say so, after a start of so many seconds."""
        self._methods.ready()
        self.readiness.begin(start_s)

    def close(self) -> None:
        """Stop at once, if it was not drained before."""
        self._patience.close()
        self.readiness.end()
        self._server.stop(0).wait()

    def drain(self, timeout_s: float) -> bool:
        """Say NOT_SERVING, take no more calls, and finish the work that was accepted; False where that took too long.

        Streams and health watches that are open without work would last as long as their callers like; they are ended.
        """
        self._health.enter_graceful_shutdown()
        self.readiness.end()
        self._activity.drain()
        # Not cut off by gRPC at the same moment, which would look as if they had been finished.
        self._server.stop(timeout_s + SENDING_S)
        finished = self._activity.wait_idle(timeout_s)
        self._server.stop(SENDING_S).wait()
        return finished


class _Health(health.HealthServicer):
    """Answers while all other threads are busy: who is slow is not dead, and a Watch holds no thread at all."""

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - the method's name in the .proto
        """Return the status of a service."""
        return super().Check(request, context)

    def Watch(self, request: Any, context: grpc.ServicerContext, send_response_callback: Any = None) -> Any:  # noqa: N802 - as above
        """Tell the status of a service and each change of it.

        All names that are no service's are watched as one: gRPC would keep each for ever, whoever sent it, and they can
        be as long as a message.
        """
        kept: Any = self  # its attributes are not in the stubs
        with kept._lock:  # noqa: SLF001 - our own, by inheritance
            if sum(len(watches) for watches in kept._send_response_callbacks.values()) >= MAX_WATCHES:  # noqa: SLF001
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MAX_WATCHES} health watches are open, the limit")
            if request.service not in kept._server_status:  # noqa: SLF001
                request = health_pb2.HealthCheckRequest(service=_NO_SERVICE)
            return super().Watch(request, context, send_response_callback)

    def _on_close_callback(self, send_response_callback: Any, service: str) -> Callable[[], object]:
        """Forget a watch that has ended, on a thread of its own.

        gRPC would do it on the thread that also completes what `set` waits for while it holds the servicer's lock: a
        watch that ends while the status changes would then stop the whole server.
        """
        forget = super()._on_close_callback(send_response_callback, service)  # type: ignore[misc]  # not in the stubs
        return lambda: _ENDED_WATCHES.submit(forget)

    Check.experimental_thread_pool = _HEALTH  # type: ignore[attr-defined]  # gRPC looks for it on the function


class _Reflection(grpc.GenericRpcHandler):
    """Reflection as one more stream of the table: an open one holds a thread, and who may not call may not ask."""

    def __init__(self, methods: MethodTable) -> None:
        servicer: Any = reflection.ReflectionServicer((*NAMES, health.SERVICE_NAME, reflection.SERVICE_NAME))
        self._methods = methods
        self._name = f"/{reflection.SERVICE_NAME}/ServerReflectionInfo"
        self._handler = grpc.stream_stream_rpc_method_handler(
            methods.limited(servicer.ServerReflectionInfo),
            reflection_pb2.ServerReflectionRequest.FromString,
            reflection_pb2.ServerReflectionResponse.SerializeToString,
        )

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Return what serves a call for reflection; None for any other."""
        if handler_call_details.method != self._name:
            return None
        return self._methods.admitted(self._handler, handler_call_details)


def _bind(server: grpc.Server, address: str, certificates: Certificates | None) -> int:
    try:
        if certificates is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, certificates.credentials())
    except RuntimeError:
        port = 0
    if port == 0:
        raise OSError(f"{address} cannot be bound: in use, or not an address of this machine")
    return port


def _options(settings: Settings) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.max_allowed_incoming_connections", settings.max_connections),
        ("grpc.max_concurrent_streams", _most_calls_of_a_connection(settings)),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
        ("grpc.max_connection_idle_ms", LONGEST_IDLE_MS),
        # Calls under way are finished; a new connection is shown a new certificate and shows its own again.
        ("grpc.max_connection_age_ms", LONGEST_AGE_MS),
        # Two servers on one port would share calls between two truths.
        ("grpc.so_reuseport", 0),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.max_ping_strikes", 2),
    ]


def _most_calls_of_a_connection(settings: Settings) -> int:
    """Return what one connection may have open: more than the server takes, so that it is refused and not kept waiting.

    A client holds further calls back by itself; without this bound a connection could open two thousand million.
    """
    return 2 * (settings.unary_threads + settings.max_streams + settings.max_waiting_calls)
