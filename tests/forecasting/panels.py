"""Small made-up panels for the tests of forecasting."""

from __future__ import annotations

import numpy as np

from seqcli.forecasting.calendar import between
from seqcli.forecasting.data import Panel


def currency_panel(days: int = 420, seed: int = 0, names: tuple[str, ...] = ("USD/JPY", "EUR/USD", "SEK/NOK")) -> Panel:
    """Random walks of six currencies with changing volatility, and crosses of them (SEK and NOK are in no context)."""
    random = np.random.default_rng(seed)
    dates = between("target", np.datetime64("2019-01-02"), np.datetime64("2030-01-02"))[:days]
    currencies = ("EUR", "USD", "JPY", "GBP", "SEK", "NOK")
    volatility = 0.004 * np.exp(0.5 * np.sin(np.arange(days) / 25))[:, None]
    logs = np.cumsum(volatility * random.standard_t(5, (days, len(currencies))), axis=0)
    logs[:, 0] = 0.0
    column = {name: i for i, name in enumerate(currencies)}
    sides = [[column[side] for side in name.split("/")] for name in names]
    values = np.stack([np.exp(logs[:, base] - logs[:, quote]) for base, quote in sides], axis=1)
    return Panel(dates, names, values, "target", np.ones(len(names), bool), currencies[:4], logs[:, :4])


def plain_panel(values: np.ndarray, calendar: str = "weekdays", log: bool = False) -> Panel:
    """Series without currencies behind them: ``(T, N)`` values."""
    dates = between(calendar, np.datetime64("2019-01-02"), np.datetime64("2030-01-02"))[: len(values)]
    names = tuple(f"series {i}" for i in range(values.shape[1]))
    return Panel(dates, names, values.astype(float), calendar, np.full(values.shape[1], log))
