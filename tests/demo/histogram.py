"""A histogram of ERS as the numbers that an SVG needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

WIDTH = 720.0
HEIGHT = 190.0
_LEAST, _GREATEST, _BINS = 0.0, 1.3, 52


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, from its upper left corner, in units of the drawing."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """Bars by the name of their series, where gamma stands, and the ticks (value, x) of the axis."""

    bars: Mapping[str, tuple[Bar, ...]]
    gamma_x: float
    ticks: tuple[tuple[float, float], ...]


def make_histogram(series: Mapping[str, Sequence[float]], gamma: float) -> Histogram:
    """Draw each series as shares of its own size, so that many probes do not hide few."""
    edges = np.linspace(_LEAST, _GREATEST, _BINS + 1)
    shares = {
        name: np.histogram(np.clip(values, _LEAST, _GREATEST), edges)[0] / max(1, len(values))
        for name, values in series.items()
    }
    top = max((float(found.max()) for found in shares.values()), default=0.0) or 1.0
    step = WIDTH / _BINS
    bars = {
        name: tuple(
            Bar(place * step, HEIGHT * (1 - share / top), step, HEIGHT * share / top)
            for place, share in enumerate(found.tolist())
            if share
        )
        for name, found in shares.items()
    }
    ticks = tuple((value / 5, _position(value / 5)) for value in range(7))
    return Histogram(bars, _position(gamma), ticks)


def _position(ers: float) -> float:
    return WIDTH * (ers - _LEAST) / (_GREATEST - _LEAST)
