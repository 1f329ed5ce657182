"""CalibrationService, what is about operations that were begun."""

import time

from ersgallery.v1 import calibration_service_pb2 as pb

from ersgallery_server.call import Call
from ersgallery_server.errors import InvalidRequest
from ersgallery_server.handlers.calibration_messages import operation_message
from ersgallery_server.handlers.names import parse_operation
from ersgallery_server.operations import Operations

LONGEST_WAIT_S = 10.0


class OperationHandlers:
    """Shows, waits for, cancels and forgets operations."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def get_operation(self, request: pb.GetOperationRequest, call: Call) -> pb.GetOperationResponse:
        """Return an operation."""
        found = self._operations.get(parse_operation("name", request.name))
        return pb.GetOperationResponse(operation=operation_message(found))

    def list_operations(self, request: pb.ListOperationsRequest, call: Call) -> pb.ListOperationsResponse:
        """Return all that are kept and that the caller may know of."""
        return pb.ListOperationsResponse(
            operations=[
                operation_message(each, with_result=False)
                for each in self._operations.list()
                if call.grant.sees(each.gallery_id)
            ]
        )

    def wait_operation(self, request: pb.WaitOperationRequest, call: Call) -> pb.WaitOperationResponse:
        """Return an operation when it has ended or the time is over."""
        wanted = (
            request.timeout.seconds + request.timeout.nanos / 1e9 if request.HasField("timeout") else LONGEST_WAIT_S
        )
        if wanted < 0:
            raise InvalidRequest.field("timeout", "must not be negative")
        if call.deadline_s is not None:
            wanted = min(wanted, call.deadline_s - time.monotonic())
        with call.waiting():
            found = self._operations.wait(parse_operation("name", request.name), max(0.0, min(wanted, LONGEST_WAIT_S)))
        return pb.WaitOperationResponse(operation=operation_message(found))

    def cancel_operation(self, request: pb.CancelOperationRequest, call: Call) -> pb.CancelOperationResponse:
        """Ask an operation to end."""
        found = self._operations.cancel(parse_operation("name", request.name))
        return pb.CancelOperationResponse(operation=operation_message(found))

    def delete_operation(self, request: pb.DeleteOperationRequest, call: Call) -> pb.DeleteOperationResponse:
        """Forget an operation."""
        self._operations.delete(parse_operation("name", request.name))
        return pb.DeleteOperationResponse()
