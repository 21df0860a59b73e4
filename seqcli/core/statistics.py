"""How good quantile forecasts are, and whether a difference between two of them is more than chance."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

SCORED: Final = tuple(round(0.05 * i, 2) for i in range(1, 20))
"""The 19 quantile levels, 0.05 to 0.95, over which the CRPS is taken."""

LEVELS: Final = (0.025, *SCORED, 0.975)
"""The 21 quantile levels of every forecast row; the outer two only bound the 95 % interval."""

_FEWEST_DIFFERENCES: Final = 10  # below this the variance under Diebold–Mariano is a guess


def pinball(actual: ArrayLike, quantiles: ArrayLike, levels: ArrayLike) -> Floats:
    """Pinball (quantile) loss of each quantile; its expectation is least at the true quantile.

    Koenker and Bassett, Regression Quantiles, Econometrica 46 (1978).

    Arguments:
        actual: ``(...)`` what happened, in any unit.
        quantiles: ``(..., K)`` forecast quantiles in the same unit.
        levels: ``(K,)`` the level of each, between 0 and 1.

    Returns ``(..., K)``, never negative; NaN where an input is NaN.
    """
    level = np.asarray(levels, float)
    error = np.asarray(actual, float)[..., None] - np.asarray(quantiles, float)
    loss: Floats = np.maximum(level * error, (level - 1.0) * error)
    return loss


def crps_from_quantiles(actual: ArrayLike, quantiles: ArrayLike, levels: ArrayLike = LEVELS) -> Floats:
    """Continuous ranked probability score, read off quantiles: twice the mean pinball loss over ``SCORED``.

    The CRPS is twice the integral of the pinball loss over all levels (Gneiting and Ranjan, Comparing Density
    Forecasts Using Threshold- and Quantile-Weighted Scoring Rules, JBES 29, 2011); 19 even levels stand in for it.

    Arguments:
        actual: ``(...)`` what happened.
        quantiles: ``(..., K)`` forecast quantiles in the same unit.
        levels: ``(K,)`` their levels; those of ``SCORED`` must be among them.

    Returns ``(...)`` in the unit of ``actual``. Raises ``ValueError`` where a scored level is missing.
    """
    given = [round(float(level), 6) for level in np.asarray(levels, float)]
    columns = [given.index(level) for level in SCORED]
    score: Floats = 2.0 * pinball(actual, np.asarray(quantiles, float)[..., columns], SCORED).mean(axis=-1)
    return score


def diebold_mariano(differential: ArrayLike, horizon: int) -> tuple[float, float]:
    """Diebold–Mariano test that two forecasts are equally good: ``(statistic, two-sided p)``.

    Diebold and Mariano, Comparing Predictive Accuracy, JBES 13 (1995). Forecasts h steps ahead overlap, so the
    variance of the mean is Newey and West's (Econometrica 55, 1987) with Bartlett weights up to lag h-1; the statistic
    is corrected for few observations and read from Student's t with n-1 degrees of freedom, both after Harvey,
    Leybourne and Newbold, Testing the Equality of Prediction Mean Squared Errors, IJF 13 (1997).

    Arguments:
        differential: ``(n,)`` loss of the forecast minus loss of the reference, in the order of time; NaN is left out.
        horizon: h, in steps of that series; at least 1.

    A negative statistic says that the forecast is better than the reference. Both are NaN where nothing can be said:
    fewer than ten values, or all of them equal.
    """
    d = np.asarray(differential, float)
    d = d[np.isfinite(d)]
    n = len(d)
    if n < _FEWEST_DIFFERENCES or np.ptp(d) <= 1e-12 * np.abs(d).max():
        return math.nan, math.nan
    e = d - d.mean()
    variance = float(e @ e) / n
    for lag in range(1, min(horizon, n)):
        variance += 2.0 * (1.0 - lag / horizon) * float(e[lag:] @ e[:-lag]) / n
    correction = (n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n
    if variance <= 0.0 or correction <= 0.0:
        return math.nan, math.nan
    statistic = float(d.mean()) / math.sqrt(variance / n) * math.sqrt(correction)
    return statistic, student_t_p(statistic, n - 1)


def student_t_p(statistic: float, degrees: float) -> float:
    """Two-sided p of a statistic that is Student-t distributed if there is nothing to find."""
    from scipy.special import stdtr

    return float(2.0 * stdtr(degrees, -abs(statistic)))
