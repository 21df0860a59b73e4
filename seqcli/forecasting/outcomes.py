"""What happened to the forecasts of a journal: its rows beside the values that came, as arrays of one shape."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from seqcli.core.statistics import LEVELS
from seqcli.errors import InputError
from seqcli.forecasting import calibration as calibrations
from seqcli.forecasting import scoring
from seqcli.forecasting.baselines import Offsets
from seqcli.forecasting.data import Floats, Panel
from seqcli.forecasting.records import QUANTILES
from seqcli.results import Record

_NUMBERS: Final = ("point", *QUANTILES)
_REVISED: Final = 1e-9  # relative: a value that differs by more was revised after the forecast


@dataclass(frozen=True, eq=False)
class Outcomes:
    """The forecasts of one model, and what came; N series, O origins, H horizons.

    Arguments:
        model_id: the model.
        panel: the N series of the journal, with all their history.
        data_until: ``datetime64[D]``, the last day that the model was trained on.
        last_issued: ISO time of its newest forecast.
        origins: ``(O,)`` rows of the panel, increasing.
        forecast: point ``(N, O, H)`` and quantiles ``(N, O, H, 21)``, in order, as offsets from the level at the
            origin; NaN where the journal has no row.
        moves: ``(N, O, H)`` level at the target minus level at the origin; NaN where there is no forecast, or no
            value yet.
        pending: ``(N, H)`` forecasts whose target lies after the panel's last day.
        calibration: ``(O,)`` the identity of the calibration in force, empty for none.
        in_sample: ``(N, O, H)`` forecasts that prove nothing: from origins that the model has learnt from (by the rule
            of ``backtest``), issued after their target date, or made with a calibration younger than their origin.
        fit_end: the last row that the baselines may learn from, by the rule of ``backtest``.
    """

    model_id: str
    panel: Panel
    data_until: np.datetime64
    last_issued: str
    origins: NDArray[np.intp]
    forecast: Offsets
    moves: Floats
    pending: NDArray[np.int64]
    calibration: NDArray[np.str_]
    in_sample: NDArray[np.bool_]
    fit_end: int


def match(records: Iterable[Record], panel: Panel, where: str) -> tuple[list[Outcomes], tuple[str, ...]]:
    """The journal's rows by model, oldest model first, and sentences about rows that cannot be used.

    A model that was issued with several ``data_until`` counts as trained through the latest of them.

    Arguments:
        records: rows of a journal.
        panel: the values that are known; series that the journal does not name are left out.
        where: the journal's name, for errors.

    Raises:
        InputError: none of the journal's series is in the panel.
    """
    place = {name: n for n, name in enumerate(panel.names)}
    kept: dict[str, list[Record]] = {}
    strange: dict[str, int] = {}
    used: dict[int, None] = {}
    for record in records:
        if (n := place.get(record["series"])) is None:
            strange[record["series"]] = strange.get(record["series"], 0) + 1
            continue
        used[n] = None
        kept.setdefault(record["model_id"], []).append(record)
    if strange and not kept:
        here = ", ".join(panel.names[:5]) + (", …" if len(panel.names) > 5 else "")
        raise InputError(
            where, f"none of its series ({', '.join(strange)}) is among {here}", "name the table of these series"
        )
    notes = [f"forecasts of {name}, of which there are no data: {count} left out" for name, count in strange.items()]
    columns = sorted(used)
    panel = replace(
        panel, names=tuple(panel.names[n] for n in columns), values=panel.values[:, columns], log=panel.log[columns]
    )
    problems = dict.fromkeys(("calendar", "missing", "sign", "revised", "late", "young"), 0)
    found = [_match_one(model, rows, panel, problems) for model, rows in kept.items()]
    sentences = {
        "calendar": f"forecasts of days not in the calendar {panel.calendar!r} (--calendar?): {{}} left out",
        "missing": "forecasts with no value on their origin or their target date: {} left out",
        "sign": "zero or negative quantiles of a positive series (--transform difference?): {} forecasts left out",
        "revised": "forecasts from a value that has been revised since: {}, compared with what stands there now",
        "late": "forecasts issued after their target date: {}, a replay and no record of what was known: not judged",
        "young": "forecasts made with a calibration that knows what came after their origin: {}, not judged",
    }
    notes += [said.format(problems[kind]) for kind, said in sentences.items() if problems[kind]]
    return sorted(found, key=lambda one: (one.data_until, one.last_issued)), tuple(notes)


def _match_one(model_id: str, rows: list[Record], panel: Panel, problems: dict[str, int]) -> Outcomes:
    place = {name: n for n, name in enumerate(panel.names)}
    n = np.array([place[row["series"]] for row in rows])
    h = np.array([row["h"] for row in rows]) - 1
    origin, target = (np.array([row[name] for row in rows], "datetime64[D]") for name in ("origin_date", "target_date"))
    numbers = np.array([[row[name] for name in _NUMBERS] for row in rows], float)  # None becomes NaN
    last = np.array([row["last"] for row in rows], float)
    issued = np.array([row["issued_at"][:10] for row in rows], "datetime64[D]")
    calibration = np.array([row.get("calibration") or "" for row in rows])
    horizon, end = int(h.max()) + 1, panel.dates[-1]
    pending = np.zeros((len(panel.names), horizon), np.int64)
    np.add.at(pending, (n[target > end], h[target > end]), 1)
    row = np.minimum(np.searchsorted(panel.dates, origin), len(panel.dates) - 1)
    there = np.minimum(row + h + 1, len(panel.dates) - 1)
    due = target <= end
    good = due & (panel.dates[row] == origin) & (panel.dates[there] == target)
    problems["calendar"] += int((due & ~good).sum())
    late = issued > target
    young = np.array([calibrations.learnt_until(each) for each in calibration.tolist()]) > origin.astype(str)
    problems["late"] += int((good & late).sum())
    problems["young"] += int((good & young).sum())
    # What made the forecast had the series in differences, but these data look positive throughout.
    wrong = good & panel.log[n] & (np.nan_to_num(numbers, nan=1.0) <= 0.0).any(axis=1)
    problems["sign"] += int(wrong.sum())
    good &= ~wrong
    replay = late | young
    n, h, row, numbers, last, calibration, replay = (
        each[good] for each in (n, h, row, numbers, last, calibration, replay)
    )
    origins, o = np.unique(row, return_inverse=True)
    known = panel.levels()
    base = known[row, n]
    with np.errstate(invalid="ignore", divide="ignore"):
        levels = np.where(panel.log[n][:, None], np.log(numbers), numbers)
        revised = np.abs(last - panel.values[row, n]) > _REVISED * np.abs(last)
    problems["revised"] += int(revised.sum())
    shape = (len(panel.names), len(origins), horizon)
    forecast = np.full((*shape, len(_NUMBERS)), np.nan)
    forecast[n, o, h] = levels - base[:, None]
    moves = scoring.actual_moves(known, origins, horizon)
    moves = np.where(np.isfinite(forecast).all(axis=-1), moves, np.nan)
    problems["missing"] += int(len(n) - np.isfinite(moves).sum())
    in_force = np.full(len(origins), "", calibration.dtype)
    in_force[o] = calibration
    data_until = max(np.datetime64(r["data_until"], "D") for r in rows)
    in_sample = np.zeros(shape, bool)
    in_sample[n, o, h] = replay
    in_sample |= (panel.dates[origins] <= data_until)[None, :, None]
    trained = int(np.searchsorted(panel.dates, data_until, "right")) - 1
    return Outcomes(
        model_id=model_id,
        panel=panel,
        data_until=data_until,
        last_issued=max(r["issued_at"] for r in rows),
        origins=origins,
        forecast=Offsets(forecast[..., 0], np.sort(forecast[..., 1:], axis=-1)),
        moves=moves,
        pending=pending,
        calibration=in_force,
        in_sample=in_sample,
        fit_end=max(0, min(trained, int(origins[0]))) if len(origins) else 0,
    )


def below(quantiles: Floats, moves: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many of the quantiles lie below each outcome, and how many not above it.

    The two differ where an outcome falls on a quantile: a fixing that did not move, or a series that never does.

    Arguments:
        quantiles: ``(..., K)``, in any order.
        moves: ``(...)``, in the same unit.
    """
    outcome = moves[..., None]
    return (quantiles < outcome).sum(axis=-1), (quantiles <= outcome).sum(axis=-1)


def pit_histogram(outcomes: Outcomes, where: NDArray[np.bool_], bins: int = 10) -> Floats | None:
    """Share of outcomes in each part of the forecast distribution: all equal if the forecasts are calibrated.

    The probability integral transform (Diebold, Gunther and Tay, Evaluating Density Forecasts, IER 39, 1998), read off
    the quantiles between the parts. An outcome on several of them at once is shared out evenly.

    Arguments:
        outcomes: of one model.
        where: ``(N, O, H)``, the forecasts that count.
        bins: how many parts, such that their edges are quantile levels of a forecast: 10 or 5.

    Returns ``(bins,)``, or None where nothing counts.
    """
    use = where & np.isfinite(outcomes.moves)
    if not use.any():
        return None
    edges = [LEVELS.index(round(k / bins, 2)) for k in range(1, bins)]
    low, high = below(outcomes.forecast.quantiles[use][:, edges], outcomes.moves[use])
    inside = (low[:, None] <= np.arange(bins)) & (np.arange(bins) <= high[:, None])
    shares: Floats = (inside / inside.sum(axis=1, keepdims=True)).mean(axis=0)
    return shares
