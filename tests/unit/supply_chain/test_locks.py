"""What `make` installs is locked: all packages that are asked for, with a hash for each of their files."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "requirements"
LOCKS = ("lock-venv.txt", "lock-stubs.txt", "lock-floor.txt")
AGAIN = "run `make lock`"

_PIN = re.compile(r"([a-z0-9-]+)==(\S+)( ; [^\\]+)? \\")
_HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


def pins(lock: str) -> dict[str, list[str]]:
    """Return the versions of each package; those of one package differ by system or version of Python."""
    versions: dict[str, list[str]] = {}
    for found in map(_PIN.fullmatch, (FOLDER / lock).read_text(encoding="utf-8").splitlines()):
        if found:
            versions.setdefault(found[1], []).append(found[2])
    return versions


def asked(*extras: str) -> Iterator[Requirement]:
    """Return what the project asks for with extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras)]
    return (Requirement(line) for group in groups for line in group)


def listed(name: str) -> Iterator[Requirement]:
    """Return the requirements of a file."""
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    return (Requirement(line) for line in lines if line and not line.startswith("#"))


def extras_of(variable: str) -> list[str]:
    """Return the extras that a variable of the Makefile has."""
    found = re.search(rf"^{variable} := (\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    return found[1].split(",")


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_has_hashes_and_nothing_comes_from_anywhere_else(lock: str) -> None:
    hashes = 1
    for line in (FOLDER / lock).read_text(encoding="utf-8").splitlines():
        if _HASH.fullmatch(line):
            hashes += 1
            continue
        assert _PIN.fullmatch(line), f"neither a pinned package nor a hash: {line}"
        assert hashes, f"the package before {line} has no hash"
        hashes = 0
    assert hashes


def missing(requirements: Iterator[Requirement], lock: str) -> list[str]:
    """Return what a lock does not have, or not in the version that is asked for."""
    locked = pins(lock)
    return [
        str(wanted)
        for wanted in requirements
        if not (versions := locked.get(canonicalize_name(wanted.name)))
        or not all(wanted.specifier.contains(version, prereleases=True) for version in versions)
    ]


def test_the_lock_has_everything_that_the_project_asks_for() -> None:
    assert missing(asked(*extras_of("LOCKED_EXTRAS")), "lock-venv.txt") == [], AGAIN
    assert missing(listed("build.txt"), "lock-venv.txt") == [], AGAIN


def test_the_locks_of_the_oldest_libraries_and_of_the_stubs_have_these_versions() -> None:
    assert missing(asked(*extras_of("FLOOR_EXTRAS")), "lock-floor.txt") == [], AGAIN
    assert missing(listed("floor-tests.txt"), "lock-floor.txt") == [], AGAIN
    assert missing(listed("stubs.txt"), "lock-stubs.txt") == [], AGAIN
    # A package that only an extra outside the lock needs is not in it.
    floor = [wanted for wanted in listed("floor.txt") if wanted.name in pins("lock-floor.txt")]
    assert len(floor) > 20
    assert missing(iter(floor), "lock-floor.txt") == [], AGAIN
