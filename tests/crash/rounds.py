"""Rounds of load, kill, restart and comparison on one data directory."""

import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
from ersgallery.v1 import gallery_service_pb2 as galleries

from tests.crash.checking import check
from tests.crash.clients import LASTING, PASSING, Beacon, Client, PassingClient, SettingsClient
from tests.crash.databases import PostgresCluster
from tests.crash.known import KnownGallery, Violation, World
from tests.crash.operations import MakeGallery
from tests.crash.process import ServerProcess
from tests.crash.universe import Settings, create_profiles
from tests.support.server import RemoteServer

CLIENTS = 3
_DATABASE_TIMEOUT_S = 60.0
_SNAPSHOT_TIMEOUT_S = 5.0

MOMENTS = (
    "any time",
    "Enroll",
    "DeleteSubject",
    "Rebuild",
    "Policy",
    "DropGallery",
    "MakeGallery",
    "snapshot",
    "start",
)
"""When a server is killed: at any time under load, while a call of some kind is under way, while a snapshot grows, or,
after a kill under load, one to three times more while it starts."""

Say = Callable[[str], None]


class Crashes:
    """Kills one server over and over. `kills` counts them by their moments."""

    def __init__(self, folder: Path, seed: int, say: Say, cluster: PostgresCluster | None = None) -> None:
        self.kills: Counter[str] = Counter()
        self.world = World({name: KnownGallery(name, Settings()) for name in (*LASTING, PASSING)})
        self.process = ServerProcess(folder, cluster.new_database() if cluster else None)
        self._cluster = cluster
        self._seed = seed
        self._say = say
        self._round = 0
        self._server: RemoteServer | None = None

    def run(self, kills: int) -> None:
        """Make rounds until there were so many kills. Raises Violation; the server is killed in the end."""
        self.run_moments(self._moments(kills), first_starts=2 + kills // 20)

    def run_moments(self, moments: Iterable[str], *, first_starts: int = 2) -> None:
        """Kill so many first starts, and then at these moments. Raises Violation; the server is killed in the end."""
        try:
            self._kill_first_starts(first_starts)
            self._prepare()
            for moment in moments:
                self._make_round(moment)
            self._require_quiet_log()
        finally:
            with contextlib.suppress(Exception):
                self._end()

    def _moments(self, kills: int) -> Iterator[str]:
        rng = random.Random(f"{self._seed}-moments")
        while self.kills.total() < kills:
            yield "database" if self._cluster and rng.random() < 0.35 else rng.choice(MOMENTS)

    def figures(self) -> dict[str, Any]:
        """Return what was done, for a summary."""
        return {
            "kills": self.kills.total(),
            "kills_by_moment": dict(self.kills),
            "seed": self._seed,
            **{name.replace(" ", "_"): count for name, count in sorted(self.world.tally.items())},
            "face_ids_given": len(self.world.ids_seen),
            "snapshots_saved": self.process.count_in_log("saved a snapshot"),
            "snapshots_restored": self.process.count_in_log("restored a snapshot"),
            "snapshots_refused": self.process.count_in_log("a snapshot is refused"),
        }

    def _kill_first_starts(self, count: int) -> None:
        """Kill the server while it makes its tables, and adds its profiles."""
        rng = random.Random(f"{self._seed}-first")
        for _ in range(count):
            self._kill_while_starting(rng, "first start")

    def _prepare(self) -> None:
        self._server = server = self.process.start()
        create_profiles(server)
        MakeGallery("faces", Settings(label="faces")).send(server, self.world)
        MakeGallery("templates", Settings(label="templates", by_template=True)).send(server, self.world)

    def _make_round(self, moment: str) -> None:
        self._round += 1
        begun_s = time.monotonic()
        rng = random.Random(f"{self._seed}-{self._round}")
        self.world.note(f"=== round {self._round}: {moment}")
        self.world.database_dies = moment == "database"
        before = self.world.tally.copy()
        with self._load() as beacon:
            self._await(moment, beacon, rng)
            if moment == "database":
                self._kill_database(rng)
            else:
                self._kill(moment)
        if moment == "start":
            for _ in range(rng.randint(1, 3)):
                self._kill_while_starting(rng, "start")
        if self._server is None:
            self._server = self.process.start(*(["--rows-on-disk"] if rng.random() < 0.25 else []))
        check(self.world, self._server, rng)
        done = self.world.tally - before
        self._say(
            f"kill {self.kills.total():4} {moment:13} {done['acknowledged']:4} writes acknowledged, "
            f"{done['unanswered']} unanswered, {done['unanswered but done']} of them done, "
            f"{sum(len(each.faces) for each in self.world.galleries.values())} faces, "
            f"{time.monotonic() - begun_s:.1f} s"
        )

    @contextlib.contextmanager
    def _load(self) -> Iterator[Beacon]:
        server, beacon, seed = self._present(), Beacon(), f"{self._seed}-{self._round}"
        clients = [Client(number, self.world, server, beacon, seed) for number in range(CLIENTS)]
        clients.append(SettingsClient(CLIENTS, self.world, server, beacon, seed))
        clients.append(PassingClient(CLIENTS + 1, self.world, server, beacon, seed))
        for client in clients:
            client.start()
        try:
            yield beacon
        finally:
            for client in clients:
                client.stop()
            for client in clients:
                client.join(_DATABASE_TIMEOUT_S * 3)
            if any(client.is_alive() for client in clients):
                self.world.failures.append(Violation("clients", "a call got neither an answer nor an error"))

    def _await(self, moment: str, beacon: Beacon, rng: random.Random) -> None:
        """Return when the moment has come."""
        time.sleep(rng.uniform(0.02, 0.4))
        if moment == "snapshot":
            self._await_growing_snapshot()
        elif moment in {"any time", "start"}:
            time.sleep(rng.uniform(0.0, 0.6))
        else:
            beacon.wait("Enroll" if moment == "database" else moment, 2.0)
            time.sleep(rng.uniform(0.0, 0.02))

    def _await_growing_snapshot(self) -> None:
        until_s = time.monotonic() + _SNAPSHOT_TIMEOUT_S
        folder = self.process.folder / "data" / "snapshots"
        while time.monotonic() < until_s and not any(folder.glob("*.growing")):
            time.sleep(0.001)

    def _kill(self, moment: str) -> None:
        self.process.kill()
        self.kills[moment] += 1
        if self._server is not None:
            self._server.channel.close()
            self._server = None

    def _kill_while_starting(self, rng: random.Random, moment: str) -> None:
        """Kill it at any time from when it touches its data, after the imports."""
        self.process.begin()
        self.process.await_file("server.lock")
        time.sleep(rng.uniform(0.0, 0.4) * self.process.typical_start_s)
        self._kill(moment)

    def _kill_database(self, rng: random.Random) -> None:
        """Kill the database under the server, and sometimes the server too, before the database comes back."""
        assert self._cluster is not None
        self._cluster.kill()
        self.kills["database"] += 1
        if rng.random() < 0.3:
            self._kill("database and server")
        self._cluster.restart()
        if self._server is not None:
            _await_writes(self._server)

    def _present(self) -> RemoteServer:
        if self._server is None:
            raise RuntimeError("no server runs")
        return self._server

    def _require_quiet_log(self) -> None:
        """Raise Violation where a server had something to complain of, but for one whose database was killed."""
        if self._cluster is None and self.process.count_in_log("Traceback"):
            raise Violation("server", f"the log has an exception: see {self.process.log}")

    def _end(self) -> None:
        if self._server is not None:
            self._server.channel.close()
            self.process.kill()


def _await_writes(server: RemoteServer) -> None:
    """Return once the server can write again; what it could not tell before is settled then, too."""
    until_s = time.monotonic() + _DATABASE_TIMEOUT_S
    request = galleries.DeleteGalleryRequest(name=f"galleries/{LASTING[0]}", etag="0")
    while True:
        try:
            server.galleries.DeleteGallery(request, timeout=_DATABASE_TIMEOUT_S)
        except grpc.RpcError as error:
            found: Any = error
            if found.code() is grpc.StatusCode.ABORTED:
                return
            if found.code() is not grpc.StatusCode.UNAVAILABLE or time.monotonic() > until_s:
                raise Violation("server", f"does not write after its database came back: {found}") from error
        time.sleep(0.05)
