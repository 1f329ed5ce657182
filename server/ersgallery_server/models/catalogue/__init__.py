"""The model packages this version knows: one TOML manifest each, beside this file."""

import functools
from importlib import resources

from ersgallery_server.models.errors import InvalidManifest, UnknownModel
from ersgallery_server.models.manifest import ModelPackage, parse_manifest

_FOLDER = "ersgallery_server.models.catalogue"


@functools.cache
def catalogue() -> tuple[ModelPackage, ...]:
    """Return every known model package, the default first, then by name. Raises InvalidManifest."""
    manifests = sorted(
        (entry for entry in resources.files(_FOLDER).iterdir() if entry.name.endswith(".toml")),
        key=lambda entry: entry.name,
    )
    packages = [parse_manifest(entry.read_text(encoding="utf-8"), entry.name) for entry in manifests]
    return tuple(sorted(packages, key=lambda package: (not package.default, package.name)))


def find_model(name: str) -> ModelPackage:
    """Return the package of this name. Raises UnknownModel, which lists the known names."""
    packages = {package.name: package for package in catalogue()}
    if name not in packages:
        raise UnknownModel(name, tuple(packages))
    return packages[name]


def default_model() -> ModelPackage:
    """Return the package to use when nobody names one."""
    defaults = [package for package in catalogue() if package.default]
    if len(defaults) != 1:
        raise InvalidManifest(f"{len(defaults)} models are marked as the default; exactly 1 must be")
    return defaults[0]
