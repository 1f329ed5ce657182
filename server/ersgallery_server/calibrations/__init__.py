"""What operations run: faces of a gallery or a request to the calibrations of the index package, and back."""

from ersgallery_server.calibrations.applying import Application, apply_setting
from ersgallery_server.calibrations.faces import MAX_FACES, LabelledFaces
from ersgallery_server.calibrations.gamma import GammaResult, GammaTask
from ersgallery_server.calibrations.profile import ProfileTask
from ersgallery_server.calibrations.tau import TauResult, TauTask

__all__ = [
    "MAX_FACES",
    "Application",
    "GammaResult",
    "GammaTask",
    "LabelledFaces",
    "ProfileTask",
    "TauResult",
    "TauTask",
    "apply_setting",
]
