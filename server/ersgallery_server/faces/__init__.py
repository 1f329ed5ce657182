"""From photographs to embeddings: decode, detect, align, recognise. Knows no gRPC, SQL or gallery."""

from ersgallery_server.faces.images import ImageLimits
from ersgallery_server.faces.outcomes import AcquiredFace, AcquisitionFailure, FailureReason, SeveralFaces
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
