"""Everything that can be written, in one place: what a piece of work is given."""

from ersgallery_server.store.enrollment import EnrollmentWrites
from ersgallery_server.store.faces import FaceWrites
from ersgallery_server.store.forgetting import ForgettingWrites
from ersgallery_server.store.galleries import GalleryWrites
from ersgallery_server.store.profiles import ProfileWrites
from ersgallery_server.store.rescoring import RescoringWrites
from ersgallery_server.store.rotation import RotationWrites
from ersgallery_server.store.sealing import SealingWrites
from ersgallery_server.store.subjects import SubjectWrites
from ersgallery_server.store.tokens import TokenWrites


class WriteTransaction(
    ProfileWrites,
    EnrollmentWrites,
    SubjectWrites,
    FaceWrites,
    RescoringWrites,
    ForgettingWrites,
    TokenWrites,
    SealingWrites,
    RotationWrites,
    GalleryWrites,
):
    """All writes on the writer's thread, inside its transaction; durable once the future of the work has resolved.

    An error rolls back this work alone. To be used by the work it was given to, and not after it.
    """
