"""`ersgallery-server token`, beside a server that runs, with the client's command line as the caller."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from ersgallery_client import GalleryClient, errors
from ersgallery_client.cli.app import app
from ersgallery_server.access import TokenDirectory
from ersgallery_server.cli import main
from ersgallery_server.store import Store

from tests.support.server_process import free_port, kill, serve
from tests.support.tokens import create_token

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokens")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """Give the address of a server process that needs tokens."""
    port = free_port()
    process = serve(folder, port, "--require-tokens", "--device", "cpu")
    yield f"127.0.0.1:{port}"
    kill(process)


@pytest.fixture
def token(folder: Path) -> Command:
    """Run a command on tokens and return the result."""

    def run(command: str, *arguments: str) -> Any:
        return CliRunner().invoke(main, ["token", command, "--data-dir", str(folder), *arguments])

    return run


def wait_until(happens: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < give_up_s
        time.sleep(0.1)


def test_a_token_works_soon_after_it_was_made_and_no_longer_once_it_is_revoked(address: str, token: Command) -> None:
    made = token("create", "ops", "--scope", "all")
    assert made.exit_code == 0, made.output
    text = made.stdout.strip()
    assert "shown this once" in made.stderr

    def calls() -> bool:
        done = CliRunner().invoke(
            app, ["--server", address, "--json", "gallery", "list"], env={"ERSGALLERY_TOKEN": text}
        )
        if done.exit_code:
            assert "UNAUTHENTICATED" in done.output
            assert text not in done.output
        return done.exit_code == 0

    wait_until(calls)
    with GalleryClient(address) as nobody, pytest.raises(errors.Unauthenticated):
        list(nobody.list_galleries())
    with GalleryClient(address, token=text) as client:
        list(client.list_galleries())
        wait_until(lambda: json.loads(token("list", "--json").stdout)[0]["last_use_time"] is not None)
        assert token("revoke", "ops").exit_code == 0

        def is_refused() -> bool:
            try:
                list(client.list_galleries())
            except errors.Unauthenticated:
                return True
            return False

        wait_until(is_refused)


def test_a_token_says_what_it_may_and_where(token: Command, address: str) -> None:
    made = token(
        "create", "door", "--scope", "identify", "--scope", "read", "--gallery", "staff", "--gallery", "guests",
        "--expires-in-days", "30", "--max-calls-per-second", "20",
    )  # fmt: skip
    text = made.stdout.strip()
    (row,) = [each for each in json.loads(token("list", "--json").stdout) if each["name"] == "door"]
    assert (row["scopes"], row["galleries"]) == (["identify", "read"], ["guests", "staff"])
    assert (row["state"], row["max_calls_per_second"]) == ("valid", 20.0)
    assert row["expire_time"] > row["create_time"]
    assert text.startswith(row["begins_with"])
    for output in (token("list").output, token("list", "--json").output):
        assert "door" in output
        assert text not in output


def test_tokens_that_open_nothing_are_listed_on_demand(token: Command, address: str) -> None:
    token("create", "gone", "--scope", "read")
    token("revoke", "gone")
    states = {row["name"]: row["state"] for row in json.loads(token("list", "--all", "--json").stdout)}
    assert states["gone"] == "revoked"
    assert "gone" not in token("list").output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create", "twice", "--scope", "read"), "exists"),
        (("revoke", "nobody"), "no token"),
        (("create", "Bad Name", "--scope", "read"), "1 to 63"),
        (("create", "x", "--scope", "read", "--gallery", "A/B"), "id of a gallery"),
        (("create", "x"), "--scope"),
        (("create", "x", "--scope", "root"), "root"),
        (("create", "x", "--scope", "read", "--expires-in-days", "0"), "0"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    token: Command, address: str, arguments: tuple[str, ...], words: str
) -> None:
    token("create", "twice", "--scope", "read")
    done = token(*arguments)
    assert done.exit_code != 0
    assert words in done.output
    assert "Traceback" not in done.output


def test_a_server_for_all_the_world_is_refused_with_advice(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ersgallery_server", "serve", "--port", "0", "--host", "0.0.0.0"]
    done = subprocess.run(
        [*command, "--data-dir", str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert "--allow-insecure" in done.stderr
    assert not (tmp_path / "gallery.db").exists()


def test_revoking_needs_no_audit_log_as_making_does(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/gallery.db") as store:
        text = create_token(store, "door")
    (tmp_path / "audit-commands.log").mkdir()
    made = CliRunner().invoke(main, ["token", "create", "--data-dir", str(tmp_path), "gate", "--scope", "all"])
    assert made.exit_code == 1
    revoked = CliRunner().invoke(main, ["token", "revoke", "--data-dir", str(tmp_path), "door"])
    assert (revoked.exit_code, "not written down" in revoked.stderr) == (0, True), revoked.output
    with Store.open(f"sqlite:///{tmp_path}/gallery.db") as store:
        directory = TokenDirectory(store)
        assert directory.find(text) is None
        assert [token.name for token in store.tokens()] == ["door"]
        directory.close()
