"""A real server with a profile of embeddings, and both clients on it."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from ersgallery_client import GalleryClient

from tests.support.client_fixtures import loop, make_client
from tests.support.clients import MakeClient
from tests.support.server import RunningServer, running_server, settings
from tests.support.toy_faces import DIMENSION

__all__ = ["loop", "make_client"]


_numbers = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(settings(tmp_path_factory.mktemp("server"))) as running:
        with GalleryClient(running.address) as client:
            client.create_profile("toy", model="toy", centroids=np.eye(1, DIMENSION), gamma=0.5)
        yield running


@pytest.fixture
def client(make_client: MakeClient, server: RunningServer) -> GalleryClient:
    """Give a client of either kind, connected to the server."""
    return make_client(server.address)


@pytest.fixture
def gallery(client: GalleryClient) -> str:
    """Make an empty gallery with gamma 0.5 and tau 0.5, and give its id."""
    return client.create_gallery(f"g{next(_numbers)}", profile="toy", tau=0.5).id
