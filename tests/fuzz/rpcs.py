"""Calls of every RPC to a real server: in sequences and at the same time, broken off, late, with damaged messages."""

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, cast

import grpc
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from tests.fuzz.calls import GRPCS, MESSAGES, METHODS, OURS, credentials, metadata
from tests.fuzz.case import Case, Finding
from tests.fuzz.damage import damage
from tests.fuzz.judging import judge_answer, judge_for_guest, judge_refusal
from tests.fuzz.wire import damage_message
from tests.fuzz.world import GUEST, OWNER, World, running_world
from tests.support.models import models_dir_if_installed

LIMIT_S = 120.0
"""What a call without a deadline of its own may take before it counts as a hang, on a machine that does much else."""

CHECKED_EVERY = 40

_TOGETHER, _ONE_BY_ONE = "together", "one-by-one"


@dataclass(frozen=True, slots=True)
class Call:
    """One call: serialized requests in base64; answers: break a stream off after so many, -1 to read all.

    caller: who is known by a token, or what stands where a token belongs.
    """

    method: str
    requests: list[str]
    timeout_s: float = LIMIT_S
    metadata: list[tuple[str, str]] = field(default_factory=list)
    answers: int = -1
    caller: str = OWNER


class RpcAttack:
    """Sends calls to one server, and restarts it where a case has killed it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._checked = 0

    def draw(self, rng: Random) -> Case:
        """Return one to five calls."""
        names = list(METHODS)
        weights = [1 if name in GRPCS else 4 for name in names]
        count = rng.choice((1, 1, 2, 3, 5))
        calls = [_draw_call(rng, name) for name in rng.choices(names, weights, k=count)]
        kind = _TOGETHER if count > 1 and rng.random() < 0.3 else _ONE_BY_ONE
        return Case(kind, json.dumps([asdict(call) for call in calls]).encode())

    def check(self, case: Case) -> str:
        """Make the calls and judge what comes back."""
        try:
            return self._check([Call(**call) for call in json.loads(case.data)], case.kind == _TOGETHER)
        except grpc.RpcError as error:  # of our own calls in between
            raise Finding(f"the server does not serve what is sound: {error}") from error
        finally:
            if self._world.process.poll() is not None:
                self._world.restart()

    def settle(self) -> None:
        """Check that the server is alive, answers as at the start and holds no more than it did when it was warm."""
        self._world.check_alive()
        self._world.canary.check()
        self._world.watch.check()

    def _check(self, calls: list[Call], together: bool) -> str:
        self._world.restore()
        if together:
            with ThreadPoolExecutor(len(calls)) as pool:
                outcomes = list(pool.map(partial(_send, self._world), calls))
        else:
            outcomes = [_send(self._world, call) for call in calls]
        self._world.check_alive()
        self._checked += 1
        self._world.watch.count()
        if self._checked % CHECKED_EVERY == 0:
            self.settle()
        return outcomes[-1]


def _draw_call(rng: Random, name: str) -> Call:
    method = METHODS[name]
    count = rng.choice((0, 1, 2, 3)) if method.client_streaming else 1
    requests = []
    for _ in range(count):
        data = MESSAGES.draw(rng, method.input_type).SerializeToString()
        match rng.randrange(10):
            case 0 | 1 | 2:
                data = damage_message(rng, data, method.input_type)
            case 3:
                data = damage(rng, data)
            case 4 if rng.random() < 0.3:
                data = rng.randbytes(rng.choice((0, 1, 10, 1000)))
            case _:
                pass
        requests.append(base64.b64encode(data).decode())
    stays_open = method.server_streaming and not method.client_streaming
    answers = rng.choice((0, 1)) if stays_open or (method.server_streaming and rng.random() < 0.2) else -1
    timeout_s = rng.choice((0.0, 0.001, 0.01)) if rng.random() < 0.05 else LIMIT_S
    caller = GUEST if rng.random() < 0.15 else credentials(rng) if rng.random() < 0.05 else OWNER
    return Call(name, requests, timeout_s, metadata(rng), answers, caller)


def _send(world: World, call: Call) -> str:
    """Make a call and judge what comes back; return the outcome."""
    requests = [world.aim(base64.b64decode(request)) for request in call.requests]
    headers = [(key, value) for key, value in call.metadata]
    headers += world.headers.get(call.caller, [("authorization", call.caller)])
    answers: list[bytes] = []
    try:
        for answer in _answers(world, call, requests, headers):
            answers.append(answer)  # noqa: PERF402 - those that came before an error are judged too
        outcome = "answered"
    except ValueError:
        outcome = "not sent"
    except grpc.RpcError as error:
        outcome = judge_refusal(call.method, error, in_time=call.timeout_s >= LIMIT_S, ours=call.method in OURS)
    _judge(call, answers, outcome)
    if outcome == "answered" and call.answers < 0 and len(answers) != len(requests):
        raise Finding(f"{call.method} gave {len(answers)} answers to {len(requests)} requests")
    return outcome


def _answers(world: World, call: Call, requests: list[bytes], headers: list[tuple[str, str]]) -> Iterator[bytes]:
    """Yield the answers as they came; raises grpc.RpcError, and ValueError for headers that gRPC does not send."""
    method, channel = METHODS[call.method], cast("Any", world.channel)
    path = f"/{method.containing_service.full_name}/{method.name}"
    if not method.server_streaming:
        yield channel.unary_unary(path)(requests[0], timeout=call.timeout_s, metadata=headers)
        return
    make = channel.stream_stream if method.client_streaming else channel.unary_stream
    sent = iter(requests) if method.client_streaming else requests[0]
    stream = make(path)(sent, timeout=call.timeout_s, metadata=headers)
    yield from islice(stream, None if call.answers < 0 else call.answers)
    stream.cancel()


def _judge(call: Call, answers: list[bytes], outcome: str) -> None:
    """Raise Finding for an answer that is no message, has a fault in it, or is not for this caller."""
    is_whole = outcome == "answered" and call.answers < 0
    for answer in answers:
        try:
            message = GetMessageClass(METHODS[call.method].output_type).FromString(answer)
        except DecodeError as error:
            raise Finding(f"{call.method} answers what is no message") from error
        judge_answer(call.method, message)
        if call.method in OURS and call.caller == GUEST:
            judge_for_guest(call.method, answer)
    if call.method in OURS and call.caller not in (OWNER, GUEST) and (answers or is_whole):
        raise Finding(f"{call.method} answers somebody without a token: {outcome}")


@contextmanager
def opened(folder: Path) -> Iterator[RpcAttack]:
    """Start the server."""
    with running_world(folder, models_dir_if_installed()) as world:
        yield RpcAttack(world)
