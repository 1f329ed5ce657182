import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import grpc
import pytest
from ersgallery.v1 import (
    face_input_pb2,
    gallery_pb2,
)
from ersgallery.v1 import (
    gallery_service_pb2 as pb,
)
from ersgallery.v1 import (
    recognizability_service_pb2 as recognizability,
)
from ersgallery_client.cli.app import app

from tests.support.clients import Invoke
from tests.support.wire_server import WireServer, status

GALLERY = gallery_pb2.Gallery(
    name="galleries/staff",
    profile="profiles/sface@1",
    model="sface",
    dimension=128,
    tau=0.45,
    effective=gallery_pb2.EffectivePolicy(gamma=0.6, gamma_gallery=0.6, tau=0.45),
    counts=gallery_pb2.GalleryCounts(subjects=2, faces=3, searchable_faces=1),
)
SUBJECT = gallery_pb2.Subject(name="galleries/staff/subjects/ada", face_count=3, searchable_face_count=1)
FACE = gallery_pb2.Face(
    name="galleries/staff/subjects/ada/faces/17",
    recognizability=face_input_pb2.Recognizability(ers=0.75),
    searchable=True,
)
PROFILE = recognizability.Profile(
    name="profiles/sface@1",
    model="sface",
    dimension=2,
    centroids=face_input_pb2.EmbeddingMatrix(packed=bytes(8), rows=1, dimension=2),
    gamma=0.6,
)


def leaves(command: click.Command, *path: str) -> list[tuple[str, ...]]:
    if isinstance(command, click.Group):
        return [leaf for name, sub in command.commands.items() for leaf in leaves(sub, *path, name)]
    return [path]


@pytest.mark.parametrize("path", [(), *leaves(app)], ids=" ".join)
def test_every_command_explains_itself(invoke: Invoke, path: tuple[str, ...]) -> None:
    result = invoke(*path, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")
    assert len(result.stdout.splitlines()[2].strip()) > 10


def test_a_gallery_is_made_with_its_settings(invoke: Invoke, wire: WireServer) -> None:
    wire.answer("CreateGallery", pb.CreateGalleryResponse(gallery=GALLERY))
    options = "--profile sface --tau 0.45 --gamma 0 --low-ers reject --several-faces reject --store-images"
    result = invoke("gallery", "create", "staff", *options.split())
    assert result.exit_code == 0, result.stderr
    assert wire.received == [
        pb.CreateGalleryRequest(
            gallery_id="staff",
            gallery=gallery_pb2.Gallery(
                profile="profiles/sface",
                tau=0.45,
                gamma=0.0,
                low_ers=gallery_pb2.LOW_ERS_POLICY_REJECT,
                several_faces=face_input_pb2.SEVERAL_FACES_POLICY_REJECT,
                store_images=True,
            ),
        )
    ]
    assert "0.600 (default)" in result.stdout


def test_a_gallery_is_made_to_be_searched_by_template(invoke: Invoke, wire: WireServer) -> None:
    settings = gallery_pb2.Gallery(
        subject_search=gallery_pb2.SUBJECT_SEARCH_TEMPLATE,
        template_weighting=face_input_pb2.WEIGHTING_TOP_10_PERCENT,
        template_media_pooling=True,
        tau_subjects=20,
    )
    answered = gallery_pb2.Gallery()
    answered.CopyFrom(GALLERY)
    answered.MergeFrom(settings)
    answered.warnings.append(gallery_pb2.GALLERY_WARNING_OUTGREW_TAU)
    wire.answer("CreateGallery", pb.CreateGalleryResponse(gallery=answered))
    options = "--profile p --tau 0.5 --subject-search template --template-weighting top_10_percent"
    more = "--template-media-pooling --tau-subjects 20"
    result = invoke("gallery", "create", "staff", *options.split(), *more.split())
    assert result.exit_code == 0, result.stderr
    (request,) = wire.received
    assert isinstance(request, pb.CreateGalleryRequest)
    settings.MergeFrom(gallery_pb2.Gallery(profile="profiles/p", tau=0.5))
    assert request.gallery == settings
    assert "template, weighting top_10_percent" in result.stdout
    assert "more subjects than tau was chosen for" in result.stdout


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("create staff --profile p --tau 0.5 --template-weighting top_1", "--template-weighting"),
        ("create staff --profile p --tau 0.5 --template-media-pooling", "--template-media-pooling"),
        ("update staff --subject-search best-face --template-weighting top_1", "--template-weighting"),
    ],
)
def test_wishes_for_templates_where_there_are_none_are_refused(
    invoke: Invoke, wire: WireServer, command: str, option: str
) -> None:
    result = invoke("gallery", *command.split())
    assert result.exit_code == 2
    assert f"{option} needs --subject-search template" in result.stderr
    assert not wire.received


def test_the_search_and_the_subjects_of_tau_are_updated(invoke: Invoke, wire: WireServer) -> None:
    wire.answer("UpdateGallery", pb.UpdateGalleryResponse(gallery=GALLERY))
    options = "--subject-search best-face --tau-subjects default --no-template-media-pooling --index-kind fast"
    result = invoke("gallery", "update", "staff", *options.split())
    assert result.exit_code == 0, result.stderr
    (request,) = wire.received
    assert isinstance(request, pb.UpdateGalleryRequest)
    assert list(request.update_mask.paths) == ["index_kind", "subject_search", "tau_subjects", "template_media_pooling"]
    best, fast = gallery_pb2.SUBJECT_SEARCH_BEST_FACE, gallery_pb2.INDEX_KIND_FAST
    assert request.gallery == gallery_pb2.Gallery(name="galleries/staff", subject_search=best, index_kind=fast)


def test_only_given_settings_are_updated_and_default_takes_one_back(invoke: Invoke, wire: WireServer) -> None:
    wire.answer("UpdateGallery", pb.UpdateGalleryResponse(gallery=GALLERY))
    result = invoke("gallery", "update", "staff", "--gamma", "default", "--margin", "0.1", "--no-store-images")
    assert result.exit_code == 0, result.stderr
    (request,) = wire.received
    assert isinstance(request, pb.UpdateGalleryRequest)
    assert list(request.update_mask.paths) == ["gamma", "margin", "store_images"]
    assert request.gallery == gallery_pb2.Gallery(name="galleries/staff", margin=0.1)


@pytest.mark.parametrize(
    "arguments",
    [
        "gallery update staff",
        "gallery create staff --profile p",
        "gallery update staff --gamma 2",
        "subject update g s",
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wanted(invoke: Invoke, wire: WireServer, arguments: str) -> None:
    result = invoke(*arguments.split())
    assert result.exit_code == 2
    assert "Error: " in result.stderr
    assert wire.received == []


def test_lists_are_documents_with_one_key(document: Callable[..., Any], wire: WireServer) -> None:
    wire.answer("ListGalleries", pb.ListGalleriesResponse(galleries=[GALLERY]))
    wire.answer("ListSubjects", pb.ListSubjectsResponse(subjects=[SUBJECT]))
    wire.answer("ListFaces", pb.ListFacesResponse(faces=[FACE]))
    wire.answer("ListProfiles", recognizability.ListProfilesResponse(profiles=[PROFILE]))
    assert document("gallery", "list")["galleries"][0]["counts"]["faces"] == 3
    assert document("subject", "list", "staff")["subjects"][0]["searchable_face_count"] == 1
    assert document("face", "list", "staff")["faces"][0]["recognizability"]["ers"] == 0.75
    assert document("profile", "list")["profiles"][0]["centroids"] == 1


def test_json_may_also_stand_after_the_command(invoke: Invoke, wire: WireServer) -> None:
    wire.answer("GetGallery", pb.GetGalleryResponse(gallery=GALLERY))
    assert json.loads(invoke("gallery", "show", "staff", "--json").stdout)["id"] == "staff"


def test_lists_and_things_are_tables_for_people(invoke: Invoke, wire: WireServer) -> None:
    wire.answer("ListGalleries", pb.ListGalleriesResponse(galleries=[GALLERY]))
    wire.answer("GetSubject", pb.GetSubjectResponse(subject=SUBJECT))
    wire.answer("GetFace", pb.GetFaceResponse(face=FACE))
    wire.answer("GetProfile", recognizability.GetProfileResponse(profile=PROFILE))
    assert "│ staff   │" in invoke("gallery", "list").stdout
    assert "3, 1 searchable" in invoke("subject", "show", "staff", "ada").stdout
    assert "0.750" in invoke("face", "show", "staff", "ada", "17").stdout
    assert "sface@1" in invoke("profile", "show", "sface").stdout


@pytest.mark.parametrize(
    ("arguments", "rpc", "response"),
    [
        ("gallery delete staff", "DeleteGallery", pb.DeleteGalleryResponse(deleted_faces=3)),
        ("subject delete staff ada", "DeleteSubject", pb.DeleteSubjectResponse(deleted_faces=3)),
        ("face delete staff ada 17", "DeleteFace", pb.DeleteFaceResponse(revision=4)),
    ],
)
def test_a_deletion_asks_first_unless_told_not_to(
    invoke: Invoke, wire: WireServer, arguments: str, rpc: str, response: Any
) -> None:
    deleted: list[Any] = []

    def delete(request: Any, _: object) -> Any:
        deleted.append(request)
        return response

    wire.answer("GetGallery", pb.GetGalleryResponse(gallery=GALLERY))
    wire.answer("GetSubject", pb.GetSubjectResponse(subject=SUBJECT))
    wire.on(rpc, delete)
    refused = invoke(*arguments.split(), input="n\n")
    assert (refused.exit_code, deleted) == (1, [])
    assert invoke(*arguments.split(), input="y\n").exit_code == 0
    assert invoke(*arguments.split(), "--yes").exit_code == 0
    assert len(deleted) == 2


def test_a_deletion_says_what_was_erased(invoke: Invoke, wire: WireServer) -> None:
    erasure = gallery_pb2.Erasure(deleted_faces=3, deleted_images=2, database=gallery_pb2.Erasure.DATABASE_PENDING)
    wire.answer("GetSubject", pb.GetSubjectResponse(subject=SUBJECT))
    wire.answer("DeleteSubject", pb.DeleteSubjectResponse(revision=4, erasure=erasure))
    said = invoke("subject", "delete", "staff", "ada", "--yes").stdout
    assert said.startswith("ada is deleted: 3 faces, 2 photographs; still in the database's log")
    found = json.loads(invoke("subject", "delete", "staff", "ada", "--yes", "--json").stdout)
    assert (found["revision"], found["deleted_images"], found["database"]) == (4, 2, "PENDING")


def test_metadata_is_given_as_key_and_value(invoke: Invoke, wire: WireServer) -> None:
    wire.answer("CreateSubject", pb.CreateSubjectResponse(subject=SUBJECT))
    wire.answer("UpdateSubject", pb.UpdateSubjectResponse(subject=SUBJECT))
    invoke("subject", "create", "staff", "ada", "--metadata", "door=3", "--metadata", "a=b=c")
    invoke("subject", "update", "staff", "ada", "--display-name", "")
    assert invoke("subject", "create", "staff", "--metadata", "door").exit_code == 2
    created, updated = wire.received
    assert isinstance(created, pb.CreateSubjectRequest)
    assert dict(created.subject.metadata) == {"door": "3", "a": "b=c"}
    assert isinstance(updated, pb.UpdateSubjectRequest)
    assert list(updated.update_mask.paths) == ["display_name"]


def test_a_photograph_is_written_to_a_file_or_to_stdout(invoke: Invoke, wire: WireServer, tmp_path: Path) -> None:
    wire.answer("GetFaceImage", pb.GetFaceImageResponse(content=b"\xff\xd8jpeg"))
    assert invoke("face", "image", "staff", "ada", "17", "--output", tmp_path / "ada.jpg").exit_code == 0
    assert (tmp_path / "ada.jpg").read_bytes() == b"\xff\xd8jpeg"
    assert invoke("face", "image", "staff", "ada", "17", "--output", "-").stdout_bytes == b"\xff\xd8jpeg"


PROFILE_FILE = {
    "schema_version": 1,
    "name": "sface",
    "model": "sface",
    "dimension": 2,
    "mean": None,
    "centroids": [[0.6, 0.8]],
    "gamma": 0.6,
    "provenance": {"command": "calibrate"},
}


def test_a_profile_is_made_from_a_file(invoke: Invoke, wire: WireServer, tmp_path: Path) -> None:
    wire.answer("CreateProfile", recognizability.CreateProfileResponse(profile=PROFILE))
    file = tmp_path / "profile.json"
    file.write_text(json.dumps(PROFILE_FILE))
    result = invoke("profile", "create", file, "--name", "mine")
    assert result.exit_code == 0, result.stderr
    (request,) = wire.received
    assert isinstance(request, recognizability.CreateProfileRequest)
    assert (request.profile_id, request.profile.model, request.profile.gamma) == ("mine", "sface", 0.6)
    assert (request.profile.HasField("mean"), request.profile.centroids.rows) == (False, 1)
    assert json.loads(request.profile.description) == {"command": "calibrate"}


def test_a_long_provenance_is_shortened_to_what_a_server_takes(
    invoke: Invoke, wire: WireServer, tmp_path: Path
) -> None:
    wire.answer("CreateProfile", recognizability.CreateProfileResponse(profile=PROFILE))
    file = tmp_path / "profile.json"
    provenance = {"command": "calibrate", "seed": 3, "figures": {str(i): i for i in range(2000)}}
    file.write_text(json.dumps(PROFILE_FILE | {"provenance": provenance}))
    assert invoke("profile", "create", file).exit_code == 0
    (request,) = wire.received
    assert isinstance(request, recognizability.CreateProfileRequest)
    assert json.loads(request.profile.description) == {"seed": 3, "command": "calibrate"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is no JSON"),
        ("[]", "is no JSON object"),
        ('{"schema_version": 1}', "has no centroids, no gamma, no mean, no model, no name"),
        (json.dumps(PROFILE_FILE | {"schema_version": 3}), "schema version 3"),
    ],
)
def test_a_profile_file_that_cannot_be_used_says_why(invoke: Invoke, tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "profile.json"
    file.write_text(text)
    result = invoke("profile", "create", file)
    assert result.exit_code == 1
    assert problem in result.stderr


def test_a_server_that_is_not_there_is_one_sentence_with_the_remedy(invoke: Invoke, wire: WireServer) -> None:
    wire.stop()
    result = invoke("gallery", "list")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"Error: no server answers at {wire.address} (UNAVAILABLE); start one with: ersgallery-server serve\n"
    )


def test_what_is_wrong_with_a_field_is_said_once(invoke: Invoke, wire: WireServer) -> None:
    violations = {"gallery.tau": "must lie in -1..1"}
    refusal = status(
        grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", "gallery.tau: must lie in -1..1", violations=violations
    )
    wire.answer("GetGallery", refusal)
    assert invoke("gallery", "show", "staff").stderr == "Error: gallery.tau: must lie in -1..1 (INVALID_REQUEST)\n"


def test_an_error_is_one_sentence_with_fields_and_reason(invoke: Invoke, wire: WireServer) -> None:
    violations = {"gallery.tau": "must lie in -1..1"}
    wire.answer(
        "GetGallery",
        status(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", "the request is wrong", violations=violations),
    )
    result = invoke("gallery", "show", "staff")
    assert result.exit_code == 1
    assert result.stderr == "Error: the request is wrong; gallery.tau: must lie in -1..1 (INVALID_REQUEST)\n"


def test_the_server_is_also_named_by_the_environment(wire: WireServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    wire.answer("ListGalleries", pb.ListGalleriesResponse())
    monkeypatch.setenv("ERSGALLERY_SERVER", wire.address)
    assert json.loads(CliRunner().invoke(app, ["gallery", "list", "--json"]).stdout) == {"galleries": []}


def test_a_certificate_without_its_key_is_wrong_usage(invoke: Invoke) -> None:
    assert invoke("--tls-cert", "c.pem", "gallery", "list").exit_code == 2


def test_a_certificate_that_is_not_there_is_one_sentence(invoke: Invoke) -> None:
    result = invoke("--tls-ca", "none.pem", "gallery", "list")
    assert (result.exit_code, result.stderr) == (1, "Error: none.pem: No such file or directory\n")
