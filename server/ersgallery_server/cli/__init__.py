"""The command line `ersgallery-server`: options over ERSGALLERY_* over a TOML file over defaults."""

import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import click

from ersgallery_server.cli.migrate import migrate
from ersgallery_server.cli.models import models
from ersgallery_server.cli.profiles import profiles
from ersgallery_server.cli.serve import serve


def _read_config(context: click.Context, _parameter: click.Parameter, path: Path | None) -> Path | None:
    """Make the file's values defaults: top-level keys for every command, [serve] and its like for one."""
    if path is None:
        return None
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise click.BadParameter(f"{path} cannot be read: {error}") from error
    shared = {key: value for key, value in values.items() if not isinstance(value, dict)}
    context.default_map = {
        name: {**shared, **values.get(name, {})} for name in ("serve", "migrate", "models", "profiles")
    }
    return path


@click.group(context_settings={"show_default": True})
@click.version_option(metadata.version("ersgallery"), prog_name="ersgallery-server")
@click.option(
    "--config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    envvar="ERSGALLERY_CONFIG",
    callback=_read_config,
    expose_value=False,
    help="TOML file with defaults: option names with _ for -, per command under [serve] and so on.",
)
def main() -> None:
    r"""Open-set face gallery: match, no match, or "I cannot tell".

    \b
    First steps:
      ersgallery-server models install sface   fetch the default model
      ersgallery-server serve                  serve galleries on 127.0.0.1:50061
      ersgallery gallery create people --profile sface --tau 0.45
      ersgallery enroll people FOLDER          a sub-folder per person
      ersgallery identify people PHOTO
    """


main.add_command(serve)
main.add_command(migrate)
main.add_command(models)
main.add_command(profiles)
