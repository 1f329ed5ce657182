"""The table from errors to statuses is complete, and no status says more than it may."""

import inspect
from types import ModuleType

import ersgallery_index.errors
import grpc
import pytest
from ersgallery.v1 import errors_pb2
from ersgallery_server import errors
from ersgallery_server.faces import FailureReason
from ersgallery_server.status import HANDLED_INSIDE, MAX_VIOLATIONS, REASONS, to_status
from ersgallery_server.store import errors as store_errors

from tests.support.statuses import read

NAMES = errors_pb2.ErrorReason.DESCRIPTOR.values_by_name
KNOWN_REASONS = {name.removeprefix("ERROR_REASON_") for name in NAMES} - {"UNSPECIFIED"}
NAMED_BY_THEMSELVES = {errors.NotAcquired}
BASES = {errors.ServiceError, store_errors.StoreError, ersgallery_index.errors.ErsError}
BEFORE_SERVING = {
    ersgallery_index.errors.DeviceUnavailable,
}


def errors_of(module: ModuleType) -> set[type[Exception]]:
    """Return the exception classes that a module defines."""
    found = {value for _, value in inspect.getmembers(module, inspect.isclass) if value.__module__ == module.__name__}
    return {value for value in found if issubclass(value, Exception)}


@pytest.mark.parametrize("module", [errors, store_errors, ersgallery_index.errors])
def test_every_error_that_can_reach_a_caller_has_a_reason(module: ModuleType) -> None:
    inside = HANDLED_INSIDE | NAMED_BY_THEMSELVES | BASES | BEFORE_SERVING
    missing = {error for error in errors_of(module) - inside if not set(error.__mro__) & set(REASONS)}
    assert missing == set()


def test_every_reason_of_the_table_is_in_the_contract() -> None:
    reasons = {reason for _, reason in REASONS.values()} | {reason.value for reason in FailureReason} | {"INTERNAL"}
    assert reasons == KNOWN_REASONS


def test_an_unexpected_error_says_nothing_of_itself() -> None:
    status = to_status(ValueError("a secret"))
    assert status.code == grpc.StatusCode.INTERNAL.value[0]
    assert "secret" not in str(status)
    assert read(status).reason == "INTERNAL"


def test_violations_are_capped_because_trailers_are_small() -> None:
    many = [errors.Violation(f"field[{i}]" * 50, "is wrong " * 100) for i in range(1000)]
    status = to_status(errors.InvalidRequest(*many))
    assert len(read(status).fields) == MAX_VIOLATIONS
    assert status.ByteSize() < 8192


def test_an_overload_says_when_to_come_again() -> None:
    assert read(to_status(errors.Overloaded("searches", 10, retry_after_s=1.5))).retry_after_s == 1.5
    assert read(to_status(store_errors.StoreOverloaded(10))).retry_after_s == 0.5
