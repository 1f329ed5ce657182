"""A real server inside the test process, on a free port, with its own data directory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
from ersgallery.v1 import (
    calibration_service_pb2_grpc,
    enrollment_service_pb2_grpc,
    gallery_pb2,
    gallery_service_pb2,
    gallery_service_pb2_grpc,
    hygiene_service_pb2_grpc,
    identification_service_pb2_grpc,
    recognizability_service_pb2_grpc,
)
from ersgallery_server.config import Settings
from ersgallery_server.service import Service


class RemoteServer:
    """A server that can be asked by its address, in the bare contract."""

    def __init__(self, address: str, channel: grpc.Channel | None = None) -> None:
        self.address = address
        self.channel = channel or grpc.insecure_channel(self.address)
        self.galleries = gallery_service_pb2_grpc.GalleryServiceStub(self.channel)
        self.enrollment = enrollment_service_pb2_grpc.EnrollmentServiceStub(self.channel)
        self.identification = identification_service_pb2_grpc.IdentificationServiceStub(self.channel)
        self.recognizability = recognizability_service_pb2_grpc.RecognizabilityServiceStub(self.channel)
        self.calibration = calibration_service_pb2_grpc.CalibrationServiceStub(self.channel)
        self.hygiene = hygiene_service_pb2_grpc.HygieneServiceStub(self.channel)

    def gallery(self, gallery_id: str) -> gallery_pb2.Gallery:
        """Return a gallery."""
        return self.galleries.GetGallery(gallery_service_pb2.GetGalleryRequest(name=f"galleries/{gallery_id}")).gallery

    def subjects(self, gallery_id: str) -> list[tuple[str, int]]:
        """Return all subjects' ids with their numbers of faces."""
        found: list[tuple[str, int]] = []
        request = gallery_service_pb2.ListSubjectsRequest(parent=f"galleries/{gallery_id}", page_size=1000)
        while True:
            page = self.galleries.ListSubjects(request)
            found += [(subject.name.rpartition("/")[2], subject.face_count) for subject in page.subjects]
            request.page_token = page.next_page_token
            if not request.page_token:
                return found


class RunningServer(RemoteServer):
    """A server inside this process."""

    def __init__(self, service: Service) -> None:
        super().__init__(service.address)
        self.service = service


def settings(folder: Path, models_dir: Path | None = None, **changes: Any) -> Settings:
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
