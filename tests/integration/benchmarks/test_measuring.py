"""Benchmarks of the service measure what they say, on galleries that are too small to mean anything."""

import pytest

from tests.benchmarks import enrolment, index, mixed, service
from tests.benchmarks.callers import BATCH, STREAM, UNARY, Load, client_processes
from tests.benchmarks.command import Options
from tests.benchmarks.geometry import Crowd, Geometry
from tests.benchmarks.kinds import IN_MEMORY
from tests.benchmarks.served import PARENT, create, enroll, served

EXACT = IN_MEMORY[:1]
TINY = Options((300,), rounds=1, seconds=0.05)


def test_clients_in_other_processes_are_answered_whatever_they_call() -> None:
    crowd = Crowd(Geometry.load(), 300)
    with served() as running:
        create(running.server, crowd)
        enroll(running.server, crowd)
        with client_processes(running.address, PARENT, crowd.probes(64), count=2) as callers:
            for call, rows in ((UNARY, 1), (BATCH, 16), (STREAM, 16)):
                answered = callers.measure(Load(call, 3, rows, 0.1))
                assert len(answered.latencies_s) >= 3
                assert answered.probes_per_s > 0
                assert 0 < answered.percentile_ms(50) <= answered.percentile_ms(99)
        with client_processes(running.address, "galleries/nobody", crowd.probes(4), count=1) as callers:
            with pytest.raises(RuntimeError, match="NOT_FOUND"):
                callers.measure(Load(UNARY, 1, 1, 0.1))


def test_a_service_is_held_against_its_index_and_an_empty_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "index_kinds", lambda _faces: EXACT)
    wanted = {"unary-2": Load(UNARY, 2, 1, 0.05), "batch-4": Load(BATCH, 4, 64, 0.05)}
    monkeypatch.setattr(service, "loads", lambda _seconds: wanted)
    results = {result.key: result for result in service.measure(TINY)}
    assert {"service/exact/300/unary-2/empty", "service/exact/300/batch-4/in-process"} <= results.keys()
    assert all(result.ratio for result in results.values())
    assert results["service/exact/300/batch-4/in-process"].against == "in process, batches of 256"


def test_enrolment_is_held_against_inserts_of_as_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enrolment, "STREAMS", (2,))
    found = list(enrolment.measure(Options((4000,), rounds=2, seconds=0.1)))
    assert [result.key for result in found] == ["enrolment/4000/2", "enrolment/4000/best"]
    assert found[1].ratio == found[0].ratio
    assert found[0].figures["faces_per_s"] > 0
    assert found[0].figures["bare_per_s"] > 0


def test_searches_are_measured_while_faces_are_enrolled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixed, "index_kinds", lambda _faces: EXACT)
    monkeypatch.setattr(mixed, "CALLERS", (1,))
    monkeypatch.setattr(mixed, "_NEWCOMERS", 2000)
    (result,) = mixed.measure(Options((300,), rounds=1, seconds=0.2))
    assert result.figures["enrolled_per_s"] > 0
    assert result.figures["p99_ms"] >= result.figures["p50_ms"] > 0


def test_an_index_is_held_against_raw_faiss_and_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "BATCHES", (1, 4))
    monkeypatch.setattr(index, "index_kinds", lambda _faces: IN_MEMORY)
    monkeypatch.setattr("tests.benchmarks.machine._STREAM_BYTES", 1 << 22)
    monkeypatch.setattr("tests.benchmarks.machine._SIDE", 128)
    results = {result.key: result for result in index.measure(Options((300,), rounds=1, seconds=0.01))}
    for kind in ("exact", "fast", "approximate"):
        for batch in (1, 4):
            for yardstick in ("flat-tuned", "flat-default", "limit"):
                assert results[f"index/{kind}/300/{batch}/{yardstick}"].ratio
