"""What decides the rows of an index: two galleries of one origin hold the same rows for the same faces."""

from functools import cache
from importlib.metadata import version

from ersgallery_server.snapshots import Origin
from ersgallery_server.values import GalleryRecord, GallerySettings, SubjectSearch


def same_vectors(record: GalleryRecord, other: GalleryRecord) -> bool:
    """Tell whether an index built for one record holds the vectors of the other."""
    return record.profile.key == other.profile.key and _made_of(record.settings) == _made_of(other.settings)


def origin_of(record: GalleryRecord) -> Origin:
    """Return what the rows of a gallery's index come from."""
    return Origin(
        program=_program(),
        gallery_key=record.key,
        gallery_create_time=record.create_time.isoformat(),
        profile_key=record.profile.key,
        profile_sha256=record.profile.sha256,
        dimension=record.profile.profile.dimension,
        recipe=" ".join(str(part) for part in _made_of(record.settings)),
    )


@cache
def _program() -> str:
    return version("ersgallery")


def _made_of(settings: GallerySettings) -> tuple[object, ...]:
    """Return the settings that decide which rows an index holds."""
    kind = settings.subject_search.value
    if settings.subject_search is SubjectSearch.BEST_FACE:
        return (kind, settings.enhance_features)
    return (kind, settings.enhance_features, settings.template_weighting.value, settings.template_media_pooling)
