from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ersgallery.v1 import face_input_pb2 as pb
from ersgallery_client import Embedding, Enrollment, Template, TemplateMember, Weighting, errors
from ersgallery_client.wire.inputs import (
    unpack,
    unpack_matrix,
    write_enrollment,
    write_matrix,
    write_member,
    write_probe,
)

VECTOR = np.array([0.5, -2.0, 3.25], np.float32)
BYTES = VECTOR.astype("<f4").tobytes()


@pytest.mark.parametrize(
    "values",
    [
        VECTOR,
        VECTOR.astype(np.float64),
        VECTOR.astype(">f4"),
        VECTOR.astype(np.float16),
        VECTOR.tolist(),
        tuple(VECTOR.tolist()),
        np.stack([VECTOR, VECTOR], axis=1)[:, 0],
    ],
    ids=["float32", "float64", "big-endian", "float16", "list", "tuple", "strided"],
)
def test_any_array_of_numbers_travels_as_little_endian_float32(values: Any) -> None:
    assert write_probe(values).embedding.packed == BYTES
    assert unpack(write_probe(values).embedding).tolist() == VECTOR.tolist()


def test_whole_numbers_are_numbers() -> None:
    assert unpack(write_probe([1, 2, 3]).embedding).tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    "values", [1.0, [[1.0, 2.0]], "door.jpg", [[1.0], [1.0, 2.0]], None, ["a", "b"], {"a": 1}], ids=repr
)
def test_what_is_no_vector_is_refused_before_anything_is_sent(values: Any) -> None:
    with pytest.raises(errors.InvalidEmbedding):
        write_probe(values)


def test_numbers_too_large_for_float32_are_left_to_the_server_as_infinite() -> None:
    assert np.isinf(unpack(write_probe([1e300, 1.0]).embedding)[0])


def test_an_embedding_names_its_model() -> None:
    assert write_probe(Embedding(VECTOR, model="sface")).embedding == pb.Embedding(packed=BYTES, model="sface")


def test_values_one_by_one_read_like_packed_ones() -> None:
    assert unpack(pb.Embedding(values=VECTOR.tolist())).tolist() == VECTOR.tolist()


def test_a_matrix_says_its_shape() -> None:
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    message = write_matrix(Embedding(rows, "sface"))
    assert (message.rows, message.dimension, message.model) == (2, 3, "sface")
    assert unpack_matrix(message).tolist() == rows.tolist()


def test_a_vector_where_a_matrix_is_wanted_is_refused() -> None:
    with pytest.raises(errors.InvalidEmbedding, match="2 dimensions"):
        write_matrix(VECTOR)


def test_a_photograph_is_bytes_or_a_path(tmp_path: Path) -> None:
    file = tmp_path / "ada.jpg"
    file.write_bytes(b"jpeg")
    assert write_probe(file) == write_probe(b"jpeg") == pb.Probe(image=pb.Image(content=b"jpeg"))


def test_a_photograph_that_is_not_there_is_an_error_of_the_file_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_probe(tmp_path / "nobody.jpg")


def test_a_template_mixes_embeddings_and_photographs_with_media_ids() -> None:
    template = Template([VECTOR, b"jpeg", TemplateMember(VECTOR, "video-1")], Weighting.TOP_1, media_pooling=True)
    assert write_probe(template).template == pb.Template(
        members=[
            pb.TemplateMember(embedding=pb.Embedding(packed=BYTES)),
            pb.TemplateMember(image=pb.Image(content=b"jpeg")),
            pb.TemplateMember(embedding=pb.Embedding(packed=BYTES), media_id="video-1"),
        ],
        weighting=pb.WEIGHTING_TOP_1,
        media_pooling=True,
    )


def test_a_face_to_score_is_a_member_without_media() -> None:
    assert write_member(b"jpeg") == pb.TemplateMember(image=pb.Image(content=b"jpeg"))


@pytest.mark.parametrize(
    ("source", "kind"), [(VECTOR, "embedding"), (b"jpeg", "image"), (Template([VECTOR, b"jpeg"]), "template")]
)
def test_an_enrolment_carries_its_source_and_all_that_is_said_of_it(source: Any, kind: str) -> None:
    message = write_enrollment(Enrollment("ada", source, "video-1", {"door": "3"}, "Ada Lovelace"))
    assert message.WhichOneof("source") == kind
    assert (message.subject_id, message.media_id, dict(message.metadata), message.subject_display_name) == (
        "ada",
        "video-1",
        {"door": "3"},
        "Ada Lovelace",
    )
    assert getattr(message, kind) == getattr(write_probe(source), kind)
