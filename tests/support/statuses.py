"""Reads what an error says for programs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status


@dataclass
class Refusal:
    """An error as a client sees it; filled in when the block ends."""

    code: grpc.StatusCode = grpc.StatusCode.OK
    reason: str = ""
    message: str = ""
    fields: list[str] = field(default_factory=list)
    retry_after_s: float | None = None
    metadata: dict[str, str] = field(default_factory=dict)


@contextmanager
def refused() -> Iterator[Refusal]:
    """Expect the block to raise a gRPC error, and read it."""
    refusal = Refusal()
    with pytest.raises(grpc.RpcError) as caught:
        yield refusal
    error: Any = caught.value  # at run time it is a grpc.Call too, which the types forbid
    status = rpc_status.from_call(error)
    refusal.code = error.code()
    refusal.message = error.details() or ""
    if status is not None:
        read(status, refusal)


def read(status: status_pb2.Status, into: Refusal | None = None) -> Refusal:
    """Read the details of a status."""
    refusal = into or Refusal(message=status.message)
    for detail in status.details:
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            assert info.domain == "ersgallery"
            refusal.reason = info.reason
            refusal.metadata = dict(info.metadata)
        elif detail.Unpack(bad):
            refusal.fields = [violation.field for violation in bad.field_violations]
        elif detail.Unpack(retry):
            refusal.retry_after_s = retry.retry_delay.ToTimedelta().total_seconds()
    return refusal
