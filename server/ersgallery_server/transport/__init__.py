"""gRPC around the handlers: deadlines, cancellation, statuses, streams, health and reflection."""
