"""Short ways to say requests of the bare contract."""

from collections.abc import Sequence

import numpy as np
from ersgallery.v1 import enrollment_service_pb2 as enrollment
from ersgallery.v1 import face_input_pb2 as face
from ersgallery.v1 import gallery_pb2 as gallery
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery.v1 import identification_service_pb2 as identification
from ersgallery.v1 import recognizability_service_pb2 as recognizability
from numpy.typing import ArrayLike, NDArray

from tests.support.server import RemoteServer

DIMENSION = 16
MODEL = "unit-test"
GAMMA = 0.5


def axis(number: int, *others: tuple[int, float]) -> NDArray[np.float32]:
    """Return the unit vector of one axis, with some of others added. Axis 0 is the UI centroid of the test profile."""
    vector = np.zeros(DIMENSION, np.float32)
    vector[number] = 1.0
    for other, share in others:
        vector[other] = share
    return vector


def blurred(number: int) -> NDArray[np.float32]:
    """Return a face near the UI centroid: its ERS is about 0.05."""
    return axis(0, (number, 0.3))


def embedding(vector: ArrayLike, model: str = "") -> face.Embedding:
    """Return a packed embedding."""
    return face.Embedding(packed=np.asarray(vector, "<f4").tobytes(), model=model)


def matrix(rows: ArrayLike) -> face.EmbeddingMatrix:
    """Return packed embeddings."""
    values = np.asarray(rows, "<f4")
    return face.EmbeddingMatrix(packed=values.tobytes(), rows=values.shape[0], dimension=values.shape[1])


def probe(vector: ArrayLike) -> face.Probe:
    """Return an embedding as a probe."""
    return face.Probe(embedding=embedding(vector))


def template(vectors: Sequence[ArrayLike]) -> face.Template:
    """Return embeddings as a template."""
    return face.Template(members=[face.TemplateMember(embedding=embedding(vector)) for vector in vectors])


def create_profile(server: RemoteServer, profile_id: str = "unit", *, ui_axis: int = 0, gamma: float = GAMMA) -> str:
    """Make a profile whose UI centroid is one axis; return its name with its version."""
    profile = recognizability.Profile(model=MODEL, centroids=matrix([axis(ui_axis)]), gamma=gamma)
    request = recognizability.CreateProfileRequest(profile_id=profile_id, profile=profile)
    return server.recognizability.CreateProfile(request).profile.name


def create_gallery(server: RemoteServer, gallery_id: str, **settings: object) -> gallery.Gallery:
    """Make a gallery of the test profile with tau 0.8."""
    wanted = gallery.Gallery(profile=create_profile(server))
    for name, value in {"tau": 0.8, **settings}.items():
        setattr(wanted, name, value)
    request = galleries.CreateGalleryRequest(gallery_id=gallery_id, gallery=wanted)
    return server.galleries.CreateGallery(request).gallery


def item(subject_id: str, vector: ArrayLike, **fields: object) -> enrollment.Enrollment:
    """Return the enrolment of one embedding."""
    return enrollment.Enrollment(subject_id=subject_id, embedding=embedding(vector), **fields)  # type: ignore[arg-type]


def enroll(
    server: RemoteServer, gallery_id: str, *items: enrollment.Enrollment, request_id: str = ""
) -> enrollment.EnrollFacesResponse:
    """Enrol a batch."""
    return server.enrollment.EnrollFaces(
        enrollment.EnrollFacesRequest(parent=f"galleries/{gallery_id}", request_id=request_id, enrollments=items)
    )


def identify(
    server: RemoteServer, gallery_id: str, vector: ArrayLike, **policy: object
) -> identification.IdentifyResponse:
    """Identify one embedding."""
    return server.identification.Identify(
        identification.IdentifyRequest(
            gallery=f"galleries/{gallery_id}",
            probe=probe(vector),
            policy=identification.SearchPolicy(**policy),  # type: ignore[arg-type]
        )
    )


def found(answer: identification.IdentifyResponse) -> list[str]:
    """Return the candidates' subject ids in their order."""
    return [candidate.subject.rpartition("/")[2] for candidate in answer.identification.candidates]
