from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from ersgallery.v1 import face_input_pb2, gallery_pb2
from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery.v1.face_input_pb2 import FaceBox, Recognizability
from ersgallery.v1.recognizability_service_pb2 import FaceScore, ScoreOutcome, ScoreResponse

from tests.support.clients import Invoke
from tests.support.wire_server import WireServer, status

APPLIED = pb.Applied(
    revision=3,
    profile="profiles/sface@1",
    policy=gallery_pb2.EffectivePolicy(gamma=0.6, gamma_gallery=0.6, tau=0.45, margin=0.05),
)
CORRUPT = status(grpc.StatusCode.INVALID_ARGUMENT, "IMAGE_CORRUPT", "it is cut short")


def candidate(subject: str, similarity: float) -> pb.Candidate:
    name = f"galleries/g/subjects/{subject}"
    return pb.Candidate(subject=name, face=f"{name}/faces/7", similarity=similarity, ers=0.9)


CLEAR = Recognizability(ers=0.9, raw_ers=0.9, box=FaceBox(face_count=1))
POOR = Recognizability(ers=0.31, raw_ers=0.31)
ANSWERS = {
    "match": pb.Identification(decision=pb.DECISION_MATCH, candidates=[candidate("ada", 0.71)], probe=CLEAR),
    "nobody": pb.Identification(decision=pb.DECISION_NO_MATCH, candidates=[candidate("ada", 0.2)], probe=CLEAR),
    "empty": pb.Identification(decision=pb.DECISION_NO_MATCH, probe=CLEAR),
    "poor": pb.Identification(decision=pb.DECISION_UNSURE, reasons=[pb.UNSURE_REASON_PROBE_UNRECOGNIZABLE], probe=POOR),
    "twins": pb.Identification(
        decision=pb.DECISION_UNSURE,
        reasons=[pb.UNSURE_REASON_AMBIGUOUS],
        candidates=[candidate("ada", 0.7), candidate("bob", 0.69)],
        probe=CLEAR,
    ),
    "landscape": pb.Identification(decision=pb.DECISION_UNSURE, reasons=[pb.UNSURE_REASON_NO_FACE]),
    "crowd": pb.Identification(
        decision=pb.DECISION_UNSURE,
        reasons=[pb.UNSURE_REASON_SEVERAL_FACES],
        probe=Recognizability(box=FaceBox(face_count=5)),
    ),
}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in [*ANSWERS, "broken"]:
        (tmp_path / f"{name}.jpg").write_bytes(name.encode())
    return tmp_path


@pytest.fixture(autouse=True)
def searching(wire: WireServer) -> None:
    def answer(request: pb.BatchIdentifyRequest, _: grpc.ServicerContext) -> pb.BatchIdentifyResponse:
        if request.HasField("matrix"):
            columns = pb.IdentificationColumns(
                decisions=[pb.DECISION_NO_MATCH] * request.matrix.rows,
                ers=[0.5] * request.matrix.rows,
                raw_ers=[0.5] * request.matrix.rows,
            )
            return pb.BatchIdentifyResponse(columns=columns, applied=APPLIED)
        outcomes = []
        for probe in request.list.probes:
            name = probe.image.content.decode() if probe.HasField("image") else "match"
            known = pb.IdentifyOutcome(identification=ANSWERS[name]) if name in ANSWERS else None
            outcomes.append(known or pb.IdentifyOutcome(error=CORRUPT))
        return pb.BatchIdentifyResponse(outcomes=pb.IdentifyOutcomes(outcomes=outcomes), applied=APPLIED)

    wire.on("BatchIdentify", answer)


@pytest.mark.parametrize(
    ("name", "decision", "why"),
    [
        ("match", "MATCH", "similarity 0.710 >= tau 0.45"),
        ("nobody", "NO_MATCH", "nobody in the gallery: the nearest is ada, 0.200 < tau 0.45"),
        ("empty", "NO_MATCH", "nobody in the gallery: it has no searchable face"),
        ("poor", "UNSURE", "the face is too poor to tell: ERS 0.310 < gamma 0.6"),
        ("twins", "UNSURE", "two subjects are nearly as similar: ada 0.700 and bob 0.690, margin 0.05"),
        ("landscape", "UNSURE", "no face in the photograph"),
        ("crowd", "UNSURE", "5 faces in the photograph, one is wanted"),
    ],
)
def test_an_answer_is_shown_with_its_reason_in_plain_words(
    invoke: Invoke, images: Path, name: str, decision: str, why: str
) -> None:
    result = invoke("identify", "g", images / f"{name}.jpg")
    assert result.exit_code == 0, result.stderr
    row = next(line for line in result.stdout.splitlines() if f"{name}.jpg" in line)
    cells = [cell.strip() for cell in row.strip("│ ").split("│")]
    assert cells[1] == decision
    assert cells[-1] == why


def test_several_images_are_several_probes_of_one_document(document: Callable[..., Any], images: Path) -> None:
    found = document("identify", "g", images / "match.jpg", images / "poor.jpg")
    assert found["gallery"] == "g"
    first, second = found["answers"]
    assert first["identification"]["decision"] == "MATCH"
    assert first["identification"]["candidates"][0]["subject_id"] == "ada"
    assert first["identification"]["applied"]["policy"]["tau"] == 0.45
    assert second["identification"]["reasons"] == ["PROBE_UNRECOGNIZABLE"]
    assert second["error"] is None


def test_an_image_that_cannot_be_used_does_not_hide_the_others(invoke: Invoke, images: Path) -> None:
    result = invoke("identify", "g", images / "match.jpg", images / "broken.jpg")
    assert result.exit_code == 1
    assert "MATCH" in result.stdout
    assert "it is cut short (IMAGE_CORRUPT)" in result.stdout
    assert "1 of 2 probes could not be used" in result.stderr


def test_images_as_a_template_are_one_probe(invoke: Invoke, wire: WireServer, images: Path) -> None:
    paths = [images / "match.jpg", images / "poor.jpg"]
    result = invoke("identify", "g", *paths, "--as-template", "--weighting", "top-1")
    assert "template of 2" in result.stdout
    (request,) = wire.received
    assert isinstance(request, pb.BatchIdentifyRequest)
    (probe,) = request.list.probes
    assert [member.image.content for member in probe.template.members] == [b"match", b"poor"]
    assert probe.template.weighting == face_input_pb2.WEIGHTING_TOP_1


def test_embeddings_travel_as_one_matrix_and_numbers_that_are_none_are_null(
    document: Callable[..., Any], wire: WireServer, tmp_path: Path
) -> None:
    np.savez(tmp_path / "probes.npz", embedding=np.eye(3, 2))
    found = document("identify", "g", tmp_path / "probes.npz", "--model", "sface")
    assert [answer["probe"] for answer in found["answers"]] == [f"{tmp_path / 'probes.npz'}[{i}]" for i in range(3)]
    assert found["answers"][0]["identification"]["probe"]["embedding_norm"] is None
    (request,) = wire.received
    assert isinstance(request, pb.BatchIdentifyRequest)
    assert (request.matrix.rows, request.matrix.dimension, request.matrix.model) == (3, 2, "sface")


def test_policy_options_reach_the_server(invoke: Invoke, wire: WireServer, images: Path) -> None:
    options = (
        "--gamma 0 --gamma-gallery 0.25 --tau -0.5 --margin 0.125 --candidates 5 --filtered --several-faces reject"
    )
    assert invoke("identify", "g", images / "match.jpg", *options.split()).exit_code == 0
    (request,) = wire.received
    assert isinstance(request, pb.BatchIdentifyRequest)
    assert request.policy == pb.SearchPolicy(
        gamma=0.0,
        gamma_gallery=0.25,
        tau=-0.5,
        margin=0.125,
        max_candidates=5,
        include_filtered=True,
        several_faces=face_input_pb2.SEVERAL_FACES_POLICY_REJECT,
    )


def test_more_candidates_are_shown_when_wanted(invoke: Invoke, images: Path) -> None:
    result = invoke("identify", "g", images / "twins.jpg", "--candidates", "2")
    assert [line for line in result.stdout.splitlines() if "bob" in line and "0.690" in line and "7" in line]


def test_names_are_not_read_as_markup(invoke: Invoke, wire: WireServer, images: Path) -> None:
    odd = pb.Identification(decision=pb.DECISION_MATCH, candidates=[candidate("[red]x[bold]", 0.7)], probe=CLEAR)
    outcomes = pb.IdentifyOutcomes(outcomes=[pb.IdentifyOutcome(identification=odd)])
    wire.answer("BatchIdentify", pb.BatchIdentifyResponse(outcomes=outcomes, applied=APPLIED))
    assert "[red]x[bold]" in invoke("identify", "g", images / "match.jpg").stdout


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            pb.VerifyResponse(decision=pb.DECISION_MATCH, similarity=0.8, probe=CLEAR, reference=CLEAR),
            "the same person: similarity 0.800 >= tau 0.45",
        ),
        (
            pb.VerifyResponse(decision=pb.DECISION_NO_MATCH, similarity=0.1, probe=CLEAR, reference=CLEAR),
            "different people: similarity 0.100 < tau 0.45",
        ),
        (
            pb.VerifyResponse(decision=pb.DECISION_UNSURE, reasons=[pb.UNSURE_REASON_PROBE_UNRECOGNIZABLE], probe=POOR),
            "the first face is too poor to tell: ERS 0.310 < gamma 0.6",
        ),
        (
            pb.VerifyResponse(
                decision=pb.DECISION_UNSURE, reasons=[pb.UNSURE_REASON_REFERENCE_UNRECOGNIZABLE], reference=POOR
            ),
            "the reference is too poor to tell: ERS 0.310",
        ),
        (
            pb.VerifyResponse(decision=pb.DECISION_UNSURE, reasons=[pb.UNSURE_REASON_REFERENCE_UNRECOGNIZABLE]),
            "the subject has no recognizable face",
        ),
    ],
)
def test_verify_says_why(invoke: Invoke, wire: WireServer, images: Path, answer: pb.VerifyResponse, why: str) -> None:
    answer.applied.CopyFrom(APPLIED)
    wire.answer("Verify", answer)
    result = invoke("verify", "g", images / "match.jpg", images / "poor.jpg")
    assert result.exit_code == 0, result.stderr
    assert why in result.stdout


def test_verify_takes_an_enrolled_subject(invoke: Invoke, wire: WireServer, images: Path) -> None:
    wire.answer("Verify", pb.VerifyResponse(decision=pb.DECISION_MATCH, similarity=0.8, applied=APPLIED))
    assert invoke("verify", "g", images / "match.jpg", "subject:ada").exit_code == 0
    (request,) = wire.received
    assert isinstance(request, pb.VerifyRequest)
    assert request.subject == "galleries/g/subjects/ada"


def test_score_shows_ers_and_errors(invoke: Invoke, wire: WireServer, images: Path) -> None:
    outcomes = [
        ScoreOutcome(score=FaceScore(recognizability=CLEAR, recognizable=True)),
        ScoreOutcome(error=status(grpc.StatusCode.INVALID_ARGUMENT, "NO_FACE", "there is no face")),
    ]
    wire.answer("Score", ScoreResponse(outcomes=outcomes, profile="profiles/sface@1", gamma=0.6))
    result = invoke("score", images / "match.jpg", images / "landscape.jpg", "--profile", "sface")
    assert result.exit_code == 1
    assert "profile sface@1, gamma 0.6" in result.stdout
    assert "0.900 │ yes" in result.stdout
    assert "there is no face (NO_FACE)" in result.stdout


def test_score_wants_a_profile_or_a_gallery(invoke: Invoke, images: Path) -> None:
    result = invoke("score", images / "match.jpg")
    assert result.exit_code == 2
    assert "either --profile or --gallery" in result.stderr
