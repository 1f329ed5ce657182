"""Who is enrolled, who sets tau and who is a probe: seeded, pure, and disjoint where it must be."""

import enum
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ersgallery_server.faces.degrade import Degradation

from tests.demo.settings import KINDS, Settings


class ProbeKind(enum.StrEnum):
    """The four kinds of probes."""

    CLEAR_MATED = "clear_mated"
    CLEAR_STRANGER = "clear_stranger"
    DEGRADED_MATED = "degraded_mated"
    DEGRADED_STRANGER = "degraded_stranger"

    @property
    def mated(self) -> bool:
        """Whether the person is enrolled."""
        return self in (ProbeKind.CLEAR_MATED, ProbeKind.DEGRADED_MATED)


@dataclass(frozen=True, slots=True)
class Spoiling:
    """How a photograph is degraded; `seed` is used by no other photograph."""

    kind: Degradation
    grade: float
    seed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Shot:
    """One photograph in one role: as it is, or degraded."""

    person: str
    photograph: str
    spoiling: Spoiling | None = None


@dataclass(frozen=True, slots=True)
class Protocol:
    """The roles of all people and photographs."""

    enrolled: tuple[Shot, ...]
    tau_strangers: tuple[Shot, ...]
    probes: Mapping[ProbeKind, tuple[Shot, ...]]


class ProtocolViolated(Exception):
    """Roles that must be disjoint are not."""


# The first number of each seed, so that no two roles degrade alike.
_DRAW, _ENROLMENT, _MATED, _STRANGER = range(4)


def draw(photographs: Mapping[str, Sequence[str]], settings: Settings) -> Protocol:
    """Share out people by the photographs there are of them; raises ValueError where they are too few.

    People with several photographs are enrolled from the first of them, and the others are mated probes. People with
    one are shared out among gallery, strangers who set tau, and strangers who are probes.
    """
    rng = np.random.default_rng([settings.seed, _DRAW])
    several = [person for person in sorted(photographs) if len(photographs[person]) > 1]
    single = _shuffled([person for person in sorted(photographs) if len(photographs[person]) == 1], rng)
    shuffled = {person: _shuffled(sorted(photographs[person]), rng) for person in several}
    parts = iter(single)
    setters = [Shot(person, photographs[person][0]) for person in itertools.islice(parts, settings.tau_strangers)]
    strangers = [Shot(person, photographs[person][0]) for person in itertools.islice(parts, settings.probe_strangers)]
    members = [Shot(person, photographs[person][0]) for person in parts]
    degraded = int(settings.degraded_enrolments * (len(members) + len(several)))
    if len(strangers) < settings.probe_strangers or degraded > len(members):
        raise ValueError(f"{len(single)} people with one photograph are too few")
    known = [Shot(person, name) for person in several for name in shuffled[person][: settings.references]]
    mated = [
        Shot(person, name)
        for person in several
        for name in shuffled[person][settings.references :][: settings.mated_per_person]
    ]
    spoilt = [
        Shot(shot.person, shot.photograph, _spoiling(number, KINDS[number % len(KINDS)], _ENROLMENT, settings))
        for number, shot in enumerate(members[:degraded])
    ]
    return Protocol(
        enrolled=(*known, *spoilt, *members[degraded:]),
        tau_strangers=tuple(setters),
        probes={
            ProbeKind.CLEAR_MATED: tuple(mated),
            ProbeKind.CLEAR_STRANGER: tuple(strangers),
            ProbeKind.DEGRADED_MATED: _in_every_kind(mated, _MATED, settings),
            ProbeKind.DEGRADED_STRANGER: _in_every_kind(strangers, _STRANGER, settings),
        },
    )


def require_disjoint(protocol: Protocol) -> None:
    """Raise ProtocolViolated unless no person has two roles and no photograph is compared with itself."""
    enrolled, setters = _people(protocol.enrolled), _people(protocol.tau_strangers)
    strangers = _people(shot for kind, shots in protocol.probes.items() if not kind.mated for shot in shots)
    mated = [shot for kind, shots in protocol.probes.items() if kind.mated for shot in shots]
    spoilings = [
        shot.spoiling
        for shot in itertools.chain(protocol.enrolled, *protocol.probes.values())
        if shot.spoiling is not None
    ]
    checks = {
        "a photograph is enrolled twice": len({shot.photograph for shot in protocol.enrolled})
        == len(protocol.enrolled),
        "an enrolled person sets tau": enrolled.isdisjoint(setters),
        "an enrolled person is a stranger": enrolled.isdisjoint(strangers),
        "a stranger who sets tau is a probe": setters.isdisjoint(strangers),
        "a mated probe's person is not enrolled": _people(mated) <= enrolled,
        "a mated probe is the enrolled photograph": {shot.photograph for shot in protocol.enrolled}.isdisjoint(
            shot.photograph for shot in mated
        ),
        "two photographs are degraded by the same seed": len({spoiling.seed for spoiling in spoilings})
        == len(spoilings),
    }
    for violation, holds in checks.items():
        if not holds:
            raise ProtocolViolated(violation)


def _in_every_kind(shots: Sequence[Shot], role: int, settings: Settings) -> tuple[Shot, ...]:
    """Degrade each photograph once in each kind; the grades take turns."""
    return tuple(
        Shot(shot.person, shot.photograph, _spoiling(number + place, kind, role, settings, place))
        for number, shot in enumerate(shots)
        for place, kind in enumerate(KINDS)
    )


def _spoiling(number: int, kind: Degradation, role: int, settings: Settings, place: int = 0) -> Spoiling:
    grade = settings.grades[number % len(settings.grades)]
    return Spoiling(kind, grade, (settings.seed, role, number, place))


def _shuffled(values: Sequence[str], rng: np.random.Generator) -> list[str]:
    order: list[int] = rng.permutation(len(values)).tolist()
    return [values[place] for place in order]


def _people(shots: Iterable[Shot]) -> set[str]:
    return {shot.person for shot in shots}
