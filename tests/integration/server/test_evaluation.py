"""The evaluation through a real server answers as the library does, and leaves no gallery behind."""

from pathlib import Path

import pytest
from ersgallery.v1 import gallery_service_pb2, recognizability_service_pb2
from ersgallery_server.evaluation.bench import Bench, make_bench
from ersgallery_server.evaluation.failures import ServerUnusable
from ersgallery_server.evaluation.plan import EvaluationPlan
from ersgallery_server.evaluation.remote import serve_harm
from ersgallery_server.evaluation.remote_server import RemoteServer
from ersgallery_server.evaluation.tables import Figure, Table
from ersgallery_server.grants import Scope

from tests.support.certificates import Authority, server_files
from tests.support.evaluation_corpus import corpus
from tests.support.server import running_server, settings
from tests.support.tokens import issue


@pytest.fixture(scope="module")
def bench() -> Bench:
    return make_bench(corpus(people=600), None, EvaluationPlan(resamples=20))


def test_every_answer_equals_the_one_in_process_and_the_gallery_goes(bench: Bench, tmp_path: Path) -> None:
    with running_server(settings(tmp_path)) as server:
        (first,) = serve_harm(bench, RemoteServer(server.address))
        galleries = server.galleries.ListGalleries(gallery_service_pb2.ListGalleriesRequest()).galleries
        profiles = server.recognizability.ListProfiles(recognizability_service_pb2.ListProfilesRequest()).profiles
    again = _measured_where_callers_are_known(bench, tmp_path)
    assert first.rows == again.rows
    assert len(first.rows) == 16
    assert all(row[-1] == 0 for row in first.rows)
    matched = next(row for row in first.rows if row[:2] == ("clear, enrolled", "off"))[2]
    assert isinstance(matched, Figure)
    assert matched.value > 0.5
    assert not galleries
    assert len([profile for profile in profiles if profile.name.startswith("profiles/evaluation-")]) == 1


def _measured_where_callers_are_known(bench: Bench, folder: Path) -> Table:
    authority = Authority()
    guarded = settings(folder, require_tokens=True, tls=server_files(folder / "tls", authority))
    with running_server(guarded) as server:
        token = issue(server, "evaluation", Scope.ADMIN, Scope.ENROLL, Scope.IDENTIFY)
        with pytest.raises(ServerUnusable, match="token"):
            serve_harm(bench, RemoteServer(server.address, authority.pem))
        (table,) = serve_harm(bench, RemoteServer(server.address, authority.pem, token))
    return table


def test_a_server_that_is_not_there_is_told_in_a_sentence(bench: Bench) -> None:
    with pytest.raises(ServerUnusable, match=r"the server at 127\.0\.0\.1:1 failed"):
        serve_harm(bench, RemoteServer("127.0.0.1:1"))
