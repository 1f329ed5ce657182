"""GalleryService, the galleries."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as pb
from ersgallery_index import IndexKind

from ersgallery_server.call import Call
from ersgallery_server.errors import InvalidRequest
from ersgallery_server.gallery.galleries import Galleries, GalleryChange
from ersgallery_server.gallery.gallery import Gallery
from ersgallery_server.handlers import checks, names, paging
from ersgallery_server.handlers.erasures import Receipts
from ersgallery_server.handlers.resources import gallery_message
from ersgallery_server.store import Store
from ersgallery_server.values import (
    DuplicateCheck,
    GalleryRecord,
    GallerySettings,
    LowErs,
    ProfileVersion,
    SeveralFaces,
    SubjectSearch,
)

LOW_ERS: Mapping[int, LowErs] = {
    gallery_pb2.LOW_ERS_POLICY_UNSPECIFIED: LowErs.STORE,
    gallery_pb2.LOW_ERS_POLICY_STORE: LowErs.STORE,
    gallery_pb2.LOW_ERS_POLICY_REJECT: LowErs.REJECT,
}

SUBJECT_SEARCH: Mapping[int, SubjectSearch] = {
    gallery_pb2.SUBJECT_SEARCH_UNSPECIFIED: SubjectSearch.BEST_FACE,
    gallery_pb2.SUBJECT_SEARCH_BEST_FACE: SubjectSearch.BEST_FACE,
    gallery_pb2.SUBJECT_SEARCH_TEMPLATE: SubjectSearch.TEMPLATE,
}
INDEX_KIND: Mapping[int, IndexKind] = {
    gallery_pb2.INDEX_KIND_UNSPECIFIED: IndexKind.AUTO,
    gallery_pb2.INDEX_KIND_AUTO: IndexKind.AUTO,
    gallery_pb2.INDEX_KIND_EXACT: IndexKind.EXACT,
    gallery_pb2.INDEX_KIND_FAST: IndexKind.FAST,
    gallery_pb2.INDEX_KIND_APPROXIMATE: IndexKind.APPROXIMATE,
}
DUPLICATE_CHECK: Mapping[int, DuplicateCheck] = {
    gallery_pb2.DUPLICATE_CHECK_UNSPECIFIED: DuplicateCheck.OFF,
    gallery_pb2.DUPLICATE_CHECK_OFF: DuplicateCheck.OFF,
    gallery_pb2.DUPLICATE_CHECK_WARN: DuplicateCheck.WARN,
    gallery_pb2.DUPLICATE_CHECK_REFUSE: DuplicateCheck.REFUSE,
}
MAX_SUBJECTS = 2**62

# A field that an update does not name is not looked at, whatever it holds.
_FIELDS: Mapping[str, Callable[[gallery_pb2.Gallery], Any]] = {
    "display_name": lambda it: checks.check_text("gallery.display_name", it.display_name, checks.MAX_LABEL_CHARACTERS),
    "gamma": lambda it: checks.optional_number(it, "gamma", 0, 1, "gallery."),
    "gamma_gallery": lambda it: checks.optional_number(it, "gamma_gallery", 0, 1, "gallery."),
    "tau": lambda it: checks.optional_number(it, "tau", -1, 1, "gallery."),
    "margin": lambda it: checks.optional_number(it, "margin", 0, 2, "gallery."),
    "enhance_features": lambda it: it.enhance_features,
    "several_faces": lambda it: checks.several_faces("gallery.several_faces", it.several_faces) or SeveralFaces.LARGEST,
    "low_ers": lambda it: _low_ers(it.low_ers),
    "store_images": lambda it: it.store_images,
    "subject_search": lambda it: _subject_search(it.subject_search),
    "template_weighting": lambda it: checks.weighting("gallery.template_weighting", it.template_weighting),
    "template_media_pooling": lambda it: it.template_media_pooling,
    "index_kind": lambda it: _index_kind(it.index_kind),
    "duplicate_check": lambda it: _duplicate_check(it.duplicate_check),
    "duplicate_threshold": lambda it: checks.optional_number(it, "duplicate_threshold", -1, 1, "gallery."),
    "tau_subjects": lambda it: _tau_subjects(it),  # noqa: PLW0108 - defined below
}
UPDATABLE = ("profile", *_FIELDS)


class GalleryHandlers:
    """Makes, shows, changes and deletes galleries."""

    def __init__(self, store: Store, galleries: Galleries, receipts: Receipts) -> None:
        self._store = store
        self._receipts = receipts
        self._galleries = galleries

    def create_gallery(self, request: pb.CreateGalleryRequest, call: Call) -> pb.CreateGalleryResponse:
        """Make an empty gallery."""
        if not names.GALLERY_ID.fullmatch(request.gallery_id):
            raise InvalidRequest.field("gallery_id", names.GALLERY_RULE)
        if not request.gallery.HasField("tau"):
            raise InvalidRequest.field("gallery.tau", "is required; no similarity threshold suits every gallery")
        _check_templates(request.gallery, _FIELDS, SubjectSearch.BEST_FACE)
        profile = self._profile(request.gallery.profile)
        settings = GallerySettings(**_fields(request.gallery, _FIELDS))
        gallery = self._galleries.create(request.gallery_id, settings, profile, call)
        return pb.CreateGalleryResponse(gallery=self._message(gallery, gallery.record))

    def get_gallery(self, request: pb.GetGalleryRequest, call: Call) -> pb.GetGalleryResponse:
        """Return a gallery."""
        gallery = self._galleries.get(names.parse_gallery("name", request.name))
        record = self._store.gallery(gallery.record.gallery_id)
        return pb.GetGalleryResponse(gallery=self._message(gallery, record))

    def list_galleries(self, request: pb.ListGalleriesRequest, call: Call) -> pb.ListGalleriesResponse:
        """Return a page of galleries."""
        page = self._store.list_galleries(
            paging.page_size(request.page_size),
            paging.page_key("galleries", request.page_token),
            only=call.grant.galleries,
        )
        return pb.ListGalleriesResponse(
            galleries=[
                self._message(gallery, record)
                for record in page.items
                if (gallery := self._galleries.serving(record)) is not None
            ],
            next_page_token=paging.page_token("galleries", page.next_key),
        )

    def update_gallery(self, request: pb.UpdateGalleryRequest, call: Call) -> pb.UpdateGalleryResponse:
        """Change the masked settings."""
        gallery = self._galleries.get(names.parse_gallery("gallery.name", request.gallery.name))
        changed = checks.mask(request.update_mask.paths, request.gallery, UPDATABLE)
        if "tau" in changed and not request.gallery.HasField("tau"):
            raise InvalidRequest.field("gallery.tau", "cannot be unset")
        _check_templates(request.gallery, changed, gallery.record.settings.subject_search)
        change = GalleryChange(
            _fields(request.gallery, changed),
            self._profile(request.gallery.profile) if "profile" in changed else None,
        )
        record = self._galleries.update(gallery, change, checks.etag_version(request.gallery.etag), call)
        return pb.UpdateGalleryResponse(gallery=self._message(gallery, record))

    def delete_gallery(self, request: pb.DeleteGalleryRequest, call: Call) -> pb.DeleteGalleryResponse:
        """Delete a gallery with all that it holds."""
        gallery_id = names.parse_gallery("name", request.name)
        deleted = self._galleries.delete(gallery_id, checks.etag_version(request.etag), call)
        erasure = self._receipts.of(
            subjects=deleted.subjects, faces=deleted.faces, images=deleted.images, with_gallery=True
        )
        return pb.DeleteGalleryResponse(deleted_faces=deleted.faces, erasure=erasure)

    def _profile(self, name: str) -> ProfileVersion:
        return self._store.profile(*names.parse_profile("gallery.profile", name))

    def _message(self, gallery: Gallery, record: GalleryRecord) -> gallery_pb2.Gallery:
        gate = record.settings.policy(record.profile.profile).gamma_gallery
        return gallery_message(gallery, record, self._store.totals(record.key, gate))


def _fields(message: gallery_pb2.Gallery, wanted: Iterable[str]) -> dict[str, Any]:
    """Return the checked values of settings by their names."""
    return {name: _FIELDS[name](message) for name in wanted if name in _FIELDS}


def _subject_search(value: int) -> SubjectSearch:
    checks.check_enum("gallery.subject_search", value, SUBJECT_SEARCH)
    return SUBJECT_SEARCH[value]


def _index_kind(value: int) -> IndexKind:
    checks.check_enum("gallery.index_kind", value, INDEX_KIND)
    return INDEX_KIND[value]


def _duplicate_check(value: int) -> DuplicateCheck:
    checks.check_enum("gallery.duplicate_check", value, DUPLICATE_CHECK)
    return DUPLICATE_CHECK[value]


def _check_templates(message: gallery_pb2.Gallery, wanted: Iterable[str], present: SubjectSearch) -> None:
    """Refuse wishes for templates in a gallery that has none. wanted: fields that count; present: the search of now."""
    named = set(wanted)
    search = _subject_search(message.subject_search) if "subject_search" in named else present
    if search is SubjectSearch.TEMPLATE:
        return
    for field in ("template_weighting", "template_media_pooling"):
        if field in named and getattr(message, field):
            raise InvalidRequest.field(f"gallery.{field}", "needs subject_search TEMPLATE: without it there is none")


def _tau_subjects(message: gallery_pb2.Gallery) -> int | None:
    if not message.HasField("tau_subjects"):
        return None
    if not 1 <= message.tau_subjects <= MAX_SUBJECTS:
        raise InvalidRequest.field("gallery.tau_subjects", f"must lie in 1..{MAX_SUBJECTS}")
    return message.tau_subjects


def _low_ers(value: int) -> LowErs:
    checks.check_enum("gallery.low_ers", value, LOW_ERS)
    return LOW_ERS[value]
