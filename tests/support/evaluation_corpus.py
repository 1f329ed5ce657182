"""A generated corpus: clean faces around people, degraded ones pulled towards a common place."""

from dataclasses import replace

import numpy as np
from ersgallery_server.evaluation.bench import Bench
from ersgallery_server.evaluation.corpus import CLEAN, UNKNOWN, Corpus
from ersgallery_server.evaluation.plan import Part, Role
from numpy.typing import NDArray

DIMENSION = 64
_PARTS, _ROLES = tuple(Part), tuple(Role)


def corpus(people: int = 500, photographs: int = 3, seed: int = 0) -> Corpus:
    """Return people dealt into three parts, with a clean and a degraded view of each photograph, frames and levels."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(people, DIMENSION))
    place = np.random.default_rng(99).normal(size=DIMENSION)
    columns: list[tuple[str, int, Part, Role, int, float]] = []
    for who in range(people):
        part = Part.MAKING if who % 10 < 3 else Part.VALIDATION if who % 10 < 5 else Part.TEST
        for shot in range(1 if part is Part.MAKING else photographs):
            name = f"p{who:04}/{shot}"
            columns.append((name, who, part, Role.SINGLE, CLEAN, 0.0))
            columns.append((name, who, part, Role.SINGLE, int(rng.integers(8)), float(rng.uniform(0.2, 1.0))))
            if part is Part.TEST:
                columns.append((name, who, part, Role.FRAME, int(rng.integers(8)), float(rng.uniform(0.2, 1.0))))
                if shot == 0 and who % 20 == 9:
                    columns += [(name, who, part, Role.LEVEL, k, s) for k in range(8) for s in (0.5, 1.0)]
    names, identities, parts, roles, kinds, severities = zip(*columns, strict=True)
    pull = np.array(severities)[:, None] ** 2 * 40.0
    own = centres[list(identities)] + 0.5 * rng.normal(size=(len(columns), DIMENSION))
    raw = own + pull * place / np.linalg.norm(place)
    return Corpus(
        model="toy",
        names=names,
        people=tuple(f"p{who:04}" for who in range(people)),
        identities=np.array(identities, np.int64),
        parts=np.array([_PARTS.index(part) for part in parts], np.int8),
        roles=np.array([_ROLES.index(role) for role in roles], np.int8),
        kinds=np.array(kinds, np.int8),
        severities=np.array(severities),
        raw=raw.astype(np.float32),
        sharpness=100.0 * (1.0 - np.array(severities)) + rng.random(len(columns)),
        detector_scores=np.clip(1.0 - 0.5 * np.array(severities) + 0.1 * rng.normal(size=len(columns)), 0, 1),
    )


def bystanders(count: int = 200, seed: int = 1) -> Corpus:
    """Return unlabelled faces, half of them poor."""
    rng = np.random.default_rng(seed)
    place = np.random.default_rng(99).normal(size=DIMENSION)
    raw = rng.normal(size=(count, DIMENSION)) + (np.arange(count) % 2)[:, None] * 40.0 * place / np.linalg.norm(place)
    return Corpus(
        model="toy",
        names=tuple(f"{i}" for i in range(count)),
        people=(),
        identities=np.full(count, -1, np.int64),
        parts=np.full(count, _PARTS.index(Part.WILD), np.int8),
        roles=np.zeros(count, np.int8),
        kinds=np.full(count, UNKNOWN, np.int8),
        severities=np.full(count, np.nan),
        raw=raw.astype(np.float32),
        sharpness=rng.random(count) * 100.0,
        detector_scores=rng.random(count),
    )


def only(bench: Bench, kept: NDArray[np.bool_]) -> Bench:
    """Return a bench without the other faces, under the same profile."""
    faces, derived = bench.corpus, bench.derived
    columns = ("identities", "parts", "roles", "kinds", "severities", "raw", "sharpness", "detector_scores")
    fewer = replace(
        faces,
        names=tuple(np.array(faces.names)[kept].tolist()),
        **{name: getattr(faces, name)[kept] for name in columns},
    )
    names = ("vectors", "ers", "raw_ers", "usable")
    return replace(
        bench, corpus=fewer, derived=replace(derived, **{name: getattr(derived, name)[kept] for name in names})
    )
