"""Results that follow from others: comparisons with figures that were measured apart."""

from collections.abc import Iterable

from tests.benchmarks.results import Result

_INSIGHTFACE_PER_S = {
    "faces": {100_000: 496.0, 1_000_000: 51.8},
    "grouped": {100_000: 30.0, 1_000_000: 1.7},
}
"""Probes a second of InsightFace Server 0.2's native index on two such cores, one per call, top 10: int8 faces, and
the best of what its server calls, grouped by person."""


def derived(results: Iterable[Result]) -> list[Result]:
    """Return how much faster our fastest kind answers one probe at a time than InsightFace Server's index did."""
    fastest: dict[int, Result] = {}
    for result in results:
        step, _, rest = result.key.partition("/")
        kind_faces_batch = rest.split("/")
        if step != "index" or len(kind_faces_batch) != 4 or kind_faces_batch[2:] != ["1", "flat-tuned"]:
            continue
        faces = int(kind_faces_batch[1])
        if faces not in fastest or result.figures["probes_per_s"] > fastest[faces].figures["probes_per_s"]:
            fastest[faces] = result
    return [
        _compared(way, faces, per_s, fastest[faces])
        for way, rates in _INSIGHTFACE_PER_S.items()
        for faces, per_s in rates.items()
        if faces in fastest
    ]


def _compared(way: str, faces: int, per_s: float, ours: Result) -> Result:
    mine = ours.figures["probes_per_s"]
    return Result(
        f"insightface/{faces}/{way}",
        ours.what,
        f"InsightFace Server's native index, {way}",
        round(mine / per_s, 4),
        figures={"probes_per_s": mine, "theirs_per_s": per_s},
        note="theirs was measured earlier on a machine of the same kind",
    )
