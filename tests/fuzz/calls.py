"""Every RPC that is served, by descriptor, and what its fields are sensibly filled with."""

import base64
from collections.abc import Sequence
from random import Random

import numpy as np
from ersgallery.v1 import calibration_service_pb2 as calibration
from ersgallery.v1 import face_input_pb2 as face
from ersgallery.v1 import recognizability_service_pb2 as recognizability
from ersgallery_server.transport.methods import SERVICES
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from numpy.typing import NDArray

from tests.fuzz import world
from tests.fuzz.damage import BOUNDARIES, FLOATS, TEXTS
from tests.fuzz.image_cases import small_images
from tests.fuzz.messages import Messages
from tests.support.requests import DIMENSION, MODEL, axis, embedding, matrix

OURS = {method.full_name: method for service in SERVICES for method in service.methods}
GRPCS: dict[str, MethodDescriptor] = {
    method.full_name: method  # type: ignore[misc]  # what these stubs say is the same class
    for service in (
        health_pb2.DESCRIPTOR.services_by_name["Health"],
        reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"],
    )
    for method in service.methods
}
METHODS: dict[str, MethodDescriptor] = {**OURS, **GRPCS}

_GALLERIES = [f"galleries/{name}" for name in (world.FULL, world.FULL, world.SETS, world.PHOTOS)]
_SUBJECTS = [f"{gallery}/subjects/{who}" for gallery in _GALLERIES for who in ("ann", "bob", "-", "nobody")]
_FACES = [f"{gallery}/subjects/ann/faces/{world.NO_FACE}" for gallery in _GALLERIES] + [f"{_SUBJECTS[0]}/faces/1"]
_PROFILES = ["profiles/unit", "profiles/unit@1", f"profiles/{world.PHOTOS_MODEL}", "profiles/none"]
_OPERATIONS = [f"operations/{world.NO_OPERATION}", "operations/none"]


def _token(listing: str, key: str) -> str:
    return base64.urlsafe_b64encode(f"{listing}\n{key}".encode()).decode()


_KEYS = [
    "",
    "a",
    "ann",
    "1",
    "0",
    "-1",
    "unit@1",
    "unit@0",
    "unit 1",
    "\0",
    *map(str, BOUNDARIES[-4:]),
    "9" * 19,
    "٣",
    "1\n2",
]
_TOKENS = [
    _token(listing, key)
    for listing in ("galleries", "profiles", _GALLERIES[0], _SUBJECTS[0], "galleries/full", "lost full 0.5", "other")
    for key in _KEYS
] + ["====", "Zg", "a" * 5000, "é"]


def texts(field: FieldDescriptor) -> Sequence[str]:
    """Return what a text field is sensibly filled with."""
    kind = field.containing_type.name if field.containing_type else ""
    if field.name == "name":
        named = {"Operation": _OPERATIONS, "Face": _FACES, "Subject": _SUBJECTS, "Profile": _PROFILES}
        return next((found for part, found in named.items() if part in kind), _GALLERIES)
    return {
        "parent": _SUBJECTS if kind == "ListFacesRequest" else _GALLERIES,
        "gallery": _GALLERIES,
        "subject": _SUBJECTS,
        "face": _FACES,
        "profile": _PROFILES,
        "gallery_id": ["fresh", "full", "other"],
        "profile_id": ["unit", "other"],
        "subject_id": ["ann", "bob", "eve", "e\u0301ve"],
        "request_id": ["", "", "one", "two"],
        "model": [MODEL, "", world.PHOTOS_MODEL],
        "kinds": ["", "CLEAN", "BLUR", "UNKNOWN"],
        "etag": ["", "1", "2", "x"],
        "page_token": [""] * 200 + _TOKENS,
        "paths": ["tau", "gamma", "profile", "display_name", "metadata", "low_ers", "index_kind", "margin", "*"],
        "service": ["", "ersgallery.v1.GalleryService", "grpc.health.v1.Health", "none"],
        "file_by_filename": ["ersgallery/v1/gallery.proto", "none.proto"],
        "file_containing_symbol": ["ersgallery.v1.Gallery", "ersgallery.v1.GalleryService.GetGallery", "none"],
        "all_extension_numbers_of_type": ["ersgallery.v1.Gallery", "google.protobuf.MethodOptions"],
        "list_services": ["", "*"],
    }.get(field.name, [])


def _numbers(rng: Random, count: int) -> NDArray[np.float32]:
    match rng.randrange(8):
        case 0:
            return np.zeros(count, np.float32)
        case 1:
            values = np.array([rng.choice(FLOATS) for _ in range(count)])
            return np.asarray(np.clip(values, -3e38, 3e38), np.float32)
        case 2:
            return np.resize(axis(rng.randrange(DIMENSION)), count)
        case _:
            return np.array([rng.uniform(-1, 1) for _ in range(count)], np.float32)


def _dimension(rng: Random) -> int:
    return rng.choice((DIMENSION, DIMENSION, DIMENSION, world.PHOTOS_DIMENSION, DIMENSION - 1))


def _embedding(rng: Random) -> face.Embedding:
    vector = _numbers(rng, _dimension(rng))
    if rng.random() < 0.2:
        return face.Embedding(values=vector.tolist())
    return embedding(vector, rng.choice(("", "", MODEL)))


def _matrix(rng: Random) -> face.EmbeddingMatrix:
    dimension, rows = _dimension(rng), rng.choice((1, 2, 5, 40))
    made = matrix(np.stack([_numbers(rng, dimension) for _ in range(rows)]))
    if rng.random() < 0.15:  # a small message that speaks of many
        made.rows = rng.choice(BOUNDARIES) % (1 << 32)
        made.dimension = rng.choice(BOUNDARIES) % (1 << 32)
    return made


def _labelled(rng: Random) -> calibration.LabelledEmbeddings:
    rows = _matrix(rng)
    count = rows.rows if rows.rows <= 40 else 5
    return calibration.LabelledEmbeddings(embeddings=rows, subjects=rng.choices(["ann", "bob", "eve", ""], k=count))


def _profile(rng: Random) -> recognizability.Profile:
    gamma = rng.choice((rng.random(), 0.0, 1.0, *FLOATS))
    return recognizability.Profile(model=MODEL, centroids=matrix([axis(rng.randrange(DIMENSION))]), gamma=gamma)


MESSAGES = Messages(
    texts,
    whole={
        "ersgallery.v1.Embedding": _embedding,
        "ersgallery.v1.EmbeddingMatrix": _matrix,
        "ersgallery.v1.LabelledEmbeddings": _labelled,
        "ersgallery.v1.Profile": _profile,
        "ersgallery.v1.Image": lambda rng: face.Image(content=rng.choice(small_images())),
    },
    rare=frozenset({"image"}),
)


_HEADERS = ("x-authorization", "x-request-id", "traceparent", "grpc-accept-encoding", "a" * 200, "te-x", "x-n")
_VALUES = (f"00-{'f' * 32}-{'0' * 16}-ff", f"00-{'1' * 32}-{'2' * 16}-01", " ", "%00%ff", "gzip,br", "a" * 3000)
_TOKENLIKE = ("", "Bearer", "Bearer ", "Basic Og==", "bearer x", "Bearer " + "A" * 3000, "Bearer ersg_x_y")
_PRINTABLE = tuple(text[:4000] for text in TEXTS if text.isprintable() and text.isascii())


def metadata(rng: Random) -> list[tuple[str, str]]:
    """Return headers that gRPC lets a caller send and nobody expects."""
    count = rng.choice((0, 0, 0, 1, 2, 8))
    return [(rng.choice(_HEADERS), rng.choice((*_VALUES, *_PRINTABLE))) for _ in range(count)]


def credentials(rng: Random) -> str:
    """Return what may stand where a token belongs."""
    return rng.choice((*_TOKENLIKE, *_PRINTABLE))
