"""The main job through gRPC: create the gallery, enrol, set tau, identify with the gates off and on."""

import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ersgallery_client import (
    Decision,
    Disposition,
    Enrollment,
    EnrollmentOutcome,
    Gallery,
    GalleryClient,
    Identification,
    SearchPolicy,
)

from tests.demo.console import Bars
from tests.demo.protocol import ProbeKind
from tests.demo.settings import GALLERY, Settings
from tests.demo.spoiling import Picture
from tests.demo.tau import tau_at_fpir

GATES_ON = SearchPolicy(max_candidates=3)
GATES_OFF = SearchPolicy(max_candidates=3, gamma=0.0, gamma_gallery=0.0)
_BATCH = 16
_TIMED_CALLS = 20
# Nothing matches at it: the gallery's until the strangers have set its tau.
_HIGHEST_TAU = 1.0


@dataclass(frozen=True, slots=True)
class Pictures:
    """The photographs of every role, ready to be sent."""

    enrolled: tuple[Picture, ...]
    tau_strangers: tuple[Picture, ...]
    probes: Mapping[ProbeKind, tuple[Picture, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """One probe with its answers at both settings of the gates."""

    picture: Picture
    gates_off: Identification
    gates_on: Identification


@dataclass(frozen=True, slots=True)
class Timings:
    """Medians of single calls with one photograph each, over gRPC, in milliseconds."""

    enrolment_ms: float
    identification_ms: float


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """All that came out.

    tau_gates_off: what the same strangers would have set with the gates off; it decides nothing.
    outcomes: of the enrolments, in the order of the pictures.
    """

    gallery: Gallery
    tau: float
    tau_gates_off: float
    outcomes: tuple[EnrollmentOutcome, ...]
    answers: Mapping[ProbeKind, tuple[Answer, ...]]
    timings: Timings


def run(client: GalleryClient, pictures: Pictures, settings: Settings, bars: Bars, *, profile: str) -> Result:
    """Do the main job on a server without galleries. Raises GalleryError."""
    client.create_gallery(GALLERY, profile=profile, tau=_HIGHEST_TAU, display_name="Faces of the demo")
    outcomes = _enroll(client, pictures.enrolled, bars)
    with bars.step("Setting tau by strangers who are no probes", 2 * len(pictures.tau_strangers)) as advance:
        tau, tau_gates_off = (
            tau_at_fpir(
                [best_similarity(found) for found in identify(client, pictures.tau_strangers, policy, advance)],
                settings.fpir,
            )
            for policy in (GATES_ON, GATES_OFF)
        )
    client.update_gallery(GALLERY, tau=tau)
    probes = [picture for kind in ProbeKind for picture in pictures.probes[kind]]
    with bars.step("Identifying with the gates off", len(probes)) as advance:
        off = identify(client, probes, GATES_OFF, advance)
    with bars.step("Identifying with the gates on", len(probes)) as advance:
        on = identify(client, probes, GATES_ON, advance)
    both = iter(map(Answer, probes, off, on))
    answers = {kind: tuple(next(both) for _ in pictures.probes[kind]) for kind in ProbeKind}
    timings = _time_calls(client, pictures, bars, profile=profile)
    return Result(client.get_gallery(GALLERY), tau, tau_gates_off, outcomes, answers, timings)


def identify(
    client: GalleryClient, pictures: Sequence[Picture], policy: SearchPolicy, advance: Callable[[int], None]
) -> list[Identification]:
    """Identify photographs, one answer each, in their order."""
    answers: list[Identification] = []
    for part in _batches(pictures):
        answers += client.identify_batch(GALLERY, [picture.data for picture in part], policy=policy)
        advance(len(part))
    return answers


def best_similarity(found: Identification) -> float:
    """Return the similarity of the best candidate; -inf where nothing was searched."""
    if found.decision is Decision.UNSURE or not found.candidates:
        return -math.inf
    return found.candidates[0].similarity


def _enroll(client: GalleryClient, pictures: Sequence[Picture], bars: Bars) -> tuple[EnrollmentOutcome, ...]:
    outcomes: list[EnrollmentOutcome] = []
    with bars.step("Enrolling", len(pictures)) as advance:
        items = (Enrollment(picture.shot.person, picture.data) for picture in pictures)
        for outcome in client.enroll_stream(GALLERY, items, batch_size=_BATCH):
            outcomes.append(outcome)
            advance(1)
    return tuple(outcomes)


def _time_calls(client: GalleryClient, pictures: Pictures, bars: Bars, *, profile: str) -> Timings:
    """Time calls that carry one photograph, in a gallery of their own that is deleted afterwards."""
    clear = [picture for picture in pictures.tau_strangers if picture.shot.spoiling is None][:_TIMED_CALLS]
    with bars.step("Timing single calls", 2 * len(clear)) as advance:
        client.create_gallery("timing", profile=profile, tau=_HIGHEST_TAU)
        enrolments = [
            _elapsed_ms(partial(client.enroll, "timing", [Enrollment(picture.shot.person, picture.data)]))
            for picture in clear
        ]
        advance(len(clear))
        client.delete_gallery("timing")
        searches = [_elapsed_ms(partial(client.identify, GALLERY, picture.data)) for picture in clear]
        advance(len(clear))
    return Timings(statistics.median(enrolments), statistics.median(searches))


def _elapsed_ms(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)


def _batches(pictures: Sequence[Picture]) -> Iterable[Sequence[Picture]]:
    return (pictures[start : start + _BATCH] for start in range(0, len(pictures), _BATCH))


def count_dispositions(result: Result, pictures: Sequence[Picture], disposition: Disposition, *, clear: bool) -> int:
    """Count the enrolments from clear or from degraded photographs that ended so."""
    return sum(
        outcome.disposition is disposition and (picture.shot.spoiling is None) == clear
        for picture, outcome in zip(pictures, result.outcomes, strict=True)
    )
