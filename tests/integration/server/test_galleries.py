"""Galleries, subjects and faces as resources: settings, etags, masks, pages, names."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from ersgallery.v1 import face_input_pb2, gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as pb
from ersgallery.v1 import identification_service_pb2 as identification
from ersgallery.v1 import recognizability_service_pb2 as recognizability
from google.protobuf.field_mask_pb2 import FieldMask

from tests.support.requests import (
    axis,
    blurred,
    create_gallery,
    create_profile,
    embedding,
    enroll,
    found,
    identify,
    item,
    matrix,
)
from tests.support.server import RunningServer
from tests.support.statuses import read, refused

MakeGallery = Callable[..., str]


def get(server: RunningServer, gallery_id: str) -> gallery_pb2.Gallery:
    return server.galleries.GetGallery(pb.GetGalleryRequest(name=f"galleries/{gallery_id}")).gallery


def update(server: RunningServer, gallery: gallery_pb2.Gallery, *paths: str) -> gallery_pb2.Gallery:
    request = pb.UpdateGalleryRequest(gallery=gallery, update_mask=FieldMask(paths=paths))
    return server.galleries.UpdateGallery(request).gallery


def test_a_gallery_has_the_gates_of_its_profile_unless_told_otherwise(server: RunningServer) -> None:
    plain = create_gallery(server, "plain")
    assert (plain.effective.gamma, plain.effective.gamma_gallery, plain.effective.tau) == (0.5, 0.5, 0.8)
    assert not plain.HasField("gamma")
    own = create_gallery(server, "own", gamma=0.3)
    assert (own.effective.gamma, own.effective.gamma_gallery) == (0.3, 0.3)
    assert (own.model, own.dimension, own.index.kind, own.index.device) == ("unit-test", 16, "exact", "cpu")


def test_a_gallery_without_tau_or_with_a_wrong_name_is_refused(server: RunningServer) -> None:
    profile = create_profile(server)
    cases = [
        ("good", gallery_pb2.Gallery(profile=profile), ["gallery.tau"]),
        ("Bad Name", gallery_pb2.Gallery(profile=profile, tau=0.5), ["gallery_id"]),
        ("good", gallery_pb2.Gallery(profile="unit", tau=0.5), ["gallery.profile"]),
        ("good", gallery_pb2.Gallery(profile=profile, tau=0.5, gamma=2.0), ["gallery.gamma"]),
        ("good", gallery_pb2.Gallery(profile=profile, tau=0.5, low_ers=9), ["gallery.low_ers"]),  # type: ignore[arg-type]
    ]
    for gallery_id, gallery, fields in cases:
        with refused() as refusal:
            server.galleries.CreateGallery(pb.CreateGalleryRequest(gallery_id=gallery_id, gallery=gallery))
        assert (refusal.reason, refusal.fields) == ("INVALID_REQUEST", fields)
    with refused() as refusal:
        wanted = gallery_pb2.Gallery(profile="profiles/unit@99", tau=0.5)
        server.galleries.CreateGallery(pb.CreateGalleryRequest(gallery_id="good", gallery=wanted))
    assert refusal.reason == "PROFILE_NOT_FOUND"


def test_a_name_is_taken_once(server: RunningServer, new_gallery: MakeGallery) -> None:
    gallery = new_gallery()
    with refused() as refusal:
        create_gallery(server, gallery)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "GALLERY_EXISTS")


def test_a_new_gallery_gate_holds_at_once_without_enrolling_again(
    server: RunningServer, new_gallery: MakeGallery
) -> None:
    gallery = new_gallery()
    enroll(server, gallery, item("ann", axis(1)), item("bob", blurred(2)))
    assert found(identify(server, gallery, axis(1))) == ["ann"]
    changed = gallery_pb2.Gallery(name=f"galleries/{gallery}", gamma_gallery=0.0)
    assert update(server, changed, "gamma_gallery").counts.searchable_faces == 2
    assert found(identify(server, gallery, axis(1))) == ["ann", "bob"]
    unset = update(server, gallery_pb2.Gallery(name=f"galleries/{gallery}"), "gamma_gallery")
    assert unset.effective.gamma_gallery == 0.5
    assert found(identify(server, gallery, axis(1))) == ["ann"]


def test_a_new_profile_version_rescores_what_is_stored(server: RunningServer) -> None:
    gallery = create_gallery(server, "rescored")
    enroll(server, "rescored", item("ann", axis(1)), item("bob", axis(0)))
    moved = create_profile(server, ui_axis=1)
    assert moved != gallery.profile
    changed = update(server, gallery_pb2.Gallery(name="galleries/rescored", profile=moved), "profile")
    assert (changed.profile, changed.counts.searchable_faces) == (moved, 1)
    assert found(identify(server, "rescored", axis(0))) == ["bob"]
    assert identify(server, "rescored", axis(1)).identification.decision == identification.DECISION_UNSURE
    enroll(server, "rescored", item("eve", axis(3)))
    assert found(identify(server, "rescored", axis(3)))[0] == "eve"
    create_profile(server)  # the first content again, as the newest version, for the tests that follow


def test_enhanced_features_change_similarity_and_no_gate(server: RunningServer, new_gallery: MakeGallery) -> None:
    gallery = new_gallery()
    enroll(server, gallery, item("ann", axis(1, (0, 0.4))))
    plain = identify(server, gallery, axis(1)).identification
    update(server, gallery_pb2.Gallery(name=f"galleries/{gallery}", enhance_features=True), "enhance_features")
    enhanced = identify(server, gallery, axis(1)).identification
    assert plain.candidates[0].similarity < 0.95
    assert enhanced.candidates[0].similarity == pytest.approx(1.0)
    assert enhanced.candidates[0].ers == plain.candidates[0].ers


def test_an_update_with_an_old_etag_is_aborted(server: RunningServer, new_gallery: MakeGallery) -> None:
    gallery = new_gallery()
    first = get(server, gallery)
    update(server, gallery_pb2.Gallery(name=first.name, tau=0.7, etag=first.etag), "tau")
    with refused() as refusal:
        update(server, gallery_pb2.Gallery(name=first.name, tau=0.6, etag=first.etag), "tau")
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert get(server, gallery).tau == 0.7
    with refused() as refusal:
        update(server, gallery_pb2.Gallery(name=first.name), "tau")
    assert refusal.fields == ["gallery.tau"]
    with refused() as refusal:
        update(server, gallery_pb2.Gallery(name=first.name), "dimension")
    assert refusal.fields == ["update_mask"]


def test_a_profile_of_another_model_is_refused(server: RunningServer, new_gallery: MakeGallery) -> None:
    gallery = new_gallery()
    other = recognizability.Profile(model="other", centroids=matrix([axis(0)]), gamma=0.5)
    request = recognizability.CreateProfileRequest(profile_id="other", profile=other)
    name = server.recognizability.CreateProfile(request).profile.name
    with refused() as refusal:
        update(server, gallery_pb2.Gallery(name=f"galleries/{gallery}", profile=name), "profile")
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PROFILE_MODEL_MISMATCH")


def test_a_deleted_gallery_is_gone_and_its_name_is_free(server: RunningServer, new_gallery: MakeGallery) -> None:
    gallery = new_gallery()
    enroll(server, gallery, item("ann", axis(1)))
    gone = server.galleries.DeleteGallery(pb.DeleteGalleryRequest(name=f"galleries/{gallery}"))
    assert gone.deleted_faces == 1
    with refused() as refusal:
        identify(server, gallery, axis(1))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "GALLERY_NOT_FOUND")
    create_gallery(server, gallery)
    assert found(identify(server, gallery, axis(1))) == []


def test_subjects_are_made_changed_and_paged(server: RunningServer, new_gallery: MakeGallery) -> None:
    parent = f"galleries/{new_gallery()}"
    for number in range(7):
        request = pb.CreateSubjectRequest(parent=parent, subject_id=f"s{number}")
        server.galleries.CreateSubject(request)
    with refused() as refusal:
        server.galleries.CreateSubject(pb.CreateSubjectRequest(parent=parent, subject_id="s0"))
    assert refusal.reason == "SUBJECT_EXISTS"
    names, token, other = [], "", ""
    while True:
        page = server.galleries.ListSubjects(pb.ListSubjectsRequest(parent=parent, page_size=3, page_token=token))
        names += [subject.name.rpartition("/")[2] for subject in page.subjects]
        if not (token := page.next_page_token):
            break
        assert len(page.subjects) == 3
        other = token
    assert names == [f"s{number}" for number in range(7)]
    with refused() as refusal:
        server.galleries.ListFaces(pb.ListFacesRequest(parent=f"{parent}/subjects/-", page_token=other))
    assert refusal.reason == "PAGE_TOKEN_INVALID"
    subject = gallery_pb2.Subject(name=f"{parent}/subjects/s1", display_name="One", metadata={"k": "v"})
    changed = server.galleries.UpdateSubject(pb.UpdateSubjectRequest(subject=subject)).subject
    assert (changed.display_name, dict(changed.metadata), changed.etag) == ("One", {"k": "v"}, "2")
    made = server.galleries.CreateSubject(pb.CreateSubjectRequest(parent=parent)).subject
    assert len(made.name.rpartition("/")[2]) == 32


def test_a_face_is_shown_without_its_embedding(server: RunningServer, new_gallery: MakeGallery) -> None:
    gallery = new_gallery()
    name = enroll(server, gallery, item("ann", 3 * axis(1), media_id="m")).outcomes[0].result.faces[0].face
    face = server.galleries.GetFace(pb.GetFaceRequest(name=name)).face
    assert (face.recognizability.ers, face.recognizability.embedding_norm) == (1.0, 3.0)
    assert (face.searchable, face.media_id, face.has_image) == (True, "m", False)
    changed = gallery_pb2.Face(name=name, metadata={"camera": "7"})
    face = server.galleries.UpdateFace(pb.UpdateFaceRequest(face=changed)).face
    assert dict(face.metadata) == {"camera": "7"}
    with refused() as refusal:
        server.galleries.GetFaceImage(pb.GetFaceImageRequest(name=name))
    assert refusal.reason == "IMAGE_NOT_STORED"
    with refused() as refusal:
        server.galleries.GetFace(pb.GetFaceRequest(name=name.replace("/ann/", "/bob/")))
    assert refusal.reason == "FACE_NOT_FOUND"


def test_profiles_are_versioned_and_a_repetition_makes_no_version(server: RunningServer) -> None:
    names = [create_profile(server, "versions", gamma=gamma) for gamma in (0.1, 0.1, 0.2, 0.1)]
    assert names == [f"profiles/versions@{version}" for version in (1, 1, 2, 3)]
    newest = server.recognizability.GetProfile(recognizability.GetProfileRequest(name="profiles/versions")).profile
    assert (newest.name, newest.gamma, newest.model, newest.dimension) == ("profiles/versions@3", 0.1, "unit-test", 16)
    zero = recognizability.Profile(model="m", centroids=matrix([0 * axis(0)]), gamma=0.5)
    with refused() as refusal:
        server.recognizability.CreateProfile(recognizability.CreateProfileRequest(profile_id="zero", profile=zero))
    assert refusal.reason == "INVALID_REQUEST"


def test_score_tells_the_ers_without_a_gallery(server: RunningServer) -> None:
    request = recognizability.ScoreRequest(profile=create_profile(server, "scored"), include_embeddings=True)
    for vector in (axis(1), blurred(1), 0 * axis(1)):
        request.faces.add().embedding.CopyFrom(embedding(vector))
    answer = server.recognizability.Score(request)
    assert [outcome.score.recognizable for outcome in answer.outcomes[:2]] == [True, False]
    assert answer.outcomes[0].score.embedding.packed == axis(1).tobytes()
    assert read(answer.outcomes[2].error).reason == "INVALID_EMBEDDING"
    assert answer.gamma == 0.5


@pytest.mark.parametrize("field", ["template_weighting", "template_media_pooling"])
def test_wishes_for_templates_need_a_gallery_that_has_them(
    server: RunningServer, new_gallery: MakeGallery, field: str
) -> None:
    wish: dict[str, Any] = {field: face_input_pb2.WEIGHTING_TOP_1 if field == "template_weighting" else True}
    with refused() as refusal:
        new_gallery(**wish)
    assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, [f"gallery.{field}"])
    name = f"galleries/{new_gallery()}"
    with refused() as refusal:
        update(server, gallery_pb2.Gallery(name=name, **wish), field)
    assert refusal.fields == [f"gallery.{field}"]
    both = gallery_pb2.Gallery(name=name, subject_search=gallery_pb2.SUBJECT_SEARCH_TEMPLATE, **wish)
    made = update(server, both, "subject_search", field)
    assert getattr(made, field) == wish[field]
    with refused() as refusal:
        update(
            server,
            gallery_pb2.Gallery(name=name, subject_search=gallery_pb2.SUBJECT_SEARCH_BEST_FACE, **wish),
            "subject_search",
            field,
        )
    assert refusal.fields == [f"gallery.{field}"]
