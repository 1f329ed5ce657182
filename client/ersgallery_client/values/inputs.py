"""What is sent: embeddings, photographs, templates, and what is enrolled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from numpy.typing import ArrayLike

from ersgallery_client.values.policies import Weighting


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """An embedding (d,), or a matrix of them (n, d), with the model that made it.

    Where the model is named it must be the gallery's. A bare array does where the model goes without saying.
    """

    values: ArrayLike
    model: str = ""


FaceSource: TypeAlias = ArrayLike | Embedding | bytes | Path
"""One face: an embedding as any array-like of numbers, or a photograph as the bytes or the path of its file."""


@dataclass(frozen=True, slots=True, eq=False)
class TemplateMember:
    """One member of a template with the video or photo session it comes from."""

    source: FaceSource
    media_id: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """Several faces of one person, used as one.

    At a search the members become one vector, weighted by their ERS (eq. 5) and first averaged within each media where
    media_pooling is on. At enrolment each member becomes a face, and weighting and pooling have no meaning.
    """

    members: Sequence[FaceSource | TemplateMember]
    weighting: Weighting = Weighting.UNSPECIFIED
    media_pooling: bool = False


ProbeSource: TypeAlias = FaceSource | Template
"""A query: one face or a template."""


@dataclass(frozen=True, slots=True, eq=False)
class Enrollment:
    """One face or template to enrol; the subject is made, with its display name, where it is not there.

    media_id is that of an embedding or a photograph; the members of a template have their own.
    """

    subject_id: str
    source: ProbeSource
    media_id: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    subject_display_name: str = ""
