"""Structured logs: names, counts and times; never an embedding, an image or a secret."""

import logging
import sys
from typing import Any

import structlog

OURS = "ersgallery_server"

_OF_GRPC = {
    "Invalid encoding on": "a header of a call is no UTF-8; it was read as Latin-1",
    "Exception deserializing message!": "a request to a service of gRPC's own is no message",
    "Exception calling application: Method not implemented!": "a method of gRPC's own that is not served was called",
}
"""What gRPC writes at the sight of bytes that anybody may send, and what is written in its place."""


def configure(*, log_format: str, log_level: str) -> None:
    """Send logs to standard error as `console` lines or `json`, ours from `log_level` on.

    Those of libraries come in the same form, but from warning on only: at debug some tell what is in a photograph.
    Tracebacks have no local variables, which hold embeddings.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(log_format)],
        )
    )
    handler.addFilter(_without_what_was_sent)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)
    logging.getLogger(OURS).setLevel(log_level.upper())


def _renderers(log_format: str) -> list[Any]:
    if log_format == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # Its own choice for tracebacks would show local variables.
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]


def _without_what_was_sent(record: logging.LogRecord) -> bool:
    """Take what callers sent out of gRPC's records: the value of a header may be a token with one wrong byte."""
    if record.name.startswith("grpc"):
        begin = next((begin for begin in _OF_GRPC if str(record.msg).startswith(begin)), None)
        if begin is not None:
            record.msg, record.args, record.exc_info = _OF_GRPC[begin], (), None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True
