"""Generated galleries that lie as real face embeddings do, of any size, in blocks.

A person is a Gaussian point with the variances measured between people along the axes of their common covariance; a
photograph adds Gaussian noise with those within people, longer for some photographs than for others. A degraded face
keeps a share of its clean view, moves towards one of the profile's UI centroids, and has a rest of its own. All this
is measured on real faces by `python -m tests.benchmarks.fit_geometry` and kept as statistics beside this file: no row
of a person is in it. Last, everything is turned by a random rotation, since the axes of a model are not those of a
covariance.
"""

import json
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from ersgallery_index import Derivation, Profile
from numpy.typing import NDArray

FloatRows = NDArray[np.float32]
Float64 = NDArray[np.float64]
Ids = NDArray[np.int64]

BLOCK_ROWS = 8000
STATISTICS = Path(__file__).with_name("geometry_mobilefacenet.json")
_DRAWN_AHEAD = min(4, os.cpu_count() or 1)
_UNRECOGNIZABLE_RANKS = 0.1
"""Unrecognizable rows keep as little of the face as the worst tenth of the degraded ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """Statistics of unit embeddings along the axes of their covariance, d of each.

    mean (d,): of clean rows. between, within (d,): variances. lengths: quantiles of the length of a photograph's
    noise, relative to that of `within`. centroids (K, d) unit, gamma: the profile's. kept, toward, rest: of degraded
    faces by rank, worst first: share of the clean view, pull to the nearest UI centroid, length of the rest. residual
    (d,): variances of the rest's direction, which sum to 1. measured: figures of the real faces to compare with.
    """

    model: str
    mean: Float64
    between: Float64
    within: Float64
    lengths: Float64
    centroids: Float64
    gamma: float
    kept: Float64
    toward: Float64
    rest: Float64
    residual: Float64
    measured: dict[str, float]

    @property
    def dimension(self) -> int:
        """Numbers per embedding."""
        return len(self.mean)

    @classmethod
    def load(cls, path: Path = STATISTICS) -> "Geometry":
        """Read what `save` wrote."""
        content = json.loads(path.read_text(encoding="utf-8"))
        arrays = {name: np.array(value) for name, value in content.items() if isinstance(value, list)}
        return cls(**{**content, **arrays})

    def save(self, path: Path = STATISTICS) -> None:
        """Write the statistics with five digits."""
        content = {name: _plain(getattr(self, name)) for name in self.__slots__}
        path.write_text(json.dumps(content, indent=None).replace("], ", "],\n") + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Consecutive faces of a gallery: subject_ids (n,) and raw unit embeddings (n, d) float32."""

    subject_ids: Ids
    rows: FloatRows


@dataclass(frozen=True, slots=True)
class Crowd:
    """A gallery of one face for each of `people` subjects, and probes for it; the same for the same values.

    degraded, unrecognizable: shares of the enrolled faces that are so; the others are clean.
    """

    geometry: Geometry
    people: int
    seed: int = 0
    degraded: float = 0.1
    unrecognizable: float = 0.02

    @property
    def profile(self) -> Profile:
        """Return the profile that measures recognizability here."""
        return Profile(
            "generated", (self.geometry.centroids @ self._rotation()).astype(np.float64), self.geometry.gamma
        )

    @property
    def derivation(self) -> Derivation:
        """Return how rows are derived."""
        return Derivation(self.profile)

    def blocks(self) -> Iterator[Block]:
        """Yield all enrolled faces; subjects are numbered from 1. Every core draws blocks that come next."""
        draw = partial(self._block, self._rotation())
        numbers = iter(range(-(-self.people // BLOCK_ROWS)))
        with ThreadPoolExecutor(_DRAWN_AHEAD) as pool:
            ahead = deque(pool.submit(draw, number) for number in islice(numbers, _DRAWN_AHEAD))
            while ahead:
                block = ahead.popleft().result()
                ahead.extend(pool.submit(draw, number) for number in islice(numbers, 1))
                yield block

    def _block(self, rotation: FloatRows, number: int) -> Block:
        count = min(BLOCK_ROWS, self.people - number * BLOCK_ROWS)
        random = np.random.default_rng([self.seed, 1, number])
        rows = _photographs(self.geometry, self._persons(number)[:count], random)
        kinds = random.random(count)
        worst = kinds < self.unrecognizable
        spoilt = worst | (kinds < self.unrecognizable + self.degraded)
        ranks = np.where(worst, _UNRECOGNIZABLE_RANKS, 1.0) * random.random(count)
        rows[spoilt] = _spoil(self.geometry, rows[spoilt], ranks[spoilt], random)
        return Block(np.arange(count, dtype=np.int64) + number * BLOCK_ROWS + 1, rows @ rotation)

    def mated(self, count: int, *, degraded: float = 0.2) -> Block:
        """Return other photographs of enrolled people, a share of them degraded, and whose they are."""
        random = np.random.default_rng([self.seed, 2, count])
        # A few blocks only: a block's people must be drawn again to photograph one of them.
        numbers = np.unique(random.integers(0, -(-self.people // BLOCK_ROWS), 8))
        shares = np.array_split(np.arange(count), len(numbers))
        subjects, rows = [], []
        for number, share in zip(numbers.tolist(), shares, strict=True):
            persons = self._persons(number)[: self.people - number * BLOCK_ROWS]
            chosen = random.integers(0, len(persons), len(share))
            subjects.append(chosen + number * BLOCK_ROWS + 1)
            rows.append(persons[chosen])
        return Block(np.concatenate(subjects), self._probes(np.concatenate(rows), degraded, random))

    def strangers(self, count: int, *, degraded: float = 0.2) -> FloatRows:
        """Return photographs (count, d) of people who are not enrolled, a share of them degraded."""
        random = np.random.default_rng([self.seed, 3, count])
        return self._probes(_people(self.geometry, count, random), degraded, random)

    def probes(self, count: int) -> FloatRows:
        """Return probes (count, d) in turn of enrolled people and of strangers."""
        rows = np.empty((count, self.geometry.dimension), np.float32)
        rows[::2] = self.mated(count - count // 2).rows
        rows[1::2] = self.strangers(count // 2)
        return rows

    def _probes(self, persons: FloatRows, degraded: float, random: np.random.Generator) -> FloatRows:
        rows = _photographs(self.geometry, persons, random)
        spoilt = random.random(len(rows)) < degraded
        rows[spoilt] = _spoil(self.geometry, rows[spoilt], random.random(int(spoilt.sum())), random)
        return rows @ self._rotation()

    def _persons(self, block: int) -> FloatRows:
        """Return the people of a block: always the whole block, so that it does not depend on how many are enrolled."""
        return _people(self.geometry, BLOCK_ROWS, np.random.default_rng([self.seed, 0, block]))

    def _rotation(self) -> FloatRows:
        random = np.random.default_rng([self.seed, 4])
        square = random.standard_normal((self.geometry.dimension, self.geometry.dimension))
        return np.asarray(np.linalg.qr(square)[0], np.float32)


def unit(rows: FloatRows) -> FloatRows:
    """Return rows (n, d) at unit length."""
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def _people(geometry: Geometry, count: int, random: np.random.Generator) -> FloatRows:
    rows = random.standard_normal((count, geometry.dimension), dtype=np.float32)
    rows *= np.sqrt(geometry.between).astype(np.float32)
    rows += geometry.mean.astype(np.float32)
    return rows


def _photographs(geometry: Geometry, persons: FloatRows, random: np.random.Generator) -> FloatRows:
    noise = random.standard_normal(persons.shape, dtype=np.float32)
    noise *= np.sqrt(geometry.within).astype(np.float32)
    noise *= _at(geometry.lengths, random.random(len(persons)))
    noise += persons
    return unit(noise)


def _spoil(geometry: Geometry, clean: FloatRows, ranks: Float64, random: np.random.Generator) -> FloatRows:
    centroids = geometry.centroids.astype(np.float32)
    rest = random.standard_normal(clean.shape, dtype=np.float32) * np.sqrt(geometry.residual).astype(np.float32)
    place = centroids[random.integers(0, len(centroids), len(clean))]
    kept, toward, length = (_at(table, ranks) for table in (geometry.kept, geometry.toward, geometry.rest))
    return unit(np.asarray(kept * clean + toward * place + length * rest, np.float32))


def _at(quantiles: Float64, ranks: Float64) -> FloatRows:
    """Return the values at ranks 0..1 as a column."""
    places = np.linspace(0.0, 1.0, len(quantiles))
    return np.interp(ranks, places, quantiles).astype(np.float32)[:, None]


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        return [[_digits(x) for x in row] if isinstance(row, list) else _digits(row) for row in value.tolist()]
    return value


def _digits(value: float) -> float:
    return float(f"{value:.5g}")
