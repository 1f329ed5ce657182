import grpc
import numpy as np
import pytest
from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery.v1.face_input_pb2 import FaceBox, Recognizability
from ersgallery_client import Candidate, Decision, GalleryClient, IdentificationBatch, Limits, SearchPolicy, errors
from ersgallery_client.values.identification import UnsureReason
from ersgallery_client.wire.batches import join, read_batch

from tests.support.clients import MakeClient
from tests.support.wire_server import WireServer, status

BAD = status(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_EMBEDDING", "row has NaN")


def applied(revision: int) -> pb.Applied:
    policy = gallery_pb2.EffectivePolicy(gamma=0.5, gamma_gallery=0.4, tau=0.3)
    return pb.Applied(revision=revision, profile="profiles/sface@2", policy=policy)


def columns(revision: int, names: tuple[str, ...]) -> pb.BatchIdentifyResponse:
    """Four probes: a match with two candidates, one that is unsure, one with an error, one without a match."""
    candidates = pb.CandidateColumns(
        counts=[2, 0, 0, 1],
        subject_index=[0, 1, 1],
        face_ids=[7, 8, 9],
        similarities=[0.9, 0.4, 0.1],
        ers=[0.8, 0.7, 0.6],
        subjects=[f"galleries/g/subjects/{name}" for name in names],
    )
    return pb.BatchIdentifyResponse(
        columns=pb.IdentificationColumns(
            decisions=[pb.DECISION_MATCH, pb.DECISION_UNSURE, pb.DECISION_UNSPECIFIED, pb.DECISION_NO_MATCH],
            ers=[0.9, 0.2, 0.0, 0.8],
            raw_ers=[1.1, 0.2, 0.0, 0.8],
            reasons={1: pb.UnsureReasons(reasons=[pb.UNSURE_REASON_PROBE_UNRECOGNIZABLE])},
            candidates=candidates,
            errors={2: BAD},
        ),
        applied=applied(revision),
    )


def outcomes() -> pb.BatchIdentifyResponse:
    found = pb.Identification(
        decision=pb.DECISION_MATCH,
        candidates=[
            pb.Candidate(
                subject="galleries/g/subjects/ada",
                face="galleries/g/subjects/ada/faces/7",
                similarity=0.9,
                ers=0.8,
            )
        ],
        probe=Recognizability(ers=0.9, raw_ers=1.1, embedding_norm=12.0, box=FaceBox(width_px=80, face_count=1)),
    )
    nobody = pb.Identification(decision=pb.DECISION_UNSURE, reasons=[pb.UNSURE_REASON_NO_FACE])
    return pb.BatchIdentifyResponse(
        outcomes=pb.IdentifyOutcomes(
            outcomes=[
                pb.IdentifyOutcome(identification=found),
                pb.IdentifyOutcome(error=BAD),
                pb.IdentifyOutcome(identification=nobody),
            ]
        ),
        applied=applied(3),
    )


def test_columns_are_arrays_and_make_a_mask() -> None:
    batch = read_batch(columns(3, ("ada", "bob")))
    assert (batch.decisions == Decision.MATCH).tolist() == [True, False, False, False]
    assert batch.ers.tolist() == [0.9, 0.2, 0.0, 0.8]
    assert batch.candidates.offsets.tolist() == [0, 2, 2, 2, 3]
    assert batch.filtered.offsets.tolist() == [0] * 5


def test_a_row_of_columns_is_an_identification() -> None:
    batch = read_batch(columns(3, ("ada", "bob")))
    match, unsure = batch[0], batch[1]
    assert match.decision is Decision.MATCH
    assert match.match == Candidate("ada", 7, 0.9, 0.8)
    assert match.candidates == (Candidate("ada", 7, 0.9, 0.8), Candidate("bob", 8, 0.4, 0.7))
    assert match.probe is not None
    assert match.probe.raw_ers == 1.1
    assert (match.applied.revision, match.applied.profile, match.applied.policy.margin) == (3, "sface@2", None)
    assert (unsure.decision, unsure.reasons) == (Decision.UNSURE, (UnsureReason.PROBE_UNRECOGNIZABLE,))
    assert unsure.match is None
    assert batch[-1].candidates == (Candidate("bob", 9, 0.1, 0.6),)


def test_a_row_with_an_error_raises_it_and_is_listed() -> None:
    batch = read_batch(columns(3, ("ada", "bob")))
    assert list(batch.errors) == [2]
    with pytest.raises(errors.InvalidEmbedding, match="row has NaN"):
        batch[2]


def test_indices_behave_as_in_a_tuple() -> None:
    batch = read_batch(columns(3, ("ada", "bob")))
    assert [answer.decision for answer in batch[:2]] == [Decision.MATCH, Decision.UNSURE]
    assert batch[-4] == batch[0]
    for index in (4, -5):
        with pytest.raises(IndexError):
            batch[index]


def test_answers_to_a_list_are_whole_and_columns_too() -> None:
    batch = read_batch(outcomes())
    assert batch.decisions.tolist() == ["MATCH", "UNSPECIFIED", "UNSURE"]
    np.testing.assert_array_equal(batch.ers, [0.9, np.nan, np.nan])
    assert batch.candidates.of(0) == batch[0].candidates == (Candidate("ada", 7, 0.9, 0.8),)
    assert batch[0].probe is not None
    assert batch[0].probe.box is not None
    assert batch[0].probe.box.width_px == 80
    assert batch.reasons == {2: (UnsureReason.NO_FACE,)}
    with pytest.raises(errors.InvalidEmbedding):
        batch[1]


def test_joined_batches_answer_like_their_parts() -> None:
    parts = [read_batch(columns(3, ("ada", "bob"))), read_batch(columns(4, ("bob", "eve")))]
    joined = join(parts)
    assert joined.candidates.subjects == ("ada", "bob", "eve")
    assert list(joined.errors) == [2, 6]
    for i, part in enumerate(parts):
        for row in (0, 1, 3):
            assert joined[4 * i + row] == part[row]


def test_joined_lists_keep_their_whole_answers() -> None:
    joined = join([read_batch(outcomes()), read_batch(outcomes())])
    assert joined[3] == joined[0]
    assert joined[5].reasons == (UnsureReason.NO_FACE,)


def answer_rows(request: pb.BatchIdentifyRequest, _: object) -> pb.BatchIdentifyResponse:
    size = request.matrix.rows or len(request.list.probes)
    return pb.BatchIdentifyResponse(
        columns=pb.IdentificationColumns(decisions=[pb.DECISION_NO_MATCH] * size), applied=applied(1)
    )


def sizes(wire: WireServer) -> list[int]:
    requests = [request for request in wire.received if isinstance(request, pb.BatchIdentifyRequest)]
    return [request.matrix.rows or len(request.list.probes) for request in requests]


def test_a_large_matrix_is_split_and_answered_as_one(client: GalleryClient, wire: WireServer) -> None:
    wire.on("BatchIdentify", answer_rows)
    batch = client.identify_batch("g", np.ones((9000, 2), np.float32))
    assert (len(batch), len(batch.applied)) == (9000, 9000)
    assert sizes(wire) == [4096, 4096, 808]


def test_a_matrix_is_split_so_that_its_answer_fits_into_a_message(client: GalleryClient, wire: WireServer) -> None:
    wire.on("BatchIdentify", answer_rows)
    policy = SearchPolicy(max_candidates=1024, include_filtered=True)
    client.identify_batch("g", np.ones((1000, 2), np.float32), policy=policy)
    assert sum(sizes(wire)) == 1000
    assert max(sizes(wire)) * 2048 * 64 <= Limits().max_message_bytes


def test_a_long_list_of_probes_is_split(client: GalleryClient, wire: WireServer) -> None:
    wire.on("BatchIdentify", answer_rows)
    assert len(client.identify_batch("g", [b"jpeg"] * 600)) == 600
    assert sizes(wire) == [256, 256, 88]


def test_large_photographs_are_split_by_their_bytes(make_client: MakeClient, wire: WireServer) -> None:
    wire.on("BatchIdentify", answer_rows)
    client = make_client(wire.address, limits=Limits(batch_bytes=1024 * 1024))
    client.identify_batch("g", [bytes(300_000)] * 7)
    assert sizes(wire) == [3, 3, 1]


def test_an_empty_batch_is_left_to_the_server_to_refuse(client: GalleryClient, wire: WireServer) -> None:
    wire.answer("BatchIdentify", status(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"))
    for nothing in (list[bytes](), np.empty((0, 2), np.float32)):
        with pytest.raises(errors.InvalidRequest):
            client.identify_batch("g", nothing)


def test_a_batch_is_a_sequence() -> None:
    batch: IdentificationBatch = join([read_batch(outcomes())])
    assert len(batch) == 3
    assert [answer.decision for answer in (batch[0], batch[2])] == [Decision.MATCH, Decision.UNSURE]
