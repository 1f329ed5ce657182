"""What a calibration comes to, in a few lines for a terminal."""

from collections.abc import Iterator, Sequence

from ersgallery_index.calibration.build import BuiltProfile

from ersgallery_server.models.profile_file import ProfileFile
from ersgallery_server.profiling.comparison import Compared


def summary(written: ProfileFile, built: BuiltProfile, compared: Sequence[Compared]) -> Iterator[str]:
    """Yield gamma and what it does, the UI cluster, each decision with its reason, what is to be watched, distances."""
    figures = written.provenance["figures"]
    yield (
        f"gamma {written.gamma:g}: of people who had no part in it {_share(figures['clean_below_gamma'], 2)} of the "
        f"clean and {_share(figures['degraded_below_gamma'], 1)} of the degraded faces fall below; "
        f"AUC {_number(figures['auc_clean_against_degraded'])}"
    )
    if built.ui:
        sizes = ", ".join(f"{size:,}" for size in built.ui.sizes[: len(built.ui.members) + 1])
        inside = ", ".join(f"{each:.3f}" for each in built.ui.inside)
        yield f"largest clusters: {sizes} faces; mean cosine distance inside {inside}"
    for choice in built.choices:
        yield f"decided: {choice.reason}"
    for check in built.checks:
        if check.passed is not True:
            yield f"note: {check.name}: {check.text}"
    for one in compared:
        apart = "" if one.cosine_distance is None else f"cosine distance {one.cosine_distance:.4f}"
        yield f"against {one.name}: {', '.join(part for part in (apart, one.note) if part)}"


def _share(share: float | None, digits: int) -> str:
    return "an unknown share" if share is None else f"{share:.{digits}%}"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"
