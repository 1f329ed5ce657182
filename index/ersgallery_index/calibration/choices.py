"""Decide by measurement whether embeddings are centred and how many UI centroids there are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.calibration.centres import centred
from ersgallery_index.calibration.faces import FaceSet
from ersgallery_index.calibration.plan import BuildPlan
from ersgallery_index.calibration.separation import auc, pair_accuracy
from ersgallery_index.calibration.ui import UiClusters
from ersgallery_index.errors import CalibrationFailed
from ersgallery_index.recognizability import Derivation, Profile
from ersgallery_index.sums import Float64

LEAST_LOST = 50
"""Fewer unrecognizable faces than this do not determine a centroid."""

_DECIMALS = 6
_MIN_GENUINE = 50


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to build the profile, and how it did on the people who decide.

    method: `linkage`, `split` or `given`. auc: NaN where no degraded face was held out. accuracy: None where too few
    people have two clean faces.
    """

    centred: bool
    method: str
    centroids: int
    auc: float
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Choice:
    """A decision by measurement: what was chosen of what, and why."""

    chosen: Variant
    among: tuple[Variant, ...]
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """Centroids found one way, from these of the making faces, and how they did."""

    mean: Float64 | None
    centroids: Float64
    members: NDArray[np.bool_]
    variant: Variant
    ui: UiClusters | None = None


class Judge:
    """Measures candidates on the people who decide."""

    def __init__(self, model: str, deciding: FaceSet) -> None:
        self._model, self._deciding = model, deciding
        self._accuracies: dict[bool, float | None] = {}

    def measure(
        self,
        mean: Float64 | None,
        method: str,
        centroids: Float64,
        members: NDArray[np.bool_],
        ui: UiClusters | None = None,
    ) -> Candidate:
        """Return a candidate with its figures."""
        centroids = np.round(centroids, _DECIMALS)
        faces = self._deciding
        raw_ers = raw_ers_of(draft(self._model, mean, centroids), faces)
        is_centred = mean is not None
        if is_centred not in self._accuracies:
            clean = faces.take(faces.clean)
            measured = pair_accuracy(centred(clean.rows, mean), clean.identities, np.random.default_rng(0))
            self._accuracies[is_centred] = measured[0] if measured and measured[1] >= _MIN_GENUINE else None
        separated = auc(raw_ers[faces.clean], raw_ers[faces.degraded])
        variant = Variant(is_centred, method, len(centroids), separated, self._accuracies[is_centred])
        return Candidate(mean, centroids, members, variant, ui)


def choose_centring(found: list[Candidate], plan: BuildPlan) -> tuple[Candidate, Choice]:
    """Choose whether to subtract the mean among the candidates that there are: without it first, then with it."""
    among = tuple(each.variant for each in found)
    if len(found) == 1:
        reason = "asked for" if plan.centring is not None else "the only variant with a UI cluster"
        return found[0], Choice(among[0], among, reason)
    plain, with_mean = among
    gain = with_mean.auc - plain.auc
    if np.isnan(gain):
        return found[0], Choice(among[0], among, "centring was not measured: no degraded faces were held out")
    better = gain > plan.centring_gain
    reason = f"centring changes the AUC by {gain:+.4f} (more than {plan.centring_gain:g} is wanted)"
    if plain.accuracy is None or with_mean.accuracy is None:
        reason += ", and by that alone, for too few people have two clean faces to measure 1:1 accuracy"
    else:
        loss = plain.accuracy - with_mean.accuracy
        better = better and loss <= plan.accuracy_loss
        reason += (
            f" and the balanced accuracy of clean pairs by {-loss:+.4f} (a loss of {plan.accuracy_loss:g} at most)"
        )
    return found[int(better)], Choice(among[int(better)], among, reason)


def choose_count(found: list[Candidate], plan: BuildPlan) -> tuple[Candidate, Choice]:
    """Choose the fewest centroids whose AUC is close to the best; of equally many, the better ones."""
    among = tuple(each.variant for each in found)
    wanted = [each for each in found if plan.centroids in (None, each.variant.centroids)]
    if not wanted:
        raise CalibrationFailed(
            "TOO_FEW_FACES", f"{plan.centroids} UI centroids need {LEAST_LOST} unrecognizable faces each at least"
        )
    if plan.centroids == 1:  # the paper's: the one that comes from clustering or from the given set
        return wanted[0], Choice(wanted[0].variant, among, "one centroid was asked for")
    best = max((each.variant.auc for each in wanted if not np.isnan(each.variant.auc)), default=np.nan)
    close = [each for each in wanted if each.variant.auc >= best - plan.count_tolerance] or wanted[:1]
    chosen = min(close, key=lambda each: (each.variant.centroids, -each.variant.auc))
    reason = f"the fewest centroids whose AUC is within {plan.count_tolerance:g} of the best, {best:.4f}"
    if np.isnan(best):
        reason = "the number of centroids was not measured: no degraded faces were held out"
    return chosen, Choice(chosen.variant, among, reason)


def raw_ers_of(profile: Profile, faces: FaceSet) -> Float64:
    """Return the raw ERS (n,) of faces under a profile."""
    return np.asarray(Derivation(profile).derive(faces.rows).raw_ers, np.float64)


def draft(model: str, mean: Float64 | None, centroids: Float64) -> Profile:
    """Return a profile whose gamma is still to be set."""
    return Profile(model=model, centroids=centroids, gamma=0.0, mean=mean)
