"""Puts a server together: store, models, galleries, handlers, transport; starts it and drains it."""

import datetime as dt
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import structlog
from ersgallery_index import parse_device
from filelock import FileLock, Timeout
from prometheus_client import CollectorRegistry

from ersgallery_server.access import Authentication, Authorization, Rates, TokenDirectory
from ersgallery_server.audit import Audit, LineFile
from ersgallery_server.config import Settings
from ersgallery_server.faces import FacePipeline, load_pipeline
from ersgallery_server.faces.sessions import Inference
from ersgallery_server.gallery.galleries import Galleries
from ersgallery_server.gallery.models import Models
from ersgallery_server.gallery.state import IndexPlace
from ersgallery_server.handlers.calibration import CalibrationHandlers
from ersgallery_server.handlers.enrollment import EnrollmentHandlers
from ersgallery_server.handlers.erasures import Receipts
from ersgallery_server.handlers.galleries import GalleryHandlers
from ersgallery_server.handlers.hygiene import HygieneHandlers
from ersgallery_server.handlers.identification import IdentificationHandlers
from ersgallery_server.handlers.operations import OperationHandlers
from ersgallery_server.handlers.recognizability import RecognizabilityHandlers
from ersgallery_server.handlers.subjects import FaceHandlers, SubjectHandlers
from ersgallery_server.handlers.verification import VerificationHandlers
from ersgallery_server.metrics.calls import CallFigures
from ersgallery_server.metrics.collector import Watched, registry_of
from ersgallery_server.metrics.endpoint import MetricsEndpoint
from ersgallery_server.models.catalogue import catalogue
from ersgallery_server.models.installed import is_installed
from ersgallery_server.models.profile_file import ProfileFile, catalogued_profile
from ersgallery_server.operations import Operations
from ersgallery_server.profiles import profile_digest
from ersgallery_server.snapshots import SnapshotFolder
from ersgallery_server.store import Applicant, Forgetter, Retention, Store, WriteTransaction
from ersgallery_server.transport.methods import Admission, Layer
from ersgallery_server.transport.owners import OwnersOnly
from ersgallery_server.transport.server import GrpcServer
from ersgallery_server.values import GalleryRecord, ProfileVersion

if TYPE_CHECKING:  # OpenTelemetry is an extra
    from ersgallery_server.tracing import Tracing

PAGE_ROWS = 1000

log = structlog.get_logger(__name__)


class StartError(Exception):
    """The server cannot start; the text says why."""


class DataDirectoryInUse(StartError):
    """Another server works on the data directory."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"another server works on {path}; two on one directory would not see each other's faces")


class Exposed(StartError):
    """Others could reach the server, and something that keeps them out is missing."""

    def __init__(self, host: str, missing: str) -> None:
        super().__init__(
            f"{host} can be reached by others, and there would be no {missing}: give --tls-cert and --tls-key, require "
            "tokens (`ersgallery-server token create`), keep to 127.0.0.1, or say --allow-insecure"
        )


class Service:
    """A running server; a context manager that drains when it is left."""

    def __init__(
        self, settings: Settings, progress: Callable[[GalleryRecord, int], None] = lambda _record, _faces: None
    ) -> None:
        """Open everything and load all galleries, while health is answered.

        Raises Exposed, DataDirectoryInUse, StoreUnavailable, DeviceUnavailable.
        """
        _check_exposure(settings)
        self._settings = settings
        begun_s = time.monotonic()
        with ExitStack() as opened:
            settings.data_dir.mkdir(parents=True, exist_ok=True)
            lock = _lock(settings.data_dir)
            opened.callback(lock.release)
            self._audit = _open_audit(settings)
            if self._audit is not None:
                opened.callback(self._audit.close)
            applicant = Applicant.of(Path(lock.lock_file), settings.lease_s)
            self._store = opened.enter_context(
                Store.open(settings.store_url, applicant=applicant, keys=settings.encryption_keys)
            )
            if not self._store.is_rotated():
                log.warning(
                    "not all is encrypted under the first key; stop and run `ersgallery-server encryption rotate`"
                )
            _add_catalogued_profiles(self._store)
            self._models = Models(self._open_pipeline, max_waiting_images=settings.max_waiting_images)
            opened.callback(self._models.close)
            snapshots = SnapshotFolder(settings.data_dir / "snapshots", settings.encryption_keys)
            self._galleries = Galleries(
                self._store,
                self._models,
                snapshots,
                place=_index_place(settings),
                max_waiting_searches=settings.max_waiting_searches,
                snapshot_changed_faces=settings.snapshot_changed_faces,
                capacity=settings.capacity,
            )
            self._drained_by_s = 0.0
            opened.callback(lambda: self._galleries.close(self._drained_by_s))
            self._operations = Operations()
            self._calls = CallFigures()
            self._tracing = _tracing(settings)
            if self._tracing is not None:
                opened.callback(self._tracing.close)
            self._tokens = TokenDirectory(self._store)
            opened.callback(self._tokens.close)
            self._authentication = Authentication(self._tokens, required=settings.tokens_required)
            self._server = GrpcServer(settings, self._handlers(), self._layers(), self._store.ping, self._admission())
            opened.callback(self._server.close)
            self._metrics: MetricsEndpoint | None = None
            if settings.metrics_port is not None:
                self._metrics = MetricsEndpoint(self._registry(), settings.metrics_host, settings.metrics_port)
                opened.callback(self._metrics.close)
            self._server.start()
            log.info("listening; calls are refused until all galleries are loaded", address=self._server.address)
            self._galleries.load(progress)
            retention = Retention(dt.timedelta(days=settings.request_ids_kept_days), settings.changes_kept)
            opened.callback(Forgetter(self._store, retention).close)
            opened.callback(self._operations.close, settings.drain_timeout_s)
            self._start_s = time.monotonic() - begun_s
            self._opened = opened.pop_all()

    @property
    def address(self) -> str:
        """Return host:port as it is served."""
        return self._server.address

    @property
    def metrics_port(self) -> int | None:
        """Return the port on which metrics are served; None without any."""
        return None if self._metrics is None else self._metrics.port

    def __enter__(self) -> Self:
        self._server.ready(self._start_s)
        log.info(
            "serving", address=self.address, protection=self._settings.protection, data_dir=str(self._settings.data_dir)
        )
        if self._store.ownership is not None:
            self._store.ownership.on_loss(self._server.readiness.lose)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish what was accepted, then close in the order of dependence."""
        log.info("draining", timeout_s=self._settings.drain_timeout_s)
        self._drained_by_s = time.monotonic() + self._settings.drain_timeout_s
        with self._opened:
            self._operations.cancel_all()
            if not self._server.drain(self._settings.drain_timeout_s):
                log.warning(
                    "calls were still under way at the end of the drain", timeout_s=self._settings.drain_timeout_s
                )
        log.info("stopped")

    def _handlers(self) -> list[object]:
        receipts = Receipts(self._store, dt.timedelta(days=self._settings.request_ids_kept_days))
        return [
            GalleryHandlers(self._store, self._galleries, receipts),
            SubjectHandlers(self._store, self._galleries, receipts),
            FaceHandlers(self._store, self._galleries, receipts),
            EnrollmentHandlers(self._galleries),
            IdentificationHandlers(self._galleries),
            VerificationHandlers(self._store, self._galleries),
            RecognizabilityHandlers(self._store, self._galleries, self._models),
            CalibrationHandlers(self._store, self._galleries, self._operations),
            HygieneHandlers(self._store, self._galleries, self._operations),
            OperationHandlers(self._operations),
        ]

    def _admission(self) -> Admission:
        refused = _write_nothing if self._audit is None else self._audit.refused
        return Admission(self._authentication.identify, refused)

    def _layers(self) -> list[Layer]:
        """Return what is done around every call, the outermost first."""
        owners = [] if self._store.ownership is None else [OwnersOnly(self._store.ownership)]
        audit = [] if self._audit is None else [self._audit]
        tracing = [] if self._tracing is None else [self._tracing]
        noting = [] if self._audit is None else [self._audit.inner]
        authorization = Authorization(self._operations, Rates(self._settings.max_calls_per_second))
        # What stands between authentication and authorization knows the caller, and also sees what is not permitted.
        return [*audit, *tracing, self._calls, self._authentication, *noting, authorization, *owners]

    def _registry(self) -> CollectorRegistry:
        server = self._server
        return registry_of(
            Watched(
                self._calls,
                server.activity,
                server.readiness,
                self._galleries,
                self._models,
                self._store,
                self._settings.metrics_galleries,
                server.certificates,
            )
        )

    def _open_pipeline(self, model: str) -> FacePipeline | None:
        settings = self._settings
        package = next((each for each in catalogue() if each.name == model), None)
        if package is None or not is_installed(package, settings.models_dir):
            return None
        inference = Inference(settings.inference_device, settings.inference_threads)
        log.info("loading model", model=model, device=settings.inference_device)
        return load_pipeline(package, settings.models_dir, inference, limits=settings.image_limits)


def _write_nothing(_method: str, _peer: str, _error: Exception) -> None:
    """Write no call down."""


def _check_exposure(settings: Settings) -> None:
    """Raise Exposed, or say aloud, where others could reach a server that is not protected."""
    if not settings.missing_protection:
        return
    if not settings.allow_insecure:
        raise Exposed(settings.host, settings.missing_protection)
    log.warning(
        "INSECURE: others can reach this server, and something is missing",
        host=settings.host,
        missing=settings.missing_protection,
    )


def _index_place(settings: Settings) -> IndexPlace:
    """Return where indexes are to be; raises DeviceUnavailable for a device that is not there."""
    if settings.rows_on_disk and settings.encryption_keys.current is not None:
        raise StartError("--rows-on-disk keeps rows in files that cannot be encrypted; use it without encryption keys")
    folder = settings.data_dir if settings.rows_on_disk else None
    return IndexPlace(str(parse_device(settings.device)), folder)


def _tracing(settings: Settings) -> "Tracing | None":
    if settings.traces is None:
        return None
    try:
        from ersgallery_server.tracing import Tracing
    except ImportError:
        raise StartError("--traces needs OpenTelemetry: pip install 'ersgallery[tracing]'") from None
    return Tracing(settings.traces)


def _open_audit(settings: Settings) -> Audit | None:
    if settings.audit_log is None:
        return None
    return Audit(LineFile(settings.audit_log), settings.audit_identifications)


def _lock(data_dir: Path) -> FileLock:
    lock = FileLock(data_dir / "server.lock", thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise DataDirectoryInUse(data_dir) from None
    return lock


def _add_catalogued_profiles(store: Store) -> None:
    """Make the profiles of the catalogue known; one that is there in some version makes no further one."""
    known = {(version.profile_id, version.sha256) for version in _all_profiles(store)}
    for package in catalogue():
        file = catalogued_profile(package)
        if (file.name, profile_digest(file.as_sent())) not in known:
            store.submit(partial(_add_profile, file)).result()


def _all_profiles(store: Store) -> Iterator[ProfileVersion]:
    page = store.list_profiles(PAGE_ROWS)
    yield from page.items
    while page.next_key is not None:
        page = store.list_profiles(PAGE_ROWS, page.next_key)
        yield from page.items


def _add_profile(file: ProfileFile, transaction: WriteTransaction) -> ProfileVersion:
    profile = file.as_sent()
    provenance = file.provenance
    description = f"{provenance.get('data', '')} ({provenance.get('command', '')})"
    return transaction.create_profile(file.name, profile, description=description, sha256=profile_digest(profile))
