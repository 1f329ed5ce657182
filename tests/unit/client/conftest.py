"""A scripted gRPC server, and both clients on it."""

from collections.abc import Iterator

import pytest
from ersgallery_client import GalleryClient

from tests.support.client_fixtures import loop, make_client
from tests.support.clients import MakeClient
from tests.support.wire_server import WireServer

__all__ = ["loop", "make_client"]


@pytest.fixture
def wire() -> Iterator[WireServer]:
    server = WireServer()
    yield server
    server.stop()


@pytest.fixture
def client(make_client: MakeClient, wire: WireServer) -> GalleryClient:
    """Give a client of either kind, connected to the wire server."""
    return make_client(wire.address)
