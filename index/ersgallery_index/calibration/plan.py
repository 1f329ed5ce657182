"""How a profile is built."""

from dataclasses import dataclass, field

from ersgallery_index.calibration.ui import UiRules


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """How a profile is built.

    centring: subtract the mean of clean faces; None: where it raises the AUC by more than centring_gain and lowers the
    1:1 accuracy of clean pairs by no more than accuracy_loss. centroids: how many; None: decided among `counts`, the
    smallest whose AUC is within count_tolerance of the best; 1: the paper's single one. max_clean_below: greatest share
    of clean validation faces below gamma. min_identities: least number of people who make and of those who test.
    min_auc: of clean against degraded faces that no choice saw; a profile that separates less is refused.
    """

    rules: UiRules = field(default_factory=UiRules)
    centring: bool | None = None
    centroids: int | None = None
    counts: tuple[int, ...] = (1, 2, 3, 4, 6, 8)
    max_clean_below: float = 0.005
    min_identities: int = 100
    centring_gain: float = 0.005
    accuracy_loss: float = 0.001
    count_tolerance: float = 0.005
    min_auc: float = 0.6
    seed: int = 0
