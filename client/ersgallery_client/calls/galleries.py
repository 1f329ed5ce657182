"""Calls about galleries."""

from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as pb

from ersgallery_client import rpcs
from ersgallery_client.call import Call, Page, Paging, call
from ersgallery_client.calls.masks import given, mask
from ersgallery_client.surface import Calls, Paged, Unary
from ersgallery_client.values.erasure import Erasure
from ersgallery_client.values.galleries import Gallery
from ersgallery_client.values.policies import (
    UNSET,
    DuplicateCheck,
    IndexKind,
    LowErsPolicy,
    SeveralFacesPolicy,
    SubjectSearch,
    Unset,
    Weighting,
)
from ersgallery_client.wire.enums import DUPLICATE_CHECK, INDEX_KIND, LOW_ERS, SEVERAL_FACES, SUBJECT_SEARCH, WEIGHTING
from ersgallery_client.wire.erasure import read_erasure
from ersgallery_client.wire.galleries import read_gallery
from ersgallery_client.wire.names import gallery_name, profile_name


class GalleryCalls(Calls):
    """Galleries: create, get, list, update, delete."""

    @Unary
    def create_gallery(
        self,
        gallery: str,
        *,
        profile: str,
        tau: float,
        gamma: float | None = None,
        gamma_gallery: float | None = None,
        margin: float | None = None,
        enhance_features: bool = False,
        several_faces: SeveralFacesPolicy = SeveralFacesPolicy.UNSPECIFIED,
        low_ers: LowErsPolicy = LowErsPolicy.UNSPECIFIED,
        store_images: bool = False,
        subject_search: SubjectSearch = SubjectSearch.UNSPECIFIED,
        template_weighting: Weighting = Weighting.UNSPECIFIED,
        template_media_pooling: bool = False,
        tau_subjects: int | None = None,
        index_kind: IndexKind = IndexKind.UNSPECIFIED,
        duplicate_check: DuplicateCheck = DuplicateCheck.UNSPECIFIED,
        duplicate_threshold: float | None = None,
        display_name: str = "",
    ) -> Call[Gallery]:
        """Make an empty gallery.

        gallery: its id, 1 to 63 of a-z, 0-9 and "-", beginning with a letter. profile: `sface`, or `sface@1` for one
        version. tau: similarity from which the best candidate is a MATCH. gamma: None for the profile's.
        gamma_gallery: None for gamma. subject_search: TEMPLATE finds subjects by the template of all their faces, made
        with template_weighting and template_media_pooling. tau_subjects: the number of subjects tau was chosen for.
        index_kind: how faces are searched. duplicate_check: whether an enrolment is compared with the other subjects
        first, and warned of or refused from duplicate_threshold on (None for tau).
        Raises GalleryExists, ProfileNotFound, InvalidRequest.
        """
        settings = gallery_pb2.Gallery(
            profile=profile_name(profile),
            tau=tau,
            gamma=gamma,
            gamma_gallery=gamma_gallery,
            margin=margin,
            enhance_features=enhance_features,
            several_faces=SEVERAL_FACES.write(several_faces),
            low_ers=LOW_ERS.write(low_ers),
            store_images=store_images,
            subject_search=SUBJECT_SEARCH.write(subject_search),
            template_weighting=WEIGHTING.write(template_weighting),
            template_media_pooling=template_media_pooling,
            tau_subjects=tau_subjects,
            index_kind=INDEX_KIND.write(index_kind),
            duplicate_check=DUPLICATE_CHECK.write(duplicate_check),
            duplicate_threshold=duplicate_threshold,
            display_name=display_name,
        )
        request = pb.CreateGalleryRequest(gallery_id=gallery, gallery=settings)
        return call(rpcs.CREATE_GALLERY, request, lambda answer: read_gallery(answer.gallery))

    @Unary
    def get_gallery(self, gallery: str) -> Call[Gallery]:
        """Return a gallery with its settings and counts. Raises GalleryNotFound."""
        request = pb.GetGalleryRequest(name=gallery_name(gallery))
        return call(rpcs.GET_GALLERY, request, lambda answer: read_gallery(answer.gallery))

    @Paged
    def list_galleries(self, *, page_size: int = 0) -> Paging[Gallery]:
        """Iterate all galleries, fetching page_size at a time (1 to 1,000; 0: 50)."""

        def page(token: str) -> Call[Page[Gallery]]:
            request = pb.ListGalleriesRequest(page_size=page_size, page_token=token)
            return call(
                rpcs.LIST_GALLERIES,
                request,
                lambda answer: Page(tuple(map(read_gallery, answer.galleries)), answer.next_page_token),
            )

        return Paging(page)

    @Unary
    def update_gallery(
        self,
        gallery: str,
        *,
        profile: str | Unset = UNSET,
        tau: float | Unset = UNSET,
        gamma: float | Unset | None = UNSET,
        gamma_gallery: float | Unset | None = UNSET,
        margin: float | Unset | None = UNSET,
        enhance_features: bool | Unset = UNSET,
        several_faces: SeveralFacesPolicy | Unset = UNSET,
        low_ers: LowErsPolicy | Unset = UNSET,
        store_images: bool | Unset = UNSET,
        subject_search: SubjectSearch | Unset = UNSET,
        template_weighting: Weighting | Unset = UNSET,
        template_media_pooling: bool | Unset = UNSET,
        tau_subjects: int | Unset | None = UNSET,
        index_kind: IndexKind | Unset = UNSET,
        duplicate_check: DuplicateCheck | Unset = UNSET,
        duplicate_threshold: float | Unset | None = UNSET,
        display_name: str | Unset = UNSET,
        etag: str = "",
    ) -> Call[Gallery]:
        """Change the given settings; None puts one back to its default.

        gamma, gamma_gallery, tau, margin and index_kind hold for the next search, duplicate_check
        and duplicate_threshold for the next enrolment; a new profile, enhance_features,
        subject_search or way of making templates re-scores and rebuilds first. etag: where given, must be the present
        one. Raises GalleryNotFound, EtagMismatch, ProfileNotFound, ProfileModelMismatch, InvalidRequest; ValueError
        where nothing is given.
        """
        fields = given(
            {
                "profile": profile if isinstance(profile, Unset) else profile_name(profile),
                "tau": tau,
                "gamma": gamma,
                "gamma_gallery": gamma_gallery,
                "margin": margin,
                "enhance_features": enhance_features,
                "several_faces": several_faces
                if isinstance(several_faces, Unset)
                else SEVERAL_FACES.write(several_faces),
                "low_ers": low_ers if isinstance(low_ers, Unset) else LOW_ERS.write(low_ers),
                "store_images": store_images,
                "subject_search": subject_search
                if isinstance(subject_search, Unset)
                else SUBJECT_SEARCH.write(subject_search),
                "template_weighting": template_weighting
                if isinstance(template_weighting, Unset)
                else WEIGHTING.write(template_weighting),
                "template_media_pooling": template_media_pooling,
                "tau_subjects": tau_subjects,
                "index_kind": index_kind if isinstance(index_kind, Unset) else INDEX_KIND.write(index_kind),
                "duplicate_check": duplicate_check
                if isinstance(duplicate_check, Unset)
                else DUPLICATE_CHECK.write(duplicate_check),
                "duplicate_threshold": duplicate_threshold,
                "display_name": display_name,
            }
        )
        changed = gallery_pb2.Gallery(name=gallery_name(gallery), etag=etag, **fields)
        request = pb.UpdateGalleryRequest(gallery=changed, update_mask=mask(fields))
        return call(rpcs.UPDATE_GALLERY, request, lambda answer: read_gallery(answer.gallery))

    @Unary
    def delete_gallery(self, gallery: str, *, etag: str = "") -> Call[Erasure]:
        """Delete a gallery with all that it holds; return the receipt.

        Raises GalleryNotFound, EtagMismatch.
        """
        request = pb.DeleteGalleryRequest(name=gallery_name(gallery), etag=etag)
        return call(rpcs.DELETE_GALLERY, request, lambda answer: read_erasure(answer.erasure))
