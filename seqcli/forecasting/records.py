"""Forecasts as rows: what a script reads, and what a person sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.core.statistics import LEVELS
from seqcli.forecasting.calendar import following
from seqcli.forecasting.data import Floats, Panel

QUANTILES = tuple(f"q{level:g}" for level in LEVELS)
"""The names of the 21 quantile columns: q0.025, q0.05, q0.1, …, q0.95, q0.975."""

_MEDIAN = QUANTILES.index("q0.5")
_BLOCKS = "▁▂▃▄▅▆▇█"


def rows(panel: Panel, origins: NDArray[np.intp], levels: Floats) -> Iterator[dict[str, Any]]:
    """One record a series, origin and horizon, in the units of the input; a series without a value that day has none.

    Arguments:
        panel: N series; its rows are the business days of its calendar.
        origins: ``(O,)`` rows.
        levels: ``(N, O, H, Q)`` quantiles as levels (logarithms where the series is positive), NaN: no forecast.
    """
    horizon = levels.shape[2]
    every = np.concatenate([panel.dates, following(panel.calendar, panel.dates[-1], horizon)])
    needed = np.unique(np.asarray(origins)[:, None] + np.arange(horizon + 1))  # of decades, as a rule a week
    dates = dict(zip(needed.tolist(), every[needed].astype(str).tolist(), strict=True))
    prices = panel.prices(np.moveaxis(levels, 0, -1))  # (O, H, Q, N)
    # The median of a random walk is the last value: let it be that to the last digit, after log and exp as well.
    last = panel.values[origins]  # (O, N)
    still = np.isclose(prices[:, :, _MEDIAN], last[:, None], rtol=1e-12, atol=0)
    prices[:, :, _MEDIAN] = np.where(still, last[:, None], prices[:, :, _MEDIAN])
    for n, name in enumerate(panel.names):
        for o, origin in enumerate(np.asarray(origins).tolist()):
            if np.isnan(levels[n, o]).any():
                continue
            for h in range(horizon):
                quantiles = prices[o, h, :, n].tolist()
                yield {
                    "series": name,
                    "origin_date": dates[origin],
                    "h": h + 1,
                    "target_date": dates[origin + h + 1],
                    "point": quantiles[_MEDIAN],
                    **dict(zip(QUANTILES, quantiles, strict=True)),
                }


def table(records: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """The records for a terminal: the point, two intervals, and the fan as a small drawing.

    The fan's columns stand for values from the lowest 2.5 % to the highest 97.5 % quantile of the series: how high a
    block is says how likely a value there is.
    """
    spans: dict[str, tuple[float, float]] = {}
    for record in records:
        low, high = spans.get(record["series"], (np.inf, -np.inf))
        spans[record["series"]] = (min(low, record["q0.025"]), max(high, record["q0.975"]))
    shown = []
    for record in records:
        low, high = spans[record["series"]]
        number = _number_format(record["last"], high - low)
        shown.append(
            {
                "series": record["series"],
                "h": record["h"],
                "date": record["target_date"],
                "point": number(record["point"]),
                "80 % between": f"{number(record['q0.1'])} – {number(record['q0.9'])}",
                "95 % between": f"{number(record['q0.025'])} – {number(record['q0.975'])}",
                "fan": _fan(record, low, high),
            }
        )
    return tuple(shown)


def _fan(record: Mapping[str, Any], low: float, high: float, width: int = 24) -> str:
    """The density between two values as a line of blocks, read off the quantile function."""
    levels, values = np.array(LEVELS), np.array([record[name] for name in QUANTILES])
    edges = np.linspace(low, high, width + 1)
    mass = np.diff(np.interp(edges, values, levels))
    height = mass / mass.max() if mass.max() > 0 else mass
    return "".join(" " if h < 0.02 else _BLOCKS[min(7, int(h * 8))] for h in height)


def _number_format(value: float, span: float) -> Any:
    """As many digits as tell two values of the fan apart: 157.25, 1.1172, 0.000314."""
    digits = int(np.clip(np.ceil(2.5 - np.log10(span)) if span > 0 else 4, 0, 10))
    return lambda x: f"{x:,.{digits}f}" if abs(value) >= 1e5 else f"{x:.{digits}f}"
