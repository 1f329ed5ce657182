"""The default model, installed once for all tests, and real faces where there are some."""

import functools
import os
from pathlib import Path

import pytest
from ersgallery_server.models.catalogue import default_model
from ersgallery_server.models.errors import SourceUnavailable
from ersgallery_server.models.install import install
from ersgallery_server.models.installed import is_installed

_ROOT = Path(__file__).parents[2]


@functools.cache
def installed_models_dir() -> Path:
    """Return the models directory with the default model in it; skip when it cannot be downloaded.

    ERSGALLERY_TEST_MODELS_DIR says where it is kept between runs; by default in the build folder.
    """
    directory = Path(os.environ.get("ERSGALLERY_TEST_MODELS_DIR") or _ROOT / "build" / "models")
    try:
        install(default_model(), directory)
    except SourceUnavailable as error:
        pytest.skip(f"the default model cannot be downloaded: {error}")
    return directory


def lfw_dir() -> Path:
    """Return the folder of LFW faces below ERSGALLERY_TEST_DATA; skip without it."""
    data = os.environ.get("ERSGALLERY_TEST_DATA")
    if not data:
        pytest.skip("ERSGALLERY_TEST_DATA is not set: no real faces")
    folder = Path(data) / "lfw"
    if not folder.is_dir():
        pytest.skip(f"{folder} does not exist: no real faces")
    return folder


def models_dir_if_installed() -> Path | None:
    """Return the models directory where the default model is in it already; nothing is downloaded."""
    directory = Path(os.environ.get("ERSGALLERY_TEST_MODELS_DIR") or _ROOT / "build" / "models")
    return directory if is_installed(default_model(), directory) else None
