"""The options that say who is calling."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def token_options(function: FunctionT) -> FunctionT:
    """Let a command be given a token."""
    for option in (
        click.option(
            "--allow-insecure",
            is_flag=True,
            help="Send the token unencrypted to another machine, where it can be read.",
        ),
        click.option(
            "--token-file",
            type=click.Path(path_type=Path),
            envvar="ERSGALLERY_TOKEN_FILE",
            show_envvar=True,
            help="File with the token that the server's operator made for you.",
        ),
        click.option(
            "--token",
            envvar="ERSGALLERY_TOKEN",
            show_envvar=True,
            metavar="TOKEN",
            help="The token itself; on the command line other users of this machine can see it.",
        ),
    ):
        function = option(function)
    return function


def chosen_token(token: str | None, token_file: Path | None) -> str | None:
    """Return the token, None for no token; one on the command line or in the environment holds over a file's."""
    if token is not None or token_file is None:
        return token or None
    return token_file.read_text(encoding="utf-8", errors="replace").strip()
