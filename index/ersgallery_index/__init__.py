"""ersgallery_index: recognizability, open-set decisions and exact vector indexes on NumPy and FAISS.

It knows nothing of gRPC, SQL, images or a server. FAISS is imported when the first index is opened.
"""

from ersgallery_index.backends import Device, open_index, parse_device
from ersgallery_index.embeddings import UnitRows, normalize
from ersgallery_index.errors import (
    DeviceFull,
    DeviceUnavailable,
    ErsError,
    InvalidEmbedding,
    InvalidPolicy,
    InvalidProfile,
)
from ersgallery_index.hits import merge_hits
from ersgallery_index.identification import DECISIONS, Identifications, identify, reasons_of
from ersgallery_index.interface import (
    By,
    FloatRows,
    Hits,
    Ids,
    IndexKind,
    IndexRows,
    Scores,
    Side,
    Snapshot,
    Usage,
    VectorIndex,
)
from ersgallery_index.policy import MAX_CANDIDATES, Policy
from ersgallery_index.recognizability import Derivation, Derived, Profile
from ersgallery_index.representation import Representation, represent, represent_templates
from ersgallery_index.results import (
    Candidate,
    Decision,
    Identification,
    Recognizability,
    UnsureReason,
    Verification,
)
from ersgallery_index.templates import Template, Weighting
from ersgallery_index.verification import verify, verify_subject

__all__ = [
    "DECISIONS",
    "MAX_CANDIDATES",
    "By",
    "Candidate",
    "Decision",
    "Derivation",
    "Derived",
    "Device",
    "DeviceFull",
    "DeviceUnavailable",
    "ErsError",
    "FloatRows",
    "Hits",
    "Identification",
    "Identifications",
    "Ids",
    "IndexKind",
    "IndexRows",
    "InvalidEmbedding",
    "InvalidPolicy",
    "InvalidProfile",
    "Policy",
    "Profile",
    "Recognizability",
    "Representation",
    "Scores",
    "Side",
    "Snapshot",
    "Template",
    "UnitRows",
    "UnsureReason",
    "Usage",
    "VectorIndex",
    "Verification",
    "Weighting",
    "identify",
    "merge_hits",
    "normalize",
    "open_index",
    "parse_device",
    "reasons_of",
    "represent",
    "represent_templates",
    "verify",
    "verify_subject",
]
