"""What operations run to find what spoils a gallery: its own faces, searched among those of all other subjects."""

from ersgallery_server.hygiene.duplicates import DuplicateFindings, DuplicateGroup, DuplicatePair, DuplicateTask
from ersgallery_server.hygiene.magnets import Advice, Magnet, MagnetFindings, MagnetProbes, MagnetTask

__all__ = [
    "Advice",
    "DuplicateFindings",
    "DuplicateGroup",
    "DuplicatePair",
    "DuplicateTask",
    "Magnet",
    "MagnetFindings",
    "MagnetProbes",
    "MagnetTask",
]
