"""`ersgallery-server serve`."""

import ctypes
import math
import signal
import sys
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import click

from ersgallery_server.cli.offline import read_keys
from ersgallery_server.config import MIB, Settings, TlsFiles, default_data_dir
from ersgallery_server.keys import KeyProblem

_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)
_LONGEST_DRAIN_S = 3600
_PR_SET_DUMPABLE = 4
_SWITCH_INTERVAL_S = 0.0005
"""How long a thread may keep others from Python; 5 ms are usual, and an index's owner would wait so long each time."""


class _Stopped(Exception):
    """A signal came while the galleries were loaded."""


def _require_number(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    if math.isnan(value):  # which lies in every range
        raise click.BadParameter("must be a number")
    return value


@click.command(context_settings={"show_default": True, "auto_envvar_prefix": "ERSGALLERY"})
@click.option(
    "--data-dir",
    type=_FOLDER,
    default=default_data_dir,
    show_default="the user's data folder",
    help="Database, snapshots, lock and models.",
)
@click.option("--models-dir", type=_FOLDER, show_default=False, help="Installed models. [default: DATA_DIR/models]")
@click.option(
    "--database-url",
    show_default=False,  # a file's may have a password
    help="sqlite:///FILE or postgresql+psycopg://... [default: SQLite in DATA_DIR]",
)
@click.option("--host", default="127.0.0.1", help="Address to bind; one that others can reach needs TLS and tokens.")
@click.option("--port", default=50061, type=click.IntRange(0, 65535), help="0 takes a free one and prints it.")
@click.option(
    "--tls-cert",
    type=_FILE,
    help="PEM file of the server's certificate and its chain; turns TLS on. Read again for every new connection, so a "
    "renewed one needs no restart.",
)
@click.option("--tls-key", type=_FILE, help="PEM file of its private key, without a passphrase.")
@click.option(
    "--tls-client-ca",
    type=_FILE,
    help="PEM file of authorities; turns mutual TLS on: only clients with a certificate of one of them get in.",
)
@click.option(
    "--max-galleries", default=1000, type=click.IntRange(0, 1_000_000), help="Galleries on this server; 0 is no limit."
)
@click.option(
    "--max-faces-per-gallery",
    default=0,
    type=click.IntRange(0, 1_000_000_000_000),
    help="Faces in each gallery; 0 is as many as its memory holds.",
)
@click.option(
    "--require-tokens/--no-require-tokens",
    default=None,
    help="Answer only calls with a token of `ersgallery-server token create`. [default: where others than this machine "
    "can reach HOST]",
)
@click.option(
    "--allow-insecure", is_flag=True, help="Serve where others can reach it without TLS or without tokens; logged."
)
@click.option(
    "--max-calls-per-second",
    default=0.0,
    type=click.FloatRange(0, 1_000_000),
    callback=_require_number,
    help="Of each token that has no limit of its own, in which each face of a batch counts as one; 0 is no limit.",
)
@click.option(
    "--device",
    default="auto",
    help="Where indexes run: auto (the first GPU, or else cpu), cpu, cuda:N, or several GPUs, cuda:N,M or cuda:all; "
    "one that is not there is an error.",
)
@click.option(
    "--rows-on-disk",
    is_flag=True,
    help="Keep the indexes' float32 rows in nameless files of DATA_DIR, for galleries larger than memory: fast search "
    "keeps its codes there, a quarter of the rows' size, and reads only the few rows that it scores.",
)
@click.option("--inference-device", default="cpu", help="Where models run: auto, cpu or cuda:N.")
@click.option(
    "--inference-threads", default=0, type=click.IntRange(0, 1024), help="Threads of a model; 0 is all cores."
)
@click.option("--unary-threads", default=64, type=click.IntRange(1, 1024), help="Unary calls served at a time.")
@click.option(
    "--max-waiting-calls", default=1024, type=click.IntRange(1, 1_000_000), help="Calls that wait for one of them."
)
@click.option(
    "--max-wait-s",
    default=0.5,
    type=click.FloatRange(0.01, 3600),
    callback=_require_number,
    help="Refuse calls at once that would wait longer than this for one of them, by what calls took of late.",
)
@click.option("--max-streams", default=16, type=click.IntRange(1, 1024), help="Streams open at a time.")
@click.option(
    "--stream-idle-s",
    default=60.0,
    type=click.FloatRange(0.1, 1_000_000),
    callback=_require_number,
    help="Where further streams are refused, end those whose callers have neither sent nor read for so long.",
)
@click.option("--max-connections", default=1024, type=click.IntRange(1, 1_000_000), help="Connections open at a time.")
@click.option("--max-message-mib", default=64, type=click.IntRange(1, 1024), help="Largest message, both ways.")
@click.option(
    "--max-waiting-searches", default=1024, type=click.IntRange(1, 1_000_000), help="Queue of each gallery, in calls."
)
@click.option(
    "--max-waiting-images", default=32, type=click.IntRange(1, 1_000_000), help="Queue of each model, in calls."
)
@click.option("--max-image-mib", default=20, type=click.IntRange(1, 1024), help="Largest photograph as a file.")
@click.option("--max-image-megapixels", default=50, type=click.IntRange(1, 1000), help="Largest photograph decoded.")
@click.option(
    "--drain-timeout-s",
    default=30.0,
    type=click.FloatRange(0, _LONGEST_DRAIN_S),
    callback=_require_number,
    help="Wait for accepted calls at the end.",
)
@click.option(
    "--lease-s",
    default=15.0,
    type=click.FloatRange(1, 3600),
    callback=_require_number,
    help="Another server may take over the PostgreSQL database of one that gave no sign of life for so long.",
)
@click.option(
    "--snapshot-changed-faces",
    default=10_000,
    type=click.IntRange(0, 1_000_000_000),
    help="Save an index for the next start when so many faces, and a tenth of it, changed; 0 saves none.",
)
@click.option(
    "--request-ids-kept-days",
    default=7.0,
    type=click.FloatRange(0.01, 36_500),
    callback=_require_number,
    help="A repeated enrolment is known by its request_id for so long.",
)
@click.option(
    "--changes-kept",
    default=1_000_000,
    type=click.IntRange(1, 1_000_000_000),
    help="Last changes of each gallery kept in its log; a snapshot older than these is made anew.",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    help="Serve metrics for Prometheus over HTTP on this port, whatever the calls do; 0 takes a free one. "
    "[default: no metrics]",
)
@click.option(
    "--metrics-host",
    default="127.0.0.1",
    help="Address to bind for metrics. Whoever reaches it may read them: names of galleries and counts, never faces.",
)
@click.option(
    "--metrics-galleries",
    default=100,
    type=click.IntRange(0, 10_000),
    help="So many galleries have a label of their own in metrics; the rest are counted together as `other`.",
)
@click.option(
    "--traces",
    metavar="URL",
    envvar=["ERSGALLERY_TRACES", "OTEL_EXPORTER_OTLP_ENDPOINT"],
    help="Send OpenTelemetry spans to the OTLP collector at this address (gRPC, http://localhost:4317); needs the "
    "extra `tracing`. Sampling, headers and certificates as OTEL_... variables say. [default: no traces]",
)
@click.option(
    "--encryption-key-file",
    type=_FILE,
    help="Encrypt embeddings and photographs at rest: keys, one ID:BASE64 a line, in a file for its owner alone; the "
    "first encrypts, all decrypt. See `ersgallery-server encryption`. [default: ERSGALLERY_ENCRYPTION_KEYS, the same "
    "separated by commas, or none]",
)
@click.option(
    "--allow-core-dumps",
    is_flag=True,
    help="Let a crash, a debugger or the system write this process's memory, which has faces and keys, to a file.",
)
@click.option(
    "--audit-log",
    show_default=False,
    help="File that gets a line for every call: who did what on which resource, with what outcome; or off. "
    "[default: DATA_DIR/audit.log]",
)
@click.option(
    "--audit-identifications",
    default="summary",
    type=click.Choice(["off", "summary", "each"]),
    help="Calls that bring probes in the audit log: none, counts once a minute, or a line each.",
)
@click.option("--log-format", default="console", type=click.Choice(["console", "json"]), help="Form of the log.")
@click.option(
    "--log-level", default="info", type=click.Choice(["debug", "info", "warning", "error"]), help="Least level logged."
)
def serve(**options: Any) -> None:
    """Serve galleries until SIGTERM or SIGINT, then finish what was accepted.

    Every option can be given as ERSGALLERY_ and its name (ERSGALLERY_PORT), or in the TOML file of --config.
    """
    # Imported here: --help and the other commands need neither FAISS nor ONNX Runtime.
    from ersgallery_server import logs
    from ersgallery_server.service import Service

    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        settings = _settings(**options)
    except (KeyProblem, OSError, UnicodeError) as error:
        raise click.ClickException(str(error)) from error
    _allow_many_files()
    if not settings.allow_core_dumps:
        _forbid_core_dumps()
    logs.configure(log_format=settings.log_format, log_level=settings.log_level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        service = Service(settings, partial(_report_loading, stop))
    except _Stopped:
        return
    except Exception as error:
        if not _is_expected(error):
            raise
        raise click.ClickException(str(error)) from error
    with service:
        click.echo(f"serving on {service.address}")
        click.echo(f"connections: {settings.protection}")
        sys.stdout.flush()
        stop.wait()


def _allow_many_files() -> None:
    """Raise the limit of open files to what the system allows: streams, databases and rows on disk take many."""
    try:
        import resource
    except ImportError:  # not a Unix
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _forbid_core_dumps() -> None:
    """Have no core dump written: by the limit of its size, and on Linux for programs that are given them, too."""
    try:
        import resource
    except ImportError:  # not a Unix
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _settings(
    *,
    data_dir: Path,
    models_dir: Path | None,
    max_message_mib: int,
    max_image_mib: int,
    max_image_megapixels: int,
    max_galleries: int,
    max_faces_per_gallery: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_client_ca: Path | None,
    encryption_key_file: Path | None,
    audit_log: str | None,
    audit_identifications: str,
    **others: Any,
) -> Settings:
    from ersgallery_server.faces import ImageLimits
    from ersgallery_server.values import Capacity, Identifications

    audit_file = Path(audit_log) if audit_log else data_dir / "audit.log"
    return Settings(
        data_dir=data_dir,
        models_dir=models_dir or data_dir / "models",
        max_message_bytes=max_message_mib * MIB,
        capacity=Capacity(max_galleries, max_faces_per_gallery),
        image_limits=ImageLimits(max_image_mib * MIB, max_image_megapixels * 1_000_000),
        tls=_tls_files(tls_cert, tls_key, tls_client_ca),
        encryption_keys=read_keys(encryption_key_file),
        audit_log=None if audit_log == "off" else audit_file,
        audit_identifications=Identifications(audit_identifications),
        **others,
    )


def _tls_files(cert: Path | None, key: Path | None, client_ca: Path | None) -> TlsFiles | None:
    if cert is None or key is None:
        if cert or key or client_ca:
            raise click.UsageError("TLS needs both --tls-cert and --tls-key; --tls-client-ca stands beside them")
        return None
    return TlsFiles(cert, key, client_ca)


def _report_loading(stop: threading.Event, record: Any, faces: int) -> None:
    import structlog

    if stop.is_set():
        raise _Stopped
    structlog.get_logger(__name__).info("loading", gallery=record.gallery_id, faces=faces)


def _is_expected(error: Exception) -> bool:
    from ersgallery_index import ErsError

    from ersgallery_server.service import StartError
    from ersgallery_server.store import StoreError
    from ersgallery_server.transport.certificates import CertificateUnusable

    return isinstance(error, KeyProblem | ErsError | StartError | StoreError | CertificateUnusable | OSError)
