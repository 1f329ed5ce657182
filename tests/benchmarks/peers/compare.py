"""Other engines on the same rows: `python -m tests.benchmarks.peers.compare`.

Every engine holds the derived rows of the faces that reach the gate, and is asked one probe at a time, by one thread
and by 64; those are inside this process, but for PostgreSQL. Ours is asked over gRPC by clients in other processes.
mate1 is what the engine keeps of exact search's answers. A ratio is ours to theirs, by the fastest kind of index of
ours whose mate1 is at least .995.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ersgallery_index import By, VectorIndex

from tests.benchmarks.answers import Best, Trial, first_of, identified, trial_of
from tests.benchmarks.callers import UNARY, Callers, Load, client_processes
from tests.benchmarks.command import Options, run
from tests.benchmarks.geometry import Crowd, FloatRows, Geometry
from tests.benchmarks.kinds import derived_parts, fill, index_kinds
from tests.benchmarks.memory import lacking
from tests.benchmarks.peers.installed import MOST_FACES, OPENERS
from tests.benchmarks.peers.peer import Mode, Peer
from tests.benchmarks.raw_flat import Batches
from tests.benchmarks.results import Result, left_out, ratio_of
from tests.benchmarks.rounds import calls_per_s, median, per_call_s, ratios
from tests.benchmarks.served import PARENT, create, enroll, kind_options, served

THREADS = 64
K = 10
EQUAL = 0.995
_MATED = 2000
_ANSWERS_ROUNDS = 15
"""Slow engines answer fewer probes for their mate1, of the same ones in the same order."""
_LEAST_ANSWERS = 100
_CHUNK = 5000
_BYTES_PER_FACE = 2048 * 6


@dataclass(frozen=True, slots=True, eq=False)
class _Ours:
    """Our fastest kind at equal mate1: over gRPC, and its index in this process."""

    kind: str
    clients: Callers
    index: VectorIndex
    probes: FloatRows
    gamma: float

    def rate(self, callers: int, seconds: float) -> float:
        """Return the probes a second over gRPC."""
        return self.clients.measure(Load(UNARY, callers, 1, seconds)).probes_per_s

    def in_process(self, seconds: float) -> float:
        """Return the probes a second one by one without gRPC."""
        return one_by_one(self.index, self.probes, self.gamma, seconds)


def measure(options: Options) -> Iterator[Result]:
    """Compare other engines with ours on the same rows: inserts, mate1, one client and 64."""
    geometry = Geometry.load()
    for faces in options.faces:
        small = min(MOST_FACES.values(), default=faces)
        for size in sorted({faces, min(small, faces)}):
            names = [name for name in OPENERS if min(MOST_FACES.get(name, faces), faces) == size]
            if reason := lacking(size * _BYTES_PER_FACE):
                yield from (left_out(f"peers/{size}/{name}", f"{name}, {size:,} faces", reason) for name in names)
                continue
            yield from _sized(Crowd(geometry, size), names, options)


def _sized(crowd: Crowd, names: list[str], options: Options) -> Iterator[Result]:
    trial = trial_of(crowd, mated=_MATED)
    found: list[Result] = []
    with ExitStack() as open_things:
        ours = _open_ours(open_things, crowd, trial, options)
        for name in names:
            for result in _peer(name, crowd, trial, ours, options):
                found.append(result)
                yield result
    yield from slowest_of_equals(crowd.people, found)


def _open_ours(open_things: ExitStack, crowd: Crowd, trial: Trial, options: Options) -> _Ours:
    kept, kinds = {}, {}
    for kind in index_kinds(crowd.people):
        index = fill(kind, crowd)
        kinds[kind.name] = kind
        if _mate1(first_of(index, trial.mated, trial.gamma), trial) >= EQUAL:
            kept[kind.name] = (one_by_one(index, trial.mated, trial.gamma, options.seconds), index)
    fastest = max(kept, key=lambda name: kept[name][0])
    running = open_things.enter_context(served(*kind_options(kinds[fastest])))
    create(running.server, crowd, kinds[fastest].kind)
    enroll(running.server, crowd)
    running.settle()
    clients = open_things.enter_context(client_processes(running.address, PARENT, crowd.probes(256)))
    return _Ours(fastest, clients, kept[fastest][1], trial.mated, trial.gamma)


def one_by_one(index: VectorIndex, probes: FloatRows, gamma: float, seconds: float) -> float:
    """Return how many probes a second an index answers one at a time."""
    batches, gates = Batches(probes, 1), np.full(1, gamma)
    return 1.0 / per_call_s(lambda: index.search(batches.take(), gates, K, By.SUBJECT), seconds)


def _peer(name: str, crowd: Crowd, trial: Trial, ours: _Ours, options: Options) -> Iterator[Result]:
    key, what = f"peers/{crowd.people}/{name.replace(', ', '-').replace(' ', '-')}", f"{name}, {crowd.people:,} faces"
    with tempfile.TemporaryDirectory() as folder:
        peer = open_peer(name, Path(folder), crowd.geometry.dimension)
        if isinstance(peer, str):
            yield left_out(key, what, peer)
            return
        try:
            figures = _insert(peer, crowd)
            for mode in peer.modes():
                yield from _mode(
                    f"{key}-{mode.name.replace(' ', '')}", f"{what}, {mode.name}", mode, trial, ours, figures, options
                )
        except Exception as failure:  # noqa: BLE001  (as above)
            yield left_out(key, what, f"failed: {type(failure).__name__}: {str(failure)[:120]}")
        finally:
            peer.close()


def open_peer(name: str, folder: Path, dimension: int) -> Peer | str:
    """Return another engine, empty, or why it cannot be had here."""
    try:
        return OPENERS[name](folder / "data", dimension)
    except ImportError as missing:
        return f"{missing.name or missing} is not installed"
    except Exception as failure:  # noqa: BLE001  (whatever keeps another engine from running is what the table says)
        return f"does not run here: {type(failure).__name__}: {str(failure)[:120]}"


def _insert(peer: Peer, crowd: Crowd) -> dict[str, float]:
    inserted, taken_s = 0, 0.0
    for part in derived_parts(crowd):
        seen = part.ers >= crowd.geometry.gamma
        ids, rows = part.subject_ids[seen], np.ascontiguousarray(part.vectors[seen])
        for start in range(0, len(ids), _CHUNK):
            begun = time.perf_counter()
            peer.insert(ids[start : start + _CHUNK], rows[start : start + _CHUNK])
            taken_s += time.perf_counter() - begun
            inserted += len(ids[start : start + _CHUNK])
    begun = time.perf_counter()
    peer.build()
    return {"inserted_per_s": inserted / taken_s, "build_s": time.perf_counter() - begun}


def _mode(
    key: str, what: str, mode: Mode, trial: Trial, ours: _Ours, figures: dict[str, float], options: Options
) -> Iterator[Result]:
    figures = {**figures, **answers(mode, trial, _ANSWERS_ROUNDS * options.seconds)}
    probes = trial.mated
    for clients in (1, THREADS):
        theirs, mine, alone = [], [], []
        for _ in range(options.rounds):
            theirs.append(_rate(mode, probes, clients, options.seconds))
            mine.append(ours.rate(clients, options.seconds))
            alone.append(ours.in_process(options.seconds))
        against = f"{what}, {clients} client{'s' if clients > 1 else ''}"
        result = ratio_of(
            f"{key}/{clients}", f"ours ({ours.kind}, over gRPC)", against, ratios(mine, theirs),
            ours_per_s=median(mine), theirs_per_s=median(theirs), **figures,
        )  # fmt: skip
        if clients == 1:
            in_process = round(median(ratios(alone, theirs)), 3)
            result = replace(result, figures={**result.figures, "ratio_in_process": in_process})
        yield replace(result, note=mode.settings)


def _rate(mode: Mode, probes: FloatRows, threads: int, seconds: float) -> float:
    return calls_per_s(
        lambda thread, call: mode.search(probes[(31 * thread + call) % len(probes)], K), threads, seconds
    )


def answers(mode: Mode, trial: Trial, longest_s: float) -> dict[str, float]:
    """Ask for as many mated probes as there is time for; return mate1 and of how many it is the share."""
    stop = time.perf_counter() + longest_s
    found: list[int] = []
    for probe in trial.mated:
        ids = mode.search(probe, K)
        found.append(int(ids[0]) if len(ids) else -1)
        if time.perf_counter() > stop and len(found) >= _LEAST_ANSWERS:
            break
    expected = trial.identified[: len(found)]
    kept = expected & (np.array(found) == trial.mates[: len(found)])
    return {"mate1": float(kept.sum() / max(1, expected.sum())), "of": float(expected.sum())}


def _mate1(best: Best, trial: Trial) -> float:
    expected = trial.identified
    return float((expected & identified(best, trial.mates, trial.tau)).sum() / max(1, expected.sum()))


def slowest_of_equals(faces: int, found: list[Result]) -> Iterator[Result]:
    """Yield our smallest ratio to any engine that keeps the answers: the engine is the fastest of those."""
    for clients in (1, THREADS):
        equal = [
            result
            for result in found
            if result.ratio is not None and result.key.endswith(f"/{clients}") and result.figures["mate1"] >= EQUAL
        ]
        if equal:
            worst = min(equal, key=lambda result: result.ratio or 0.0)
            yield replace(
                worst,
                key=f"peers/{faces}/any/{clients}",
                against=f"the fastest engine of mate1 >= {EQUAL}",
                note=worst.against,
            )


if __name__ == "__main__":
    run(measure, faces=(100_000,), rounds=3, seconds=2.0)
