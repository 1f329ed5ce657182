"""A brute-force reference of the mathematics and of search, in plain Python floats (float64) and loops.

It starts from the stored unit rows and shares no code with the package but its plain values (profile, template,
policy). Sums are `math.fsum`: the real sum, rounded once.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ersgallery_index import Decision, Policy, Profile, Template, UnsureReason, Weighting
from numpy.typing import NDArray

Vector = list[float]

SHORTEST = 1e-6


@dataclass(frozen=True)
class Row:
    """One derived row; vector is None where there is no direction."""

    vector: Vector | None
    ers: float
    raw_ers: float


@dataclass(frozen=True)
class Face:
    """One face of the gallery: its ids and its derived row."""

    face_id: int
    subject_id: int
    row: Row


@dataclass(frozen=True)
class Hit:
    """One candidate."""

    subject_id: int
    face_id: int
    score: float
    ers: float


@dataclass(frozen=True)
class Answer:
    """The decision about one probe."""

    decision: Decision
    reasons: tuple[UnsureReason, ...]
    candidates: list[Hit]
    filtered: list[Hit]


@dataclass(frozen=True)
class Comparison:
    """The decision about one pair."""

    decision: Decision
    reasons: tuple[UnsureReason, ...]
    similarity: float | None
    face_id: int | None = None


def dot(left: Sequence[float], right: Sequence[float]) -> float:
    return math.fsum(x * y for x, y in zip(left, right, strict=True))


def unit(vector: Vector) -> Vector | None:
    norm = math.sqrt(dot(vector, vector))
    return [x / norm for x in vector] if norm >= SHORTEST else None


def as_float32(vector: Vector) -> Vector:
    return [float(np.float32(x)) for x in vector]


def without(vector: Vector, direction: Vector) -> Vector:
    share = dot(vector, direction)
    return [x - share * y for x, y in zip(vector, direction, strict=True)]


def span(centroids: NDArray[np.float64]) -> list[Vector]:
    """Return an orthonormal basis of the centroids' span."""
    basis: list[Vector] = []
    for centroid in centroids.tolist():
        if not basis:
            basis.append(centroid)
            continue
        rest = centroid
        for direction in basis:
            rest = without(rest, direction)
        direction_or_none = unit(rest)
        if direction_or_none is not None:
            basis.append(direction_or_none)
    return basis


def derive_unrounded(profile: Profile, enhance: bool, stored: NDArray[np.float32]) -> Row:
    """Centre, score (eq. 1 with the cap), enhance (eq. 6)."""
    vector: Vector | None = [float(x) for x in stored]
    if profile.mean is not None:
        vector = unit([float(x) - m for x, m in zip(stored, profile.mean.tolist(), strict=True)])
    if vector is None:
        return Row(None, 0.0, 0.0)
    raw = 1.0 - max(dot(vector, centroid) for centroid in profile.centroids.tolist())
    ers = max(0.0, min(1.0, raw))
    if enhance:
        for direction in span(profile.centroids):
            vector = without(vector, direction)
        vector = unit(vector)
    return Row(vector, ers, raw)


def derive(profile: Profile, enhance: bool, stored: NDArray[np.float32]) -> Row:
    row = derive_unrounded(profile, enhance, stored)
    return Row(None if row.vector is None else as_float32(row.vector), row.ers, row.raw_ers)


def weights(ers: list[float], weighting: Weighting) -> list[float]:
    ranked = sorted(range(len(ers)), key=lambda i: (-ers[i], i))
    if weighting is Weighting.UNIFORM:
        return [1.0] * len(ers)
    if weighting is Weighting.IDENTITY:
        return list(ers)
    if weighting is Weighting.SQUARE:
        return [e * e for e in ers]
    if weighting is Weighting.SOFTMAX:
        return [math.exp(e) for e in ers]
    best = ranked[:1] if weighting is Weighting.TOP_1 else ranked[: math.ceil(len(ers) / 10)]
    return [e if i in best else 0.0 for i, e in enumerate(ers)]


def aggregate(profile: Profile, enhance: bool, template: Template) -> Row:
    """Pool a template (eq. 5), media by media where wanted."""
    rows = [derive_unrounded(profile, enhance, stored) for stored in template.vectors]
    ers = math.fsum(row.ers for row in rows) / len(rows)
    raw = math.fsum(row.raw_ers for row in rows) / len(rows)
    members = [i for i, row in enumerate(rows) if row.vector is not None]
    weight = dict(zip(members, weights([rows[i].ers for i in members], template.weighting), strict=True))
    groups: dict[object, list[int]] = {}
    for i in members:
        groups.setdefault((template.media[i] or i) if template.media_pooling else "all", []).append(i)
    means: list[Vector] = []
    for group in groups.values():
        total = math.fsum(weight[i] for i in group)
        sums = [math.fsum(weight[i] * (rows[i].vector or [])[axis] for i in group) for axis in range(profile.dimension)]
        means.append([x / total if total > 0 else 0.0 for x in sums])
    if not means:
        return Row(None, ers, raw)
    pooled = unit([math.fsum(column) / len(means) for column in zip(*means, strict=True)])
    return Row(None if pooled is None else as_float32(pooled), ers, raw)


def template_subjects(
    profile: Profile,
    enhance: bool,
    members: Mapping[int, Sequence[tuple[NDArray[np.float32], str]]],
    weighting: Weighting,
    pooling: bool,
) -> list[Face]:
    """Return one row per subject, under the subject's id: the template of its faces (embedding, media) by face id."""
    rows = []
    for subject_id, own in members.items():
        vectors = np.stack([vector for vector, _ in own])
        template = Template(vectors, tuple(media for _, media in own), weighting, pooling)
        rows.append(Face(subject_id, subject_id, aggregate(profile, enhance, template)))
    return rows


def search(
    faces: Sequence[Face], probe: Vector, gate: float, k: int, *, passing: bool = True, by_face: bool = False
) -> list[Hit]:
    """Score every face on one side of the gate, order by (score, lower face id), keep k subjects or faces."""
    hits = [
        Hit(face.subject_id, face.face_id, dot(face.row.vector, probe), face.row.ers)
        for face in faces
        if face.row.vector is not None and (face.row.ers >= gate) == passing
    ]
    hits.sort(key=lambda hit: (-hit.score, hit.face_id))
    kept: list[Hit] = []
    seen: set[int] = set()
    for hit in hits:
        name = hit.face_id if by_face else hit.subject_id
        if name not in seen and len(kept) < k:
            seen.add(name)
            kept.append(hit)
    return kept


def recognizable(row: Row, gamma: float) -> bool:
    return row.vector is not None and row.ers >= gamma


def identify(faces: Sequence[Face], probe: Row, policy: Policy) -> Answer:
    """Decide in the order of eq. 4, eq. 3 and the margin rule."""
    if probe.vector is None or not recognizable(probe, policy.gamma):
        return Answer(Decision.UNSURE, (UnsureReason.PROBE_UNRECOGNIZABLE,), [], [])
    everybody = search(faces, probe.vector, policy.gamma_gallery, len(faces))
    candidates = everybody[: policy.max_candidates]
    filtered: list[Hit] = []
    if policy.include_filtered:
        filtered = search(faces, probe.vector, policy.gamma_gallery, policy.max_candidates, passing=False)
    if not everybody or everybody[0].score < policy.tau:
        return Answer(Decision.NO_MATCH, (), candidates, filtered)
    close = policy.margin is not None and len(everybody) > 1 and everybody[0].score - everybody[1].score < policy.margin
    if close:
        return Answer(Decision.UNSURE, (UnsureReason.AMBIGUOUS,), candidates, filtered)
    return Answer(Decision.MATCH, (), candidates, filtered)


def verify(probe: Row, reference: Row, policy: Policy) -> Comparison:
    """Compare two probes; both must be recognizable."""
    reasons = _failing(recognizable(probe, policy.gamma), recognizable(reference, policy.gamma))
    if reasons or probe.vector is None or reference.vector is None:
        return Comparison(Decision.UNSURE, reasons, None)
    score = dot(probe.vector, reference.vector)
    return Comparison(Decision.MATCH if score >= policy.tau else Decision.NO_MATCH, (), score)


def verify_subject(faces: Sequence[Face], probe: Row, subject_id: int, policy: Policy) -> Comparison:
    """Compare a probe with a subject's best face that passes the gallery gate."""
    own = [face for face in faces if face.subject_id == subject_id]
    some = [face for face in own if face.row.vector is not None and face.row.ers >= policy.gamma_gallery]
    reasons = _failing(recognizable(probe, policy.gamma), bool(some))
    if reasons or probe.vector is None:
        return Comparison(Decision.UNSURE, reasons, None)
    best = search(some, probe.vector, 0.0, 1)[0]
    decision = Decision.MATCH if best.score >= policy.tau else Decision.NO_MATCH
    return Comparison(decision, (), best.score, best.face_id)


def _failing(probe: bool, reference: bool) -> tuple[UnsureReason, ...]:
    reasons = []
    if not probe:
        reasons.append(UnsureReason.PROBE_UNRECOGNIZABLE)
    if not reference:
        reasons.append(UnsureReason.REFERENCE_UNRECOGNIZABLE)
    return tuple(reasons)
