"""The command line over the environment over the file over defaults; what no option knows is an error."""

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import click
import pytest
from click.testing import CliRunner, Result
from ersgallery_server import logs, service
from ersgallery_server.cli import main
from ersgallery_server.config import MIB, Settings, TlsFiles
from ersgallery_server.service import StartError

Run = Callable[..., Result]


class Asked:
    """The settings that a server was asked to start with."""

    settings: Settings


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Stop `serve` where it would start a server, and keep what it was told."""
    found = Asked()

    def start(settings: Settings, _progress: object) -> NoReturn:
        found.settings = settings
        raise StartError("far enough")

    monkeypatch.setattr(service, "Service", start)
    monkeypatch.setattr(logs, "configure", lambda **_: None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    return found


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the command line with a configuration file and an environment."""

    def invoke(*arguments: str, config: str = "", env: dict[str, str] | None = None) -> Result:
        path = tmp_path / "config.toml"
        path.write_text(config)
        return CliRunner().invoke(main, ["--config", str(path), *arguments], env=env)

    return invoke


FILE = 'host = "of-the-file"\nmax_message_mib = 7\n[serve]\nport = 7001\n'


def test_each_level_holds_over_the_next(run: Run, asked: Asked) -> None:
    def served(*arguments: str, config: str = "", **env: str) -> tuple[str, int]:
        result = run("serve", *arguments, config=config, env={f"ERSGALLERY_{key}": value for key, value in env.items()})
        assert "far enough" in result.output
        return asked.settings.host, asked.settings.port

    assert served() == ("127.0.0.1", 50061)
    assert served(config=FILE) == ("of-the-file", 7001)
    assert asked.settings.max_message_bytes == 7 * MIB
    assert served(config=FILE, HOST="of-the-environment") == ("of-the-environment", 7001)
    assert served("--host", "given", config=FILE, HOST="of-the-environment", PORT="7002") == ("given", 7002)
    assert served("--port", "0", config=FILE) == ("of-the-file", 0)


def test_a_table_for_a_command_holds_over_what_is_for_all(run: Run, asked: Asked, tmp_path: Path) -> None:
    shared = f'data_dir = "{tmp_path}/all"\n[serve]\ndata_dir = "{tmp_path}/mine"\n'
    run("serve", config=shared)
    assert asked.settings.data_dir == tmp_path / "mine"
    assert asked.settings.models_dir == tmp_path / "mine" / "models"
    migrated = run("migrate", config=shared)
    assert migrated.exit_code == 0
    assert (tmp_path / "all" / "gallery.db").exists()
    listed = run("models", "verify", config=f'models_dir = "{tmp_path}/here"\n')
    assert f"no model is installed in {tmp_path}/here" in listed.output.replace("\n", "")
    listed = run("models", "verify", config=f'[models.verify]\nmodels_dir = "{tmp_path}/there"\n')
    assert f"no model is installed in {tmp_path}/there" in listed.output.replace("\n", "")


def test_every_setting_can_be_given_in_the_environment(run: Run, asked: Asked, tmp_path: Path) -> None:
    given: dict[str, tuple[str, Any]] = {
        "DATA_DIR": (str(tmp_path), tmp_path),
        "MODELS_DIR": (str(tmp_path / "m"), tmp_path / "m"),
        "DATABASE_URL": ("sqlite:////tmp/x", "sqlite:////tmp/x"),
        "HOST": ("h", "h"),
        "PORT": ("1", 1),
        "DEVICE": ("cpu", "cpu"),
        "INFERENCE_DEVICE": ("cuda:1", "cuda:1"),
        "INFERENCE_THREADS": ("3", 3),
        "UNARY_THREADS": ("4", 4),
        "MAX_WAITING_CALLS": ("5", 5),
        "MAX_STREAMS": ("6", 6),
        "MAX_WAITING_SEARCHES": ("7", 7),
        "MAX_WAITING_IMAGES": ("8", 8),
        "DRAIN_TIMEOUT_S": ("0.5", 0.5),
        "LOG_FORMAT": ("json", "json"),
        "LOG_LEVEL": ("debug", "debug"),
    }
    sizes = {"MAX_MESSAGE_MIB": "2", "MAX_IMAGE_MIB": "3", "MAX_IMAGE_MEGAPIXELS": "4"}
    run("serve", env={f"ERSGALLERY_{key}": value for key, (value, _) in given.items()} | _prefixed(sizes))
    for key, (_, value) in given.items():
        assert getattr(asked.settings, key.lower()) == value
    assert asked.settings.max_message_bytes == 2 * MIB
    assert (asked.settings.image_limits.max_bytes, asked.settings.image_limits.max_pixels) == (3 * MIB, 4_000_000)


def test_tls_is_on_with_a_certificate_and_its_key_and_not_with_half_of_them(run: Run, asked: Asked) -> None:
    assert "far enough" in run("serve").output
    assert (asked.settings.tls, asked.settings.protection) == (None, "not encrypted")
    run("serve", config='[serve]\ntls_cert = "c.pem"\n', env={"ERSGALLERY_TLS_KEY": "k.pem"})
    assert (asked.settings.tls, asked.settings.protection) == (TlsFiles(Path("c.pem"), Path("k.pem")), "TLS")
    run("serve", "--tls-cert", "c.pem", "--tls-key", "k.pem", "--tls-client-ca", "a.pem")
    assert asked.settings.protection == "mutual TLS"
    for half in (["--tls-cert", "c.pem"], ["--tls-key", "k.pem"], ["--tls-client-ca", "a.pem"]):
        refused = run("serve", *half)
        assert refused.exit_code == 2
        assert "TLS needs both --tls-cert and --tls-key" in refused.output


def _prefixed(values: dict[str, str]) -> dict[str, str]:
    return {f"ERSGALLERY_{key}": value for key, value in values.items()}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("prot = 1", "no option is called prot"),
        ("[serve]\nprot = 1", "no option is called serve.prot"),
        ("[srve]\nport = 1", "no command is called srve"),
        ("[serve.port]\nx = 1", "no option is called serve.port"),
        ("[models.instal]\nfrom = 'x'", "no command is called models.instal"),
        ("[models]\nport = 1", "no option is called models.port"),
        ("port = [1]", "port is neither"),
        ("port = 1979-05-27", "port is neither"),
        ("port = ", "Invalid value"),
        ("[serve]\nport = 70000", "70000 is not in the range"),
        ("[serve]\nport = 'x'", "is not a valid integer"),
        ("[serve]\nlog_level = 'loud'", "is not one of"),
    ],
)
def test_what_no_command_understands_is_an_error(run: Run, asked: Asked, config: str, words: str) -> None:
    result = run("serve", config=config)
    assert (result.exit_code, hasattr(asked, "settings")) == (2, False)
    assert words in re.sub(r"\s+", " ", result.output)


def test_a_file_that_is_not_there_or_is_no_text_is_an_error(tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "none.toml", binary):
        result = CliRunner().invoke(main, ["--config", str(path), "serve"])
        assert result.exit_code == 2
        assert path.name in result.output


@pytest.mark.parametrize("option", ["--port", "--unary-threads", "--max-message-mib", "--drain-timeout-s"])
@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1e9", "99999999"])
def test_a_number_out_of_its_range_is_an_error(run: Run, asked: Asked, option: str, value: str) -> None:
    assert run("serve", option, value).exit_code == 2


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, group
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = list(commands(main))


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(path) for path, _ in COMMANDS])
def test_every_command_and_every_option_says_what_it_is_for(path: tuple[str, ...], command: click.Command) -> None:
    result = CliRunner().invoke(main, [*path, "--help"])
    assert result.exit_code == 0
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[0] in result.output
            assert parameter.help
            assert parameter.help[0].isupper() or not parameter.help[0].isalpha() or ":" in parameter.help


def test_the_first_steps_stand_line_by_line(run: Run) -> None:
    lines = [line.strip() for line in run("--help").output.splitlines()]
    assert "ersgallery-server models install sface   fetch the default model" in lines
