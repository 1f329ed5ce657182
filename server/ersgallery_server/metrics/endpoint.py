"""Serves the metrics over HTTP, on threads that no call can take."""

import structlog
from prometheus_client import CollectorRegistry, start_http_server

log = structlog.get_logger(__name__)


class MetricsEndpoint:
    """An HTTP server of one registry."""

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        """Bind the address; raises OSError where that is not possible."""
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            raise OSError(f"{host}:{port} cannot be bound for metrics: {error.strerror}") from error
        self.port: int = self._server.server_port
        log.info("serving metrics", address=f"{host}:{self.port}")

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
