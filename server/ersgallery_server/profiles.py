"""The identity of a profile: what decides, in one digest."""

import hashlib

import numpy as np
from ersgallery_index import Profile


def profile_digest(profile: Profile) -> str:
    """Return the SHA-256 of what decides: model, gamma, mean and centroids, as little-endian float64."""
    digest = hashlib.sha256(f"{profile.model}\n{profile.dimension}\n{profile.gamma!r}\n".encode())
    digest.update(b"no mean\n" if profile.mean is None else np.asarray(profile.mean, "<f8").tobytes())
    digest.update(np.asarray(profile.centroids, "<f8").tobytes())
    return digest.hexdigest()
