"""Run protocols on one bench: a registry by key, and why what did not run did not."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ersgallery_index.errors import CalibrationFailed, ErsError

from ersgallery_server.evaluation.bench import Bench
from ersgallery_server.evaluation.failures import NotMeasurable
from ersgallery_server.evaluation.groups import Groups
from ersgallery_server.evaluation.remote import serve_harm
from ersgallery_server.evaluation.remote_server import RemoteServer
from ersgallery_server.evaluation.tables import Table

Progress = Callable[[str, int, int], None]
"""Told (the protocol that runs now, protocols done, protocols in all)."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """A module of `protocols`, and the tables it makes. asks: about what; shown by --help."""

    module: str
    tables: tuple[str, ...]
    asks: str


PROTOCOLS: Mapping[str, Protocol] = {
    "single": Protocol("single", ("T1", "T10"), "single photographs, clean and degraded, verified in pairs"),
    "natural": Protocol("natural", ("natural",), "unlabelled faces of naturally poor quality"),
    "levels": Protocol("levels", ("F3",), "error by kind and level of degradation"),
    "sets": Protocol("sets", ("T2", "T3", "T5", "T6"), "sets of frames: pooling, weighting, enhanced features"),
    "sources": Protocol("sources", ("T4",), "UI centroids from several sources"),
    "trade": Protocol("trade", ("T11",), "error against gamma"),
    "harm": Protocol("harm", ("harm",), "degraded strangers against a gallery with degraded enrolments"),
    "service": Protocol("service", ("service",), "the same through a running server (--server)"),
    "bias": Protocol("bias", ("bias",), "recognizability and errors by group (--groups)"),
}


@dataclass(frozen=True, slots=True)
class Skipped:
    """A protocol that could not run on this data, and why, in a sentence."""

    protocol: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What came out of one model's bench."""

    bench: Bench
    tables: tuple[Table, ...]
    skipped: tuple[Skipped, ...]


def choose_protocols(wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the protocols that are named, or that make a table that is named; all for none.

    Raises ValueError for an unknown name.
    """
    if not wanted:
        return tuple(PROTOCOLS)
    names = {table.lower(): key for key, protocol in PROTOCOLS.items() for table in protocol.tables}
    names |= {key: key for key in PROTOCOLS}
    if unknown := [name for name in wanted if name.lower() not in names]:
        known = ", ".join(dict.fromkeys([*PROTOCOLS, *(t for p in PROTOCOLS.values() for t in p.tables)]))
        raise ValueError(f"there is no protocol {', '.join(unknown)}; there are {known}")
    chosen = {names[name.lower()] for name in wanted}
    return tuple(key for key in PROTOCOLS if key in chosen)


def evaluate(
    bench: Bench,
    *,
    protocols: Sequence[str] = (),
    groups: Groups | None = None,
    server: RemoteServer | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Run the chosen protocols, all by default. What this data cannot show is skipped with the reason.

    server: a running service, for the protocol `service`. Raises ServerUnusable where it fails, ValueError
    for an unknown protocol.
    """
    chosen = choose_protocols(protocols)
    tables: list[Table] = []
    skipped: list[Skipped] = []
    for place, key in enumerate(chosen):
        if progress:
            progress(key, place, len(chosen))
        try:
            made = _run(bench, key, groups, server)
        except NotMeasurable as error:
            skipped.append(Skipped(key, str(error)))
        except (CalibrationFailed, ErsError) as error:
            skipped.append(Skipped(key, f"it cannot be measured on this data: {error}"))
        else:
            tables += made
            if not made:
                skipped.append(Skipped(key, "this data has no faces for it"))
    if progress:
        progress("done", len(chosen), len(chosen))
    return Evaluation(bench, tuple(tables), tuple(skipped))


def _run(bench: Bench, key: str, groups: Groups | None, server: RemoteServer | None) -> list[Table]:
    if key == "service":
        if server is None:
            raise NotMeasurable("no server was named: pass --server HOST:PORT")
        return serve_harm(bench, server)
    module = importlib.import_module(f"ersgallery_server.evaluation.protocols.{PROTOCOLS[key].module}")
    made: list[Table] = module.run(bench, groups) if key == "bias" else module.run(bench)
    return made
