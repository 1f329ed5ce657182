"""`ersgallery-server audit`."""

from pathlib import Path

import click


@click.group()
def audit() -> None:
    """Look into the audit log, one JSON object for each line."""


@audit.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
def verify(files: tuple[Path, ...]) -> None:
    """Follow the chain of hashes through FILES, the oldest first; exit with 1 where it is broken.

    Every line has the SHA-256 of the line before it, so that a changed, removed or added line shows. Whoever can write
    the file can make a whole new chain, or cut off its end: keep the printed head elsewhere, and look for it later.
    """
    # Imported here: --help needs no gRPC.
    from ersgallery_server.audit.chain import START, verify_files

    found = verify_files(files)
    if found.problem is not None:
        raise click.ClickException(found.problem)
    begins = "from the beginning" if found.continues == START else f"following {found.continues}"
    click.echo(f"{found.lines} lines {begins}; head {found.head}")
    if found.cut_lines:
        click.echo(f"{found.cut_lines} of them were cut short, as a crash does")
