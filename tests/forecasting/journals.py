"""Journals of made-up forecasts, of which it is known how good they are."""

from __future__ import annotations

from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from seqcli.core.statistics import LEVELS
from seqcli.forecasting import journal, records
from seqcli.forecasting.calendar import between
from seqcli.forecasting.data import Floats, Panel

NORMAL = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
SIGMA = 0.006  # of a day's move


def walk(days: int, seed: int = 0, names: tuple[str, ...] = ("USD/JPY", "EUR/USD"), log: bool = True) -> Panel:
    """Random walks of constant volatility: EWMA-normal is good at them, and the true distribution better."""
    moves = np.random.default_rng(seed).normal(0.0, SIGMA, (days, len(names)))
    levels = np.cumsum(moves, axis=0)
    dates = between("target", np.datetime64("2020-01-02"), np.datetime64("2035-01-02"))[:days]
    return Panel(dates, names, np.exp(levels) * 100.0 if log else levels, "target", np.full(len(names), log))


def offsets(panel: Panel, origins: Any, horizon: int = 2, scale: float = 1.0, shift: float = 0.0) -> Floats:
    """``(N, O, H, 21)`` the true quantiles, made wider by ``scale`` and moved by ``shift`` standard deviations."""
    root = np.sqrt(np.arange(1, horizon + 1))[:, None]
    one = SIGMA * root * (shift + scale * NORMAL)
    return np.broadcast_to(one, (len(panel.names), len(origins), horizon, len(LEVELS))).copy()


def rows(panel: Panel, origins: Any, spread: Floats, fit: int, **more: Any) -> list[dict[str, Any]]:
    """Journal rows of the forecasts ``spread``, from a model trained through row ``fit``, issued in the evening."""
    levels = panel.levels()[np.asarray(origins)].T[:, :, None, None] + spread
    value = {
        (str(d), name): float(panel.values[t, n])
        for t, d in enumerate(panel.dates)
        for n, name in enumerate(panel.names)
    }
    out = []
    for record in records.rows(panel, np.asarray(origins), levels):
        last = value[record["origin_date"], record["series"]]
        issued = f"{record['origin_date']}T18:00:00+00:00"
        own = {"last": last, "naive": last, "issued_at": issued, "model_id": "m1", "data_until": str(panel.dates[fit])}
        out.append({**record, **own, **more})
    return out


def keep(
    path: Path, panel: Panel, fit: int, horizon: int = 2, scale: float = 1.0, shift: float = 0.0, **more: Any
) -> Path:
    """A journal of a forecast every day after row ``fit``."""
    origins = np.arange(fit + 1, len(panel.dates))
    journal.append(path, rows(panel, origins, offsets(panel, origins, horizon, scale, shift), fit, **more))
    return path
