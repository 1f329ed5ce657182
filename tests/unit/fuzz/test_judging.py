"""The oracle of the fuzz refuses what it must: faults, errors without a reason, messages without a limit."""

import pytest
from ersgallery_server.errors import IndexBehind, InvalidRequest, Overloaded
from ersgallery_server.status import to_status
from google.rpc import status_pb2

from tests.fuzz.case import Finding
from tests.fuzz.judging import judge_answer, judge_status
from tests.support.wire_server import status

from ersgallery.v1 import identification_service_pb2 as pb  # isort: skip
import grpc  # isort: skip

INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("error", [InvalidRequest.field("name", "is wrong"), Overloaded("calls", 5)])
def test_errors_as_the_service_means_them_pass(error: Exception) -> None:
    assert judge_status("M", to_status(error)) in {"INVALID_REQUEST", "OVERLOADED"}


@pytest.mark.parametrize(
    "found",
    [
        to_status(ZeroDivisionError()),
        to_status(IndexBehind("is behind", "g")),
        status(INVALID, "NO_SUCH_REASON", violations={"name": "no"}),
        status(INVALID, "INVALID_REQUEST", violations={}),
        status(INVALID, "INVALID_REQUEST", "", violations={"name": "no"}),
        status(INVALID, "INVALID_REQUEST", "x" * 600, violations={"name": "no"}),
        status_pb2.Status(code=3, message="no details"),
    ],
    ids=["internal", "index behind", "unknown", "no field", "no message", "long message", "no reason"],
)
def test_others_are_findings(found: status_pb2.Status) -> None:
    with pytest.raises(Finding):
        judge_status("M", found)
    inside = pb.BatchIdentifyResponse(columns=pb.IdentificationColumns(errors={3: found}))
    with pytest.raises(Finding):
        judge_answer("M", inside)
