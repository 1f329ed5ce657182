"""How a client behaves: timeouts, retries, limits, keepalive and TLS, as frozen values."""

import random
from dataclasses import dataclass, field
from pathlib import Path

import grpc

MIB = 1024 * 1024
_LONGEST_AWAY_S = 1.0


@dataclass(frozen=True, slots=True)
class Timeout:
    """How long a call may take, with all its repetitions; None waits for ever.

    read_s: calls that change nothing, searches among them.
    write_s: calls that change something, enrolments among them.
    stream_s: one connection of a stream, from its opening to its end.
    """

    read_s: float | None = 30.0
    write_s: float | None = 120.0
    stream_s: float | None = None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a call that failed for now is made again: exponential backoff with jitter.

    Only calls that may be repeated are: reads, and enrolments, which carry a request_id. Only errors that say "later"
    count (Unavailable and its kind), and broken connections; a server's RetryInfo is the least wait. gRPC's own retry
    policy is not used: it cannot read RetryInfo, and it buffers messages only up to 256 KiB.

    attempts: of one call, 1 for no repetition. away_attempts: of one call while nobody serves at an address that has
    answered this client before, as during a restart: by default for some fifteen seconds, a second apart at most, for
    to ask where nobody listens is a burden to nobody. A call to an address that never answered fails sooner, for it is
    more likely wrong. stream_attempts: of a stream between two answers; by default it outlasts a restart of some
    fifteen seconds.
    """

    attempts: int = 4
    away_attempts: int = 22
    stream_attempts: int = 10
    initial_backoff_s: float = 0.1
    max_backoff_s: float = 5.0
    multiplier: float = 2.0

    def backoff_s(self, failures: int) -> float:
        """Return the wait after the given number of failures: half to all of the exponential value."""
        exponential = self.initial_backoff_s * self.multiplier ** (failures - 1)
        return min(self.max_backoff_s, exponential) * random.uniform(0.5, 1.0)  # noqa: S311 (jitter is no secret)

    def away_backoff_s(self, failures: int) -> float:
        """Return the wait after so many failures to find a server."""
        return min(self.backoff_s(failures), _LONGEST_AWAY_S * random.uniform(0.5, 1.0))  # noqa: S311 (as above)


@dataclass(frozen=True, slots=True)
class Limits:
    """How large one message may become; the counts are the contract's.

    max_message_bytes: of a request or an answer; the server's default is the same.
    batch_bytes: what streams and split calls aim at, so that a window of batches fits in memory.
    max_faces: faces in one enrolment batch. max_matrix_rows: rows of one packed search.
    max_probes: probes of any kind in one search, and faces in one Score.
    """

    max_message_bytes: int = 64 * MIB
    batch_bytes: int = 8 * MIB
    max_faces: int = 1_000
    max_matrix_rows: int = 4_096
    max_probes: int = 256


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """How a dead connection is noticed during calls: a ping every `interval_s`, to be answered within `timeout_s`.

    The server takes one every 10 s; a proxy in between may drop clients that ping oftener than every 300 s.
    """

    interval_s: float = 60.0
    timeout_s: float = 20.0


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """Certificates as PEM files, read when the client is made; `TlsOptions()` trusts the public authorities.

    ca: authorities to trust, None for the public ones that come with gRPC. cert, key: the client's own, for mutual TLS;
    they belong together. server_name: the name to expect in the server's certificate, where it is not the address's.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key belong together")

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files; raises OSError where one cannot be read, ValueError where one is no PEM file."""
        ca, key, cert = (None if path is None else path.read_bytes() for path in (self.ca, self.key, self.cert))
        for path, content in ((self.ca, ca), (self.cert, cert), (self.key, key)):
            # gRPC would say so only at the first call, and then that nobody answers.
            if content is not None and b"-----BEGIN " not in content:
                raise ValueError(f"{path} is no PEM file")
        return grpc.ssl_channel_credentials(root_certificates=ca, private_key=key, certificate_chain=cert)

    def channel_arguments(self) -> list[tuple[str, str]]:
        """Return what the channel must know besides the credentials."""
        return [] if self.server_name is None else [("grpc.ssl_target_name_override", self.server_name)]


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that does not belong to the address."""

    timeout: Timeout = field(default_factory=Timeout)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    limits: Limits = field(default_factory=Limits)
    keepalive: KeepAlive = field(default_factory=KeepAlive)

    def replaced(
        self,
        *,
        timeout: Timeout | None = None,
        retry: RetryPolicy | None = None,
        limits: Limits | None = None,
        keepalive: KeepAlive | None = None,
    ) -> "Options":
        """Return a copy with the given parts in place of its own."""
        return Options(timeout or self.timeout, retry or self.retry, limits or self.limits, keepalive or self.keepalive)

    def channel_arguments(self) -> list[tuple[str, int]]:
        """Return the arguments of a gRPC channel."""
        return [
            ("grpc.max_send_message_length", self.limits.max_message_bytes),
            ("grpc.max_receive_message_length", self.limits.max_message_bytes),
            ("grpc.keepalive_time_ms", round(self.keepalive.interval_s * 1000)),
            ("grpc.keepalive_timeout_ms", round(self.keepalive.timeout_s * 1000)),
            # gRPC waits a second before it connects again, which would outlast the first repetitions of a call.
            ("grpc.initial_reconnect_backoff_ms", round(self.retry.initial_backoff_s * 1000)),
            # A server that comes back is to be found within a second, however long it was away.
            ("grpc.max_reconnect_backoff_ms", round(min(_LONGEST_AWAY_S, self.retry.max_backoff_s) * 1000)),
        ]
