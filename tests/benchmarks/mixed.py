"""Searches while faces are enrolled as fast as possible: `python -m tests.benchmarks.mixed`.

The yardstick is the same searches alone; rounds alternate on the same growing gallery. The ratio is that of the
latencies that 99 % of the searches did not exceed: 1 is no loss, 2 is twice as long. Clients, server and enrolment
share the machine.
"""

import time
from collections.abc import Iterator

from tests.benchmarks.callers import UNARY, Answered, Callers, Load, client_processes
from tests.benchmarks.command import Options, run
from tests.benchmarks.enrolling import Enroller, enroller
from tests.benchmarks.geometry import Crowd, Geometry
from tests.benchmarks.kinds import Kind, index_kinds
from tests.benchmarks.results import Result, left_out, ratio_of
from tests.benchmarks.rounds import median, ratios
from tests.benchmarks.served import PARENT, create, enroll, kind_options, served

CALLERS = (1, 4)
_NEWCOMERS = 40_000
_ENROLMENT_AHEAD_S = 0.2


def measure(options: Options) -> Iterator[Result]:
    """Measure the latency of searches during enrolment against their latency alone."""
    geometry = Geometry.load()
    for faces in options.faces:
        for kind in index_kinds(faces):
            for callers in CALLERS:
                key, what = f"mixed/{kind.name}/{faces}/{callers}", f"{kind.label}, {faces:,} faces, {callers} callers"
                if reason := kind.lacking(2 * faces):
                    yield left_out(key, what, reason)
                    continue
                yield _compare(
                    key, what, kind, Crowd(geometry, faces), Load(UNARY, callers, 1, options.seconds), options
                )


def _compare(key: str, what: str, kind: Kind, crowd: Crowd, load: Load, options: Options) -> Result:
    newcomers = Crowd(crowd.geometry, _NEWCOMERS, seed=crowd.seed + 1)
    alone, during, faces_per_s = [], [], []
    with served(*kind_options(kind)) as running:
        create(running.server, crowd, kind.kind)
        enroll(running.server, crowd)
        running.settle()
        with (
            client_processes(running.address, PARENT, crowd.probes(256)) as clients,
            enroller(running.address, newcomers) as client,
        ):
            clients.measure(load)
            for _ in range(options.rounds):
                alone.append(clients.measure(load))
                answered, rate = _together(clients, load, client)
                during.append(answered)
                faces_per_s.append(rate)
    return ratio_of(
        key,
        f"search p99 during enrolment, {what}",
        "search p99 alone",
        ratios([one.percentile_ms(99) for one in during], [one.percentile_ms(99) for one in alone]),
        p99_ms=median([one.percentile_ms(99) for one in during]),
        p99_alone_ms=median([one.percentile_ms(99) for one in alone]),
        p50_ms=median([one.percentile_ms(50) for one in during]),
        p50_alone_ms=median([one.percentile_ms(50) for one in alone]),
        enrolled_per_s=median(faces_per_s),
    )


def _together(clients: Callers, load: Load, client: Enroller) -> tuple[Answered, float]:
    client.start()
    time.sleep(_ENROLMENT_AHEAD_S)
    answered = clients.measure(load)
    return answered, client.stop()


if __name__ == "__main__":
    run(measure, faces=(100_000,), rounds=3, seconds=2.0)
