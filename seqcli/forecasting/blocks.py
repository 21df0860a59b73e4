"""Time cut into blocks that stand still, whatever table a day stands in.

A recurrent network could read all of history before each forecast. Instead it begins afresh at fixed dates, a little
before each block of days: then a forecast for a day is the same number whether it was asked for alone, in a backtest of
ten years or in training, and each block is read once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from seqcli.forecasting.config import ForecastConfig
from seqcli.forecasting.data import Panel
from seqcli.forecasting.days import position

Scalar = TypeVar("Scalar", np.float32, np.float64)


@dataclass(frozen=True, eq=False)
class Blocks:
    """Which rows of a panel each block reads.

    Arguments:
        rows: ``(B, warmup + block)``; -1 is padding: before the history begins, or after the block's last row.
        warmup: the first columns, which are read and not scored.
    """

    rows: NDArray[np.int64]
    warmup: int

    @classmethod
    def of(cls, panel: Panel, config: ForecastConfig) -> Blocks:
        """All blocks that the panel's days fall into."""
        numbers = position(panel.calendar, panel.dates) // config.block
        starts = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1))
        ends = np.append(starts[1:], len(numbers))
        rows = starts[:, None] + np.arange(-config.warmup, config.block)
        return cls(np.where((rows >= 0) & (rows < ends[:, None]), rows, -1), config.warmup)

    def only(self, keep: NDArray[np.bool_]) -> Blocks:
        """A selection of the blocks."""
        return Blocks(self.rows[keep], self.warmup)

    def read(self, values: NDArray[Scalar], axis: int, fill: float = np.nan) -> NDArray[Scalar]:
        """``values`` with its axis of T rows replaced by two, ``(B, warmup + block)``; ``fill``: no such row."""
        return _take(values, self.rows, axis, fill)

    def scored(self, values: NDArray[Scalar], axis: int, fill: float = np.nan) -> NDArray[Scalar]:
        """The same without the warm-up, ``(B, block)``."""
        return _take(values, self.rows[:, self.warmup :], axis, fill)


def _take(values: NDArray[Scalar], rows: NDArray[np.int64], axis: int, fill: float) -> NDArray[Scalar]:
    out = np.take(values, np.maximum(rows, 0), axis=axis)
    missing = np.expand_dims(rows < 0, tuple(range(axis)) + tuple(range(axis + 2, out.ndim)))
    np.copyto(out, np.array(fill, out.dtype), where=missing)
    return out
