"""A real gRPC server that answers the contract's RPCs as a test says, to see what the client sends and how it copes."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import grpc
from ersgallery.v1.calibration_service_pb2_grpc import add_CalibrationServiceServicer_to_server
from ersgallery.v1.enrollment_service_pb2_grpc import add_EnrollmentServiceServicer_to_server
from ersgallery.v1.gallery_service_pb2_grpc import add_GalleryServiceServicer_to_server
from ersgallery.v1.hygiene_service_pb2_grpc import add_HygieneServiceServicer_to_server
from ersgallery.v1.identification_service_pb2_grpc import add_IdentificationServiceServicer_to_server
from ersgallery.v1.recognizability_service_pb2_grpc import add_RecognizabilityServiceServicer_to_server
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

Behaviour = Callable[[Any, grpc.ServicerContext], Any]
MAX_MESSAGE_BYTES = 64 * 1024 * 1024


class WireServer:
    """Listens on a free port; `on` says how an RPC behaves, `received` has the unary requests in their order."""

    def __init__(self, credentials: grpc.ServerCredentials | None = None) -> None:
        self.received: list[Message] = []
        self._behaviours: dict[str, Behaviour] = {}
        size = [(f"grpc.max_{way}_message_length", MAX_MESSAGE_BYTES) for way in ("send", "receive")]
        self._server = grpc.server(ThreadPoolExecutor(8), options=size)
        for add in (
            add_GalleryServiceServicer_to_server,
            add_EnrollmentServiceServicer_to_server,
            add_IdentificationServiceServicer_to_server,
            add_RecognizabilityServiceServicer_to_server,
            add_CalibrationServiceServicer_to_server,
            add_HygieneServiceServicer_to_server,
        ):
            add(cast("Any", self), self._server)
        if credentials is None:
            port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            port = self._server.add_secure_port("127.0.0.1:0", credentials)
        self.address = f"127.0.0.1:{port}"
        self._server.start()

    def on(self, method: str, behaviour: Behaviour) -> None:
        """Let an RPC answer what `behaviour(request or requests, context)` returns."""
        self._behaviours[method] = behaviour

    def answer(self, method: str, *answers: Message | Status) -> None:
        """Let a unary RPC give these answers, one per call, the last one for ever."""
        left = list(answers)

        def behaviour(_: Any, context: grpc.ServicerContext) -> Any:
            answer = left.pop(0) if len(left) > 1 else left[0]
            return context.abort_with_status(rpc_status.to_status(answer)) if isinstance(answer, Status) else answer

        self.on(method, behaviour)

    def stop(self) -> None:
        """Drop all connections."""
        self._server.stop(grace=None).wait()

    def __getattr__(self, method: str) -> Behaviour:
        """Give the generated code a handler for every RPC."""
        if method.startswith("_"):
            raise AttributeError(method)

        def handle(request: Any, context: grpc.ServicerContext) -> Any:
            if isinstance(request, Message):
                self.received.append(request)
            behaviour = self._behaviours.get(method)
            if behaviour is None:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the test does not say what {method} does")
            return behaviour(request, context)

        return handle


def status(
    code: grpc.StatusCode,
    reason: str = "",
    message: str = "no",
    *,
    violations: dict[str, str] | None = None,
    retry_after_s: float | None = None,
    metadata: dict[str, str] | None = None,
) -> Status:
    """Return a status as the contract has it."""
    details: list[Message] = []
    if reason:
        details.append(ErrorInfo(reason=reason, domain="ersgallery", metadata=metadata))
    if violations:
        fields = [BadRequest.FieldViolation(field=f, description=d) for f, d in violations.items()]
        details.append(BadRequest(field_violations=fields))
    if retry_after_s is not None:
        retry = RetryInfo()
        retry.retry_delay.FromNanoseconds(round(retry_after_s * 1e9))
        details.append(retry)
    return Status(code=code.value[0], message=message, details=map(_any, details))


def fail_at_the_end(requests: Iterable[Any], context: grpc.ServicerContext, failure: Status) -> Iterator[Any]:
    """End a stream with a status when the client has sent everything.

    Earlier, grpc.aio may report its own failure to write in place of the status (grpc/grpc#36066).
    """
    for _ in requests:
        pass
    return fail(context, failure)


def fail(context: grpc.ServicerContext, failure: Status) -> Iterator[Any]:
    """End a stream with a status."""
    context.abort_with_status(rpc_status.to_status(failure))


def _any(message: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed
