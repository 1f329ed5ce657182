"""The demo's table for people, and the commands to go on with."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from tests.demo.figures import ARMS, OUTCOMES
from tests.demo.protocol import ProbeKind

KIND_NAMES = {
    ProbeKind.CLEAR_MATED: "clear, enrolled person",
    ProbeKind.CLEAR_STRANGER: "clear, stranger",
    ProbeKind.DEGRADED_MATED: "degraded, enrolled person",
    ProbeKind.DEGRADED_STRANGER: "degraded, stranger",
}
_HEADINGS = ("MATCH right", "MATCH wrong", "NO_MATCH", "UNSURE")


def figures_table(summary: Mapping[str, Any]) -> Table:
    """Return the shares in percent, a row for each kind of probe and setting of the gates."""
    table = Table(title="What was decided, in % of the probes")
    table.add_column("Probe")
    table.add_column("Gates")
    for heading in (*_HEADINGS, "n", "people"):
        table.add_column(heading, justify="right")
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
    gallery_line = (
        f"Gallery: {gallery['subjects']} people, {gallery['from_degraded_photographs']} of them enrolled from a "
        f"degraded photograph; {gallery['degraded_low_ers']} of these and {gallery['clear_low_ers']} of the clear "
        "ones are below gamma and kept out of the search."
    )
    thresholds_line = (
        f"gamma {summary['gamma']:g} comes with the profile {summary['versions']['profile']}; tau {tau['value']:g} was "
        f"set by {tau['strangers']} other strangers (FPIR {tau['fpir_asked_for']:.0%})."
    )
    detection_line = f"{without_face} probes have no face that the detector finds; they count as UNSURE in both rows."
    time_line = (
        f"One enrolment {timings['one_enrolment_ms']:g} ms, one identification {timings['one_identification_ms']:g} ms "
        f"(a photograph each, over gRPC); the demo took {timings['demo_s']:.0f} s."
    )
    return [gallery_line, thresholds_line, detection_line, time_line]


def _percent(share: float, *, wrong: bool) -> str:
    text = f"{100 * share:.1f}"
    return f"[red]{text}[/red]" if wrong and share > 0 else text
