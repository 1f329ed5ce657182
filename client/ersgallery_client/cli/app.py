"""The command group with its global options, and how errors end it."""

from pathlib import Path
from typing import Any

import click

from ersgallery_client.cli.commands import calibrate, face, gallery, hygiene, operations, profile, subject
from ersgallery_client.cli.enroll import enroll
from ersgallery_client.cli.identify import identify
from ersgallery_client.cli.score import score
from ersgallery_client.cli.session import Session
from ersgallery_client.cli.tls import chosen_tls, tls_options
from ersgallery_client.cli.token import chosen_token, token_options
from ersgallery_client.cli.verify import verify
from ersgallery_client.connection import DEFAULT_ADDRESS
from ersgallery_client.errors import GalleryError, HandshakeFailed, ServerUnreachable


class _App(click.Group):
    """Ends with one sentence where a call or a file fails."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GalleryError as error:
            session = ctx.find_object(Session)
            raise click.ClickException(sentence(error, session.server if session else DEFAULT_ADDRESS)) from error
        except OSError as error:
            raise click.ClickException(f"{error.filename}: {error.strerror}") from error


def sentence(error: GalleryError, server: str) -> str:
    """Return an error as one sentence for people, with its reason."""
    if isinstance(error, ServerUnreachable) and not isinstance(error, HandshakeFailed):
        return f"no server answers at {server} ({error.code}); start one with: ersgallery-server serve"
    # Most messages say already what is wrong with a field.
    untold = [violation for violation in error.violations if violation.description not in error.message]
    fields = "".join(f"; {violation.field}: {violation.description}" for violation in untold)
    reason = error.reason or error.code
    return f"{error.message}{fields}" + (f" ({reason})" if reason else "")


@click.group(
    cls=_App,
    epilog="""\b
Examples:
  ersgallery gallery create staff --profile sface --tau 0.45
  ersgallery enroll staff photographs/        (a folder per person)
  ersgallery identify staff door.jpg
  ersgallery --json identify staff door.jpg | jq .answers[0].decision

Every answer is MATCH, NO_MATCH or UNSURE; UNSURE means that it cannot be told, and says why.
Exit codes: 0 fine, 1 error, 2 usage.""",
)
@click.option(
    "--server",
    envvar="ERSGALLERY_SERVER",
    default=DEFAULT_ADDRESS,
    show_default=True,
    show_envvar=True,
    metavar="HOST:PORT",
    help="Where the server listens.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long one call may take.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document in place of tables.")
@tls_options
@token_options
@click.version_option(package_name="ersgallery")
@click.pass_context
def app(
    ctx: click.Context,
    /,
    server: str,
    timeout_s: float,
    as_json: bool,
    token: str | None,
    token_file: Path | None,
    allow_insecure: bool,
    **tls: Any,
) -> None:
    """Enrol faces in galleries and find out who somebody is, or that it cannot be told."""
    ctx.obj = Session(server, timeout_s, chosen_tls(**tls), as_json, chosen_token(token, token_file), allow_insecure)


for command in (
    gallery.group,
    subject.group,
    face.group,
    profile.group,
    calibrate.group,
    hygiene.group,
    operations.group,
    enroll,
    identify,
    verify,
    score,
):
    app.add_command(command)
