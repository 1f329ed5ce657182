"""Identification over gRPC: the three answers, both gates, every form of probe."""

from collections.abc import Callable

import numpy as np
from ersgallery.v1 import face_input_pb2 as face
from ersgallery.v1 import identification_service_pb2 as pb

from tests.support.requests import axis, blurred, enroll, found, identify, item, matrix, probe, template
from tests.support.server import RunningServer
from tests.support.statuses import read, refused

MakeGallery = Callable[..., str]


def test_an_enrolled_person_is_a_match_and_a_stranger_is_not(server: RunningServer, new_gallery: MakeGallery) -> None:
    gallery = new_gallery()
    enroll(server, gallery, item("ann", axis(1)), item("bob", axis(2)))
    mated = identify(server, gallery, axis(1, (3, 0.1)))
    assert mated.identification.decision == pb.DECISION_MATCH
    assert found(mated) == ["ann", "bob"]
    stranger = identify(server, gallery, axis(5))
    assert stranger.identification.decision == pb.DECISION_NO_MATCH
    assert mated.applied.policy.gamma == mated.applied.policy.gamma_gallery == 0.5
    assert mated.applied.profile == "profiles/unit@1"
    assert mated.applied.revision == 1
    assert mated.applied.index.precision == "exact-float64"


def test_an_unrecognizable_probe_is_unsure_and_not_searched(server: RunningServer, new_gallery: MakeGallery) -> None:
    gallery = new_gallery()
    enroll(server, gallery, item("ann", axis(1)))
    answer = identify(server, gallery, blurred(1)).identification
    assert answer.decision == pb.DECISION_UNSURE
    assert answer.reasons == [pb.UNSURE_REASON_PROBE_UNRECOGNIZABLE]
    assert not answer.candidates
    assert answer.probe.ers < 0.1


def test_a_blurred_enrolment_matches_blurred_strangers_only_with_the_gates_off(
    server: RunningServer, new_gallery: MakeGallery
) -> None:
    gallery = new_gallery()
    enroll(server, gallery, item("ann", axis(1)), item("blurred-bob", blurred(2)))
    off = identify(server, gallery, blurred(7), gamma=0.0, gamma_gallery=0.0)
    assert off.identification.decision == pb.DECISION_MATCH
    assert found(off)[0] == "blurred-bob"
    gallery_gate = identify(server, gallery, blurred(7), gamma=0.0)
    assert gallery_gate.identification.decision == pb.DECISION_NO_MATCH
    assert found(gallery_gate) == ["ann"]


def test_filtered_hits_are_returned_apart_on_request(server: RunningServer, new_gallery: MakeGallery) -> None:
    gallery = new_gallery()
    enroll(server, gallery, item("ann", axis(1)), item("blurred-bob", blurred(2)))
    answer = identify(server, gallery, axis(1), include_filtered=True).identification
    assert [c.subject.rpartition("/")[2] for c in answer.candidates] == ["ann"]
    assert [c.subject.rpartition("/")[2] for c in answer.filtered] == ["blurred-bob"]


def test_two_subjects_closer_than_the_margin_are_ambiguous(server: RunningServer, new_gallery: MakeGallery) -> None:
    gallery = new_gallery(margin=0.05)
    enroll(server, gallery, item("ann", axis(1)), item("twin", axis(1, (2, 0.05))))
    answer = identify(server, gallery, axis(1), max_candidates=1).identification
    assert answer.reasons == [pb.UNSURE_REASON_AMBIGUOUS]
    assert len(answer.candidates) == 1


def test_a_batch_answers_by_columns_what_single_calls_answer(server: RunningServer, new_gallery: MakeGallery) -> None:
    gallery = new_gallery()
    enroll(server, gallery, *(item(f"s{i}", axis(1 + i % 15, (0, 0.2 * (i % 4)))) for i in range(40)))
    rows = np.stack([axis(1), blurred(3), axis(4, (5, 0.8)), axis(0)])
    batch = server.identification.BatchIdentify(
        pb.BatchIdentifyRequest(
            gallery=f"galleries/{gallery}", matrix=matrix(rows), policy=pb.SearchPolicy(max_candidates=3)
        )
    ).columns
    start = 0
    for row, vector in enumerate(rows):
        single = identify(server, gallery, vector, max_candidates=3).identification
        assert batch.decisions[row] == single.decision
        assert batch.ers[row] == single.probe.ers
        assert list(batch.reasons[row].reasons if row in batch.reasons else []) == list(single.reasons)
        stop = start + batch.candidates.counts[row]
        names = [batch.candidates.subjects[i] for i in batch.candidates.subject_index[start:stop]]
        assert names == [candidate.subject for candidate in single.candidates]
        assert batch.candidates.similarities[start:stop] == [c.similarity for c in single.candidates]
        start = stop
    assert start == len(batch.candidates.face_ids)


def test_a_bad_row_of_a_matrix_harms_no_other_row(server: RunningServer, new_gallery: MakeGallery) -> None:
    gallery = new_gallery()
    enroll(server, gallery, item("ann", axis(1)))
    rows = np.stack([axis(1), np.full(16, np.nan, np.float32), np.zeros(16, np.float32), axis(1)])
    columns = server.identification.BatchIdentify(
        pb.BatchIdentifyRequest(gallery=f"galleries/{gallery}", matrix=matrix(rows))
    ).columns
    assert list(columns.decisions) == [pb.DECISION_MATCH, 0, 0, pb.DECISION_MATCH]
    assert list(columns.candidates.counts) == [1, 0, 0, 1]
    assert {row: read(status).reason for row, status in columns.errors.items()} == {
        1: "INVALID_EMBEDDING",
        2: "INVALID_EMBEDDING",
    }


def test_a_list_of_probes_has_an_outcome_each(server: RunningServer, new_gallery: MakeGallery) -> None:
    gallery = new_gallery()
    enroll(server, gallery, item("ann", axis(1)))
    probes = [
        probe(axis(1)),
        probe(np.zeros(16)),
        face.Probe(),
        face.Probe(template=template([axis(1), axis(1, (0, 0.5))])),
        face.Probe(template=template([axis(1), np.full(16, np.inf)])),
    ]
    outcomes = server.identification.BatchIdentify(
        pb.BatchIdentifyRequest(gallery=f"galleries/{gallery}", list=pb.ProbeList(probes=probes))
    ).outcomes.outcomes
    assert [read(o.error).reason for o in outcomes[1:3]] == ["INVALID_EMBEDDING", "INVALID_REQUEST"]
    assert [outcomes[i].identification.decision for i in (0, 3, 4)] == [pb.DECISION_MATCH] * 3
    members = outcomes[4].identification.members
    assert [m.WhichOneof("outcome") for m in members] == ["recognizability", "error"]
    assert read(members[1].error).reason == "INVALID_EMBEDDING"


def test_a_template_is_as_recognizable_as_its_members_are_on_average(
    server: RunningServer, new_gallery: MakeGallery
) -> None:
    gallery = new_gallery()
    answer = server.identification.Identify(
        pb.IdentifyRequest(
            gallery=f"galleries/{gallery}", probe=face.Probe(template=template([axis(1), axis(0, (1, 0.0))]))
        )
    ).identification
    assert answer.probe.ers == 0.5
    assert [m.recognizability.ers for m in answer.members] == [1.0, 0.0]


def test_a_stream_goes_on_after_a_batch_it_refused(server: RunningServer, new_gallery: MakeGallery) -> None:
    gallery = new_gallery()
    enroll(server, gallery, item("ann", axis(1)))
    good = pb.BatchIdentifyRequest(gallery=f"galleries/{gallery}", matrix=matrix([axis(1)]))
    bad = pb.BatchIdentifyRequest(gallery="galleries/nowhere", matrix=matrix([axis(1)]))
    requests = [pb.StreamIdentifyRequest(sequence=i, batch=b) for i, b in ((7, good), (8, bad), (9, good))]
    answers = list(server.identification.StreamIdentify(iter(requests)))
    assert [answer.sequence for answer in answers] == [7, 8, 9]
    assert read(answers[1].error).reason == "GALLERY_NOT_FOUND"
    assert answers[2].response.columns.decisions == [pb.DECISION_MATCH]


def test_verification_gates_both_sides(server: RunningServer, new_gallery: MakeGallery) -> None:
    gallery = new_gallery()
    enroll(server, gallery, item("ann", axis(1)), item("blurred-bob", blurred(2)))

    def verify(**fields: object) -> pb.VerifyResponse:
        return server.identification.Verify(pb.VerifyRequest(gallery=f"galleries/{gallery}", **fields))  # type: ignore[arg-type]

    match = verify(probe=probe(axis(1)), subject=f"galleries/{gallery}/subjects/ann")
    assert (match.decision, match.similarity) == (pb.DECISION_MATCH, 1.0)
    assert match.reference_face.startswith(f"galleries/{gallery}/subjects/ann/faces/")
    other = verify(probe=probe(axis(1)), reference_probe=probe(axis(2)))
    assert (other.decision, other.similarity) == (pb.DECISION_NO_MATCH, 0.0)
    unsure = verify(probe=probe(axis(1)), subject=f"galleries/{gallery}/subjects/blurred-bob")
    assert unsure.reasons == [pb.UNSURE_REASON_REFERENCE_UNRECOGNIZABLE]
    assert not unsure.HasField("similarity")
    neither = verify(probe=probe(blurred(1)), reference_probe=probe(blurred(2)))
    assert list(neither.reasons) == [
        pb.UNSURE_REASON_PROBE_UNRECOGNIZABLE,
        pb.UNSURE_REASON_REFERENCE_UNRECOGNIZABLE,
    ]
    with refused() as refusal:
        verify(probe=probe(axis(1)), subject=f"galleries/{gallery}/subjects/nobody")
    assert refusal.reason == "SUBJECT_NOT_FOUND"


def test_wrong_probes_name_the_field_and_the_limit(server: RunningServer, new_gallery: MakeGallery) -> None:
    gallery = new_gallery()
    cases: list[tuple[face.Probe, dict[str, object], str, str]] = [
        (probe(np.ones(8)), {}, "INVALID_EMBEDDING", "embedding"),
        (probe(np.zeros(16)), {}, "INVALID_EMBEDDING", "embedding"),
        (face.Probe(), {}, "INVALID_REQUEST", "probe"),
        (face.Probe(embedding=face.Embedding(packed=b"123")), {}, "INVALID_REQUEST", "probe.embedding"),
        (probe(axis(1)), {"gamma": 1.5}, "INVALID_REQUEST", "policy.gamma"),
        (probe(axis(1)), {"tau": float("nan")}, "INVALID_REQUEST", "policy.tau"),
        (probe(axis(1)), {"max_candidates": 5000}, "INVALID_REQUEST", "policy.max_candidates"),
    ]
    for sent, policy, reason, field in cases:
        with refused() as refusal:
            server.identification.Identify(
                pb.IdentifyRequest(
                    gallery=f"galleries/{gallery}",
                    probe=sent,
                    policy=pb.SearchPolicy(**policy),  # type: ignore[arg-type]
                )
            )
        assert (refusal.reason, refusal.fields) == (reason, [field])
