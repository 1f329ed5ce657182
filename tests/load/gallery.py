"""The gallery of a load: random faces, whose search takes as long as that of real ones."""

from collections.abc import Iterator

import numpy as np
from ersgallery_client import Enrollment, GalleryClient
from numpy.typing import NDArray

DIMENSION = 128
GALLERY = "load"
MODEL = "load-test"


def faces(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Return random embeddings (count, DIMENSION), far from the UI centroid."""
    drawn = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    drawn[:, 0] = 0.0
    return drawn


def make_gallery(client: GalleryClient, count: int, gallery: str = GALLERY) -> NDArray[np.float32]:
    """Make a gallery with so many faces of as many subjects and return them."""
    client.create_profile(MODEL, model=MODEL, centroids=np.eye(1, DIMENSION), gamma=0.5)
    client.create_gallery(gallery, profile=MODEL, tau=0.5)
    enrolled = faces(count)
    for _ in client.enroll_stream(gallery, _items(enrolled)):
        pass
    return enrolled


def _items(rows: NDArray[np.float32]) -> Iterator[Enrollment]:
    return (Enrollment(f"subject-{number}", row) for number, row in enumerate(rows))
