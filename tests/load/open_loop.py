"""Calls at a given rate, whether earlier ones were answered or not: what a crowd does to a server.

A process of its own on grpc.aio, so that the load does not slow down with the server:
`python -m tests.load.open_loop` reads a `Load` as JSON and writes `Figures` as JSON.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import numpy as np

SECOND = 1.0
SERVICE = "/ersgallery.v1"
UNANSWERED_S = 5.0
"""After the last call's deadline: whoever has no answer by then has waited in vain."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Calls of one kind: so many a second (0: as many as `callers` make one after the other), of requests in files."""

    method: str
    requests: list[str]
    rate: float = 0.0
    callers: int = 0


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent for how long; each call has the deadline, and each connection its share of the calls."""

    address: str
    kinds: dict[str, Kind]
    seconds: float
    deadline_s: float
    connections: int = 4


@dataclass(slots=True)
class Figures:
    """What became of the calls of one kind. in_time: answered within the deadline; seconds of answers and refusals.

    without_retry_info: refusals that do not say when to come again. by_second: answers OK for each second of the load.
    lag_s: how far the generator itself fell behind its rate at most.
    """

    sent: int = 0
    in_time: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    without_retry_info: int = 0
    ok_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)
    by_second: Counter[int] = field(default_factory=Counter)
    lag_s: float = 0.0

    def summary(self, seconds: float) -> dict[str, object]:
        """Return the figures of a load that lasted so long, with quantiles in place of all times."""
        return {
            "sent_per_s": round(self.sent / seconds, 1),
            "ok_per_s": round(self.in_time / seconds, 1),
            "codes": dict(self.codes),
            "without_retry_info": self.without_retry_info,
            "ok_ms": quantiles_ms(self.ok_s),
            "refused_ms": quantiles_ms(self.refused_s),
            "by_second": [self.by_second[second] for second in range(int(seconds))],
            "generator_lag_s": round(self.lag_s, 3),
        }


def quantiles_ms(seconds: list[float]) -> list[float]:
    """Return the 50 %, 99 % and 100 % quantiles in ms; nothing of nothing."""
    return [round(1000 * float(q), 1) for q in np.quantile(seconds, [0.5, 0.99, 1.0])] if seconds else []


def run_load(load: Load) -> dict[str, dict[str, object]]:
    """Run a load in a process of its own and return the summary of each kind."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.load.open_loop"],
        input=json.dumps(asdict(load)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "GRPC_VERBOSITY": "NONE"},
    )
    return dict(json.loads(done.stdout))


class _Sender:
    def __init__(self, load: Load, channels: list[grpc.aio.Channel], kind: Kind) -> None:
        self.figures = Figures()
        self._load = load
        self._kind = kind
        self._calls: list[Any] = [channel.unary_unary(f"{SERVICE}.{kind.method}") for channel in channels]
        self._requests = [Path(path).read_bytes() for path in kind.requests]
        self._begun_s = time.monotonic()

    async def run(self) -> None:
        if self._kind.callers:
            await asyncio.gather(*(self._one_after_the_other() for _ in range(self._kind.callers)))
        else:
            await self._at_rate()

    async def _one_after_the_other(self) -> None:
        while time.monotonic() - self._begun_s < self._load.seconds:
            await self._send()

    async def _at_rate(self) -> None:
        under_way: set[asyncio.Task[None]] = set()
        due_s = self._begun_s
        while due_s - self._begun_s < self._load.seconds:
            now_s = time.monotonic()
            self.figures.lag_s = max(self.figures.lag_s, now_s - due_s)
            if due_s > now_s:
                await asyncio.sleep(due_s - now_s)
            task = asyncio.create_task(self._send())
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            due_s += random.expovariate(self._kind.rate)
        if under_way:
            await asyncio.wait(under_way, timeout=self._load.deadline_s + UNANSWERED_S)
        self.figures.codes["NO ANSWER"] += len(under_way)

    async def _send(self) -> None:
        figures, begun_s = self.figures, time.monotonic()
        figures.sent += 1
        request = self._requests[figures.sent % len(self._requests)]
        try:
            await self._calls[figures.sent % len(self._calls)](request, timeout=self._load.deadline_s)
        except grpc.aio.AioRpcError as error:
            figures.codes[error.code().name] += 1
            if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                figures.refused_s.append(time.monotonic() - begun_s)
                figures.without_retry_info += not _says_when(error)
        else:
            now_s = time.monotonic()
            figures.codes["OK"] += 1
            figures.ok_s.append(now_s - begun_s)
            figures.in_time += now_s - begun_s <= self._load.deadline_s
            figures.by_second[int(now_s - self._begun_s)] += 1


def _says_when(error: grpc.aio.AioRpcError) -> bool:
    return any(
        key == "grpc-status-details-bin" and b"google.rpc.RetryInfo" in (value if isinstance(value, bytes) else b"")
        for key, value in error.trailing_metadata()
    )


async def _run(load: Load) -> dict[str, dict[str, object]]:
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(load.address, options=options) for _ in range(load.connections)]
    await asyncio.gather(*(channel.channel_ready() for channel in channels))
    senders = {name: _Sender(load, channels, kind) for name, kind in load.kinds.items()}
    await asyncio.gather(*(sender.run() for sender in senders.values()))
    await asyncio.gather(*(channel.close() for channel in channels))
    return {name: sender.figures.summary(load.seconds) for name, sender in senders.items()}


if __name__ == "__main__":
    given = json.load(sys.stdin)
    given["kinds"] = {name: Kind(**kind) for name, kind in given["kinds"].items()}
    json.dump(asyncio.run(_run(Load(**given))), sys.stdout)
