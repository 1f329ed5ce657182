"""Who may call, over real gRPC: scopes and methods, galleries that may not be known of, revocation, expiry."""

import datetime as dt
import json
import queue
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from ersgallery.v1 import calibration_service_pb2 as calibration
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery.v1 import hygiene_service_pb2 as hygiene
from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery.v1 import recognizability_service_pb2 as recognizability
from ersgallery_server.access.rules import RULES
from ersgallery_server.grants import Scope
from ersgallery_server.service import Exposed, Service
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.support.held import Held
from tests.support.requests import axis, matrix
from tests.support.server import RunningServer, running_server, settings
from tests.support.statuses import read, refused
from tests.support.tokens import METHODS, about, ask, bearer, issue, new_request, revoke

DENIED, UNKNOWN = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED
BOUND = [
    name for name in METHODS if not name.endswith(("Service/ListGalleries", "Profiles", "GetProfile", "ListOperations"))
]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Give a server that needs tokens, with the galleries `mine` and `theirs`."""
    with running_server(settings(tmp_path_factory.mktemp("guarded"), require_tokens=True)) as server:
        root = issue(server, "root")
        profile = recognizability.Profile(model="unit-test", centroids=matrix([axis(0)]), gamma=0.5)
        server.recognizability.CreateProfile(
            recognizability.CreateProfileRequest(profile_id="unit", profile=profile), metadata=bearer(root)
        )
        for gallery_id in ("mine", "theirs"):
            request = galleries.CreateGalleryRequest(gallery_id=gallery_id)
            request.gallery.profile, request.gallery.tau = "profiles/unit", 0.8
            server.galleries.CreateGallery(request, metadata=bearer(root))
        yield server


@pytest.fixture(scope="module")
def tokens(guarded: RunningServer) -> dict[str, str]:
    """Give a token of each scope for all galleries, by the scope's name, and others."""
    made = {scope.value: issue(guarded, scope.value.lower(), scope) for scope in Scope}
    made["all"] = issue(guarded, "all")
    made["mine"] = issue(guarded, "of-mine", galleries=["mine"])
    made["none"] = issue(guarded, "of-nothing", galleries=[])
    made["expired"] = issue(guarded, "old", expire_time=dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1))
    made["revoked"] = issue(guarded, "revoked")
    revoke(guarded, "revoked")
    return made


def reason(server: RunningServer, name: str, request: Any, token: str | None) -> str:
    return read(ask(server, METHODS[name], request, token)).reason


def test_who_administers_learns_from_no_probe_who_is_on_it(guarded: RunningServer, tokens: dict[str, str]) -> None:
    both = issue(guarded, "both", Scope.ADMIN, Scope.IDENTIFY)
    own = hygiene.FindMagnetsRequest(gallery="galleries/mine")
    foreign = hygiene.FindMagnetsRequest(gallery="galleries/mine", probes=matrix([axis(1)]))
    name = "HygieneService/FindMagnets"
    assert reason(guarded, name, foreign, tokens["ADMIN"]) == "PERMISSION_DENIED"
    assert reason(guarded, name, own, tokens["ADMIN"]) == ""
    assert reason(guarded, name, foreign, both) == ""


@pytest.mark.parametrize("name", METHODS)
def test_without_a_valid_token_every_method_gives_one_and_the_same_refusal(
    guarded: RunningServer, tokens: dict[str, str], name: str
) -> None:
    wrong = tokens["all"][:-2] + ("AA" if tokens["all"][-2:] != "AA" else "BB")
    given = [None, "", "x", wrong, tokens["expired"], tokens["revoked"]]
    statuses = [ask(guarded, METHODS[name], about(METHODS[name], "mine"), token) for token in given]
    assert all(status == statuses[0] for status in statuses)
    assert (statuses[0].code, read(statuses[0]).reason) == (UNKNOWN.value[0], "UNAUTHENTICATED")


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_served_to_its_scope_alone(guarded: RunningServer, tokens: dict[str, str], name: str) -> None:
    method = METHODS[name]
    allowed = RULES[method.full_name].scope
    request = new_request(method)  # names nothing that exists, so that nothing is changed
    for scope in Scope:
        found = reason(guarded, name, request, tokens[scope.value])
        assert (found == "PERMISSION_DENIED") == (scope is not allowed), (scope, found)


@pytest.mark.parametrize("name", BOUND)
def test_whether_a_gallery_exists_is_not_told_to_whom_it_is_no_business(
    guarded: RunningServer, tokens: dict[str, str], name: str
) -> None:
    method = METHODS[name]
    there = ask(guarded, method, about(method, "theirs"), tokens["mine"])
    nowhere = ask(guarded, method, about(method, "nowhere"), tokens["mine"])
    nothing = ask(guarded, method, new_request(method), tokens["mine"])
    assert there == nowhere == nothing
    assert (there.code, read(there).reason) == (DENIED.value[0], "PERMISSION_DENIED")
    assert "theirs" not in there.message
    if "Operation" not in name and "Profile" not in name and name != "GalleryService/DeleteGallery":
        assert reason(guarded, name, about(method, "mine"), tokens["mine"]) != "PERMISSION_DENIED"


def test_lists_show_what_the_token_may_see(guarded: RunningServer, tokens: dict[str, str]) -> None:
    def listed(token: str) -> list[str]:
        page = guarded.galleries.ListGalleries(galleries.ListGalleriesRequest(), metadata=bearer(tokens[token]))
        return [gallery.name for gallery in page.galleries]

    assert listed("all") == listed("READ") == ["galleries/mine", "galleries/theirs"]
    assert listed("mine") == ["galleries/mine"]
    assert listed("none") == []


def test_an_operation_is_known_to_whom_its_gallery_is(guarded: RunningServer, tokens: dict[str, str]) -> None:
    theirs = issue(guarded, "of-theirs", galleries=["theirs"])
    begun = guarded.calibration.CalibrateTau(
        calibration.CalibrateTauRequest(gallery="galleries/theirs", target_fpir=0.01), metadata=bearer(theirs)
    ).operation
    for verb in ("Get", "Wait", "Cancel", "Delete"):
        method = METHODS[f"CalibrationService/{verb}Operation"]
        found, missing = new_request(method), new_request(method)
        found.name, missing.name = begun.name, f"operations/{'0' * 32}"
        assert ask(guarded, method, found, tokens["mine"]) == ask(guarded, method, missing, tokens["mine"])
        assert reason(guarded, f"CalibrationService/{verb}Operation", found, tokens["mine"]) == "PERMISSION_DENIED"
        assert reason(guarded, f"CalibrationService/{verb}Operation", missing, tokens["all"]) == "OPERATION_NOT_FOUND"

    def listed(token: str) -> list[str]:
        answer = guarded.calibration.ListOperations(calibration.ListOperationsRequest(), metadata=bearer(token))
        return [operation.name for operation in answer.operations]

    assert begun.name in listed(theirs)
    assert begun.name in listed(tokens["all"])
    assert begun.name not in listed(tokens["mine"])


def test_a_bound_token_makes_its_own_galleries_and_no_others(guarded: RunningServer) -> None:
    token = issue(guarded, "maker", Scope.ADMIN, galleries=["made"])

    def make(gallery_id: str) -> str:
        request = galleries.CreateGalleryRequest(gallery_id=gallery_id)
        request.gallery.profile, request.gallery.tau = "profiles/unit", 0.8
        return reason(guarded, "GalleryService/CreateGallery", request, token)

    assert [make("made"), make("made"), make("other")] == ["", "GALLERY_EXISTS", "PERMISSION_DENIED"]
    assert (
        reason(guarded, "GalleryService/DeleteGallery", galleries.DeleteGalleryRequest(name="galleries/made"), token)
        == ""
    )


class OpenStream:
    """A StreamIdentify that a test feeds request by request."""

    def __init__(self, server: RunningServer, token: str) -> None:
        self._requests: queue.Queue[Any] = queue.Queue()
        self._answers = server.identification.StreamIdentify(
            iter(self._requests.get, None), metadata=bearer(token), timeout=60
        )

    def ask(self, gallery_id: str) -> Any:
        batch = pb.BatchIdentifyRequest(gallery=f"galleries/{gallery_id}", matrix=matrix([axis(1)]))
        self._requests.put(pb.StreamIdentifyRequest(batch=batch))
        return next(self._answers)

    def wait(self) -> Any:
        return next(self._answers)

    def end(self) -> None:
        self._requests.put(None)
        assert list(self._answers) == []


def test_a_stream_is_asked_at_each_request(guarded: RunningServer) -> None:
    token = issue(guarded, "camera", Scope.IDENTIFY, galleries=["mine"])
    stream = OpenStream(guarded, token)
    assert stream.ask("mine").HasField("response")
    with refused() as refusal:
        stream.ask("theirs")
    assert (refusal.code, refusal.reason) == (DENIED, "PERMISSION_DENIED")
    stream = OpenStream(guarded, token)
    assert stream.ask("mine").HasField("response")
    revoke(guarded, "camera")
    with refused() as refusal:
        stream.ask("mine")
    assert (refusal.code, refusal.reason) == (UNKNOWN, "UNAUTHENTICATED")


def test_an_idle_stream_of_a_token_that_is_no_longer_valid_is_ended(guarded: RunningServer) -> None:
    stream = OpenStream(guarded, issue(guarded, "idle", Scope.IDENTIFY))
    other = OpenStream(guarded, issue(guarded, "busy", Scope.IDENTIFY))
    assert stream.ask("mine").HasField("response")
    assert other.ask("mine").HasField("response")
    revoke(guarded, "idle")
    with refused() as refusal:
        stream.wait()
    assert refusal.code is grpc.StatusCode.CANCELLED
    assert other.ask("mine").HasField("response")
    other.end()


def test_a_revoked_token_is_refused_soon_without_anybodys_help(guarded: RunningServer) -> None:
    token = issue(guarded, "short", Scope.READ)
    store = guarded.service._store
    store.submit(lambda t: t.revoke_token("short")).result(60)
    give_up_s = time.monotonic() + 60
    while reason(guarded, "GalleryService/ListGalleries", galleries.ListGalleriesRequest(), token) == "":
        assert time.monotonic() < give_up_s
        time.sleep(0.1)


def test_health_is_open_and_reflection_needs_any_token(guarded: RunningServer, tokens: dict[str, str]) -> None:
    health: Any = health_pb2_grpc.HealthStub(guarded.channel)
    assert health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
    reflection: Any = reflection_pb2_grpc.ServerReflectionStub(guarded.channel)
    question = reflection_pb2.ServerReflectionRequest(list_services="")
    with refused() as refusal:
        next(reflection.ServerReflectionInfo(iter([question])))
    assert refusal.reason == "UNAUTHENTICATED"
    answer = next(reflection.ServerReflectionInfo(iter([question]), metadata=bearer(tokens["none"])))
    assert answer.list_services_response.service


def test_two_tokens_in_one_call_are_none(guarded: RunningServer, tokens: dict[str, str]) -> None:
    with refused() as refusal:
        guarded.galleries.ListGalleries(
            galleries.ListGalleriesRequest(), metadata=bearer(tokens["all"]) + bearer(tokens["READ"])
        )
    assert refusal.reason == "UNAUTHENTICATED"


def test_where_none_is_required_a_wrong_token_is_still_refused(tmp_path: Path) -> None:
    with running_server(settings(tmp_path)) as server:
        assert reason(server, "GalleryService/ListGalleries", galleries.ListGalleriesRequest(), None) == ""
        assert (
            reason(server, "GalleryService/ListGalleries", galleries.ListGalleriesRequest(), "x") == "UNAUTHENTICATED"
        )
        door = issue(server, "door", Scope.IDENTIFY)
        assert (
            reason(server, "GalleryService/ListGalleries", galleries.ListGalleriesRequest(), door)
            == "PERMISSION_DENIED"
        )


def test_a_tokens_rate_holds_and_says_when_to_come_again(guarded: RunningServer) -> None:
    slow = issue(guarded, "slow", Scope.READ, Scope.IDENTIFY, max_calls_per_second=0.01)
    request = galleries.ListGalleriesRequest()
    assert reason(guarded, "GalleryService/ListGalleries", request, slow) == ""
    refusal = read(ask(guarded, METHODS["GalleryService/ListGalleries"], request, slow))
    assert refusal.reason == "RATE_LIMITED"
    assert "0.01" in refusal.message
    assert refusal.retry_after_s is not None
    assert 0 < refusal.retry_after_s <= 100
    batches = issue(guarded, "batches", Scope.IDENTIFY, max_calls_per_second=0.5)
    search = pb.BatchIdentifyRequest(gallery="galleries/mine", matrix=matrix([axis(1)] * 100))
    assert reason(guarded, "IdentificationService/BatchIdentify", search, batches) == ""
    waits = read(ask(guarded, METHODS["IdentificationService/BatchIdentify"], search, batches)).retry_after_s
    assert waits is not None
    assert waits > 100  # the hundred probes are paid for at one in two seconds


def test_a_server_that_others_can_reach_does_not_start_without_protection(tmp_path: Path) -> None:
    for required, missing in ((None, "no TLS:"), (False, "no TLS and tokens:")):
        with pytest.raises(Exposed, match=missing) as caught:
            Service(settings(tmp_path, host="0.0.0.0", require_tokens=required))
        assert "--allow-insecure" in str(caught.value)
    with running_server(settings(tmp_path, host="0.0.0.0", allow_insecure=True)) as server:
        port = server.address.rpartition(":")[2]
        channel: Any = grpc.insecure_channel(f"127.0.0.1:{port}")
        with refused() as refusal:
            channel.unary_unary("/ersgallery.v1.GalleryService/ListGalleries")(b"")
        assert refusal.reason == "UNAUTHENTICATED"
        channel.close()


def test_the_audit_log_names_who_was_denied_and_counts_those_whom_nobody_knows(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    with running_server(settings(tmp_path, require_tokens=True, audit_log=path)) as server:
        door = issue(server, "door", Scope.READ)
        request = galleries.DeleteGalleryRequest(name="galleries/staff")
        assert reason(server, "GalleryService/DeleteGallery", request, door) == "PERMISSION_DENIED"
        for _ in range(3):
            assert reason(server, "GalleryService/DeleteGallery", request, "x") == "UNAUTHENTICATED"
        assert reason(server, "GalleryService/ListGalleries", galleries.ListGalleriesRequest(), door) == ""
    written = path.read_text()
    lines = [entry for entry in map(json.loads, written.splitlines()) if "outcome" in entry]
    assert [
        (line["caller"], line["method"], line["resource"], line["outcome"], line.get("calls")) for line in lines
    ] == [
        ("door", "GalleryService/DeleteGallery", "galleries/staff", "PERMISSION_DENIED", None),
        ("door", "GalleryService/ListGalleries", "", "OK", None),
        ("", "GalleryService/DeleteGallery", "", "UNAUTHENTICATED", 3),
    ]
    assert door not in written


def test_who_is_not_let_in_takes_no_thread_and_waits_for_none(tmp_path: Path) -> None:
    with running_server(settings(tmp_path, require_tokens=True, unary_threads=1, max_streams=1)) as server:
        root = issue(server, "root")
        make = galleries.CreateSubjectRequest(parent="galleries/g", subject_id="ann")
        profile = recognizability.CreateProfileRequest(profile_id="p")
        profile.profile.CopyFrom(recognizability.Profile(model="m", centroids=matrix([axis(0)]), gamma=0.5))
        activity = server.service._server.activity
        with Held(server.service._store.submit):
            busy = [server.recognizability.CreateProfile.future(profile, metadata=bearer(root)) for _ in range(3)]
            give_up_s = time.monotonic() + 60
            while activity.waiting < 1:  # both threads are taken
                assert time.monotonic() < give_up_s
                time.sleep(0.01)
            large = galleries.CreateSubjectRequest(parent="galleries/g" * 1_000_000)
            for request in (make, large):
                assert reason(server, "GalleryService/CreateSubject", request, "x") == "UNAUTHENTICATED"
            assert activity.waiting == 1
        assert all(call.result() for call in busy)
