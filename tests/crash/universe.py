"""The small world of the crash tests: a pool of embeddings, two profiles, settings of galleries, and their oracle."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from ersgallery.v1 import face_input_pb2, gallery_pb2
from ersgallery.v1 import recognizability_service_pb2 as recognizability
from ersgallery_index import FloatRows, Policy, Profile, Weighting, normalize

from tests.support import oracle
from tests.support.requests import matrix
from tests.support.server import RemoteServer

DIMENSION = 4
MODEL = "pool"
POOL: FloatRows = np.random.default_rng(7).normal(size=(24, DIMENSION)).astype(np.float32)
POOL[20:] = POOL[:4]  # exact duplicates: ties go to the lower face id
STORED = normalize(POOL, DIMENSION).vectors
_CENTROIDS = normalize(np.random.default_rng(8).normal(size=(3, DIMENSION)).astype(np.float32), DIMENSION).vectors
# A profile travels as float32: the oracle starts from the numbers that are sent.
_SENT = ((_CENTROIDS[:1], 0.4, None), (_CENTROIDS[1:], 0.6, STORED[5] / np.float32(3)))
PROFILES = tuple(
    Profile(MODEL, centroids.astype(np.float64), gamma, None if mean is None else mean.astype(np.float64))
    for centroids, gamma, mean in _SENT
)
PROFILE_NAMES = ("profiles/one@1", "profiles/two@1")


def media_of(vector: int) -> str:
    """Return the media of a vector of the pool: some share one, some have none."""
    return ("", "film", "photo")[vector % 3]


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a gallery. `label` is its display name, another one with each change: it tells them apart."""

    label: str = ""
    profile: int = 0
    enhance: bool = False
    gamma: float | None = None
    gamma_gallery: float | None = None
    tau: float = 0.5
    margin: float | None = None
    by_template: bool = False
    weighting: Weighting = Weighting.SQUARE
    media_pooling: bool = False

    def policy(self, **wishes: object) -> Policy:
        """Return the gates and thresholds in force; wishes are fields of Policy that a request has."""
        gamma = PROFILES[self.profile].gamma if self.gamma is None else self.gamma
        gamma_gallery = gamma if self.gamma_gallery is None else self.gamma_gallery
        fields = {"gamma": gamma, "gamma_gallery": gamma_gallery, "tau": self.tau, "margin": self.margin}
        return Policy(**{**fields, **wishes})  # type: ignore[arg-type]

    def message(self, gallery_id: str = "") -> gallery_pb2.Gallery:
        """Return them as the contract has them."""
        searches = gallery_pb2.SUBJECT_SEARCH_TEMPLATE if self.by_template else gallery_pb2.SUBJECT_SEARCH_BEST_FACE
        gallery = gallery_pb2.Gallery(
            name=f"galleries/{gallery_id}",
            display_name=self.label,
            profile=PROFILE_NAMES[self.profile],
            gamma=self.gamma,
            gamma_gallery=self.gamma_gallery,
            tau=self.tau,
            margin=self.margin,
            enhance_features=self.enhance,
            subject_search=searches,
        )
        if self.by_template:
            gallery.template_weighting = face_input_pb2.Weighting.Value(f"WEIGHTING_{self.weighting.value}")
            gallery.template_media_pooling = self.media_pooling
        return gallery

    @property
    def paths(self) -> tuple[str, ...]:
        """Return what an update names."""
        plain = ("display_name", "profile", "gamma", "gamma_gallery", "tau", "margin", "enhance_features")
        return (*plain, "template_weighting", "template_media_pooling") if self.by_template else plain

    def row(self, vector: int) -> oracle.Row:
        """Return what is derived from a vector of the pool."""
        return oracle.derive(PROFILES[self.profile], self.enhance, STORED[vector])

    def rows(self, faces: Iterable[tuple[int, int, int]]) -> list[oracle.Face]:
        """Return the rows of a gallery with faces (face id, subject's number, vector)."""
        if not self.by_template:
            return [oracle.Face(face_id, subject, self.row(vector)) for face_id, subject, vector in faces]
        members: dict[int, list[tuple[FloatRows, str]]] = {}
        for _, subject, vector in sorted(faces):
            members.setdefault(subject, []).append((STORED[vector], media_of(vector)))
        profile = PROFILES[self.profile]
        return oracle.template_subjects(profile, self.enhance, members, self.weighting, self.media_pooling)


def create_profiles(server: RemoteServer) -> None:
    """Make both profiles; what is there already stays."""
    for name, (centroids, gamma, mean) in zip(PROFILE_NAMES, _SENT, strict=True):
        message = recognizability.Profile(model=MODEL, centroids=matrix(centroids), gamma=gamma)
        if mean is not None:
            message.mean.packed = mean.astype("<f4").tobytes()
        profile_id = name.removeprefix("profiles/").removesuffix("@1")
        request = recognizability.CreateProfileRequest(profile_id=profile_id, profile=message)
        made = server.recognizability.CreateProfile(request).profile.name
        if made != name:
            raise ValueError(f"the profile {name} became {made}")
