"""What spoils a gallery, from the hits of its own faces: magnets, and pairs of subjects that look like one person."""

from ersgallery_index.hygiene.duplicates import Pairs, PairTable, groups_of
from ersgallery_index.hygiene.magnets import MagnetRows, MagnetTally

__all__ = ["MagnetRows", "MagnetTally", "PairTable", "Pairs", "groups_of"]
