"""What a benchmark finds: a ratio to a yardstick, with the figures behind it, or why it was left out."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Result:
    """One row of a benchmark.

    key: stable, such as `index/exact/100000/64/flat-tuned`. what: what was measured; against: its yardstick.
    ratio: what / against, above 1 where what is better, unless the benchmark says otherwise; None where there is none.
    low, high: quartiles of the ratio over the rounds. figures: in the units that their names end in.
    note: why it was left out, or what must be known.
    """

    key: str
    what: str
    against: str = ""
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    figures: dict[str, float] = field(default_factory=dict)
    note: str = ""

    @property
    def step(self) -> str:
        """The benchmark it is from."""
        return self.key.partition("/")[0]

    @property
    def measured(self) -> bool:
        """Whether there is any figure."""
        return self.ratio is not None or bool(self.figures)

    def to_json(self) -> str:
        """Return it on one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> "Result":
        """Read what to_json wrote."""
        return cls.from_plain(json.loads(line))

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> "Result":
        """Return what asdict took apart; unknown names are left aside."""
        return cls(**{name: plain[name] for name in cls.__slots__ if name in plain})


def left_out(key: str, what: str, why: str) -> Result:
    """Return a result that says why there is none."""
    return Result(key, what, note=f"left out: {why}")


def ratio_of(key: str, what: str, against: str, ratios: Sequence[float], **figures: float) -> Result:
    """Return the median of the rounds' ratios with its quartiles."""
    low, middle, high = np.quantile(np.asarray(ratios, np.float64), [0.25, 0.5, 0.75]).tolist()
    return Result(key, what, against, round(middle, 4), round(low, 4), round(high, 4), _rounded(figures))


def describe(result: Result) -> str:
    """Return a result as a line for people."""
    if not result.measured:
        return f"{result.what}: {result.note}"
    figures = ", ".join(f"{name} {value:,.4g}" for name, value in result.figures.items())
    quartiles = "" if result.low is None or result.high is None else f" [{result.low:.3g}, {result.high:.3g}]"
    ratio = "" if result.ratio is None else f" {result.ratio:.3g} x {result.against}{quartiles};"
    return f"{result.what}:{ratio} {figures}{f' ({result.note})' if result.note else ''}"


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.6g}") for name, value in figures.items()}
