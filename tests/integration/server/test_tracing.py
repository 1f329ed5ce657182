"""Spans tell what a call waited for, hang below the caller's, and name nobody; an absent collector harms nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from ersgallery.v1 import enrollment_service_pb2 as enrollment
from ersgallery.v1 import identification_service_pb2 as pb

from tests.support.requests import axis, create_gallery, enroll, found, identify, item, matrix, probe
from tests.support.server import running_server, settings
from tests.support.server_process import free_port
from tests.support.statuses import refused

pytest.importorskip("opentelemetry.sdk")

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
IDENTIFY = "ersgallery.v1.IdentificationService/Identify"
ENROLL = "ersgallery.v1.EnrollmentService/EnrollFaces"
STREAM = "ersgallery.v1.IdentificationService/StreamIdentify"


def attributes(span: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in span.attributes}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    """All spans of one session: an enrolment, searches within a caller's trace, a refusal and a stream."""
    from tests.support.collector import running_collector

    folder: Path = tmp_path_factory.mktemp("traced")
    with running_collector() as collector:
        with running_server(settings(folder, traces=collector.address)) as server:
            create_gallery(server, "g")
            enroll(server, "g", item("ann-of-the-gables", axis(1), metadata={"badge": "b-4711"}))
            request = pb.IdentifyRequest(gallery="galleries/g", probe=probe(axis(1)))
            for sampled in ("01", "00"):
                metadata = (("traceparent", f"00-{TRACE}-{PARENT}-{sampled}"), ("secret", "s3cret"))
                server.identification.Identify(request, metadata=metadata)
            with refused():
                identify(server, "no-such-gallery", axis(1))
            batch = pb.BatchIdentifyRequest(gallery="galleries/g", matrix=matrix([axis(1)] * 3))
            list(server.identification.StreamIdentify(iter([pb.StreamIdentifyRequest(batch=batch)])))
        names = {
            attributes(each.resource)["service.name"] for sent in collector.requests for each in sent.resource_spans
        }
        assert names == {"ersgallery"}
        yield collector.spans


def test_a_call_within_a_trace_hangs_below_its_caller_and_one_that_is_not_sampled_makes_no_span(
    exported: list[Any],
) -> None:
    (span,) = [span for span in exported if span.name == IDENTIFY and span.trace_id.hex() == TRACE]
    assert span.parent_span_id.hex() == PARENT
    assert attributes(span)["rpc.method"] == "Identify"


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (IDENTIFY, {"search queue", "search"}),
        (ENROLL, {"commit", "index change"}),
        (STREAM, {"search queue", "search"}),
    ],
)
def test_what_a_call_waits_for_is_told_below_it_and_within_its_time(
    exported: list[Any], call: str, parts: set[str]
) -> None:
    span = next(span for span in exported if span.name == call)
    below = [other for other in exported if other.parent_span_id == span.span_id]
    assert {other.name for other in below} == parts
    for other in below:
        assert other.trace_id == span.trace_id
        # Both clocks are read within a moment of one another, which a busy machine can stretch.
        assert span.start_time_unix_nano - 50_000_000 <= other.start_time_unix_nano <= other.end_time_unix_nano
    if call == STREAM:
        assert [attributes(other).get("ersgallery.batch_probes") for other in below if other.name == "search"] == [3]


def test_a_refusal_is_told_by_its_reason_and_not_by_its_text(exported: list[Any]) -> None:
    (span,) = [span for span in exported if span.status.code]
    assert attributes(span)["ersgallery.reason"] == "GALLERY_NOT_FOUND"
    assert attributes(span)["rpc.grpc.status_code"] == grpc.StatusCode.NOT_FOUND.value[0]
    assert span.status.message == ""


def test_spans_name_nobody_and_carry_nothing_of_a_request(exported: list[Any]) -> None:
    told = "".join(map(str, exported))
    for secret in ("ann-of", "b-4711", "badge", "s3cret", "no-such-gallery", "packed"):
        assert secret not in told
    assert axis(1).tobytes() not in b"".join(span.SerializeToString() for span in exported)


def test_a_collector_that_is_away_keeps_nobody_waiting_and_loses_nothing_but_spans(tmp_path: Path) -> None:
    with running_server(settings(tmp_path, traces=f"http://127.0.0.1:{free_port()}")) as server:
        create_gallery(server, "g")
        answer = enroll(server, "g", item("ann", axis(1)), item("bob", np.ones(16)))
        assert isinstance(answer, enrollment.EnrollFacesResponse)
        assert found(identify(server, "g", axis(1))) == ["ann", "bob"]
