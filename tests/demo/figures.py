"""Count what was decided: the demo's figures as plain values for JSON."""

import os
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata
from typing import Any

from ersgallery_client import Decision, Disposition, Identification

from tests.demo.protocol import ProbeKind
from tests.demo.run import Answer, Pictures, Result, best_similarity, count_dispositions
from tests.demo.settings import Settings
from tests.demo.tau import allowed

OUTCOMES = ("match_right", "match_wrong", "no_match", "unsure")
ARMS: dict[str, Callable[[Answer], Identification]] = {
    "gates_off": lambda answer: answer.gates_off,
    "gates_on": lambda answer: answer.gates_on,
}


def outcome(found: Identification, person: str, *, mated: bool) -> str:
    """Name what was decided; a MATCH of somebody who is not enrolled is always wrong."""
    if found.decision is Decision.MATCH:
        return "match_right" if mated and found.candidates[0].subject_id == person else "match_wrong"
    return "no_match" if found.decision is Decision.NO_MATCH else "unsure"


def shares(answers: Sequence[Answer], kind: ProbeKind, arm: str) -> dict[str, float | int]:
    """Return the share of each outcome, and n; the shares are 0 where n is 0."""
    counts = Counter(outcome(ARMS[arm](answer), answer.picture.shot.person, mated=kind.mated) for answer in answers)
    n = len(answers)
    return {**{name: counts[name] / n if n else 0.0 for name in OUTCOMES}, "n": n}


def summarize(
    result: Result, pictures: Pictures, settings: Settings, left_out: Mapping[str, int], seconds: float
) -> dict[str, Any]:
    """Return everything the summary file says; the four kinds of probes come first."""
    kinds: dict[str, Any] = {kind.value: _kind(result.answers[kind], kind) for kind in ProbeKind}
    policy = result.gallery.effective
    return {
        **kinds,
        "by_degradation": _split(result, _spoilt_by),
        "by_severity": _split(result, lambda answer: f"{answer.picture.severity:.1f}"),
        "gamma": policy.gamma,
        "gamma_gallery": policy.gamma_gallery,
        "tau": _tau(result, settings),
        "false_matches": explain_false_matches(result.answers, policy.gamma_gallery),
        "only_tau": higher_tau_instead(result.answers),
        "gallery": _gallery(result, pictures),
        "photographs_left_out": dict(left_out),
        "timings": {
            "one_enrolment_ms": round(result.timings.enrolment_ms, 1),
            "one_identification_ms": round(result.timings.identification_ms, 1),
            "demo_s": round(seconds, 1),
        },
        "settings": {
            "seed": settings.seed,
            "severities_asked_for": list(settings.grades),
            "severity_step_while_no_face_is_found": settings.step,
            "mildest_severity": settings.mildest,
        },
        "versions": _versions(result),
    }


def higher_tau_instead(answers: Mapping[ProbeKind, Sequence[Answer]]) -> dict[str, float]:
    """Say what a higher tau alone, without gates, would cost.

    tau: the least at which no more degraded strangers match with the gates off than do with them on. clear_mated: the
    share of clear mated probes that still match rightly at it with the gates off.
    """
    strangers, mated = answers[ProbeKind.DEGRADED_STRANGER], answers[ProbeKind.CLEAR_MATED]
    matched_on = sum(answer.gates_on.decision is Decision.MATCH for answer in strangers)
    similarities = sorted((best_similarity(answer.gates_off) for answer in strangers), reverse=True)
    bound = similarities[matched_on] if matched_on < len(similarities) else -1.0
    right = sum(
        best_similarity(answer.gates_off) > bound
        and outcome(answer.gates_off, answer.picture.shot.person, mated=True) == "match_right"
        for answer in mated
    )
    return {"tau": max(bound, -1.0), "clear_mated_match_right": right / len(mated) if mated else 0.0}


def explain_false_matches(
    answers: Mapping[ProbeKind, Sequence[Answer]], gamma_gallery: float
) -> dict[str, dict[str, int]]:
    """Say with whom degraded strangers match: how many do, and how many of these with a face below gamma_gallery."""
    counts: dict[str, dict[str, int]] = {}
    for arm, decided in ARMS.items():
        matches = [found.match for found in map(decided, answers[ProbeKind.DEGRADED_STRANGER]) if found.match]
        below = sum(match.ers < gamma_gallery for match in matches)
        counts[arm] = {"all": len(matches), "with_face_below_gamma_gallery": below}
    return counts


def _kind(answers: Sequence[Answer], kind: ProbeKind) -> dict[str, Any]:
    return {
        **{arm: shares(answers, kind, arm) for arm in ARMS},
        "subjects": len({answer.picture.shot.person for answer in answers}),
        "photographs": len({answer.picture.shot.photograph for answer in answers}),
        **({"right_person_first": _right_person_first(answers)} if kind.mated else {}),
        # Of these there is nothing to decide; they count as unsure in both arms.
        "without_face": sum(answer.gates_on.probe is None for answer in answers),
    }


def _right_person_first(answers: Sequence[Answer]) -> float:
    """Return the share of probes whose best candidate with the gates off is the right person, whatever tau says."""
    right = sum(
        bool(candidates := answer.gates_off.candidates) and candidates[0].subject_id == answer.picture.shot.person
        for answer in answers
    )
    return right / len(answers) if answers else 0.0


def _split(result: Result, key: Callable[[Answer], str]) -> dict[str, dict[str, Any]]:
    """Return the shares of the degraded probes by something about them."""
    split: dict[str, dict[str, Any]] = {}
    for kind in (ProbeKind.DEGRADED_MATED, ProbeKind.DEGRADED_STRANGER):
        groups: dict[str, list[Answer]] = {}
        for answer in result.answers[kind]:
            groups.setdefault(key(answer), []).append(answer)
        split[kind.value] = {
            name: {arm: shares(group, kind, arm) for arm in ARMS} for name, group in sorted(groups.items())
        }
    return split


def _spoilt_by(answer: Answer) -> str:
    spoiling = answer.picture.shot.spoiling
    return spoiling.kind.value.lower() if spoiling else "clear"


def _tau(result: Result, settings: Settings) -> dict[str, float | int]:
    return {
        "value": result.tau,
        "fpir_asked_for": settings.fpir,
        "strangers": settings.tau_strangers,
        "strangers_that_match": allowed(settings.tau_strangers, settings.fpir) - 1,
        "same_rule_with_gates_off": result.tau_gates_off,
    }


def _gallery(result: Result, pictures: Pictures) -> dict[str, int]:
    def count(disposition: Disposition, *, clear: bool) -> int:
        return count_dispositions(result, pictures.enrolled, disposition, clear=clear)

    counts = result.gallery.counts
    return {
        "subjects": counts.subjects,
        "faces": counts.faces,
        "searchable_faces": counts.searchable_faces,
        "from_clear_photographs": sum(picture.shot.spoiling is None for picture in pictures.enrolled),
        "from_degraded_photographs": sum(picture.shot.spoiling is not None for picture in pictures.enrolled),
        "clear_low_ers": count(Disposition.LOW_ERS, clear=True),
        "clear_rejected": count(Disposition.REJECTED, clear=True),
        "degraded_low_ers": count(Disposition.LOW_ERS, clear=False),
        "degraded_rejected": count(Disposition.REJECTED, clear=False),
    }


def _versions(result: Result) -> dict[str, Any]:
    return {
        "ersgallery": metadata.version("ersgallery"),
        "model": result.gallery.model,
        "profile": result.gallery.profile,
        "index": f"{result.gallery.index.kind} on {result.gallery.index.device}, {result.gallery.index.precision}",
        **_installed(("onnxruntime", "faiss-cpu", "faiss-gpu", "grpcio", "numpy")),
        "python": platform.python_version(),
        "cores": os.cpu_count() or 1,
    }


def _installed(names: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
