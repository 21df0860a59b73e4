"""Tests by betting: evidence that holds however often one looks at it, and whenever one stops.

Someone bets against a claim every day, with money that the claim itself makes a fair game of. If the claim is true,
the wealth is ever multiplied by 60 with a probability of at most 1/60 (Ville, Étude critique de la notion de
collectif, 1939). A p-value looked at every morning has no such guarantee: sooner or later it falls below any limit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_FRACTIONS: Final = np.array([0.02, 0.05, 0.1, 0.2, 0.4, 0.8])  # of the largest bet that cannot ruin
_NEW_BET: Final = 21  # days between the moments from which a change is looked for


@dataclass(frozen=True)
class Evidence:
    """The wealth of those who bet against a claim, starting from 1.

    Arguments:
        above: of bets that the values are higher than claimed.
        below: of bets that they are lower.
        since: index from which the bets that did best were made: about where a change began.
    """

    above: float
    below: float
    since: int

    @property
    def either(self) -> float:
        """Wealth of someone who put half on each side."""
        return (self.above + self.below) / 2.0


def evidence(values: Floats, lowest: float, highest: float, tolerance: float = 0.0) -> Evidence:
    """Evidence against the claim that each value, given those before it, has a mean within ±``tolerance`` of zero.

    The wealth multiplies by 1 + bet × (value - tolerance), with the bets of a fixed grid side by side (Waudby-Smith and
    Ramdas, Estimating Means of Bounded Random Variables by Betting, JRSS B 86, 2024). The k-th part of the money,
    1 / (k (k + 1)) of it, is first put down on the k-th 21st day: so that a change after a year of fair weather is not
    fought with what that year has lost (the restarts of Shin, Ramdas and Rinaldo, E-detectors, NEJSDS 2, 2024, but
    with shares that sum to one, which keeps Ville's bound).

    Arguments:
        values: ``(n,)`` in the order of time, without NaN.
        lowest: no value can be lower; below zero.
        highest: no value can be higher; above zero.
        tolerance: a mean this far from zero does not matter to the user; in units of the values.
    """
    x = np.asarray(values, float)
    if not len(x):
        return Evidence(1.0, 1.0, 0)
    starts = np.arange(0, len(x), _NEW_BET)
    k = np.arange(1, len(starts) + 1)
    shares = np.log(1.0 / (k * (k + 1.0) * len(_FRACTIONS)))[:, None]
    idle = -math.log(len(starts) + 1.0)  # what the shares so far have left over
    wealths = []
    for sign, worst in ((1.0, -lowest), (-1.0, highest)):
        bets = _FRACTIONS / (worst + tolerance)
        daily = np.log1p((sign * x - tolerance)[:, None] * bets)  # (n, bets)
        before = np.vstack([np.zeros(len(bets)), daily.cumsum(axis=0)])
        wealths.append(shares + before[-1] - before[starts])  # (starts, bets), logarithms
    above, below = (_total(np.append(wealth.ravel(), idle)) for wealth in wealths)
    best = wealths[int(below > above)].max(axis=1)
    return Evidence(_exp(above), _exp(below), int(starts[int(np.argmax(best))]))


def _total(logarithms: Floats) -> float:
    top = float(logarithms.max())
    return top + math.log(float(np.exp(logarithms - top).sum()))


def _exp(logarithm: float) -> float:
    return math.exp(min(logarithm, 700.0))  # beyond that a float is infinite, and nobody is more convinced
