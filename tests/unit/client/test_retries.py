import threading
from itertools import pairwise

import grpc
import numpy as np
import pytest
from ersgallery.v1.enrollment_service_pb2 import EnrollFacesRequest, EnrollFacesResponse
from ersgallery.v1.gallery_service_pb2 import CreateGalleryResponse, GetGalleryResponse
from ersgallery_client import Enrollment, GalleryClient, GalleryError, RetryPolicy, Timeout, errors
from ersgallery_client.attempts import Attempts
from ersgallery_client.statuses import BY_REASON, error_from_status
from google.rpc.status_pb2 import Status

from tests.support.clients import MakeClient
from tests.support.wire_server import WireServer, status

LATER = [
    status(grpc.StatusCode.UNAVAILABLE),
    status(grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN"),
    status(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE"),
    status(grpc.StatusCode.UNAVAILABLE, "NOT_READY"),
    status(grpc.StatusCode.RESOURCE_EXHAUSTED),
    status(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", retry_after_s=0.01),
    status(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS"),
    status(grpc.StatusCode.INTERNAL),
]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("failure", LATER, ids=range(len(LATER)))
def test_a_read_is_made_again_while_the_server_says_later(
    client: GalleryClient, wire: WireServer, failure: Status
) -> None:
    wire.answer("GetGallery", failure, failure, GetGalleryResponse())
    client.get_gallery("g")
    assert len(wire.received) == 3


def test_a_read_gives_up_with_the_last_error_after_all_attempts(client: GalleryClient, wire: WireServer) -> None:
    wire.answer("GetGallery", status(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"))
    with pytest.raises(errors.Overloaded):
        client.get_gallery("g")
    assert len(wire.received) == 4


def test_an_enrolment_is_made_again_with_the_same_request_id(client: GalleryClient, wire: WireServer) -> None:
    wire.answer("EnrollFaces", status(grpc.StatusCode.UNAVAILABLE), EnrollFacesResponse(revision=7))
    assert client.enroll("g", [Enrollment("ada", np.ones(2))]).revision == 7
    first, second = wire.received
    assert isinstance(first, EnrollFacesRequest)
    assert first.request_id
    assert first == second


@pytest.mark.parametrize("request_id", [None, ""])
def test_an_enrolment_never_goes_without_a_request_id(
    client: GalleryClient, wire: WireServer, request_id: str | None
) -> None:
    wire.answer("EnrollFaces", EnrollFacesResponse())
    client.enroll("g", [Enrollment("ada", np.ones(2))], request_id=request_id)
    (request,) = wire.received
    assert isinstance(request, EnrollFacesRequest)
    assert len(request.request_id) == 36


def test_a_write_without_a_request_id_is_not_made_again(client: GalleryClient, wire: WireServer) -> None:
    wire.answer("CreateGallery", status(grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN"), CreateGalleryResponse())
    with pytest.raises(errors.ShuttingDown):
        client.create_gallery("g", profile="p", tau=0.5)
    assert len(wire.received) == 1


@pytest.mark.parametrize(
    "failure",
    [status(grpc.StatusCode.NOT_FOUND, "GALLERY_NOT_FOUND"), status(grpc.StatusCode.INTERNAL, "INTERNAL")],
    ids=["not found", "a fault of the service"],
)
def test_an_error_that_will_stay_is_not_tried_again(client: GalleryClient, wire: WireServer, failure: Status) -> None:
    wire.answer("GetGallery", failure, GetGalleryResponse())
    with pytest.raises(BY_REASON[error_from_status(failure).reason]):
        client.get_gallery("g")
    assert len(wire.received) == 1


def test_the_timeout_is_sent_as_the_deadline(make_client: MakeClient, wire: WireServer) -> None:
    left: list[float] = []

    def answer(_: object, context: grpc.ServicerContext) -> GetGalleryResponse:
        left.append(context.time_remaining() or 0.0)
        return GetGalleryResponse()

    wire.on("GetGallery", answer)
    make_client(wire.address, timeout=Timeout(read_s=1000.0)).get_gallery("g")
    assert 900 < left[0] < 1100  # gRPC rounds long timeouts


def test_with_options_changes_a_copy_on_the_same_connection(client: GalleryClient, wire: WireServer) -> None:
    wire.answer("GetGallery", status(grpc.StatusCode.UNAVAILABLE))
    with pytest.raises(errors.ServerUnreachable):
        client.with_options(retry=RetryPolicy(attempts=1)).get_gallery("g")
    assert len(wire.received) == 1
    with pytest.raises(errors.ServerUnreachable):
        client.get_gallery("g")
    assert len(wire.received) == 5


def test_a_server_that_does_not_answer_in_time_is_a_deadline_exceeded(
    make_client: MakeClient, wire: WireServer
) -> None:
    def hold(_: object, context: grpc.ServicerContext) -> GetGalleryResponse:
        ended = threading.Event()
        context.add_callback(ended.set)
        ended.wait(10)
        return GetGalleryResponse()

    wire.on("GetGallery", hold)
    with pytest.raises(errors.DeadlineExceeded):
        make_client(wire.address, timeout=Timeout(read_s=0.05)).get_gallery("g")


def test_by_default_a_stream_outlasts_a_restart_of_ten_seconds() -> None:
    policy = RetryPolicy()
    least = sum(policy.backoff_s(failures) for failures in range(1, policy.stream_attempts))
    assert least >= 0.5 * (0.1 + 0.2 + 0.4 + 0.8 + 1.6 + 3.2 + 3 * 5.0) > 10


def test_the_backoff_grows_to_its_limit_and_is_jittered() -> None:
    policy = RetryPolicy(initial_backoff_s=1.0, multiplier=2.0, max_backoff_s=5.0)
    waits = [{policy.backoff_s(failures) for _ in range(50)} for failures in range(1, 6)]
    for full, seen in zip([1.0, 2.0, 4.0, 5.0, 5.0], waits, strict=True):
        assert len(seen) > 1
        assert all(full / 2 <= wait <= full for wait in seen)
    assert all(max(low) <= max(high) or max(low) <= 5.0 for low, high in pairwise(waits))


def test_the_servers_retry_info_is_the_least_wait() -> None:
    attempts = Attempts(RetryPolicy(), None, attempts=4)
    assert attempts.wait_s(errors.Overloaded("busy", retry_after_s=40.0)) == 40.0
    assert attempts.wait_s(errors.Overloaded("busy", retry_after_s=0.0)) > 0.0


def test_a_wait_that_would_pass_the_timeout_is_not_begun() -> None:
    clock = Clock()
    attempts = Attempts(RetryPolicy(), 10.0, attempts=4, clock=clock)
    clock.now = 8.0
    assert attempts.remaining_s() == 2.0
    with pytest.raises(errors.Overloaded):
        attempts.wait_s(errors.Overloaded("busy", retry_after_s=3.0))


def test_progress_forgets_earlier_failures() -> None:
    attempts = Attempts(RetryPolicy(), None, attempts=2)
    for _ in range(5):
        attempts.wait_s(errors.ShuttingDown("later"))
        attempts.progress()
    attempts.wait_s(errors.ShuttingDown("later"))
    with pytest.raises(GalleryError):
        attempts.wait_s(errors.ShuttingDown("later"))


def test_a_server_that_answered_before_may_be_away_for_ten_seconds_and_is_looked_for_every_second() -> None:
    policy = RetryPolicy()
    waits = [policy.away_backoff_s(failures) for failures in range(1, policy.away_attempts)]
    assert sum(waits) > 0.5 * (0.1 + 0.2 + 0.4 + 0.8 + 17) > 9
    assert max(waits) <= 1.0


def test_a_server_that_answered_before_is_waited_for_longer_than_one_that_never_did(
    client: GalleryClient, wire: WireServer
) -> None:
    away = [status(grpc.StatusCode.UNAVAILABLE), status(grpc.StatusCode.UNAVAILABLE, "NOT_READY")] * 4
    wire.answer("GetGallery", GetGalleryResponse(), *away, GetGalleryResponse())
    client.get_gallery("g")
    client.get_gallery("g")
    assert len(wire.received) == 10


def test_a_policy_of_one_attempt_repeats_nothing_even_then(client: GalleryClient, wire: WireServer) -> None:
    wire.answer("GetGallery", GetGalleryResponse(), status(grpc.StatusCode.UNAVAILABLE), GetGalleryResponse())
    once = client.with_options(retry=RetryPolicy(attempts=1))
    once.get_gallery("g")
    with pytest.raises(errors.ServerUnreachable):
        once.get_gallery("g")
    assert len(wire.received) == 2


def test_refusals_after_a_server_came_back_are_counted_by_themselves() -> None:
    attempts = Attempts(RetryPolicy(), None, attempts=3, away_attempts=5)
    for error in (errors.ShuttingDown("later"), errors.ServerUnreachable("later"), errors.NotReady("later")):
        attempts.wait_s(error)
    for _ in range(2):
        attempts.wait_s(errors.Overloaded("busy"))
    with pytest.raises(errors.Overloaded):
        attempts.wait_s(errors.Overloaded("busy"))
