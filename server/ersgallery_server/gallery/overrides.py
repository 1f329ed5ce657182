"""What one request decides differently from its gallery."""

from dataclasses import dataclass, replace

from ersgallery_index import Policy

DEFAULT_CANDIDATES = 10


@dataclass(frozen=True, slots=True)
class PolicyOverrides:
    """Gates, thresholds and wishes of a request; None stands for the gallery's."""

    gamma: float | None = None
    gamma_gallery: float | None = None
    tau: float | None = None
    margin: float | None = None
    max_candidates: int = DEFAULT_CANDIDATES
    include_filtered: bool = False

    def over(self, policy: Policy) -> Policy:
        """Return the policy with these wishes in it; raises InvalidPolicy where one is out of range."""
        return replace(
            policy,
            gamma=policy.gamma if self.gamma is None else self.gamma,
            gamma_gallery=policy.gamma_gallery if self.gamma_gallery is None else self.gamma_gallery,
            tau=policy.tau if self.tau is None else self.tau,
            margin=policy.margin if self.margin is None else self.margin,
            max_candidates=self.max_candidates,
            include_filtered=self.include_filtered,
        )
