"""How far UI centroids of different sources lie apart (the paper's table 4)."""

from dataclasses import dataclass

import numpy as np
from ersgallery_index.recognizability import Profile

from ersgallery_server.models.profile_file import ProfileFile


@dataclass(frozen=True, slots=True)
class Compared:
    """Cosine distance of a profile's nearest UI centroid to the first one here; None where they cannot be compared."""

    name: str
    cosine_distance: float | None
    note: str = ""


def compare(profile: Profile, other: ProfileFile) -> Compared:
    """Compare with another profile of the same model."""
    if (other.model, other.dimension) != (profile.model, profile.dimension):
        return Compared(other.name, None, f"not compared: it is of model {other.model}")
    if (other.mean is None) is not (profile.mean is None):
        return Compared(other.name, None, "not compared: a mean is subtracted in one of the two only")
    nearest = float(np.max(other.profile().centroids @ profile.centroids[0]))
    note = "" if profile.mean is None else "each after its own mean was subtracted"
    return Compared(other.name, 1.0 - nearest, note)
