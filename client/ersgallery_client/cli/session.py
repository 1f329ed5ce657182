"""What every command shares: the server, and how results are shown."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import click
from rich.console import Console, RenderableType

from ersgallery_client.cli.documents import plain
from ersgallery_client.client import GalleryClient
from ersgallery_client.options import Timeout, TlsOptions

# Wide enough never to wrap: programs and grep read lines.
PIPE_WIDTH = 4096


@dataclass(slots=True)
class Session:
    """One run of the command line. `json`: one JSON document on stdout in place of tables."""

    server: str
    timeout_s: float
    tls: TlsOptions | None
    json: bool
    token: str | None = field(default=None, repr=False)
    allow_insecure: bool = False
    err: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))

    def client(self) -> GalleryClient:
        """Return a client that is closed when the command ends."""
        timeout = Timeout(read_s=self.timeout_s, write_s=self.timeout_s)
        try:
            client = GalleryClient(
                self.server, tls=self.tls, token=self.token, allow_insecure=self.allow_insecure, timeout=timeout
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        return click.get_current_context().with_resource(client)

    def show(self, document: Any, table: Callable[[], RenderableType]) -> None:
        """Print a result: the document as JSON for programs, or else the table for people."""
        if self.json:
            click.echo(json.dumps(plain(document), indent=2, ensure_ascii=False, allow_nan=False))
            return
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = PIPE_WIDTH
        console.print(table())

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something is lost; ends the command on a no."""
        if not yes:
            click.confirm(question, abort=True, err=True)


pass_session = click.make_pass_decorator(Session)
