"""Reads all parts of a server when somebody asks for its metrics."""

import platform
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from ersgallery_server.gallery.galleries import Galleries
from ersgallery_server.gallery.models import Models
from ersgallery_server.metrics import catalogue as m
from ersgallery_server.metrics.calls import CallFigures
from ersgallery_server.metrics.galleries import put_galleries
from ersgallery_server.metrics.samples import Samples
from ersgallery_server.store import Store
from ersgallery_server.transport.activity import Activity
from ersgallery_server.transport.certificates import Certificates
from ersgallery_server.transport.readiness import Readiness


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """The parts of a server that are read. most_galleries: so many galleries have a label of their own."""

    calls: CallFigures
    activity: Activity
    readiness: Readiness
    galleries: Galleries
    models: Models
    store: Store
    most_galleries: int
    certificates: Certificates | None = None


class ServerCollector(Collector):
    """Makes the samples of a server; nothing waits for it, and it waits for nothing but short locks."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    def collect(self) -> Iterator[Family]:
        """Return all that there is to tell now."""
        samples = Samples()
        _put_process(samples, self._watched.readiness)
        if (certificates := self._watched.certificates) is not None:
            samples.put(m.CERTIFICATE_EXPIRY, certificates.expires_at.timestamp())
        _put_calls(samples, self._watched.calls, self._watched.activity)
        put_galleries(samples, self._watched.galleries.all(), self._watched.most_galleries)
        _put_store(samples, self._watched.store)
        _put_models(samples, self._watched.models)
        return samples.families()

    def describe(self) -> Iterator[Family]:
        """Tell nothing: the registry would otherwise collect once to learn the names."""
        return iter(())


def registry_of(watched: Watched) -> CollectorRegistry:
    """Return a registry of the server and of the process it runs in."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(ServerCollector(watched))
    return registry


def _put_process(samples: Samples, readiness: Readiness) -> None:
    samples.put(m.BUILD, 1, metadata.version("ersgallery"), platform.python_version(), _faiss_version())
    samples.put(m.READY, float(readiness.ready))
    if readiness.start_s is not None:
        samples.put(m.START, readiness.start_s)
    samples.put(m.STORE_UP, float(readiness.store_up))
    samples.put(m.THREADS, threading.active_count())


def _put_calls(samples: Samples, calls: CallFigures, activity: Activity) -> None:
    for method in calls.methods:
        for (code, reason), count in method.handled.read().items():
            samples.put(m.RPC_HANDLED, count, method.method, code, reason)
        for reason, count in method.batches.read().items():
            samples.put(m.RPC_BATCHES, count, method.method, reason)
        if sum((seconds := method.seconds.read()).counts):
            samples.put(m.RPC_SECONDS, seconds, method.method)
        if (in_flight := method.in_flight) is not None:
            samples.put(m.RPC_IN_FLIGHT, in_flight, method.method)
    samples.put(m.RPC_WAITING, activity.waiting)
    samples.put(m.RPC_WAIT_SECONDS, activity.waits.read())
    samples.put(m.RPC_OPEN_STREAMS, activity.open_streams)
    for reason, count in activity.refused.read().items():
        samples.put(m.RPC_REFUSED, count, reason)


def _put_store(samples: Samples, store: Store) -> None:
    figures = store.figures
    samples.put(m.STORE_WAITING, store.waiting)
    samples.put(m.STORE_WAIT_SECONDS, figures.waits.read())
    samples.put(m.STORE_COMMIT_SECONDS, figures.commits.read())
    samples.put(m.STORE_GROUP, figures.groups.read())
    samples.put(m.STORE_READ_SECONDS, figures.reads.read())
    for outcome, count in figures.works.read().items():
        samples.put(m.STORE_WRITES, count, outcome)


def _put_models(samples: Samples, models: Models) -> None:
    for model, worker in models.open().items():
        figures = worker.figures
        samples.put(m.MODEL_WAITING, len(figures.queue), model)
        samples.put(m.MODEL_WAIT_SECONDS, figures.waits.read(), model)
        samples.put(m.MODEL_SECONDS, figures.seconds.read(), model)
        samples.put(m.MODEL_IMAGES, figures.batches.read(), model)
        samples.put(m.MODEL_DROPPED, figures.queue.refused, model, "refused")
        samples.put(m.MODEL_DROPPED, figures.cancelled, model, "cancelled")
        for outcome, count in figures.outcomes.read().items():
            samples.put(m.ACQUISITIONS, count, model, outcome)


def _faiss_version() -> str:
    for name in ("faiss-cpu", "faiss-gpu"):
        try:
            return f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue
    return "unknown"
