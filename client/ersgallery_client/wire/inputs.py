"""Embeddings, photographs and templates as messages. Vectors travel as little-endian float32."""

from pathlib import Path

import numpy as np
from ersgallery.v1 import enrollment_service_pb2 as enrollment_pb
from ersgallery.v1 import face_input_pb2 as pb
from numpy.typing import ArrayLike, NDArray

from ersgallery_client.errors import InvalidEmbedding
from ersgallery_client.values.inputs import Embedding, Enrollment, FaceSource, ProbeSource, Template, TemplateMember
from ersgallery_client.wire.enums import WEIGHTING

WIRE_FLOAT = np.dtype("<f4")


def pack(values: ArrayLike, dimensions: int) -> NDArray[np.float32]:
    """Return an array of the wanted number of dimensions as it is sent; raises InvalidEmbedding for another.

    What does not fit into a float32 becomes Inf, which the server refuses.
    """
    try:
        with np.errstate(over="ignore"):
            array = np.ascontiguousarray(values, dtype=WIRE_FLOAT)
    except (TypeError, ValueError) as error:
        raise InvalidEmbedding("an embedding must be an array of numbers; a photograph is bytes or a Path") from error
    if array.ndim != dimensions or np.ndim(values) == 0:
        raise InvalidEmbedding(f"an array of {dimensions} dimensions is wanted here, not {np.ndim(values)}")
    return array


def unpack(message: pb.Embedding) -> NDArray[np.float32]:
    """Return an embedding (d,) float32."""
    if message.packed:
        return np.frombuffer(message.packed, dtype=WIRE_FLOAT).astype(np.float32)
    return np.array(message.values, dtype=np.float32)


def unpack_matrix(message: pb.EmbeddingMatrix) -> NDArray[np.float32]:
    """Return a matrix (n, d) float32."""
    flat = np.frombuffer(message.packed, dtype=WIRE_FLOAT).astype(np.float32)
    return flat.reshape(message.rows, message.dimension)


def write_embedding(source: ArrayLike | Embedding) -> pb.Embedding:
    """Return an embedding as a message; raises InvalidEmbedding for what is not one."""
    embedding = source if isinstance(source, Embedding) else Embedding(source)
    return pb.Embedding(packed=pack(embedding.values, 1).tobytes(), model=embedding.model)


def write_matrix(source: ArrayLike | Embedding) -> pb.EmbeddingMatrix:
    """Return a matrix as a message; raises InvalidEmbedding for what is not one."""
    matrix = source if isinstance(source, Embedding) else Embedding(source)
    rows = pack(matrix.values, 2)
    return pb.EmbeddingMatrix(packed=rows.tobytes(), rows=rows.shape[0], dimension=rows.shape[1], model=matrix.model)


def write_image(source: bytes | Path) -> pb.Image:
    """Return a photograph as a message; raises OSError where its file cannot be read."""
    return pb.Image(content=source.read_bytes() if isinstance(source, Path) else bytes(source))


def write_member(source: FaceSource | TemplateMember) -> pb.TemplateMember:
    """Return one member of a template, or one face to be scored."""
    member = source if isinstance(source, TemplateMember) else TemplateMember(source)
    if isinstance(member.source, (bytes, Path)):
        return pb.TemplateMember(image=write_image(member.source), media_id=member.media_id)
    return pb.TemplateMember(embedding=write_embedding(member.source), media_id=member.media_id)


def write_template(template: Template) -> pb.Template:
    """Return a template as a message."""
    return pb.Template(
        members=[write_member(member) for member in template.members],
        weighting=WEIGHTING.write(template.weighting),
        media_pooling=template.media_pooling,
    )


def write_probe(source: ProbeSource) -> pb.Probe:
    """Return a query as a message."""
    if isinstance(source, Template):
        return pb.Probe(template=write_template(source))
    if isinstance(source, (bytes, Path)):
        return pb.Probe(image=write_image(source))
    return pb.Probe(embedding=write_embedding(source))


def write_enrollment(item: Enrollment) -> enrollment_pb.Enrollment:
    """Return an item to enrol as a message."""
    probe = write_probe(item.source)
    message = enrollment_pb.Enrollment(
        subject_id=item.subject_id,
        media_id=item.media_id,
        metadata=item.metadata,
        subject_display_name=item.subject_display_name,
    )
    match probe.WhichOneof("source"):
        case "template":
            message.template.CopyFrom(probe.template)
        case "image":
            message.image.CopyFrom(probe.image)
        case _:
            message.embedding.CopyFrom(probe.embedding)
    return message
