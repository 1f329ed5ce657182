"""The configuration of a server: frozen, built once by the command line, handed down."""

from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_data_path

from ersgallery_server.exposure import is_loopback, missing_protection
from ersgallery_server.faces.images import ImageLimits
from ersgallery_server.keys import NO_KEYS, KeyRing
from ersgallery_server.values import UNLIMITED, Capacity, Identifications

MIB = 1 << 20


def default_data_dir() -> Path:
    """Return the folder of the user's data, after the custom of the operating system."""
    return user_data_path("ersgallery")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the server's certificate with its chain, its key, and the authorities of clients (mutual TLS)."""

    cert: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a server is told at start.

    database_url None means SQLite in data_dir. It may carry a password and stays out of repr. `device` is where indexes
    run (auto, cpu, cuda:N, cuda:N,M, cuda:all), `inference_device` where models run (auto, cpu, cuda:N). Without tls
    nothing is encrypted. require_tokens None: where others than this machine can reach the server, which without TLS
    and tokens is served with allow_insecure alone. max_calls_per_second is each caller's, 0 for no limit. rows_on_disk
    keeps the indexes' float32 rows in nameless files of data_dir. metrics_port None serves no metrics, in which so many
    metrics_galleries have a label of their own. traces: where an OTLP collector takes spans; None makes none. lease_s:
    after so long without a sign of life another server may take over a PostgreSQL database. audit_log None writes none.
    """

    data_dir: Path
    models_dir: Path
    database_url: str | None = field(default=None, repr=False)
    host: str = "127.0.0.1"
    port: int = 50061
    tls: TlsFiles | None = None
    device: str = "auto"
    inference_device: str = "cpu"
    inference_threads: int = 0
    unary_threads: int = 64
    max_waiting_calls: int = 1024
    max_wait_s: float = 0.5
    max_streams: int = 16
    stream_idle_s: float = 60.0
    max_connections: int = 1024
    max_message_bytes: int = 64 * MIB
    max_waiting_searches: int = 1024
    max_waiting_images: int = 32
    image_limits: ImageLimits = field(default_factory=ImageLimits)
    drain_timeout_s: float = 30.0
    lease_s: float = 15.0
    snapshot_changed_faces: int = 10_000
    rows_on_disk: bool = False
    request_ids_kept_days: float = 7.0
    changes_kept: int = 1_000_000
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None
    metrics_galleries: int = 100
    traces: str | None = None
    encryption_keys: KeyRing = field(default=NO_KEYS, repr=False)
    allow_core_dumps: bool = False
    audit_log: Path | None = None
    audit_identifications: Identifications = Identifications.SUMMARY
    require_tokens: bool | None = None
    allow_insecure: bool = False
    max_calls_per_second: float = 0.0
    capacity: Capacity = UNLIMITED
    log_format: str = "console"
    log_level: str = "info"

    @property
    def store_url(self) -> str:
        """Return the database's address, SQLite's in the data directory unless another was given."""
        return self.database_url or f"sqlite:///{self.data_dir / 'gallery.db'}"

    @property
    def protection(self) -> str:
        """Return what protects the port, in words."""
        tokens = ", tokens required" if self.tokens_required else ""
        if self.tls is None:
            return f"not encrypted{tokens}"
        return f"{'TLS' if self.tls.client_ca is None else 'mutual TLS'}{tokens}"

    @property
    def tokens_required(self) -> bool:
        """Tell whether every call needs a token."""
        return not is_loopback(self.host) if self.require_tokens is None else self.require_tokens

    @property
    def missing_protection(self) -> str:
        """Return in words what is missing where others can reach the server; empty where nothing is."""
        mutual = self.tls is not None and self.tls.client_ca is not None
        return missing_protection(
            self.host, encrypted=self.tls is not None, callers_known=self.tokens_required or mutual
        )
