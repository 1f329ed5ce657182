"""A figure with its interval, and a warning: what thresholds are reported in."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ThresholdWarning:
    """Why a threshold rests on weak ground: a stable UPPER_SNAKE code, and a sentence for people."""

    code: str
    message: str
