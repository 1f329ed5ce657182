"""The commands `profile ...`."""

import json
from pathlib import Path
from typing import Any

import click
from rich.console import RenderableType

from ersgallery_client.cli.params import json_option
from ersgallery_client.cli.session import Session, pass_session
from ersgallery_client.cli.tables import fields, table
from ersgallery_client.values.recognizability import Profile

SCHEMA_VERSIONS = (1, 2)
_MAX_DESCRIPTION_CHARACTERS = 4096
_ESSENTIAL = ("date", "seed", "recognizer_sha256", "data", "command")


@click.group("profile")
def group() -> None:
    """Add and show recognizability profiles."""


@group.command("list")
@json_option
@pass_session
def list_(session: Session) -> None:
    """List all versions of all profiles."""
    with session.client() as client:
        profiles = list(client.list_profiles(page_size=1000))
    columns = ["profile", "model", "dimension#", "centroids#", "mean", "gamma#", "made"]
    rows = [
        (p.reference, p.model, p.dimension, len(p.centroids), p.mean is not None, p.gamma, p.create_time)
        for p in profiles
    ]
    session.show({"profiles": [_document(profile) for profile in profiles]}, lambda: table(columns, rows))


@group.command()
@click.argument("name")
@json_option
@pass_session
def show(session: Session, name: str) -> None:
    """Show a profile: NAME@VERSION, or NAME for the newest version. --json has its vectors."""
    with session.client() as client:
        profile = client.get_profile(name)
    session.show(profile, lambda: render(profile))


@group.command(
    epilog="""\b
FILE is a JSON object with the keys schema_version (1 or 2), name, model, dimension, mean (numbers or null), centroids
(rows of numbers), gamma and provenance, as "ersgallery-server calibrate" writes it.
"""
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help="Another name than the file's.")
@json_option
@pass_session
def create(session: Session, file: Path, name: str | None) -> None:
    """Add the profile in FILE, or a further version of it. A repetition of the newest version makes no new one."""
    content = read_profile_file(file)
    with session.client() as client:
        profile = client.create_profile(
            name or content["name"],
            model=content["model"],
            centroids=content["centroids"],
            mean=content["mean"],
            gamma=content["gamma"],
            description=_description(content),
        )
    session.show(profile, lambda: render(profile))


def _description(content: dict[str, Any]) -> str:
    """Return how the profile was made: all that the file says, or the essential where that is too long."""
    provenance = content.get("provenance", "")
    whole = content.get("description") or json.dumps(provenance, ensure_ascii=False)
    if len(whole) <= _MAX_DESCRIPTION_CHARACTERS or not isinstance(provenance, dict):
        return str(whole)
    short = {key: provenance[key] for key in _ESSENTIAL if key in provenance}
    return json.dumps(short, ensure_ascii=False)[:_MAX_DESCRIPTION_CHARACTERS]


def read_profile_file(path: Path) -> dict[str, Any]:
    """Return the content of a profile file; raises click.ClickException where it is none."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise click.ClickException(f"{path} is no JSON") from error
    if not isinstance(content, dict):
        raise click.ClickException(f"{path} is no JSON object")
    missing = {"schema_version", "name", "model", "mean", "centroids", "gamma"} - content.keys()
    if missing:
        raise click.ClickException(f"{path} has no {', no '.join(sorted(missing))}")
    if content["schema_version"] not in SCHEMA_VERSIONS:
        known = " and ".join(map(str, SCHEMA_VERSIONS))
        raise click.ClickException(f"{path} has schema version {content['schema_version']}, known are {known}")
    return content


def render(profile: Profile) -> RenderableType:
    """Return a profile for people."""
    return fields(
        [
            ("model", f"{profile.model}, {profile.dimension} numbers"),
            ("UI centroids", len(profile.centroids)),
            ("mean is subtracted", profile.mean is not None),
            ("gamma", profile.gamma),
            ("how it was made", profile.description or None),
            ("sha256", profile.sha256),
            ("made", profile.create_time),
        ],
        title=profile.reference,
    )


def _document(profile: Profile) -> dict[str, Any]:
    """Leave the vectors to `show`."""
    return {
        "id": profile.id,
        "version": profile.version,
        "model": profile.model,
        "dimension": profile.dimension,
        "centroids": len(profile.centroids),
        "has_mean": profile.mean is not None,
        "gamma": profile.gamma,
        "sha256": profile.sha256,
        "create_time": profile.create_time,
    }
