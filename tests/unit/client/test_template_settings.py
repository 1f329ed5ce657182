"""How a gallery is searched travels both ways, with what warns of a gallery that outgrew its tau."""

from ersgallery.v1 import face_input_pb2 as face_input
from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as gallery
from ersgallery_client import GalleryClient, GalleryWarning, IndexKind, SubjectSearch, Weighting

from tests.support.wire_server import WireServer


def test_the_settings_of_templates_are_sent_and_read(client: GalleryClient, wire: WireServer) -> None:
    settings = gallery_pb2.Gallery(
        subject_search=gallery_pb2.SUBJECT_SEARCH_TEMPLATE,
        template_weighting=face_input.WEIGHTING_TOP_1,
        template_media_pooling=True,
        tau_subjects=500,
        index_kind=gallery_pb2.INDEX_KIND_FAST,
    )
    stored = gallery_pb2.Gallery(name="galleries/g", profile="profiles/sface@2", tau=0.5)
    answered = gallery_pb2.Gallery(name="galleries/g", profile="profiles/sface@2", tau=0.5)
    answered.MergeFrom(settings)
    answered.index.capacity_faces = 9
    answered.warnings.append(gallery_pb2.GALLERY_WARNING_OUTGREW_TAU)
    wire.answer("CreateGallery", gallery.CreateGalleryResponse(gallery=answered))
    wire.answer("UpdateGallery", gallery.UpdateGalleryResponse(gallery=stored))
    made = client.create_gallery(
        "g",
        profile="sface",
        tau=0.5,
        subject_search=SubjectSearch.TEMPLATE,
        template_weighting=Weighting.TOP_1,
        template_media_pooling=True,
        tau_subjects=500,
        index_kind=IndexKind.FAST,
    )
    request = wire.received[-1]
    assert isinstance(request, gallery.CreateGalleryRequest)
    settings.MergeFrom(gallery_pb2.Gallery(profile="profiles/sface", tau=0.5))
    assert request.gallery == settings
    assert (made.subject_search, made.template_weighting) == (SubjectSearch.TEMPLATE, Weighting.TOP_1)
    assert (made.template_media_pooling, made.tau_subjects) == (True, 500)
    assert made.warnings == (GalleryWarning.OUTGREW_TAU,)
    assert (made.index_kind, made.index.capacity_faces) == (IndexKind.FAST, 9)
    after = client.update_gallery("g", tau_subjects=None, template_media_pooling=False, index_kind=IndexKind.AUTO)
    update = wire.received[-1]
    assert isinstance(update, gallery.UpdateGalleryRequest)
    assert list(update.update_mask.paths) == ["index_kind", "tau_subjects", "template_media_pooling"]
    assert update.gallery == gallery_pb2.Gallery(name="galleries/g", index_kind=gallery_pb2.INDEX_KIND_AUTO)
    assert (after.tau_subjects, after.warnings) == (None, ())
