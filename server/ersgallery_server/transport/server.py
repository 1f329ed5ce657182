"""The gRPC server: a thread pool that streams cannot fill, health that flips before the drain, reflection."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from ersgallery_server.config import Settings
from ersgallery_server.transport.methods import SERVICES, MethodTable

HEALTH_WATCHERS = 4
SENDING_S = 0.5
"""What the last answers are given to leave the process."""

NAMES = tuple(service.full_name for service in SERVICES)


class GrpcServer:
    """Serves handlers on one address."""

    def __init__(self, settings: Settings, handlers: Sequence[object]) -> None:
        threads = settings.unary_threads + settings.max_streams
        self._server = grpc.server(
            ThreadPoolExecutor(threads, thread_name_prefix="rpc"), options=_options(settings), compression=None
        )
        methods = MethodTable(handlers, max_streams=settings.max_streams)
        self._activity = methods.activity
        self._server.add_generic_rpc_handlers(methods.generic_handlers)
        # Non-blocking, a Watch holds no thread of the pool however long it lasts.
        self._health = health.HealthServicer(
            experimental_non_blocking=True, experimental_thread_pool=ThreadPoolExecutor(HEALTH_WATCHERS)
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((*NAMES, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)
        self._tell(health_pb2.HealthCheckResponse.NOT_SERVING)
        self.port = _bind(self._server, f"{settings.host}:{settings.port}")

    def start(self) -> None:
        """Accept connections; health says NOT_SERVING until `ready`."""
        self._server.start()

    def ready(self) -> None:
        """Say SERVING."""
        self._tell(health_pb2.HealthCheckResponse.SERVING)

    def drain(self, timeout_s: float) -> None:
        """Say NOT_SERVING, take no more calls, and finish the work that was accepted, within `timeout_s`.

        Streams and health watches that are open without work would last as long as their callers like; they are ended.
        """
        self._health.enter_graceful_shutdown()
        self._server.stop(timeout_s)
        self._activity.wait_idle(timeout_s)
        self._server.stop(SENDING_S).wait()

    def _tell(self, status: int) -> None:
        for name in ("", *NAMES):
            self._health.set(name, status)


def _bind(server: grpc.Server, address: str) -> int:
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        port = 0
    if port == 0:
        raise OSError(f"{address} cannot be bound: in use, or not an address of this machine")
    return port


def _options(settings: Settings) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        # Two servers on one port would share calls between two truths.
        ("grpc.so_reuseport", 0),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ]
