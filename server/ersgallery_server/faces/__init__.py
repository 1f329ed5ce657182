"""From photographs to embeddings: decode, detect, align, recognise. Knows no gRPC, SQL or gallery."""

from typing import TYPE_CHECKING

from ersgallery_server.faces.images import ImageLimits
from ersgallery_server.faces.outcomes import AcquiredFace, AcquisitionFailure, FailureReason, SeveralFaces

if TYPE_CHECKING:
    from ersgallery_server.faces.pipeline import FacePipeline, load_pipeline

__all__ = [
    "AcquiredFace",
    "AcquisitionFailure",
    "FacePipeline",
    "FailureReason",
    "ImageLimits",
    "SeveralFaces",
    "load_pipeline",
]


def __getattr__(name: str) -> object:
    """Import the pipeline when it is wanted: values, limits and --help do without ONNX Runtime, which is an extra."""
    if name in ("FacePipeline", "load_pipeline"):
        from ersgallery_server.faces import pipeline

        return getattr(pipeline, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
