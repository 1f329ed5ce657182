"""The command line `ersgallery-server`: options over ERSGALLERY_* over a TOML file over defaults."""

import tomllib
from importlib import metadata
from pathlib import Path

import click

from ersgallery_server.cli.audit import audit
from ersgallery_server.cli.backup import backup, restore
from ersgallery_server.cli.calibrate import calibrate
from ersgallery_server.cli.config_file import FileProblem, defaults_from
from ersgallery_server.cli.encryption import compact, encryption
from ersgallery_server.cli.evaluate import evaluate
from ersgallery_server.cli.migrate import migrate
from ersgallery_server.cli.models import models
from ersgallery_server.cli.profiles import profiles
from ersgallery_server.cli.serve import serve
from ersgallery_server.cli.thresholds import thresholds
from ersgallery_server.cli.token import token


def _read_config(context: click.Context, _parameter: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    try:
        context.default_map = defaults_from(tomllib.loads(path.read_text(encoding="utf-8")), main)
    except (OSError, UnicodeError, tomllib.TOMLDecodeError, FileProblem) as error:
        raise click.BadParameter(f"{path}: {error}") from error


@click.group(context_settings={"show_default": True})
@click.version_option(metadata.version("ersgallery"), prog_name="ersgallery-server")
@click.option(
    "--config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    envvar="ERSGALLERY_CONFIG",
    callback=_read_config,
    expose_value=False,
    is_eager=True,
    help="TOML file with defaults: option names with _ for -, for one command under [serve] or [models.install].",
)
def main() -> None:
    """Open-set face gallery: match, no match, or "I cannot tell".

    \b
    First steps:
      ersgallery-server models install sface   fetch the default model
      ersgallery-server serve                  serve galleries on 127.0.0.1:50061
      ersgallery gallery create people --profile sface --tau 0.45
      ersgallery enroll people FOLDER          a sub-folder per person
      ersgallery identify people PHOTO

    What is given on the command line holds over ERSGALLERY_* in the environment, that over the file of --config.
    """  # noqa: D301 - click wants the character \b, not the two of a raw string


main.add_command(serve)
main.add_command(migrate)
main.add_command(token)
main.add_command(backup)
main.add_command(restore)
main.add_command(models)
main.add_command(profiles)
main.add_command(calibrate)
main.add_command(thresholds)
main.add_command(evaluate)
main.add_command(audit)
main.add_command(encryption)
main.add_command(compact)
