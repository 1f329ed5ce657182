"""What an evaluation says: tables of figures with their uncertainty, and charts. Plain values without any layout."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number.

    low, high: its 95 % interval, None where there is none. supported: False where fewer than 10 errors were expected,
    so that the number says little. percent: shown as a share of a hundred. digits: decimals shown.
    """

    value: float
    low: float | None = None
    high: float | None = None
    supported: bool = True
    percent: bool = True
    digits: int = 2


Entry = Figure | str | int | None
"""One cell of a table; None is a figure that could not be measured."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart: x and y are equally many; low and high bound a band around it where they are given."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None

    @classmethod
    def of(cls, name: str, x: Sequence[float] | NDArray[np.float64], y: Sequence[float] | NDArray[np.float64]) -> Self:
        """Return a line of two columns of numbers."""
        return cls(name, tuple(float(value) for value in x), tuple(float(value) for value in y))


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines on two axes."""

    key: str
    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of figures under columns; the first entry of a row says what the row is.

    key: stable and short, such as `T1`. source: the table or figure of the paper that it measures again, or "".
    notes: what must be known to read it, one sentence each. charts: pictures of the same figures.
    """

    key: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]
    source: str = ""
    notes: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"table {self.key} has {len(self.columns)} columns, and a row of another length")
