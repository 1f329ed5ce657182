"""What every protocol works on: a corpus, the profile made of its other parts, and what the faces come to under it."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from ersgallery_index import Derivation, Derived, Profile
from ersgallery_index.calibration import BuildPlan, BuiltProfile, FaceSet, Progress, build_profile
from numpy.typing import NDArray

from ersgallery_server.evaluation.corpus import CLEAN, KINDS, UNKNOWN, Corpus
from ersgallery_server.evaluation.plan import EvaluationPlan, Part, Role
from ersgallery_server.faces.degrade import Degradation


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """One corpus under one profile. wild: unlabelled faces of the same model, or None.

    derived: the corpus under the profile, row by row: vectors, ers, raw_ers, usable. wild_px (w,): size of each
    unlabelled face in its photograph in pixels, where it is known.
    """

    corpus: Corpus
    wild: Corpus | None
    plan: EvaluationPlan
    built: BuiltProfile
    derived: Derived = field(repr=False)
    wild_px: NDArray[np.float64] | None = None

    @property
    def profile(self) -> Profile:
        """Return the profile: mean, UI centroids and gamma, from identities that are not in the test."""
        return self.built.profile

    @property
    def mixed(self) -> NDArray[np.bool_]:
        """Return the test of single photographs: one view of each, degraded for a share of them."""
        return self.mixture(Part.TEST, "mixed")

    def mixture(self, part: Part, purpose: str) -> NDArray[np.bool_]:
        """Return one view of every photograph of a part, degraded for a share of them that a purpose draws."""
        single = self.corpus.of(part, Role.SINGLE)
        if not single.any():
            return single
        names = np.array(self.corpus.names)
        photographs = np.unique(names[single])
        drawn = self.rng(purpose).random(len(photographs)) < self.plan.degraded_share
        shown_degraded = drawn[np.minimum(np.searchsorted(photographs, names), len(photographs) - 1)]
        return np.asarray(single & (shown_degraded != self.corpus.clean), np.bool_)

    def kind_name(self, kind: int) -> str:
        """Return the name of a kind of degradation for people, marked * where no profile ever sees it."""
        if kind == UNKNOWN:
            return "of unknown kind"
        words = KINDS[kind].value.lower().replace("_", " ")
        return f"{words} *" if KINDS[kind] in self.plan.unseen else words

    def rng(self, purpose: str) -> np.random.Generator:
        """Return the generator of one purpose, the same in every run."""
        return np.random.default_rng([self.plan.seed, zlib.crc32(purpose.encode())])


def make_bench(corpus: Corpus, wild: Corpus | None, plan: EvaluationPlan, progress: Progress | None = None) -> Bench:
    """Make the profile from the parts MAKING and VALIDATION and derive the corpus. Raises CalibrationFailed."""
    built = build_profile(
        corpus.model,
        face_set(corpus, making(corpus, plan)),
        face_set(corpus, validating(corpus, plan)),
        BuildPlan(max_clean_below=plan.max_clean_below, seed=plan.seed),
        progress,
    )
    return Bench(corpus, wild, plan, built, Derivation(built.profile).derive(corpus.rows))


def making(corpus: Corpus, plan: EvaluationPlan, kinds: Sequence[Degradation] | None = None) -> NDArray[np.bool_]:
    """Return which faces make a profile: a clean view of each identity, and a degraded one of a share of them.

    kinds: of the degraded views, by default all but the unseen ones.
    """
    allowed = seen(corpus, plan) if kinds is None else np.isin(corpus.kinds, [CLEAN, *map(KINDS.index, kinds)])
    drawn = np.random.default_rng([plan.seed, 2]).random(len(corpus.people)) < plan.calibration_degraded_share
    chosen = corpus.of(Part.MAKING, Role.SINGLE) & allowed & (corpus.clean | drawn[corpus.identities])
    return np.asarray(chosen, np.bool_)


def validating(corpus: Corpus, plan: EvaluationPlan) -> NDArray[np.bool_]:
    """Return which faces decide gamma and everything else that is chosen."""
    return np.asarray(seen(corpus, plan) & corpus.of(Part.VALIDATION, Role.SINGLE), np.bool_)


def face_set(corpus: Corpus, chosen: NDArray[np.bool_]) -> FaceSet:
    """Return the chosen faces as what a calibration takes."""
    return FaceSet(
        rows=corpus.rows[chosen],
        identities=corpus.identities[chosen],
        kinds=corpus.kinds[chosen].astype(np.int16),
        severities=corpus.severities[chosen],
        kind_names=tuple(kind.value for kind in KINDS),
    )


def seen(corpus: Corpus, plan: EvaluationPlan) -> NDArray[np.bool_]:
    """Return the faces that a profile may see at all."""
    return ~np.isin(corpus.kinds, [KINDS.index(kind) for kind in plan.unseen])
