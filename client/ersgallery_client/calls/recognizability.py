"""Calls about recognizability profiles, and ERS without a search."""

from collections.abc import Sequence

from ersgallery.v1 import recognizability_service_pb2 as pb
from ersgallery.v1.face_input_pb2 import TemplateMember
from numpy.typing import ArrayLike

from ersgallery_client import rpcs
from ersgallery_client.batching import split
from ersgallery_client.call import Call, Page, Paging, Plan, call, plan
from ersgallery_client.surface import Calls, Paged, Unary
from ersgallery_client.values.inputs import FaceSource
from ersgallery_client.values.policies import SeveralFacesPolicy
from ersgallery_client.values.recognizability import Profile, Scores
from ersgallery_client.wire.enums import SEVERAL_FACES
from ersgallery_client.wire.inputs import write_embedding, write_matrix, write_member
from ersgallery_client.wire.names import gallery_name, profile_name
from ersgallery_client.wire.recognizability import join_scores, read_profile, read_scores


class RecognizabilityCalls(Calls):
    """Profiles: create, get, list. Faces: score."""

    @Unary
    def create_profile(
        self,
        profile: str,
        *,
        model: str,
        centroids: ArrayLike,
        gamma: float,
        mean: ArrayLike | None = None,
        description: str = "",
    ) -> Call[Profile]:
        """Add a profile, or a further version of one; a repetition of the newest version makes no new one.

        profile: its id, without version. centroids: (K, d), K >= 1, unit length. mean: (d,), or None where nothing is
        subtracted. gamma: 0..1. Raises InvalidRequest, InvalidEmbedding.
        """
        matrix = write_matrix(centroids)
        content = pb.Profile(
            model=model,
            dimension=matrix.dimension,
            mean=None if mean is None else write_embedding(mean),
            centroids=matrix,
            gamma=gamma,
            description=description,
        )
        request = pb.CreateProfileRequest(profile_id=profile, profile=content)
        return call(rpcs.CREATE_PROFILE, request, lambda answer: read_profile(answer.profile))

    @Unary
    def get_profile(self, profile: str) -> Call[Profile]:
        """Return a profile: `sface@1`, or `sface` for the newest version. Raises ProfileNotFound."""
        request = pb.GetProfileRequest(name=profile_name(profile))
        return call(rpcs.GET_PROFILE, request, lambda answer: read_profile(answer.profile))

    @Paged
    def list_profiles(self, *, page_size: int = 0) -> Paging[Profile]:
        """Iterate all versions of all profiles, fetching page_size at a time (1 to 1,000; 0: 50)."""

        def page(token: str) -> Call[Page[Profile]]:
            request = pb.ListProfilesRequest(page_size=page_size, page_token=token)
            return call(
                rpcs.LIST_PROFILES,
                request,
                lambda answer: Page(tuple(map(read_profile, answer.profiles)), answer.next_page_token),
            )

        return Paging(page)

    @Unary
    def score(
        self,
        faces: Sequence[FaceSource],
        *,
        profile: str | None = None,
        gallery: str | None = None,
        several_faces: SeveralFacesPolicy = SeveralFacesPolicy.UNSPECIFIED,
        include_embeddings: bool = False,
    ) -> Plan[Scores]:
        """Score faces, in as many calls as needed, under a profile or under a gallery's profile and gamma.

        Raises ProfileNotFound, GalleryNotFound, ModelNotInstalled; ValueError where not one of the two is given. What
        is wrong with one face is in its own score.
        """
        if (profile is None) == (gallery is None):
            raise ValueError("give either a profile or a gallery")
        head = pb.ScoreRequest(several_faces=SEVERAL_FACES.write(several_faces), include_embeddings=include_embeddings)
        if profile is not None:
            head.profile = profile_name(profile)
        elif gallery is not None:
            head.gallery = gallery_name(gallery)

        def part(members: Sequence[TemplateMember]) -> Call[Scores]:
            request = pb.ScoreRequest(faces=members)
            request.MergeFrom(head)
            return call(rpcs.SCORE, request, read_scores)

        limits = self.options.limits
        return plan(map(part, split(map(write_member, faces), limits, limits.max_probes)), join_scores)
