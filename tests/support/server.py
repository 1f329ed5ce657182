"""A real server inside the test process, on a free port, with its own data directory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import grpc
from ersgallery.v1 import (
    enrollment_service_pb2_grpc,
    gallery_service_pb2_grpc,
    identification_service_pb2_grpc,
    recognizability_service_pb2_grpc,
)
from ersgallery_server.config import Settings
from ersgallery_server.service import Service


class RunningServer:
    """A server that can be asked; `stubs` speak the bare contract."""

    def __init__(self, service: Service) -> None:
        self.address = service.address
        self.channel = grpc.insecure_channel(self.address)
        self.galleries = gallery_service_pb2_grpc.GalleryServiceStub(self.channel)
        self.enrollment = enrollment_service_pb2_grpc.EnrollmentServiceStub(self.channel)
        self.identification = identification_service_pb2_grpc.IdentificationServiceStub(self.channel)
        self.recognizability = recognizability_service_pb2_grpc.RecognizabilityServiceStub(self.channel)


def settings(folder: Path, models_dir: Path | None = None, **changes: object) -> Settings:
    """Return settings for a server of its own below a folder."""
    base = Settings(data_dir=folder / "data", models_dir=models_dir or folder / "models", port=0, device="cpu")
    return replace(base, **changes)


@contextmanager
def running_server(configured: Settings) -> Iterator[RunningServer]:
    """Serve until the block is left, then drain."""
    with Service(configured) as service:
        server = RunningServer(service)
        yield server
        server.channel.close()
