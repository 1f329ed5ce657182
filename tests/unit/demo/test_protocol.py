"""Who has which role."""

from dataclasses import replace

import pytest

from tests.demo.protocol import (
    ProbeKind,
    Protocol,
    ProtocolViolated,
    Shot,
    Spoiling,
    draw,
    require_disjoint,
)
from tests.demo.settings import KINDS, Settings

SETTINGS = Settings(tau_strangers=30, fpir=0.04, probe_strangers=20)
PHOTOGRAPHS = {
    **{f"known {person}": [f"known {person}/{n}" for n in range(4 + person)] for person in range(3)},
    **{f"single {person}": [f"single {person}"] for person in range(100)},
}


def people(shots: tuple[Shot, ...]) -> set[str]:
    return {shot.person for shot in shots}


@pytest.mark.parametrize("seed", range(5))
def test_every_draw_is_disjoint(seed: int) -> None:
    require_disjoint(draw(PHOTOGRAPHS, replace(SETTINGS, seed=seed)))


def test_everybody_with_one_photograph_has_exactly_one_role() -> None:
    protocol = draw(PHOTOGRAPHS, SETTINGS)
    strangers = protocol.probes[ProbeKind.CLEAR_STRANGER]
    roles = [shot.person for shot in (*protocol.enrolled, *protocol.tau_strangers, *strangers)]
    assert sorted(roles) == sorted(PHOTOGRAPHS)
    assert (len(protocol.tau_strangers), len(strangers), len(protocol.enrolled)) == (30, 20, 53)


def test_every_photograph_of_a_known_person_is_enrolled_or_a_probe() -> None:
    protocol = draw(PHOTOGRAPHS, SETTINGS)
    enrolled = {shot.photograph for shot in protocol.enrolled}
    probes = {shot.photograph for shot in protocol.probes[ProbeKind.CLEAR_MATED]}
    several = {name for names in PHOTOGRAPHS.values() if len(names) > 1 for name in names}
    assert probes == several - enrolled
    assert len(probes) == 3 + 4 + 5


def test_more_references_leave_fewer_probes() -> None:
    protocol = draw(PHOTOGRAPHS, replace(SETTINGS, references=3))
    require_disjoint(protocol)
    assert len(protocol.probes[ProbeKind.CLEAR_MATED]) == 1 + 2 + 3


def test_a_tenth_is_enrolled_from_degraded_photographs_of_people_without_mated_probes() -> None:
    protocol = draw(PHOTOGRAPHS, SETTINGS)
    degraded = [shot for shot in protocol.enrolled if shot.spoiling]
    assert len(degraded) == 5
    assert all(shot.person.startswith("single") for shot in degraded)


def test_a_degraded_probe_is_every_clear_one_in_every_kind_and_the_grades_take_turns() -> None:
    protocol = draw(PHOTOGRAPHS, SETTINGS)
    for clear, degraded in (
        (ProbeKind.CLEAR_MATED, ProbeKind.DEGRADED_MATED),
        (ProbeKind.CLEAR_STRANGER, ProbeKind.DEGRADED_STRANGER),
    ):
        made = {(shot.photograph, shot.spoiling.kind) for shot in protocol.probes[degraded] if shot.spoiling}
        assert made == {(shot.photograph, kind) for shot in protocol.probes[clear] for kind in KINDS}
        grades = [shot.spoiling.grade for shot in protocol.probes[degraded] if shot.spoiling]
        assert max(grades.count(grade) for grade in SETTINGS.grades) <= len(grades) / 3 + len(KINDS)


def test_the_same_seed_draws_the_same_and_another_one_differs() -> None:
    assert draw(PHOTOGRAPHS, SETTINGS) == draw(PHOTOGRAPHS, SETTINGS)
    assert draw(PHOTOGRAPHS, SETTINGS) != draw(PHOTOGRAPHS, replace(SETTINGS, seed=1))


def test_too_few_people_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        draw(PHOTOGRAPHS, replace(SETTINGS, tau_strangers=90))


def violations() -> list[tuple[str, Protocol]]:
    sound = draw(PHOTOGRAPHS, SETTINGS)
    mated, strangers = sound.probes[ProbeKind.CLEAR_MATED], sound.probes[ProbeKind.CLEAR_STRANGER]
    spoilt = Shot(strangers[0].person, strangers[0].photograph, Spoiling(KINDS[0], 1.0, (7,)))

    def probes(kind: ProbeKind, *shots: Shot) -> Protocol:
        return replace(sound, probes={**sound.probes, kind: (*sound.probes[kind], *shots)})

    return [
        ("a photograph is enrolled twice", replace(sound, enrolled=(*sound.enrolled, sound.enrolled[0]))),
        ("an enrolled person sets tau", replace(sound, tau_strangers=(sound.enrolled[-1],))),
        ("an enrolled person is a stranger", probes(ProbeKind.CLEAR_STRANGER, mated[0])),
        ("a stranger who sets tau is a probe", probes(ProbeKind.DEGRADED_STRANGER, sound.tau_strangers[0])),
        ("a mated probe's person is not enrolled", probes(ProbeKind.DEGRADED_MATED, strangers[0])),
        ("a mated probe is the enrolled photograph", probes(ProbeKind.CLEAR_MATED, sound.enrolled[0])),
        ("degraded by the same seed", probes(ProbeKind.DEGRADED_STRANGER, spoilt, spoilt)),
    ]


@pytest.mark.parametrize(("words", "protocol"), violations(), ids=[words for words, _ in violations()])
def test_each_violation_is_noticed(words: str, protocol: Protocol) -> None:
    with pytest.raises(ProtocolViolated, match=words):
        require_disjoint(protocol)
