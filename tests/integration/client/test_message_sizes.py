"""What is too large for the server, and not for the client, is told as what it is and is not sent again."""

from pathlib import Path

import pytest
from ersgallery_client import errors

from tests.support.clients import MakeClient
from tests.support.server import running_server, settings

LIMIT_BYTES = 100_000


def test_a_request_beyond_the_servers_limit_is_no_overload(make_client: MakeClient, tmp_path: Path) -> None:
    with running_server(settings(tmp_path, max_message_bytes=LIMIT_BYTES)) as server:
        with pytest.raises(errors.MessageTooLarge) as caught:
            make_client(server.address).identify("nowhere", bytes(2 * LIMIT_BYTES))
    assert not isinstance(caught.value, errors.Unavailable), "which is sent again"
    assert f"the server's limit is {LIMIT_BYTES}" in caught.value.message
    assert "--max-message-mib" in caught.value.message
    assert caught.value.metadata["limit_bytes"] == str(LIMIT_BYTES)
