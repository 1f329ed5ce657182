"""What a caller gives for a face: an embedding or a photograph, and what becomes of it."""

from dataclasses import dataclass, field

import numpy as np
from ersgallery_index import Weighting
from numpy.typing import NDArray

from ersgallery_server.values import FaceBox


@dataclass(frozen=True, slots=True)
class EmbeddingInput:
    """A raw embedding (d,) float32 and the model it says it is of ("" says nothing)."""

    vector: NDArray[np.float32] = field(repr=False)
    model: str = ""


@dataclass(frozen=True, slots=True)
class ImageInput:
    """A photograph as a file."""

    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Member:
    """One face of a template or of an enrolment."""

    source: EmbeddingInput | ImageInput
    media_id: str = ""


@dataclass(frozen=True, slots=True)
class TemplateInput:
    """Several faces of one person as one probe."""

    members: tuple[Member, ...]
    weighting: Weighting
    media_pooling: bool


ProbeInput = EmbeddingInput | ImageInput | TemplateInput


@dataclass(frozen=True, slots=True)
class AcquiredEmbedding:
    """A usable face: its unit embedding (d,) float32, the norm it had, and where it was found."""

    unit: NDArray[np.float32] = field(repr=False)
    norm: float
    box: FaceBox | None = None
    image: bytes | None = field(default=None, repr=False)
