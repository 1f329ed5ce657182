"""`ersgallery-server profiles`: check recognizability profiles; `calibrate` makes them."""

from pathlib import Path

import click

from ersgallery_server.cli.model_options import model_errors, pass_defaults_on

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
@click.pass_context
def profiles(context: click.Context) -> None:
    """Recognizability profiles: where a model's unrecognizable faces gather, and gamma."""
    pass_defaults_on(context)


@profiles.command("show")
@click.argument("path", type=_FILE)
def show(path: Path) -> None:
    """Check a profile file and print how it was made."""
    import json

    from ersgallery_server.models.profile_file import read_profile

    with model_errors():
        profile = read_profile(path)
    click.echo(f"{profile.name}: model {profile.model}, dimension {profile.dimension}, gamma {profile.gamma:g}")
    made = {"provenance": profile.provenance, "checks": list(profile.checks), "decisions": list(profile.decisions)}
    click.echo(json.dumps(made, indent=2))
