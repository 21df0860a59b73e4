"""What the currency market says on a day.

One return says little about today's volatility: it is a single draw. The moves of nineteen currencies on the same day
say far more, and most of what makes volatility rise and fall is common to all of them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from seqcli.forecasting.averages import Averages, lagged, log_ratio, moves
from seqcli.forecasting.data import Floats, Panel

REFERENCE: Final = 0.97  # the decay of the volatility that everything is measured in, per business day
MAJORS: Final = ("EUR", "USD", "JPY", "GBP", "AUD", "CHF", "CAD", "NZD")
FLOATING: Final = (*MAJORS, "SEK", "NOK", "CZK", "HUF", "PLN", "ZAR", "MXN", "BRL", "KRW", "SGD", "ILS")
HAVENS, RISKY = ("JPY", "CHF"), ("AUD", "NZD")  # bought and sold when markets take fright

SHOCKS: Final = (0.5, 0.8, 0.9, 0.94, 0.97, 0.985)  # decays for the surprise in all floating currencies' moves
FLIGHTS: Final = (0.8, 0.94, 0.985)  # for the flight to havens
WANDERINGS: Final = (0.8, 0.9, 0.95, 0.98, 0.99)  # for how far the majors, and all floating currencies, have gone

NAMES: Final = (
    "market_level",
    "shock", *(f"shock_{d}" for d in SHOCKS),
    "flight", *(f"flight_{d}" for d in FLIGHTS),
    *(f"wandering_{d}" for d in WANDERINGS), *(f"apart_{d}" for d in WANDERINGS),
)  # fmt: skip
"""The inputs of this file, in order."""


def inputs(panel: Panel, variance: Floats) -> dict[str, Floats]:
    """Name → ``(T, N)`` or ``(T, 1)``, by ``NAMES``; neutral, 0, where the panel has too few currencies behind it.

    A currency's own move is its change against the equally weighted basket of the majors (of all currencies, where
    there are fewer than three majors).

    Arguments:
        panel: N series and C currencies.
        variance: ``(T, N)`` reference variance of the series.
    """
    names = list(panel.currencies)
    majors = [names.index(c) for c in MAJORS if c in names]
    majors = majors if len(majors) >= 3 else list(range(len(names)))
    own = _own_moves(panel, majors)
    known = np.isfinite(own)
    step = np.where(known, own, 0.0)
    days = Averages(np.any(known[:, majors], axis=1, keepdims=True))
    market = days.of(_mean(step[:, majors] ** 2, known[:, majors]), REFERENCE)
    columns = {"market_level": log_ratio(market, variance)}

    # Of all floating currencies: today's moves, and how far they have gone, in units of their own usual volatility.
    floating = [names.index(c) for c in FLOATING if c in names]
    each, moved = Averages(known[:, floating]), step[:, floating]
    variance_of_each = each.of(moved**2, REFERENCE)
    shock = _mean_ratio(moved**2, lagged(variance_of_each, 1), known[:, floating])
    for name, values in (("shock", shock), *((f"shock_{decay}", days.of(shock, decay)) for decay in SHOCKS)):
        columns[name] = log_ratio(np.maximum(values, 0.0025), days.known)

    flight = _sum(step, names, HAVENS) - _sum(step, names, RISKY)
    usual = days.of(flight**2, REFERENCE)
    flight = flight / np.sqrt(np.where(usual > 0, usual, 1.0))
    columns["flight"] = flight
    for decay in FLIGHTS:
        columns[f"flight_{decay}"] = days.trend(flight, decay)

    # Where currencies trend they move more: the majors in units of the market's volatility, and each in its own.
    together = Averages(known[:, majors])
    for decay in WANDERINGS:
        gone = _mean(together.trend(step[:, majors], decay) ** 2, days.known * np.ones(len(majors)))
        columns[f"wandering_{decay}"] = log_ratio(gone, market)
    for decay in WANDERINGS:
        gone = _mean_ratio(each.trend(moved, decay) ** 2, variance_of_each, variance_of_each > 0)
        columns[f"apart_{decay}"] = log_ratio(np.maximum(gone, 0.0025), days.known)
    return columns


def _own_moves(panel: Panel, basket: list[int]) -> Floats:
    """``(T, C)`` each currency's move of the day against the basket; NaN where it or most of the basket is unknown."""
    change = moves(panel.currency_logs) if panel.currencies else np.empty((len(panel.dates), 0))
    known = np.isfinite(change[:, basket])
    centre = _mean(np.where(known, change[:, basket], 0.0), known)
    return np.where(known.sum(axis=1, keepdims=True) >= 3, change - centre, np.nan)


def _mean_ratio(square: Floats, usual: Floats, known: NDArray[np.bool_]) -> Floats:
    """``(T, 1)`` mean over currencies of squares over what is usual for each; 1 is as usual, or unknown."""
    there = known & (usual > 1e-9)
    ratio = np.where(there, np.minimum(square / np.where(there, usual, 1.0), 25.0), 0.0)
    return np.where(np.any(there, axis=1, keepdims=True), _mean(ratio, there), 1.0)


def _mean(values: Floats, known: NDArray[np.bool_] | Floats) -> Floats:
    """``(T, 1)`` mean over the known columns of values that are 0 elsewhere."""
    total: Floats = values.sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
    return total


def _sum(step: Floats, names: list[str], currencies: tuple[str, ...]) -> Floats:
    """``(T, 1)`` sum of the moves of those of the currencies that are there."""
    total: Floats = step[:, [names.index(c) for c in currencies if c in names]].sum(axis=1, keepdims=True)
    return total
