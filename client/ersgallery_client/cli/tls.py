"""The options that encrypt the connection."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ersgallery_client.options import TlsOptions

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_FILE = click.Path(path_type=Path)


def tls_options(function: FunctionT) -> FunctionT:
    """Let a command be told whom to trust and who it is.

    The environment's names of the client's own certificate differ from the options': ERSGALLERY_TLS_CERT and
    ERSGALLERY_TLS_KEY are the server's.
    """
    for option in (
        click.option(
            "--tls-server-name",
            envvar="ERSGALLERY_TLS_SERVER_NAME",
            show_envvar=True,
            metavar="NAME",
            help="Name to expect in the server's certificate, where it is not that of --server.",
        ),
        click.option(
            "--tls-key",
            type=_FILE,
            envvar="ERSGALLERY_CLIENT_KEY",
            show_envvar=True,
            help="PEM file of this client's key.",
        ),
        click.option(
            "--tls-cert",
            type=_FILE,
            envvar="ERSGALLERY_CLIENT_CERT",
            show_envvar=True,
            help="PEM file of this client's certificate, for servers that ask for one.",
        ),
        click.option(
            "--tls-ca",
            type=_FILE,
            envvar="ERSGALLERY_TLS_CA",
            show_envvar=True,
            help="PEM file of the authorities to trust, in place of the public ones.",
        ),
        click.option(
            "--tls",
            is_flag=True,
            envvar="ERSGALLERY_TLS",
            show_envvar=True,
            help="Encrypt the connection; each other --tls option does too.",
        ),
    ):
        function = option(function)
    return function


def chosen_tls(
    *, tls: bool, tls_ca: Path | None, tls_cert: Path | None, tls_key: Path | None, tls_server_name: str | None
) -> TlsOptions | None:
    """Return what the options say, None for no encryption."""
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key belong together")
    if not (tls or tls_ca or tls_cert or tls_server_name):
        return None
    return TlsOptions(tls_ca, tls_cert, tls_key, tls_server_name)
