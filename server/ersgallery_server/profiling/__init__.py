"""Make a recognizability profile from faces that are degraded on purpose."""

from ersgallery_server.profiling.aligned_faces import AlignedFaces
from ersgallery_server.profiling.maker import ProfilePlan, make_profile

__all__ = ["AlignedFaces", "ProfilePlan", "make_profile"]
