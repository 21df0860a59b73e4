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

from seqcli.forecasting.calendar import following
from seqcli.forecasting.data import Floats, Panel
from seqcli.forecasting.days import DAY_FEATURES, day_features

DECAYS: Final = (0.8, 0.9, 0.94, 0.97, 0.99, 0.996)  # of the moving averages of squared moves, per business day
FLOOR: Final = 1e-9  # of the volatility, as a share of the largest level so far
REFERENCE: Final = 0.97  # the decay of the volatility that everything is measured in
TRENDS: Final = (0.8, 0.94)  # decays of the moving averages of signed moves
SIDES: Final = (0.8, 0.94, 0.99)  # decays for the base's and the quote's own moves
MARKET: Final = (0.8, 0.9, 0.94, 0.99, 0.996)  # and for those of all major currencies
MAJORS: Final = ("EUR", "USD", "JPY", "GBP", "AUD", "CHF", "CAD", "NZD")
NAMES: Final = (
    "return", "return_size", *(f"volatility_{d}" for d in DECAYS if d != REFERENCE), "volatility_all", "mean_size",
    "asymmetry", *(f"trend_{d}" for d in TRENDS),
    *(f"{side}{what}" for side in ("base", "quote") for what in ("", "_size", "_level", *(f"_{d}" for d in SIDES))),
    "market_size", "market_level", *(f"market_{d}" for d in MARKET), "usd", "unknown",
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


def average(values: Floats, known: Floats, decay: float) -> Floats:
    """Exponentially weighted mean of the known values so far, unbiased from the first one; 0 before it."""
    weight = discounted(known, decay)
    return discounted(values * known, decay) / np.where(weight > 0, weight, 1.0)


def moves(levels: Floats) -> Floats:
    """``(T, N)`` change since the last observed level; NaN on days without a value and at the first one."""
    rows = np.arange(len(levels))[:, None]
    known = np.isfinite(levels)
    last = np.maximum.accumulate(np.where(known, rows, -1), axis=0)
    before = np.vstack([np.full((1, levels.shape[1]), -1), last[:-1]])
    earlier = np.take_along_axis(levels, np.maximum(before, 0), axis=0)
    return np.where(known & (before >= 0), levels - earlier, np.nan)


def _log_ratio(a: Floats, b: Floats) -> Floats:
    """``log(a / b) / 2`` of two variances, held within ±3; 0 where one of them is unknown."""
    good = (a > 0) & (b > 0)
    ratio: Floats = 0.5 * np.log(np.where(good, a, 1.0) / np.where(good, b, 1.0))
    return np.clip(ratio, -3.0, 3.0)


@dataclass(frozen=True, eq=False)
class _Variance:
    """Squared moves ``(T, M)``, 0 where unknown, and their moving averages."""

    square: Floats
    known: Floats

    @classmethod
    def of(cls, move: Floats) -> _Variance:
        known = np.isfinite(move)
        return cls(np.where(known, move, 0.0) ** 2, known.astype(np.float64))

    def at(self, decay: float) -> Floats:
        return average(self.square, self.known, decay)


def _currency_moves(panel: Panel) -> tuple[Floats, Floats]:
    """``(T, C)`` each currency's own move of the day, and ``(T, 1)`` the root mean square of the majors' moves.

    A currency's own move is its change against the equally weighted basket of the major currencies (of all, where the
    panel has fewer than three majors), so that the return of BASE/QUOTE is the base's move less the quote's. NaN
    where unknown.
    """
    change = moves(panel.currency_logs)
    basket = [i for i, c in enumerate(panel.currencies) if c in MAJORS]
    inside = change[:, basket] if len(basket) >= 3 else change
    known = np.isfinite(inside)
    count = known.sum(1, keepdims=True)
    centre = np.where(known, inside, 0.0).sum(1, keepdims=True) / np.maximum(count, 1)
    square = np.where(known, (inside - centre) ** 2, 0.0).sum(1, keepdims=True) / np.maximum(count, 1)
    return np.where(count >= 3, change - centre, np.nan), np.where(count >= 3, np.sqrt(square), np.nan)


def _sides(panel: Panel) -> NDArray[np.int64]:
    """``(N, 2)`` columns of base and quote among the currencies; C, one past the last, where there is no such one."""
    column = {name: i for i, name in enumerate(panel.currencies)}
    pairs = [name.split("/") if name.count("/") == 1 else ["", ""] for name in panel.names]
    none = len(panel.currencies)
    return np.array([[column.get(side, none) for side in pair] for pair in pairs], np.int64).reshape(-1, 2)


def build(panel: Panel, horizon: int = 5) -> Inputs:
    """Turns a panel into the network's inputs; linear in the number of series and days.

    Arguments:
        panel: N series on T days.
        horizon: H, how many business days ahead ``days`` describes.
    """
    levels = panel.levels()
    rows = len(levels)
    move = moves(levels)
    variance = _Variance.of(move)
    scale = np.sqrt(variance.at(REFERENCE))
    size = np.maximum.accumulate(np.where(np.isfinite(levels), np.abs(levels), 0.0), axis=0)
    scale = np.maximum(scale, FLOOR * np.maximum(size, 1.0))

    dates = np.concatenate([panel.dates, following(panel.calendar, panel.dates[-1], horizon)])
    kinds = day_features(panel.calendar, dates)
    columns = _own(move, variance, scale) | _cross_section(panel, variance, scale)
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
        seen=np.cumsum(variance.known, axis=0).astype(np.int64).T,
    )


def _own(move: Floats, variance: _Variance, scale: Floats) -> dict[str, Floats]:
    """What a series' own history says."""
    known = variance.known
    step = np.where(known > 0, move, 0.0)
    reference = variance.at(REFERENCE)
    columns = {"return": step / scale, "return_size": np.abs(step) / scale}
    for decay in DECAYS:
        if decay != REFERENCE:
            columns[f"volatility_{decay}"] = _log_ratio(variance.at(decay), reference)
    columns["volatility_all"] = _log_ratio(variance.at(1.0), reference)
    columns["mean_size"] = _log_ratio(average(np.abs(step), known, REFERENCE) ** 2, reference)
    fast = variance.at(0.94)
    columns["asymmetry"] = average(np.sign(step) * variance.square, known, 0.94) / np.where(fast > 0, fast, 1.0)
    for decay in TRENDS:
        columns[f"trend_{decay}"] = np.clip(average(step, known, decay) / scale / np.sqrt(1 - decay), -3.0, 3.0)
    return columns


def _cross_section(panel: Panel, variance: _Variance, scale: Floats) -> dict[str, Floats]:
    """What the other currencies say about the two of a pair, and about all."""
    own, market = _currency_moves(panel)
    own = np.hstack([own, np.full((len(own), 1), np.nan)]) if own.size else np.full((len(scale), 1), np.nan)
    market = market if market.size else np.full((len(scale), 1), np.nan)
    sides, pair = _sides(panel), variance.at(REFERENCE)
    columns: dict[str, Floats] = {}
    each = _Variance.of(own)
    reference, averages = each.at(REFERENCE), {decay: each.at(decay) for decay in SIDES}
    today = np.where(each.known > 0, own, 0.0)
    for name, side in (("base", sides[:, 0]), ("quote", sides[:, 1])):
        columns[name] = np.clip(today[:, side] / scale, -6.0, 6.0)
        columns[f"{name}_size"] = np.abs(columns[name])
        columns[f"{name}_level"] = _log_ratio(reference[:, side], pair)
        for decay in SIDES:
            columns[f"{name}_{decay}"] = _log_ratio(averages[decay], reference)[:, side]
    every = _Variance.of(market)
    reference = every.at(REFERENCE)
    columns["market_size"] = np.clip(np.sqrt(every.square) / scale, 0.0, 6.0)
    columns["market_level"] = _log_ratio(reference, pair)
    for decay in MARKET:
        columns[f"market_{decay}"] = np.broadcast_to(_log_ratio(every.at(decay), reference), scale.shape)
    dollar = panel.currencies.index("USD") if "USD" in panel.currencies else -1
    columns["usd"] = np.broadcast_to((sides == dollar).any(1).astype(np.float64), scale.shape)
    columns["unknown"] = 1.0 - variance.known
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
