"""RecognizabilityService."""

from functools import partial

import numpy as np
from ersgallery.v1 import face_input_pb2 as face_pb
from ersgallery.v1 import recognizability_service_pb2 as pb
from ersgallery_index import Derivation, Profile, Recognizability
from numpy.typing import NDArray

from ersgallery_server.call import Call
from ersgallery_server.errors import InvalidRequest
from ersgallery_server.gallery.acquisition import Acquirer, score_each
from ersgallery_server.gallery.galleries import Galleries
from ersgallery_server.gallery.inputs import AcquiredEmbedding
from ersgallery_server.gallery.models import Models
from ersgallery_server.handlers import answers, checks, names, paging
from ersgallery_server.handlers.resources import timestamp
from ersgallery_server.profiles import profile_digest
from ersgallery_server.status import to_status
from ersgallery_server.store import Store
from ersgallery_server.values import ProfileVersion, SeveralFaces

MAX_SCORED_FACES = 256
MAX_CENTROIDS = 64
MAX_DIMENSION = 4096
MAX_DESCRIPTION_CHARACTERS = 4096
MAX_MODEL_CHARACTERS = 64


class RecognizabilityHandlers:
    """Keeps profiles and scores faces without a search."""

    def __init__(self, store: Store, galleries: Galleries, models: Models) -> None:
        self._store = store
        self._galleries = galleries
        self._models = models

    def create_profile(self, request: pb.CreateProfileRequest, call: Call) -> pb.CreateProfileResponse:
        """Add a profile or a further version of one."""
        if not names.GALLERY_ID.fullmatch(request.profile_id):
            raise InvalidRequest.field("profile_id", names.GALLERY_RULE)
        profile = _profile(request.profile)
        description = checks.check_text("profile.description", request.profile.description, MAX_DESCRIPTION_CHARACTERS)
        version = call.wait(
            self._store.submit(
                lambda transaction: transaction.create_profile(
                    request.profile_id, profile, description=description, sha256=profile_digest(profile)
                )
            )
        )
        return pb.CreateProfileResponse(profile=_profile_message(version))

    def get_profile(self, request: pb.GetProfileRequest, call: Call) -> pb.GetProfileResponse:
        """Return a profile."""
        version = self._store.profile(*names.parse_profile("name", request.name))
        return pb.GetProfileResponse(profile=_profile_message(version))

    def list_profiles(self, request: pb.ListProfilesRequest, call: Call) -> pb.ListProfilesResponse:
        """Return a page of profiles."""
        page = self._store.list_profiles(
            paging.page_size(request.page_size), paging.page_key("profiles", request.page_token)
        )
        return pb.ListProfilesResponse(
            profiles=[_profile_message(version) for version in page.items],
            next_page_token=paging.page_token("profiles", page.next_key),
        )

    def score(self, request: pb.ScoreRequest, call: Call) -> pb.ScoreResponse:
        """Score faces under a profile or a gallery's profile."""
        version, gamma, default = self._under(request)
        several = checks.several_faces("several_faces", request.several_faces) or default
        checks.check_count("faces", len(request.faces), MAX_SCORED_FACES)
        faces = [checks.or_refusal(partial(checks.source, f"faces[{i}]", face)) for i, face in enumerate(request.faces)]
        acquirer = Acquirer(version.profile.model, version.profile.dimension, self._models)
        sources = [face for face in faces if not isinstance(face, Exception)]
        acquired = iter(acquirer.acquire(sources, several, call))
        every = [face if isinstance(face, Exception) else next(acquired) for face in faces]
        scores = score_each(Derivation(version.profile), every)
        model = version.profile.model if request.include_embeddings else None
        return pb.ScoreResponse(
            outcomes=[_outcome(face, score, gamma, model) for face, score in zip(every, scores, strict=True)],
            profile=f"profiles/{version.reference}",
            gamma=gamma,
        )

    def _under(self, request: pb.ScoreRequest) -> tuple[ProfileVersion, float, SeveralFaces]:
        match request.WhichOneof("under"):
            case "profile":
                version = self._store.profile(*names.parse_profile("profile", request.profile))
                return version, version.profile.gamma, SeveralFaces.LARGEST
            case "gallery":
                gallery = self._galleries.get(names.parse_gallery("gallery", request.gallery))
                record = gallery.record
                policy = record.settings.policy(record.profile.profile)
                return record.profile, policy.gamma, record.settings.several_faces
            case _:
                raise InvalidRequest.field("under", "must be a profile or a gallery")


def _outcome(
    face: AcquiredEmbedding | Exception, score: Recognizability | None, gamma: float, embeddings_of: str | None
) -> pb.ScoreOutcome:
    """Return what became of one face, with its embedding as one of the named model where there is a name."""
    if isinstance(face, Exception):
        return pb.ScoreOutcome(error=to_status(face))
    embedding = None
    if embeddings_of is not None:
        embedding = face_pb.Embedding(packed=_pack(face.unit), model=embeddings_of)
    return pb.ScoreOutcome(
        score=pb.FaceScore(
            recognizability=answers.recognizability(score, face.norm, face.box),
            recognizable=score is not None and score.ers >= gamma,
            embedding=embedding,
        )
    )


def _profile(message: pb.Profile) -> Profile:
    """Return the profile of a request; InvalidProfile says what cannot define an ERS."""
    model = checks.check_text("profile.model", message.model, MAX_MODEL_CHARACTERS)
    if not model:
        raise InvalidRequest.field("profile.model", "is required")
    centroids = checks.matrix("profile.centroids", message.centroids, MAX_CENTROIDS)
    if centroids.shape[1] > MAX_DIMENSION:
        raise InvalidRequest.field(
            "profile.centroids.dimension", f"is {centroids.shape[1]}; the limit is {MAX_DIMENSION}"
        )
    if message.dimension and message.dimension != centroids.shape[1]:
        raise InvalidRequest.field("profile.dimension", f"is not that of the centroids, {centroids.shape[1]}")
    mean = checks.embedding("profile.mean", message.mean).vector if message.HasField("mean") else None
    gamma = checks.check_number("profile.gamma", message.gamma, 0, 1)
    return Profile(
        model=model,
        centroids=centroids.astype(np.float64),
        gamma=gamma,
        mean=None if mean is None else mean.astype(np.float64),
    )


def _profile_message(version: ProfileVersion) -> pb.Profile:
    profile = version.profile
    return pb.Profile(
        name=f"profiles/{version.reference}",
        model=profile.model,
        dimension=profile.dimension,
        mean=None if profile.mean is None else face_pb.Embedding(packed=_pack(profile.mean)),
        centroids=face_pb.EmbeddingMatrix(
            packed=_pack(profile.centroids), rows=len(profile.centroids), dimension=profile.dimension
        ),
        gamma=profile.gamma,
        description=version.description,
        sha256=version.sha256,
        create_time=timestamp(version.create_time),
    )


def _pack(values: NDArray[np.float64] | NDArray[np.float32]) -> bytes:
    return values.astype("<f4").tobytes()
