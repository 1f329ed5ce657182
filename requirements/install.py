"""Installs the packages of a lock into the Python that runs this, each file checked against its SHA-256.

usage: python requirements/install.py LOCK NEWEST_PYTHON [--project] -- WHAT_PIP_IS_ASKED_FOR_WITHOUT_THE_LOCK ...

Locks are made for Linux with glibc on x86-64 and arm64 and for Python 3.11 up to NEWEST_PYTHON. Elsewhere, and with
LOCKED=no in the environment, packages are chosen by pip and no hashes are checked, and a line says so. A lock that fits
and cannot be installed is an error, never a reason to do without: a wrong hash would else be no obstacle.
"""

import os
import platform
import subprocess
import sys

PIP = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")


def why_unlocked(newest: str) -> str | None:
    """Return why the lock is not used, None where it fits."""
    if os.environ.get("LOCKED", "yes") != "yes":
        return "LOCKED=no, or other EXTRAS than the lock's"
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc" or platform.machine() not in {"x86_64", "aarch64"}:
        return "the lock is for Linux with glibc on x86-64 and arm64"
    if not (3, 11) <= sys.version_info[:2] <= tuple(int(part) for part in newest.split(".")):
        return f"the lock is for Python 3.11 to {newest}"
    return None


def main() -> None:
    """Install; the exit status is pip's."""
    end = sys.argv.index("--")
    (lock, newest, *flags), otherwise = sys.argv[1:end], sys.argv[end + 1 :]
    if (reason := why_unlocked(newest)) is not None:
        print(f"note: packages are installed without checking hashes ({reason})", flush=True)
        commands = [["--upgrade", "pip"], ["--prefer-binary", *otherwise]]
    else:
        commands = [["--require-hashes", "--only-binary", ":all:", "--requirement", lock]]
        if "--project" in flags:
            commands.append(["--no-deps", "--no-build-isolation", "--editable", "."])
    for command in commands:
        status = subprocess.run([*PIP, *command], check=False).returncode
        if status:
            sys.exit(status)


if __name__ == "__main__":
    main()
