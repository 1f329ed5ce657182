"""Ten times what can be served, in equal shares of embeddings, enrolments, and photographs where there is a model."""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ersgallery.v1 import enrollment_service_pb2 as enrollment
from ersgallery.v1 import face_input_pb2 as face
from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery_client import GalleryClient

from tests.load.broken import require
from tests.load.gallery import GALLERY, faces, make_gallery
from tests.load.open_loop import Kind, Load, run_load
from tests.load.process import LoadedServer

IDENTIFY, ENROLL = "IdentificationService/Identify", "EnrollmentService/EnrollFaces"
PHOTOGRAPHS = "photographs"
GOODPUT = 0.7
"""Least share of the sustainable rate that is still served in time under ten times of it."""

LATE = 0.05
"""Most of what was not refused that may miss its deadline all the same."""

RSS_MIB = 400.0
"""What an overload may add to the memory of a warm server: threads' stacks, messages under way, gRPC's buffers."""

FEW = 16
"""So many callers, each with one call under way, are what is called sustainable load."""


CANDIDATES = 1000
"""A long list takes the server several milliseconds, so that the generator, which needs a tenth of one, is no bound."""


def identifications(folder: Path, rows: Any) -> list[str]:
    """Write requests into files; return their paths."""
    requests = [
        pb.IdentifyRequest(
            gallery=f"galleries/{GALLERY}",
            probe=face.Probe(embedding=face.Embedding(packed=np.asarray(row, "<f4").tobytes())),
            policy=pb.SearchPolicy(max_candidates=CANDIDATES),
        )
        for row in rows
    ]
    return _written(folder, "identify", requests)


def enrolments(folder: Path, rows: Any) -> list[str]:
    """Write enrolments of the same few subjects into files, so that the gallery grows by faces alone."""
    requests = [
        enrollment.EnrollFacesRequest(
            parent=f"galleries/{GALLERY}",
            enrollments=[
                enrollment.Enrollment(
                    subject_id=f"crowd-{number}", embedding=face.Embedding(packed=np.asarray(row, "<f4").tobytes())
                )
            ],
        )
        for number, row in enumerate(rows)
    ]
    return _written(folder, "enroll", requests)


def photographs(folder: Path, files: list[Path]) -> list[str]:
    """Write identifications of photographs into files."""
    requests = [
        pb.IdentifyRequest(
            gallery=f"galleries/{PHOTOGRAPHS}", probe=face.Probe(image=face.Image(content=path.read_bytes()))
        )
        for path in files
    ]
    return _written(folder, "photograph", requests)


def _written(folder: Path, name: str, requests: list[Any]) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}-{number}" for number in range(len(requests))]
    for path, request in zip(paths, requests, strict=True):
        path.write_bytes(request.SerializeToString())
    return [str(path) for path in paths]


def overload(
    folder: Path,
    *,
    count: int,
    seconds: float,
    deadline_s: float = 2.0,
    times: float = 10.0,
    goodput: float = GOODPUT,
    late: float = LATE,
    models: tuple[Path, list[Path]] | None = None,
) -> dict[str, Any]:
    """Measure what is sustainable, send so many times of it, and see that the server is soon as before.

    count: faces in the gallery. models: the folder of the models and photographs. Raises Broken.
    """
    given = ["--models-dir", str(models[0])] if models else []
    with LoadedServer(folder / "data", *given) as server:
        with GalleryClient(server.address) as client:
            rows = make_gallery(client, count)
            if models:
                client.create_gallery(PHOTOGRAPHS, profile="sface", tau=0.4)
        kinds = {"identify": (IDENTIFY, identifications(folder / "requests", rows[:64]))}
        if models:
            kinds[PHOTOGRAPHS] = (IDENTIFY, photographs(folder / "requests", models[1]))
        enrolling = (ENROLL, enrolments(folder / "requests", faces(64, seed=1)))
        alone = {
            name: _closed(server, kind, seconds, deadline_s) for name, kind in {**kinds, "enroll": enrolling}.items()
        }
        sustained = {name: float(figures["ok_per_s"]) for name, figures in alone.items()}
        idle = server.vitals()
        most = {"rss_mib": idle.rss_mib, "threads": float(idle.threads)}
        kinds["enroll"] = enrolling
        rates = {name: times * sustained[name] / len(kinds) for name in kinds}
        with _watched(server, most):
            flood = run_load(
                Load(
                    server.address,
                    {name: Kind(*kind, rate=rates[name]) for name, kind in kinds.items()},
                    seconds,
                    deadline_s,
                )
            )
        recovered_s = _recovery_s(server, folder, rows[0])
        after = _closed(server, kinds["identify"], seconds, deadline_s)
        figures = {
            "faces": count,
            "deadline_s": deadline_s,
            "sustained_per_s": sustained,
            "flood": flood,
            "goodput_share": _served_share(flood, sustained),
            "late_share": _late_share(flood),
            "rss_idle_mib": round(idle.rss_mib, 1),
            "rss_most_mib": round(most["rss_mib"], 1),
            "threads_most": int(most["threads"]),
            "recovered_s": round(recovered_s, 2),
            "after": after,
        }
        check(figures, goodput, late)
        return figures


def _closed(server: LoadedServer, kind: tuple[str, list[str]], seconds: float, deadline_s: float) -> dict[str, Any]:
    load = Load(server.address, {"it": Kind(*kind, callers=FEW)}, seconds, deadline_s * 10)
    return run_load(load)["it"]


def _served_share(flood: dict[str, dict[str, Any]], sustained: dict[str, float]) -> float:
    """Return the share of the server's time that went into answers in time: each kind against its rate when alone."""
    return round(sum(float(flood[name]["ok_per_s"]) / sustained[name] for name in flood if sustained[name]), 3)


def _late_share(flood: dict[str, dict[str, Any]]) -> float:
    """Return which share of the calls that were not refused missed their deadline."""
    kept = sum(n for kind in flood.values() for code, n in kind["codes"].items() if code != "RESOURCE_EXHAUSTED")
    missed = sum(kind["codes"].get("DEADLINE_EXCEEDED", 0) for kind in flood.values())
    return round(missed / kept, 3) if kept else 0.0


def _recovery_s(server: LoadedServer, folder: Path, row: Any) -> float:
    """Return how long after the flood ten calls in a row are answered as fast as one may expect."""
    begun_s, quick = time.monotonic(), 0
    with GalleryClient(server.address) as client:
        while quick < 10:
            before_s = time.monotonic()
            with contextlib.suppress(Exception):
                client.identify(GALLERY, row)
                quick = quick + 1 if time.monotonic() - before_s < 0.5 else 0
            require(time.monotonic() - begun_s < 30, "the server recovers within seconds")
    return time.monotonic() - begun_s


@contextlib.contextmanager
def _watched(server: LoadedServer, most: dict[str, float]) -> Iterator[None]:
    end = threading.Event()

    def watch() -> None:
        while not end.wait(0.2):
            now = server.vitals()
            most["rss_mib"] = max(most["rss_mib"], now.rss_mib)
            most["threads"] = max(most["threads"], now.threads)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        end.set()
        watcher.join()


def check(figures: dict[str, Any], goodput: float, late: float) -> None:
    """Raise Broken where a promise was not kept."""
    flood = figures["flood"]
    refused = sum(kind["codes"].get("RESOURCE_EXHAUSTED", 0) for kind in flood.values())
    require(refused > 0, "what is too much is refused", flood)
    require(not any(kind["without_retry_info"] for kind in flood.values()), "a refusal says when to come again", flood)
    others = {code for kind in flood.values() for code, count in kind["codes"].items() if count}
    require(others <= {"OK", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "CANCELLED"}, "nothing fails otherwise", flood)
    require(figures["goodput_share"] >= goodput, "as much is served as without the flood", figures)
    require(figures["late_share"] <= late, "what is accepted is in time", figures)
    require(figures["rss_most_mib"] <= figures["rss_idle_mib"] + RSS_MIB, "memory is bounded", figures)
    require(figures["recovered_s"] <= 10.0, "the server recovers within seconds", figures)
