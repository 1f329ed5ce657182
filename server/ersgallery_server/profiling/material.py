"""What a calibration works on: labelled embeddings that make and test a profile, and the images behind them."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from ersgallery_index.calibration.faces import CLEAN, NOBODY, FaceSet, Progress
from numpy.typing import NDArray

from ersgallery_server.faces.degrade import Degradation
from ersgallery_server.models.errors import CalibrationFailed
from ersgallery_server.profiling.aligned_faces import AlignedFaces
from ersgallery_server.profiling.amount import notes_of
from ersgallery_server.profiling.samples import Embed, Sample, Samples, SamplingPlan, choose_samples, view

KIND_NAMES = tuple(kind.value for kind in Degradation)
_BATCH = 32
_PLACES = {kind: place for place, kind in enumerate(Degradation)}

Show = Callable[[int], NDArray[np.uint8]]
"""Returns the (112, 112, 3) uint8 RGB crop behind a row of a set of faces."""


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """A set of faces, and how to see them; show is None for embeddings whose images nobody has."""

    faces: FaceSet
    show: Show | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Everything a calibration is given.

    making, testing: of different people. wild: crops as they are, which are also part of making. ui_set: given
    unrecognizable faces, so that nothing is clustered. data: what was read, with digests. notes: for the user.
    """

    making: Faces
    testing: Faces
    wild: Faces | None = None
    ui_set: Faces | None = None
    data: tuple[dict[str, str], ...] = ()
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class ImageSources:
    """Images to calibrate on: clean faces by identity, and at most one of crops from the wild and a given UI set."""

    faces: AlignedFaces
    wild: AlignedFaces | None = None
    ui_set: AlignedFaces | None = None


def require_people(faces: AlignedFaces, least: int) -> None:
    """Raise CalibrationFailed unless half of the people are enough to make a profile, and the others to test it."""
    people = len(faces.by_identity())
    if people < 2 * least:
        raise CalibrationFailed(
            f"{people} people were given; {2 * least} are needed: {least} to make it, {least} to test it"
        )


def embed_sources(
    sources: ImageSources, embed: Embed, plan: SamplingPlan, seed: int, progress: Progress | None = None
) -> Material:
    """Draw, degrade and embed. Raises CalibrationFailed for images that cannot be read."""
    samples = choose_samples(sources.faces, plan, seed, degraded=sources.wild is None and sources.ui_set is None)
    parts = [
        _Part(sources.faces, samples.making, seed, 1),
        _Part(sources.faces, samples.testing, seed, 2),
        *(_Part.as_they_are(given, seed) for given in (sources.wild, sources.ui_set) if given is not None),
    ]
    bar = _Bar(sum(len(part.samples) for part in parts), progress)
    making, testing, *given = [part.embed(embed, bar) for part in parts]
    wild = given[0] if sources.wild is not None else None
    return Material(
        making=making if wild is None else together(making, wild),
        testing=testing,
        wild=wild,
        ui_set=given[-1] if sources.ui_set is not None else None,
        notes=(*_notes(samples), *(() if given else notes_of(making.faces, plan.degraded_share))),
    )


class _Bar:
    """Progress over several parts."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def advance(self, count: int) -> None:
        self._done += count
        if self._progress:
            self._progress(self._done, self._total)


@dataclass(frozen=True, slots=True)
class _Part:
    """Samples of one source; view i is degraded by a generator of (seed, number, i), so that it can be seen again."""

    source: AlignedFaces
    samples: tuple[Sample, ...]
    seed: int
    number: int
    labelled: bool = True

    @classmethod
    def as_they_are(cls, source: AlignedFaces, seed: int) -> "_Part":
        return cls(source, tuple(Sample(name, NOBODY) for name in source.names), seed, 3, labelled=False)

    def show(self, row: int) -> NDArray[np.uint8]:
        return view(self.source, self.samples[row], np.random.default_rng([self.seed, self.number, row]))

    def embed(self, embed: Embed, bar: _Bar) -> Faces:
        raw: list[NDArray[np.float32]] = []
        for start in range(0, len(self.samples), _BATCH):
            rows = range(start, min(start + _BATCH, len(self.samples)))
            raw.append(embed(np.stack([self.show(row) for row in rows])))
            bar.advance(len(rows))
        return Faces(self._labelled(np.concatenate(raw) if raw else np.empty((0, 0), np.float32)), self.show)

    def _labelled(self, raw: NDArray[np.float32]) -> FaceSet:
        if not self.labelled:
            return FaceSet.of_raw(raw, kind_names=KIND_NAMES)
        return FaceSet.of_raw(
            raw,
            np.array([sample.identity for sample in self.samples], np.int64),
            np.array([CLEAN if sample.kind is None else _PLACES[sample.kind] for sample in self.samples], np.int16),
            np.array([sample.severity for sample in self.samples]),
            KIND_NAMES,
        )


def together(first: Faces, second: Faces) -> Faces:
    """Return the faces of both; raises CalibrationFailed where their models or kinds differ."""
    show, other, count = first.show, second.show, len(first.faces)
    joined = FaceSet.concatenate([first.faces, second.faces])
    if show is None or other is None:
        return Faces(joined)
    return Faces(joined, lambda row: show(row) if row < count else other(row - count))


def _notes(samples: Samples) -> tuple[str, ...]:
    if not samples.unused:
        return ()
    text = (
        f"{samples.unused} further photographs of the people who make the profile were not used: one clean image of "
        "each keeps a person's own photographs from forming a cluster"
    )
    return (text,)
