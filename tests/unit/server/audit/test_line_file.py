"""The file of the audit log: chained, private, moved away, cut by a crash, on a full disk."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ersgallery_server.audit import LineFile, verify_files
from ersgallery_server.audit.chain import START


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


@pytest.fixture
def file(path: Path) -> Iterator[LineFile]:
    opened = LineFile(path)
    for number in range(5):
        opened.append({"number": number})
    yield opened
    opened.close()


def numbers(path: Path) -> list[int]:
    return [json.loads(line)["number"] for line in path.read_bytes().splitlines()]


def test_lines_follow_one_another_in_a_file_for_its_owner_alone(file: LineFile, path: Path) -> None:
    found = verify_files([path])
    assert (found.lines, found.continues, found.head, found.problem) == (5, START, file.head, None)
    assert numbers(path) == [0, 1, 2, 3, 4]
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_chain_goes_on_after_a_restart(file: LineFile, path: Path) -> None:
    again = LineFile(path)
    assert again.head == file.head
    again.append({"number": 5})
    again.close()
    assert verify_files([path]).problem is None


@pytest.mark.parametrize("line", range(4))
def test_a_changed_a_removed_and_an_added_line_show(file: LineFile, path: Path, line: int) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    changed = lines[line].replace(b'"number":%d' % line, b'"number":9')
    for forged in (
        [*lines[:line], changed, *lines[line + 1 :]],
        [*lines[:line], *lines[line + 1 :]] if line else [*lines[:2], *lines[3:]],
        [*lines[: line + 1], changed, *lines[line + 1 :]],
    ):
        path.write_bytes(b"".join(forged))
        problem = verify_files([path]).problem
        assert problem is not None
        assert "does not follow" in problem


def test_lines_cut_off_at_the_end_show_by_the_head_that_was_kept_elsewhere(file: LineFile, path: Path) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    found = verify_files([path])
    assert found.problem is None
    assert found.head != file.head


def test_a_file_that_was_moved_away_is_followed_by_another_of_the_same_chain(file: LineFile, path: Path) -> None:
    moved = path.rename(path.with_name("audit.log.1"))
    file.append({"number": 5})
    assert numbers(path) == [5]
    assert verify_files([moved, path]).problem is None
    assert verify_files([path]).continues == verify_files([moved]).head
    assert verify_files([path, moved]).problem is not None


def test_a_line_that_a_crash_cut_is_told_and_does_not_break_the_chain(file: LineFile, path: Path) -> None:
    with path.open("ab") as torn:
        torn.write(b'{"number":5,"prev')
    again = LineFile(path)
    again.append({"number": 6})
    again.close()
    found = verify_files([path])
    assert (found.lines, found.cut_lines, found.problem) == (7, 1, None)


def test_on_a_full_disk_entries_wait_and_are_written_when_there_is_room(tmp_path: Path) -> None:
    # The limit of a file's size stands for a full disk: the same partial write, and then an error.
    ran = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found = verify_files([tmp_path / "audit.log"])
    assert (found.lines, found.cut_lines, found.problem) == (41, 0, None)


FULL = """
import resource, signal, sys
from pathlib import Path
from ersgallery_server.audit import LineFile
from ersgallery_server.errors import AuditUnavailable

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
file = LineFile(Path(sys.argv[1]) / "audit.log")
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, most))
for number in range(40):
    file.append({"number": number})
size = (Path(sys.argv[1]) / "audit.log").stat().st_size
assert size <= 3000 and size > 2500, size
try:
    file.require()
except AuditUnavailable:
    pass
else:
    raise SystemExit("it took a call")
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
file.require()
file.append({"number": 40})
file.close()
"""


def test_a_line_that_is_nested_without_end_is_taken_for_one_that_a_crash_cut(file: LineFile, path: Path) -> None:
    path.write_text("[" * 100_000 + f'"previous":"{START}"}}\n')
    found = verify_files([path])
    assert (found.lines, found.cut_lines, found.problem) == (1, 1, None)
