"""Find an archive on the Python package index that pip is configured for. Nothing is built, run or installed."""

import ast
import os
import subprocess
import sys
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import requests
from pypi_simple import (
    PYPI_SIMPLE_ENDPOINT,
    DistributionPackage,
    NoSuchProjectError,
    PyPISimple,
    UnsupportedContentTypeError,
)
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3.util import Retry

from ersgallery_server.models.errors import SourceUnavailable

TIMEOUT_S = (10.0, 60.0)
_PIP_CONFIG_TIMEOUT_S = 30
_SETTINGS = ("index-url", "cert")


@dataclass(frozen=True, slots=True)
class PackageIndex:
    """A simple-repository index; `url` may carry credentials, `certificate` is a bundle of trusted certificates."""

    url: str
    certificate: str | None = None

    @property
    def public_url(self) -> str:
        """The URL without credentials, for messages."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def configured_index() -> PackageIndex:
    """Return the index of PIP_INDEX_URL or of pip's configuration files, else the public one."""
    settings = _pip_configuration()
    for name in _SETTINGS:
        value = os.environ.get(f"PIP_{name.upper().replace('-', '_')}")
        if value:
            settings[name] = value
    return PackageIndex(settings.get("index-url", PYPI_SIMPLE_ENDPOINT), settings.get("cert"))


def open_session(index: PackageIndex) -> requests.Session:
    """Open an HTTP session that retries, and that shows the index's credentials to its own host only."""
    session = requests.Session()
    retrying = HTTPAdapter(max_retries=Retry(total=2, backoff_factor=0.5, status_forcelist=(429, 502, 503, 504)))
    session.mount("https://", retrying)
    session.mount("http://", retrying)
    session.auth = _IndexAuth(index.url)
    if index.certificate:
        session.verify = index.certificate
    return session


def find_archive(
    index: PackageIndex, session: requests.Session, project: str, version: str, filename: str
) -> DistributionPackage:
    """Return the index's entry for one archive. Raises SourceUnavailable."""
    client = PyPISimple(index.public_url, session=session)
    try:
        page = client.get_project_page(project, timeout=TIMEOUT_S)
    except (requests.RequestException, NoSuchProjectError, UnsupportedContentTypeError) as error:
        raise SourceUnavailable(
            f"{project} cannot be had from the package index {index.public_url}: {describe_failure(error)}"
        ) from error
    for package in page.packages:
        if package.filename == filename:
            return package
    raise SourceUnavailable(f"the package index {index.public_url} has no {filename} of {project} {version}")


def describe_failure(error: Exception) -> str:
    """Say in a few words why a request failed, without URLs (which may carry credentials)."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP status {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "the connection timed out"
    if isinstance(error, requests.ConnectionError):
        return "no connection (is there a network?)"
    return type(error).__name__


class _IndexAuth(AuthBase):
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname
        self._basic = HTTPBasicAuth(parts.username, parts.password or "") if parts.username else None

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._basic is None or urlsplit(request.url or "").hostname != self._host:
            return request
        return self._basic(request)


def _pip_configuration() -> dict[str, str]:
    command = [sys.executable, "-m", "pip", "--no-input", "config", "list"]
    try:
        answer = subprocess.run(  # noqa: S603 - a fixed command of this interpreter
            command, capture_output=True, text=True, timeout=_PIP_CONFIG_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    settings: dict[str, str] = {}
    for line in answer.stdout.splitlines():
        key, equals, value = line.partition("=")
        section, _, name = key.partition(".")
        if equals and section in ("global", "download") and name in _SETTINGS:
            settings[name] = str(ast.literal_eval(value))
    return settings
