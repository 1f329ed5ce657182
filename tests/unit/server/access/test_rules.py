"""The table of what each method needs is complete, and finds the gallery of every request."""

import pytest
from ersgallery_server.access.rules import MOST_FACES, RULES, Place
from ersgallery_server.grants import Scope
from ersgallery_server.operations import Kind, Operations
from google.protobuf.descriptor import MethodDescriptor

from tests.support.tokens import METHODS, about, new_request

SHARED = {
    "GalleryService/ListGalleries",
    "RecognizabilityService/GetProfile",
    "RecognizabilityService/ListProfiles",
    "CalibrationService/ListOperations",
}
OF_THE_SERVER = {"RecognizabilityService/CreateProfile", "CalibrationService/CalibrateProfile"}
OF_OPERATIONS = {f"CalibrationService/{verb}Operation" for verb in ("Get", "Wait", "Cancel", "Delete")}


@pytest.fixture
def operations() -> Operations:
    return Operations()


def test_every_method_of_the_contract_has_a_rule_and_no_rule_is_of_another() -> None:
    assert set(RULES) == {method.full_name for method in METHODS.values()}


@pytest.mark.parametrize("name", METHODS)
def test_a_rule_finds_the_gallery_that_a_request_names(name: str, operations: Operations) -> None:
    found = RULES[METHODS[name].full_name].where(about(METHODS[name], "mine"), operations)
    if name in SHARED:
        assert found is Place.SHARED
    elif name in OF_THE_SERVER | OF_OPERATIONS:
        assert found is Place.SERVER
    else:
        assert found == "mine"


@pytest.mark.parametrize("name", METHODS)
def test_a_request_without_a_name_is_of_no_gallery_that_a_grant_could_name(name: str, operations: Operations) -> None:
    rule = RULES[METHODS[name].full_name]
    assert rule.where(new_request(METHODS[name]), operations) in {"", Place.SERVER, Place.SHARED}
    assert rule.faces(new_request(METHODS[name])) >= 0


@pytest.mark.parametrize("name", sorted(OF_OPERATIONS))
def test_an_operation_is_of_its_gallery(name: str, operations: Operations) -> None:
    method = METHODS[name]
    for gallery_id, place in (("mine", "mine"), ("", Place.SERVER)):
        begun = operations.start(Kind.CALIBRATE_TAU, gallery_id, lambda _progress: None)
        request = new_request(method)
        request.name = f"operations/{begun.operation_id}"
        assert RULES[method.full_name].where(request, operations) == place


def test_what_changes_anything_is_never_permitted_by_a_scope_that_only_looks() -> None:
    changing = ("Create", "Update", "Delete", "Enroll", "StreamEnroll", "Calibrate", "Cancel", "FindMagnets")
    for method in METHODS.values():
        if method.name.startswith(changing):
            assert RULES[method.full_name].scope in {Scope.ENROLL, Scope.ADMIN}, method.name


def test_faces_count_and_not_only_calls() -> None:
    def faces(name: str, fill: object) -> int:
        method: MethodDescriptor = METHODS[name]
        request = new_request(method)
        fill(request)  # type: ignore[operator]
        return RULES[method.full_name].faces(request)

    def identify_template(request: object) -> None:
        for _ in range(5):
            request.probe.template.members.add()  # type: ignore[attr-defined]

    def batch(request: object) -> None:
        request.matrix.rows = 7  # type: ignore[attr-defined]

    def boastful(request: object) -> None:
        request.matrix.rows = 2**32 - 1  # type: ignore[attr-defined]

    def stream(request: object) -> None:
        for _ in range(3):
            request.batch.list.probes.add()  # type: ignore[attr-defined]

    def enrolments(request: object) -> None:
        request.enrollments.add()  # type: ignore[attr-defined]
        for _ in range(4):
            request.enrollments.add().template.members.add()  # type: ignore[attr-defined]

    assert faces("IdentificationService/Identify", lambda _: None) == 1
    assert faces("IdentificationService/Identify", identify_template) == 5
    assert faces("IdentificationService/BatchIdentify", batch) == 7
    assert faces("IdentificationService/BatchIdentify", boastful) == MOST_FACES
    assert faces("IdentificationService/StreamIdentify", stream) == 3
    assert faces("EnrollmentService/EnrollFaces", enrolments) == 5


def test_probes_that_magnets_are_to_win_count_as_faces() -> None:
    method = METHODS["HygieneService/FindMagnets"]
    request = new_request(method)
    request.probes.rows = 9
    assert RULES[method.full_name].faces(request) == 9
