"""Generated faces of people of whom some are degraded: those gather around places that are not the mean."""

from dataclasses import dataclass

import numpy as np
from ersgallery_index.calibration import CLEAN, FaceSet
from numpy.typing import NDArray

KIND_NAMES = ("BLUR", "NOISE", "DARK", "COVER")


@dataclass(frozen=True)
class World:
    """How embeddings lie.

    places: how many places unrecognizable faces gather in. even: whether the kinds are shared out evenly among them, or
    the last place has the first kind alone. offset: length of what all embeddings have in common.
    """

    dimension: int = 64
    places: int = 1
    even: bool = False
    offset: float = 0.0
    seed: int = 0

    def draw(self, people: range, *, images: int = 1, degraded: int = 0, pull: float = 6.0) -> FaceSet:
        """Return `images` clean faces of each person, and one degraded face of each of the first `degraded` people."""
        rng = np.random.default_rng([self.seed, people.start])
        directions = np.random.default_rng(self.seed).normal(size=(self.places + 1, self.dimension))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        centres = {who: _unit(np.random.default_rng([self.seed, 7, who]).normal(size=self.dimension)) for who in people}
        identities = np.array([who for who in people for _ in range(images)], np.int64)
        clean = self._of(identities, centres) + 0.05 * rng.normal(size=(len(identities), self.dimension))
        spoilt_people = np.array(list(people)[:degraded], np.int64)
        kinds = np.arange(degraded) % len(KIND_NAMES)
        place = kinds % self.places if self.even else np.where(kinds == 0, self.places - 1, 0)
        spoilt = self._of(spoilt_people, centres) + pull * directions[place]
        raw = np.concatenate([clean, spoilt / np.maximum(np.linalg.norm(spoilt, axis=1, keepdims=True), 1e-9)])
        raw = raw + self.offset * directions[-1]
        return FaceSet.of_raw(
            raw.astype(np.float32),
            np.concatenate([identities, spoilt_people]),
            np.concatenate([np.full(len(identities), CLEAN), kinds]).astype(np.int16),
            np.concatenate([np.zeros(len(identities)), np.full(degraded, 0.9)]),
            KIND_NAMES,
        )

    def _of(self, people: NDArray[np.int64], centres: dict[int, NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.array([centres[who] for who in people.tolist()]).reshape(len(people), self.dimension)


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector / np.linalg.norm(vector), np.float64)
