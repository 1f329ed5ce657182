"""All checks of a request's parts: protobuf in, the service's values out, InvalidRequest naming the field."""

import math
import sys
from collections.abc import Callable, Container, Mapping, Sequence
from typing import TypeVar

import numpy as np
from ersgallery.v1 import face_input_pb2 as face_pb
from ersgallery.v1 import identification_service_pb2 as identification_pb
from ersgallery_index import MAX_CANDIDATES, Weighting
from google.protobuf.message import Message
from numpy.typing import NDArray

from ersgallery_server.errors import BatchTooLarge, InvalidRequest, Violation
from ersgallery_server.gallery.inputs import EmbeddingInput, ImageInput, Member, ProbeInput, TemplateInput
from ersgallery_server.gallery.overrides import DEFAULT_CANDIDATES, PolicyOverrides
from ersgallery_server.values import Metadata, SeveralFaces

T = TypeVar("T")

MAX_TEMPLATE_MEMBERS = 1000
MAX_METADATA_ENTRIES = 32
MAX_KEY_CHARACTERS = 64
MAX_VALUE_CHARACTERS = 512
MAX_LABEL_CHARACTERS = 256
MAX_MEDIA_CHARACTERS = 128

SEVERAL_FACES: Mapping[int, SeveralFaces | None] = {
    face_pb.SEVERAL_FACES_POLICY_UNSPECIFIED: None,
    face_pb.SEVERAL_FACES_POLICY_LARGEST: SeveralFaces.LARGEST,
    face_pb.SEVERAL_FACES_POLICY_REJECT: SeveralFaces.REJECT,
}
WEIGHTINGS: Mapping[int, Weighting] = {
    face_pb.WEIGHTING_UNSPECIFIED: Weighting.SQUARE,
    face_pb.WEIGHTING_UNIFORM: Weighting.UNIFORM,
    face_pb.WEIGHTING_IDENTITY: Weighting.IDENTITY,
    face_pb.WEIGHTING_SQUARE: Weighting.SQUARE,
    face_pb.WEIGHTING_SOFTMAX: Weighting.SOFTMAX,
    face_pb.WEIGHTING_TOP_1: Weighting.TOP_1,
    face_pb.WEIGHTING_TOP_10_PERCENT: Weighting.TOP_10_PERCENT,
}

AS_THE_GALLERY = PolicyOverrides()
"""What a request decides that says nothing, as most do."""


def or_refusal(check: Callable[[], T]) -> T | InvalidRequest | BatchTooLarge:
    """Return what the check of one item returns, or why it refuses: in a batch that is the item's own outcome."""
    try:
        return check()
    except (InvalidRequest, BatchTooLarge) as refusal:
        return refusal


def check_count(what: str, count: int, limit: int) -> None:
    """Require 1..limit items; raises InvalidRequest for none and BatchTooLarge for too many."""
    if count == 0:
        raise InvalidRequest.field(what, f"must have 1 to {limit} entries")
    if count > limit:
        raise BatchTooLarge(what, count, limit)


def check_text(field: str, text: str, limit: int) -> str:
    """Return a text of at most `limit` characters, none of them NUL, which not every database can store."""
    if len(text) > limit:
        raise InvalidRequest.field(field, f"has {len(text)} characters; the limit is {limit}")
    if "\0" in text:
        raise InvalidRequest.field(field, "has the character NUL")
    return text


def check_number(field: str, value: float, low: float, high: float) -> float:
    """Return a number within low..high."""
    if not (math.isfinite(value) and low <= value <= high):
        raise InvalidRequest.field(field, f"must lie in {low:g}..{high:g}")
    return value


def optional_number(message: Message, field: str, low: float, high: float, prefix: str = "") -> float | None:
    """Return an optional number within low..high, None where it is unset."""
    if not message.HasField(field):
        return None
    return check_number(prefix + field, getattr(message, field), low, high)


def check_enum(field: str, value: int, known: Container[int]) -> None:
    """Require a value that this server knows."""
    if value not in known:
        raise InvalidRequest.field(field, f"has the unknown value {value}")


def check_metadata(field: str, metadata: Mapping[str, str]) -> Metadata:
    """Return metadata as a plain dictionary within its limits."""
    if len(metadata) > MAX_METADATA_ENTRIES:
        raise InvalidRequest.field(field, f"has {len(metadata)} entries; the limit is {MAX_METADATA_ENTRIES}")
    for key, value in metadata.items():
        if not key:
            raise InvalidRequest.field(field, "has an empty key")
        check_text(f"{field} key", key, MAX_KEY_CHARACTERS)
        check_text(f"{field}[{key}]", value, MAX_VALUE_CHARACTERS)
    return dict(metadata)


def weighting(field: str, value: int) -> Weighting:
    """Return a weighting; raises InvalidRequest for a number that is none."""
    check_enum(field, value, WEIGHTINGS)
    return WEIGHTINGS[value]


def several_faces(field: str, value: int) -> SeveralFaces | None:
    """Return the policy, None for the gallery's."""
    check_enum(field, value, SEVERAL_FACES)
    return SEVERAL_FACES[value]


def embedding(field: str, message: face_pb.Embedding) -> EmbeddingInput:
    """Return a raw embedding; its numbers are checked where the dimension is known."""
    packed = message.packed  # read once: each reading copies it
    if bool(packed) == bool(message.values):
        raise InvalidRequest.field(field, "must have exactly one of packed and values")
    vector = unpack(field, packed) if packed else np.array(message.values, np.float32)
    return EmbeddingInput(vector, message.model)


def matrix(field: str, message: face_pb.EmbeddingMatrix, limit: int) -> NDArray[np.float32]:
    """Return raw embeddings (rows, dimension); the values are checked later."""
    check_count(f"{field}.rows", message.rows, limit)
    values = unpack(f"{field}.packed", message.packed)
    if message.dimension == 0 or len(values) != message.rows * message.dimension:
        raise InvalidRequest.field(
            f"{field}.packed", f"has {len(values)} numbers, not {message.rows} rows of {message.dimension}"
        )
    return values.reshape(message.rows, message.dimension)


def unpack(field: str, packed: bytes) -> NDArray[np.float32]:
    """Return little-endian float32 numbers."""
    if len(packed) % 4:
        raise InvalidRequest.field(field, f"has {len(packed)} bytes, which is not a multiple of 4")
    values = np.frombuffer(packed, "<f4")
    return values if sys.byteorder == "little" else values.astype(np.float32)


def image(field: str, message: face_pb.Image) -> ImageInput:
    """Return a photograph that is not empty."""
    if not message.content:
        raise InvalidRequest.field(f"{field}.content", "is empty")
    return ImageInput(message.content)


def member(field: str, message: face_pb.TemplateMember) -> Member:
    """Return a member of a template."""
    check_text(f"{field}.media_id", message.media_id, MAX_MEDIA_CHARACTERS)
    return Member(source(field, message), message.media_id)


def source(field: str, message: face_pb.TemplateMember) -> EmbeddingInput | ImageInput:
    """Return the embedding or photograph of a message with the oneof `source`."""
    match message.WhichOneof("source"):
        case "embedding":
            return embedding(f"{field}.embedding", message.embedding)
        case "image":
            return image(f"{field}.image", message.image)
        case _:
            raise InvalidRequest.field(field, "must have an embedding or an image")


def members(field: str, message: face_pb.Template) -> tuple[Member, ...]:
    """Return the members of a template, within their limit."""
    check_count(f"{field}.members", len(message.members), MAX_TEMPLATE_MEMBERS)
    return tuple(member(f"{field}.members[{i}]", each) for i, each in enumerate(message.members))


def probe(field: str, message: face_pb.Probe) -> ProbeInput:
    """Return a probe of any kind."""
    match message.WhichOneof("source"):
        case "embedding":
            return embedding(f"{field}.embedding", message.embedding)
        case "image":
            return image(f"{field}.image", message.image)
        case "template":
            template = message.template
            chosen = weighting(f"{field}.template.weighting", template.weighting)
            return TemplateInput(members(f"{field}.template", template), chosen, template.media_pooling)
        case _:
            raise InvalidRequest.field(field, "must have an embedding, an image or a template")


def overrides(message: identification_pb.SearchPolicy) -> PolicyOverrides:
    """Return what a request decides differently, every field in its range."""
    if not message.ByteSize():
        return AS_THE_GALLERY
    return PolicyOverrides(
        gamma=optional_number(message, "gamma", 0, 1, "policy."),
        gamma_gallery=optional_number(message, "gamma_gallery", 0, 1, "policy."),
        tau=optional_number(message, "tau", -1, 1, "policy."),
        margin=optional_number(message, "margin", 0, 2, "policy."),
        max_candidates=int(check_number("policy.max_candidates", message.max_candidates, 0, MAX_CANDIDATES))
        or DEFAULT_CANDIDATES,
        include_filtered=message.include_filtered,
    )


def mask(paths: Sequence[str], message: Message, allowed: Sequence[str]) -> list[str]:
    """Return the fields an update changes; an empty mask means those that are set. Raises InvalidRequest for others."""
    wrong = [path for path in paths if path not in allowed]
    if wrong:
        raise InvalidRequest(
            *(Violation("update_mask", f"{path} cannot be updated; may be: {', '.join(allowed)}") for path in wrong)
        )
    return list(paths) or [descriptor.name for descriptor, _ in message.ListFields() if descriptor.name in allowed]


def etag_version(etag: str) -> int | None:
    """Return the version that an etag names, None for no etag; an impossible etag names a version that never was."""
    if not etag:
        return None
    return int(etag) if etag.isascii() and etag.isdigit() and len(etag) < 18 else -1
