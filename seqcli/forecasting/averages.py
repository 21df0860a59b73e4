"""Exponentially weighted averages of whole panels: no loop over the days, no look at the next one."""

from __future__ import annotations

import numpy as np

from seqcli.forecasting.data import Floats


def discounted(values: Floats, decay: float) -> Floats:
    """Discounted sums along axis 0: ``s_t = v_t + decay * s_{t-1}``.

    By doubling, ``1 + aL + a²L² + … = (1 + aL)(1 + a²L²)(1 + a⁴L⁴)…`` with the lag operator L: a dozen passes over the
    whole array instead of a Python loop over its rows. Row t is made from rows up to t only.
    """
    total, lag, weight = values.copy(), 1, decay
    while lag < len(total) and weight > 1e-18:
        total[lag:] += weight * total[:-lag]
        lag, weight = 2 * lag, weight * weight
    return total


class Averages:
    """Averages of values that are known on some days only; the weights are summed once a decay.

    Arguments:
        known: ``(T, M)`` which values are known.
    """

    def __init__(self, known: np.ndarray) -> None:
        self.known = known.astype(np.float64)
        self._weights: dict[float, Floats] = {}

    def of(self, values: Floats, decay: float) -> Floats:
        """Weighted mean of the known values so far, unbiased from the first one on; 0 before it.

        Arguments:
            values: ``(T, M)``, any finite number where unknown.
            decay: how much less a value counts each day, above 0; 1 is the plain mean.
        """
        if decay not in self._weights:
            weights = discounted(self.known, decay)
            self._weights[decay] = np.where(weights > 0, weights, 1.0)
        return discounted(values * self.known, decay) / self._weights[decay]

    def trend(self, steps: Floats, decay: float) -> Floats:
        """Average step, scaled so that independent steps of variance v give it variance v whatever the decay."""
        trend: Floats = self.of(steps, decay) / np.sqrt((1 - decay) / (1 + decay))
        return trend


def log_ratio(a: Floats, b: Floats) -> Floats:
    """``log(a / b) / 2`` of two variances, held within ±3; 0 where one of them is unknown."""
    good = (a > 0) & (b > 0)
    ratio: Floats = 0.5 * np.log(np.where(good, a, 1.0) / np.where(good, b, 1.0))
    return np.clip(ratio, -3.0, 3.0)


def moves(levels: Floats) -> Floats:
    """``(T, N)`` change since the last observed level; NaN on days without a value and at the first one."""
    rows = np.arange(len(levels))[:, None]
    known = np.isfinite(levels)
    last = np.maximum.accumulate(np.where(known, rows, -1), axis=0)
    before = np.vstack([np.full((1, levels.shape[1]), -1), last[:-1]])
    earlier = np.take_along_axis(levels, np.maximum(before, 0), axis=0)
    return np.where(known & (before >= 0), levels - earlier, np.nan)


def lagged(values: Floats, days: int, fill: float = 0.0) -> Floats:
    """The values of some days ago; ``fill`` where there are none."""
    out = np.full_like(values, fill)
    out[days:] = values[: max(0, len(values) - days)]
    return out
