"""The audit log of a real server: who did what, when, with what outcome, and nothing that a face could be known by."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner
from ersgallery.v1 import enrollment_service_pb2 as enrollment
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery.v1 import identification_service_pb2 as identification
from ersgallery_server.audit import LineFile, verify_files
from ersgallery_server.cli import main
from ersgallery_server.values import Identifications

from tests.support.requests import axis, blurred, create_gallery, enroll, identify, item, matrix
from tests.support.server import RunningServer, running_server, settings
from tests.support.statuses import refused

PEOPLE = "galleries/people"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit" / "audit.log"


@pytest.fixture
def server(tmp_path: Path, path: Path) -> Iterator[RunningServer]:
    configured = settings(tmp_path, audit_log=path, audit_identifications=Identifications.EACH)
    with running_server(configured) as running:
        create_gallery(running, "people")
        yield running


def lines(path: Path, method: str = "") -> list[dict[str, Any]]:
    entries = [json.loads(line) for line in path.read_bytes().splitlines()]
    return [entry for entry in entries if entry.get("method", "").endswith(method)] if method else entries


def wait_for(found: Callable[[], list[dict[str, Any]]], count: int) -> list[dict[str, Any]]:
    """Return lines once there are so many: the last of a stream is written after its answer has gone."""
    deadline = time.monotonic() + 30
    while len(there := found()) < count:
        assert time.monotonic() < deadline, there
        time.sleep(0.01)
    return there


def test_a_write_is_written_down_before_it_is_answered(server: RunningServer, path: Path) -> None:
    answer = enroll(server, "people", item("ann", axis(1)), item("bob", axis(2)[:3]), request_id="r1")
    (line,) = lines(path, "EnrollFaces")
    assert line["resource"] == PEOPLE
    assert (line["outcome"], line["request_id"], line["revision"]) == ("OK", "r1", answer.revision)
    assert line["counts"] == {"DISPOSITION_ACCEPTED": 1, "INVALID_EMBEDDING": 1}
    assert line["peer"].startswith("ipv4:127.0.0.1:")
    assert line["time"].endswith("+00:00")


def test_what_was_made_is_named(server: RunningServer, path: Path) -> None:
    server.galleries.CreateSubject(galleries.CreateSubjectRequest(parent=PEOPLE, subject_id="ann"))
    (line,) = lines(path, "CreateSubject")
    assert (line["resource"], line["created"]) == (PEOPLE, f"{PEOPLE}/subjects/ann")
    assert lines(path, "CreateGallery")[0]["created"] == PEOPLE


def test_a_deletion_says_how_much_is_gone(server: RunningServer, path: Path) -> None:
    enroll(server, "people", item("ann", axis(1)), item("ann", axis(2)))
    server.galleries.DeleteSubject(galleries.DeleteSubjectRequest(name=f"{PEOPLE}/subjects/ann"))
    (line,) = lines(path, "DeleteSubject")
    assert line["resource"] == f"{PEOPLE}/subjects/ann"
    assert line["counts"] == {"deleted_subjects": 1, "deleted_faces": 2}


def test_reads_and_refusals_are_written_with_their_reason(server: RunningServer, path: Path) -> None:
    name = f"{PEOPLE}/subjects/nobody"
    with refused():
        server.galleries.GetSubject(galleries.GetSubjectRequest(name=name))
    (line,) = lines(path, "GetSubject")
    assert (line["resource"], line["outcome"]) == (name, "SUBJECT_NOT_FOUND")
    server.galleries.ListGalleries(galleries.ListGalleriesRequest())
    assert lines(path, "ListGalleries")[0]["outcome"] == "OK"


def test_an_endless_or_broken_name_makes_one_short_line(server: RunningServer, path: Path) -> None:
    with refused():
        server.galleries.GetGallery(galleries.GetGalleryRequest(name='x"\n{}' * 100_000))
    (line,) = lines(path, "GetGallery")
    assert line["outcome"] == "INVALID_REQUEST"
    assert len(line["resource"]) < 600


def test_each_identification_is_written_where_that_is_wanted(server: RunningServer, path: Path) -> None:
    enroll(server, "people", item("ann", axis(1)))
    identify(server, "people", axis(1))
    identify(server, "people", blurred(1))
    assert [line["counts"] for line in lines(path, "/Identify")] == [{"DECISION_MATCH": 1}, {"DECISION_UNSURE": 1}]
    request = identification.BatchIdentifyRequest(gallery=PEOPLE, matrix=matrix([axis(1), axis(2), axis(3)]))
    server.identification.BatchIdentify(request)
    assert lines(path, "BatchIdentify")[0]["counts"] == {"DECISION_MATCH": 1, "DECISION_NO_MATCH": 2}


def test_every_batch_of_a_stream_has_its_line(server: RunningServer, path: Path) -> None:
    batches = [
        enrollment.StreamEnrollFacesRequest(
            sequence=i,
            batch=enrollment.EnrollFacesRequest(
                parent=PEOPLE if i != 1 else "galleries/none", request_id=f"r{i}", enrollments=[item("ann", axis(1))]
            ),
        )
        for i in range(3)
    ]
    list(server.enrollment.StreamEnrollFaces(iter(batches)))
    found = wait_for(lambda: lines(path, "StreamEnrollFaces"), 3)
    assert [(line["request_id"], line["outcome"]) for line in found] == [
        ("r0", "OK"),
        ("r1", "GALLERY_NOT_FOUND"),
        ("r2", "OK"),
    ]


def test_a_summary_counts_identifications_by_caller_gallery_and_outcome(tmp_path: Path, path: Path) -> None:
    with running_server(settings(tmp_path, audit_log=path)) as server:
        create_gallery(server, "people")
        enroll(server, "people", item("ann", axis(1)))
        for _ in range(3):
            identify(server, "people", axis(1))
        with refused():
            identify(server, "none", axis(1))
        assert not lines(path, "/Identify")
    found = {line["outcome"]: line for line in lines(path, "/Identify")}
    assert (found["OK"]["calls"], found["OK"]["counts"]) == (3, {"DECISION_MATCH": 3})
    assert (found["OK"]["peer"], found["OK"]["resource"]) == ("ipv4:127.0.0.1", PEOPLE)
    assert found["GALLERY_NOT_FOUND"]["calls"] == 1
    assert lines(path)[-1]["event"] == "closed"


def test_nothing_is_written_of_identifications_where_that_is_wanted(tmp_path: Path, path: Path) -> None:
    with running_server(settings(tmp_path, audit_log=path, audit_identifications=Identifications.OFF)) as server:
        create_gallery(server, "people")
        identify(server, "people", axis(1))
    assert [line["method"].partition("/")[2] for line in lines(path)[1:-1]] == ["CreateProfile", "CreateGallery"]


def test_where_the_log_cannot_be_written_nothing_is_done(
    server: RunningServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as during:
        during.setattr(LineFile, "_follow_path", _no_space)
        before = enroll(server, "people", item("ann", axis(1)))
        assert before.revision > 0, "its line waits in memory"
        with refused() as refusal:
            enroll(server, "people", item("bob", axis(2)))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "AUDIT_UNAVAILABLE")
    assert server.subjects("people") == [("ann", 1)]
    assert len(lines(path, "EnrollFaces")) == 1
    assert verify_files([path]).problem is None


def _no_space(_file: LineFile) -> None:
    raise OSError(28, "No space left on device")


def test_commands_on_the_database_have_a_chain_of_their_own(tmp_path: Path) -> None:
    data = ["--data-dir", str(tmp_path / "data")]
    for command in (
        ["token", "create", "door", "--scope", "identify", *data],
        ["token", "revoke", "door", *data],
        ["compact", *data],
        ["backup", "create", str(tmp_path / "people.backup"), *data],
    ):
        ran = CliRunner().invoke(main, command)
        assert ran.exit_code == 0, ran.output
    log = tmp_path / "data" / "audit-commands.log"
    assert [(line["command"], line["resource"]) for line in lines(log)] == [
        ("token create", "door"),
        ("token revoke", "door"),
        ("compact", ""),
        ("backup create", str(tmp_path / "people.backup")),
    ]
    assert all(line["caller"].startswith("user:") for line in lines(log))
    assert verify_files([log]).problem is None


def test_the_command_follows_the_chain_and_finds_the_break(server: RunningServer, path: Path) -> None:
    enroll(server, "people", item("ann", axis(1)))
    ran = CliRunner().invoke(main, ["audit", "verify", str(path)])
    assert (ran.exit_code, "lines from the beginning; head " in ran.output) == (0, True)
    path.write_bytes(path.read_bytes().replace(b"EnrollFaces", b"DeleteFaces"))
    enroll(server, "people", item("ann", axis(1)))
    ran = CliRunner().invoke(main, ["audit", "verify", str(path)])
    assert (ran.exit_code, "does not follow the line before it" in ran.output) == (1, True)
