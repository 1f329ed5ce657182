"""Galleries on a store, without a server: to be stopped, killed and started again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ersgallery_index import Profile, Snapshot
from ersgallery_server.call import Call
from ersgallery_server.gallery.enrollment import EnrollmentItem
from ersgallery_server.gallery.galleries import Galleries, GalleryChange
from ersgallery_server.gallery.gallery import Gallery
from ersgallery_server.gallery.inputs import EmbeddingInput, Member
from ersgallery_server.gallery.models import Models
from ersgallery_server.gallery.state import IndexPlace
from ersgallery_server.keys import NO_KEYS, KeyRing
from ersgallery_server.profiles import profile_digest
from ersgallery_server.snapshots import SnapshotFolder
from ersgallery_server.store import Store
from ersgallery_server.values import GallerySettings, ProfileVersion
from numpy.typing import NDArray

MODEL = "made"
NEVER_BY_ITSELF = 1 << 30
"""So many changed faces: snapshots are allowed, and written by the test alone."""


class Core:
    """Everything of a server but its transport and its models. Leaving it without `close` is like a kill."""

    def __init__(
        self, url: str, folder: Path, snapshot_changed_faces: int = NEVER_BY_ITSELF, keys: KeyRing = NO_KEYS
    ) -> None:
        self.snapshots = folder / "snapshots"
        self.store = Store.open(url, keys=keys)
        self.folder = SnapshotFolder(self.snapshots, keys)
        self.galleries = Galleries(
            self.store,
            Models(lambda _: None, max_waiting_images=4),
            self.folder,
            place=IndexPlace("cpu"),
            max_waiting_searches=64,
            snapshot_changed_faces=snapshot_changed_faces,
        )
        self.galleries.load()

    def close(self) -> None:
        """Stop everything and save nothing."""
        self.galleries.close()
        self.store.close()

    def profile(
        self, profile_id: str, centroids: NDArray[np.float32], mean: NDArray[np.float32] | None = None
    ) -> ProfileVersion:
        """Make a profile with gamma 0.3; return its version."""
        mean_row = None if mean is None else mean.astype(np.float64)
        return self.add_profile(profile_id, Profile(MODEL, centroids.astype(np.float64), 0.3, mean_row))

    def add_profile(self, profile_id: str, profile: Profile) -> ProfileVersion:
        """Store a profile; return its version."""
        digest = profile_digest(profile)
        return self.store.submit(
            lambda t: t.create_profile(profile_id, profile, description="made up", sha256=digest)
        ).result()

    def create(self, gallery_id: str, profile: ProfileVersion, **settings: Any) -> Gallery:
        """Make a gallery."""
        return self.galleries.create(gallery_id, GallerySettings(**{"tau": 0.4, **settings}), profile, Call())

    def gallery(self, gallery_id: str = "g") -> Gallery:
        """Return a gallery."""
        return self.galleries.get(gallery_id)

    def update(self, gallery: Gallery, **fields: Any) -> None:
        """Change a gallery."""
        profile = fields.pop("profile", None)
        self.galleries.update(gallery, GalleryChange(fields, profile), None, Call())

    def rebuilt(self, gallery: Gallery) -> Snapshot:
        """Return the rows of an index that is built from the store alone."""
        return self.galleries._build(gallery.record).index.snapshot()


def enroll(gallery: Gallery, people: Sequence[str], vectors: NDArray[np.float32], media: Sequence[str] = ()) -> None:
    """Enrol a face for each of the people."""
    items = [
        EnrollmentItem(person, (Member(EmbeddingInput(vector), media[i] if media else ""),), {})
        for i, (person, vector) in enumerate(zip(people, vectors, strict=True))
    ]
    gallery.enroll(items, None, lambda _: b"", Call())


def rows_of(gallery: Gallery) -> Snapshot:
    """Return the rows that a gallery answers from."""
    return gallery.ask(lambda state: state.index.snapshot(), Call())


def save(gallery: Gallery) -> bool:
    """Save the index of a gallery now."""
    return gallery.save(lambda _: False)


def assert_same_rows(one: Snapshot, other: Snapshot) -> None:
    """Compare bit by bit."""
    assert one.revision == other.revision
    for name in ("face_ids", "subject_ids", "ers", "vectors"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name
