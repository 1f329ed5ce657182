"""The demo's table for people, and the commands to go on with."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table

from tests.demo.figures import ARMS, OUTCOMES
from tests.demo.protocol import ProbeKind

KIND_NAMES = {
    ProbeKind.CLEAR_MATED: "clear, enrolled",
    ProbeKind.CLEAR_STRANGER: "clear, stranger",
    ProbeKind.DEGRADED_MATED: "degraded, enrolled",
    ProbeKind.DEGRADED_STRANGER: "degraded, stranger",
}
_HEADINGS = ("MATCH right", "MATCH wrong", "NO_MATCH", "UNSURE")


def figures_table(summary: Mapping[str, Any]) -> Table:
    """Return the shares in percent, a row for each kind of probe and setting of the gates."""
    table = Table(title="What was decided, in % of the probes", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Probe", no_wrap=True)
    table.add_column("Gates", no_wrap=True)
    for heading in (*_HEADINGS, "n", "people"):
        table.add_column(heading, justify="right", min_width=max(map(len, heading.split())))
    for kind in ProbeKind:
        for arm in ARMS:
            first = arm == "gates_off"
            counts = summary[kind.value][arm]
            table.add_row(
                KIND_NAMES[kind] if first else "",
                arm.removeprefix("gates_"),
                *(_percent(counts[name], wrong=name == "match_wrong") for name in OUTCOMES),
                str(counts["n"]),
                str(summary[kind.value]["subjects"]),
                end_section=not first,
            )
    return table


def remarks(summary: Mapping[str, Any]) -> list[str]:
    """Return what must be known to read the table."""
    gallery, tau, timings = summary["gallery"], summary["tau"], summary["timings"]
    without_face = sum(summary[kind.value]["without_face"] for kind in ProbeKind)
    wrong = summary["false_matches"]["gates_off"]
    gallery_line = (
        f"Gallery: {gallery['subjects']} people, {gallery['from_degraded_photographs']} of them enrolled from a "
        f"degraded photograph; {gallery['degraded_low_ers']} of these and {gallery['clear_low_ers']} of the clear "
        "ones are below gamma and kept out of the search."
    )
    thresholds_line = (
        f"gamma {summary['gamma']:g} comes with the profile {summary['versions']['profile']}; tau {tau['value']:g} was "
        f"set by {tau['strangers']} other strangers (FPIR {100 * tau['fpir_asked_for']:g} %)."
    )
    mechanism_line = (
        f"With the gates off {wrong['all']} degraded strangers match, {wrong['with_face_below_gamma_gallery']} of them "
        "with an enrolled face below gamma."
    )
    detection_line = f"Probes without a face that the detector finds, UNSURE in both rows: {without_face}."
    time_line = (
        f"One enrolment {timings['one_enrolment_ms']:g} ms, one identification {timings['one_identification_ms']:g} ms "
        f"(a photograph each, over gRPC); the demo took {timings['demo_s']:.0f} s."
    )
    return [gallery_line, thresholds_line, mechanism_line, detection_line, time_line]


def _percent(share: float, *, wrong: bool) -> str:
    text = f"{100 * share:.1f}"
    return f"[red]{text}[/red]" if wrong and share > 0 else text
