"""One server for all tests of a module; each test makes galleries of its own."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.requests import create_gallery
from tests.support.server import RunningServer, running_server, settings

_numbers = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder: Path = tmp_path_factory.mktemp("server")
    with running_server(settings(folder)) as running:
        yield running


@pytest.fixture
def new_gallery(server: RunningServer) -> Callable[..., str]:
    """Make a gallery with the given settings and return its id."""

    def make(**changes: object) -> str:
        gallery_id = f"g{next(_numbers)}"
        create_gallery(server, gallery_id, **changes)
        return gallery_id

    return make
