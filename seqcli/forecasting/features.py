"""What the network sees: a panel of series turned into inputs that only look back.

Every number in row t is made from values of rows 0..t and from dates. Dates are known in advance, so the calendar of
the days still to come is an input too: it is how the network knows that tomorrow is a Monday, or that the US jobs
report comes out tonight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from seqcli.forecasting import market
from seqcli.forecasting.averages import Averages, lagged, log_ratio, moves
from seqcli.forecasting.calendar import following
from seqcli.forecasting.data import Floats, Panel
from seqcli.forecasting.days import DAY_FEATURES, day_features
from seqcli.forecasting.market import REFERENCE

DECAYS: Final = (0.8, 0.9, 0.94, 0.99, 0.996)  # of the averages of squared moves, per business day
TRENDS: Final = (0.8, 0.9, 0.95, 0.98, 0.99)  # of the averages of signed moves, whose size counts
SPANS: Final = (2, 5, 10, 21)  # days over which a move is compared with the moves of its single days
SLOW: Final = 0.99  # the decay of that comparison, and of what is usual for the volatility
FLOOR: Final = 1e-9  # of the volatility, as a share of the largest level so far

NAMES: Final = (
    "return", "return_size", *(f"volatility_{d}" for d in DECAYS), "volatility_all", *(f"trend_{d}" for d in TRENDS),
    *(f"variance_ratio_{n}" for n in SPANS), "volatility_of_volatility", "unknown",
    *market.NAMES,
    *(f"day_{name}" for name in DAY_FEATURES),
)  # fmt: skip
"""The F inputs, in order."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """All that the network sees of a panel of N series on T days.

    Arguments:
        x: ``(N, T, F)`` float32; what is known of each series on each day, without units. Neutral (0) where there is
            no information.
        days: ``(T, H, K)`` float32; what kind of day each of the next H business days is, seen from each row.
        scale: ``(N, T)`` volatility at the close of the day, in level units per square root of a business day; above 0.
        observed: ``(N, T)`` True where the series has a value: only such rows can be origins.
        seen: ``(N, T)`` number of moves seen up to and including the row.
    """

    x: NDArray[np.float32]
    days: NDArray[np.float32]
    scale: Floats
    observed: NDArray[np.bool_]
    seen: NDArray[np.int64]


def build(panel: Panel, horizon: int = 5) -> Inputs:
    """Turns a panel into the network's inputs; linear in the number of series and days.

    Arguments:
        panel: N series on T days.
        horizon: H, how many business days ahead ``days`` describes.
    """
    levels = panel.levels()
    rows = len(levels)
    move = moves(levels)
    known = np.isfinite(move)
    step, mean = np.where(known, move, 0.0), Averages(known)
    variance = mean.of(step**2, REFERENCE)
    size = np.maximum.accumulate(np.where(np.isfinite(levels), np.abs(levels), 0.0), axis=0)
    floor = FLOOR * np.maximum(size, 1.0)
    scale = np.maximum(np.sqrt(variance), floor)

    dates = np.concatenate([panel.dates, following(panel.calendar, panel.dates[-1], horizon)])
    kinds = day_features(panel.calendar, dates)
    columns = _own(step, mean, scale, floor) | market.inputs(panel, variance)
    assert (*columns, *(f"day_{name}" for name in DAY_FEATURES)) == NAMES
    x = np.empty((levels.shape[1], rows, len(NAMES)), np.float32)
    for i, column in enumerate(columns.values()):
        x[:, :, i] = column.T
    x[:, :, len(columns) :] = kinds[:rows]
    return Inputs(
        x=x,
        days=np.stack([kinds[1 + k : 1 + k + rows] for k in range(horizon)], axis=1),
        scale=np.ascontiguousarray(scale.T),
        observed=np.isfinite(levels).T,
        seen=np.cumsum(known, axis=0).T,
    )


def _own(step: Floats, mean: Averages, scale: Floats, floor: Floats) -> dict[str, Floats]:
    """What a series' own history says."""
    square = step**2
    reference = mean.of(square, REFERENCE)
    columns = {"return": step / scale, "return_size": np.abs(step) / scale}
    for decay in DECAYS:
        columns[f"volatility_{decay}"] = log_ratio(mean.of(square, decay), reference)
    columns["volatility_all"] = log_ratio(mean.of(square, 1.0), reference)
    for decay in TRENDS:
        columns[f"trend_{decay}"] = np.minimum(np.abs(mean.trend(step, decay)) / scale, 6.0)
    total, slow = np.cumsum(step, axis=0), mean.of(square, SLOW)
    for days in SPANS:  # above 0: the days' moves add up, below 0: they undo each other
        columns[f"variance_ratio_{days}"] = log_ratio(mean.of((total - lagged(total, days)) ** 2 / days, SLOW), slow)
    volatility = np.log(np.maximum(np.sqrt(mean.of(square, 0.94)), floor))
    unusual = mean.of((volatility - mean.of(volatility, SLOW)) ** 2, SLOW)
    columns["volatility_of_volatility"] = np.minimum(np.sqrt(unusual), 3.0)
    columns["unknown"] = 1.0 - mean.known
    return columns


def targets(panel: Panel, inputs: Inputs, horizon: int) -> Floats:
    """``(N, T, H)``: the move over the next h business days in units of ``scale * sqrt(h)``; NaN where unknown.

    A day on which the series has no value is no target, and no origin either.
    """
    levels = panel.levels().T
    out = np.full((*levels.shape, horizon), np.nan)
    for h in range(1, horizon + 1):
        if h < levels.shape[1]:
            out[:, :-h, h - 1] = (levels[:, h:] - levels[:, :-h]) / (inputs.scale[:, :-h] * np.sqrt(h))
    return out
