"""Scores of several forecasts on identical rows, and what they amount to in words.

A model's quantiles are needed once, for ``losses``; the records are made from what that leaves, a few numbers a row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from seqcli.core.statistics import LEVELS, crps_from_quantiles, diebold_mariano
from seqcli.forecasting.baselines import EWMA_NORMAL, RANDOM_WALK, Offsets, listed
from seqcli.forecasting.data import Floats

SAME_LOG: Final = 1e-6  # log units: a hundredth of a basis point is rounding, not a view
SAME_SHARE: Final = 1e-4  # the same for a series in differences, as a share of its mean absolute move
SIGNIFICANT: Final = 0.05

Record = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Losses:
    """What is left of one model's forecasts after a look at what happened; each ``(N, O, H)``, NaN where no forecast.

    Arguments:
        absolute: absolute error of the point forecast, in level units (log-return, or difference).
        squared: its square.
        crps: the score of the 19 quantiles, in level units.
        hit: 1 where the point forecast had the right sign, 0 where the wrong one; NaN where it is the random walk or
            nothing moved.
        inside80: 1 where the 80 % interval held the outcome.
        inside95: the same for 95 %.
        width80: width of the 80 % interval in level units.
        width95: the same for 95 %.
    """

    absolute: Floats
    squared: Floats
    crps: Floats
    hit: Floats
    inside80: Floats
    inside95: Floats
    width80: Floats
    width95: Floats


@dataclass(frozen=True, eq=False)
class Scores:
    """The records of a report, and what a reader of them has to know.

    Arguments:
        records: ``model, series, h, n, mae_ratio, …`` as the interface names them, None where undefined.
        dropped: rows with a known outcome that were left out for every model, because one of them had no forecast.
        notes: the same and other gaps as sentences.
    """

    records: list[Record]
    dropped: int
    notes: tuple[str, ...]


def actual_moves(levels: Floats, origins: NDArray[np.intp], horizon: int) -> Floats:
    """``(N, O, H)`` what happened: level at the target minus level at the origin.

    Arguments:
        levels: ``(T, N)``, as ``Panel.levels`` gives them.
        origins: ``(O,)`` row indices.
        horizon: H.

    NaN where either end has no value, or the target is beyond the last row.
    """
    rows = np.asarray(origins, np.intp)
    padded = np.vstack([levels, np.full((horizon, levels.shape[1]), np.nan)])
    targets = rows[:, None] + np.arange(1, horizon + 1)
    return np.moveaxis(padded[targets] - padded[rows][:, None], 2, 0)


def losses(moves: Floats, forecast: Offsets, log: NDArray[np.bool_]) -> Losses:
    """Compare one model's offsets with what happened.

    Arguments:
        moves: ``(N, O, H)`` from ``actual_moves``.
        forecast: point ``(N, O, H)`` and quantiles ``(N, O, H, 21)`` at the levels ``LEVELS``.
        log: ``(N,)`` True for series in logarithms: decides how near to the origin is the random walk itself.
    """
    parts = zip(moves, forecast.point, forecast.quantiles, log, strict=True)  # one series at a time: memory stays flat
    return Losses(*(np.stack(column) for column in zip(*(_losses_of_one(*part) for part in parts), strict=True)))


def _losses_of_one(y: Floats, point: Floats, quantiles: Floats, log: np.bool_) -> tuple[Floats, ...]:
    """The fields of ``Losses`` for one series: ``y`` and ``point`` are ``(O, H)``, ``quantiles`` ``(O, H, 21)``."""
    spread = np.sort(quantiles, axis=-1)
    known = np.isfinite(y) & np.isfinite(point) & np.isfinite(spread).all(axis=-1)
    same = SAME_LOG if log else SAME_SHARE * _nanmean(np.abs(y))
    walk, moved = np.abs(point) <= same, np.abs(y) > 1e-6 * same
    error = y - np.where(walk, 0.0, point)
    low80, high80 = spread[..., LEVELS.index(0.1)], spread[..., LEVELS.index(0.9)]
    low95, high95 = spread[..., 0], spread[..., -1]
    columns = (
        np.abs(error),
        error**2,
        crps_from_quantiles(y, spread),
        np.where(walk | ~moved, np.nan, np.sign(point) == np.sign(y)),
        (y >= low80) & (y <= high80),
        (y >= low95) & (y <= high95),
        high80 - low80,
        high95 - low95,
    )
    return tuple(np.where(known, column, np.nan) for column in columns)


def score(
    names: Sequence[str],
    moves: Floats,
    models: Mapping[str, Losses],
    log: NDArray[np.bool_],
    in_sample: NDArray[np.bool_] | None = None,
) -> Scores:
    """Records of all models: pooled over series and horizons first, then each series.

    Ratios are formed for each series and horizon on the same rows, then averaged: geometrically over the series,
    arithmetically over horizons. Tests over several series work on the mean of their loss differences of the day, each
    in units of the reference's mean loss: series that move together do not count as so much more evidence.

    Arguments:
        names: N names of the series.
        moves: ``(N, O, H)`` from ``actual_moves``.
        models: losses by name, ours first; ``random-walk`` and ``ewma-normal`` must be among them.
        log: ``(N,)`` as for ``losses``.
        in_sample: ``(O,)`` True for origins that the model has learnt from, or ``(N, O, H)`` for single forecasts that
            prove nothing. They get records of their own, marked ``in_sample``, which no verdict looks at.
    """
    known = np.isfinite(moves)
    has = {model: np.asarray(np.isfinite(loss.crps).any(axis=(1, 2))) for model, loss in models.items()}
    rows = known.copy()
    for model, loss in models.items():
        rows &= np.isfinite(loss.crps) | ~has[model][:, None, None]
    for reference in (RANDOM_WALK, EWMA_NORMAL):
        rows &= has[reference][:, None, None]
    dropped = int(known.sum() - rows.sum())
    notes = [f"{dropped} rows left out for every model: one of them had no forecast there"] if dropped else []
    for model in models:
        missing = np.asarray(known.any(axis=(1, 2))) & ~has[model]
        if missing.any():
            without = [name for name, gone in zip(names, missing, strict=True) if gone]
            them = "it" if len(without) == 1 else "them"
            notes.append(f"{model} has no forecast for {listed(without)}: its row for all series leaves {them} out")
    seen = np.zeros(moves.shape[1], bool) if in_sample is None else np.asarray(in_sample, bool)
    seen = seen if seen.ndim == moves.ndim else seen[None, :, None]
    records: list[Record] = []
    for inside in (False, True):
        part = rows & (seen == inside)
        if part.any() or not inside:
            same_unit = len(names) == 1 or bool(np.all(log))
            made = [_records(model, ("all", *names), models, part, same_unit) for model in models]
            records += [
                {**record, "in_sample": inside} for group in zip(*made, strict=True) for of in group for record in of
            ]
    return Scores(records, dropped, tuple(notes))


def _mean(values: Floats, where: NDArray[np.bool_] | None = None, axis: int = 1) -> Floats:
    """Mean over one axis, as a rule the origins, of the finite values that ``where`` lets through; NaN without any."""
    use = np.isfinite(values) if where is None else where & np.isfinite(values)
    return _ratio(np.where(use, values, 0.0).sum(axis=axis), use.sum(axis=axis).astype(float))


def _ratio(over: Floats, under: Floats) -> Floats:
    """NaN where the reference is 0: a constant series has nothing to compare."""
    return np.where(under > 0.0, over / np.where(under > 0.0, under, 1.0), np.nan)


def _nanmean(values: Floats) -> float:
    return float(_mean(values.ravel(), axis=0))


def _geometric(ratios: Floats) -> Floats:
    """``(H,)`` geometric mean over the series that have a ratio; 0 as soon as one of them is 0."""
    logs = np.log(np.where(ratios > 0.0, ratios, np.nan))
    return np.where((ratios == 0.0).any(axis=0), 0.0, np.exp(_mean(logs, axis=0)))


def _table(ours: Losses, walk: Losses, ewma: Losses, rows: NDArray[np.bool_], same_unit: bool) -> dict[str, Floats]:
    """The numbers of one model, each ``(1 + N, H)``: over all series, and then of each."""
    crps, right = _mean(ours.crps, rows), _mean(ours.hit, rows)
    count, hits = rows.sum(axis=1), (rows & np.isfinite(ours.hit)).sum(axis=1)
    ratios = {
        "mae_ratio": _ratio(_mean(ours.absolute, rows), _mean(walk.absolute, rows)),
        "rmse_ratio": np.sqrt(_ratio(_mean(ours.squared, rows), _mean(walk.squared, rows))),
        "crps_ratio": _ratio(crps, _mean(walk.crps, rows)),
        "crps_ewma": _ratio(crps, _mean(ewma.crps, rows)),
    }
    coverage = {"coverage80": _mean(ours.inside80, rows), "coverage95": _mean(ours.inside95, rows)}
    width = {"width80": _mean(ours.width80, rows), "width95": _mean(ours.width95, rows)}
    # direction counts rows, not series: how many of them have a view differs
    pooled = {name: _geometric(values) for name, values in ratios.items()}
    pooled["direction"] = _ratio(np.where(hits > 0, right * hits, 0.0).sum(axis=0), hits.sum(axis=0).astype(float))
    pooled |= {name: _mean(values, axis=0) for name, values in coverage.items()}
    # widths in different units have no mean
    pooled |= {name: _mean(values if same_unit else np.nan * values, axis=0) for name, values in width.items()}
    each = {**ratios, "direction": right, **coverage, **width}
    return {"n": np.vstack([count.sum(axis=0), count]).astype(float)} | {
        name: np.vstack([pooled[name], values]) for name, values in each.items()
    }


def _records(
    model: str,
    groups: Sequence[str],
    models: Mapping[str, Losses],
    rows: NDArray[np.bool_],
    same_unit: bool,
) -> Iterator[list[Record]]:
    """The records of one model, a list for each group: all series, and then each of the N."""
    ours, walk, ewma = models[model], models[RANDOM_WALK], models[EWMA_NORMAL]
    rows = rows & np.isfinite(ours.crps)
    table = _table(ours, walk, ewma, rows, same_unit)
    count = table.pop("n").astype(int)
    over_horizons = {name: _mean(values) for name, values in table.items()}
    differences = {
        "dm_p": _differences(ours.crps, walk.crps, rows),
        "dm_p_ewma": _differences(ours.crps, ewma.crps, rows),
        "dm_p_mae": _differences(ours.absolute, walk.absolute, rows),
    }
    horizon = rows.shape[2]
    for g, series in enumerate(groups):
        daily = {name: _mean(values, axis=0) if g == 0 else values[g - 1] for name, values in differences.items()}
        made = []
        for h in ("all", *range(1, horizon + 1)):
            record: Record = {"model": model, "series": series, "h": h}
            if isinstance(h, int):
                record["n"] = int(count[g, h - 1])
                record |= {name: _or_none(values[g, h - 1]) for name, values in table.items()}
                tests = {name: diebold_mariano(values[:, h - 1], h) for name, values in daily.items()}
            else:
                record["n"] = int(count[g].sum())
                record |= {name: _or_none(values[g]) for name, values in over_horizons.items()}
                # days on which every horizon is known
                tests = {name: diebold_mariano(values.mean(axis=1), horizon) for name, values in daily.items()}
            made.append(record | {name: _or_none(p) for name, (_, p) in tests.items()})
        yield made


def _differences(ours: Floats, theirs: Floats, rows: NDArray[np.bool_]) -> Floats:
    """``(N, O, H)`` loss differences in units of the reference's mean loss on the same rows."""
    scale = _mean(theirs, rows)[:, None, :]
    return np.where(rows, _ratio(ours - theirs, np.broadcast_to(scale, ours.shape)), np.nan)


def _or_none(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _judged(records: Sequence[Record], h: int | str) -> list[Record]:
    """The pooled records that a verdict may look at."""
    return [r for r in records if r["series"] == "all" and r["h"] == h and not r["in_sample"]]


def _shortest(records: Sequence[Record]) -> Record:
    """The first model's record of the shortest horizon that has rows: one step ahead, as a rule."""
    every = _judged(records, "all")[0]
    ours = [r for r in records if r["series"] == "all" and r["model"] == every["model"] and not r["in_sample"]]
    steps = [r for r in ours if r["h"] != "all" and r["n"]]
    return min(steps, key=lambda r: int(r["h"]), default=every)


def has_skill(records: Sequence[Record]) -> bool:
    """Whether the first model's pooled CRPS beats EWMA-normal with p < 0.05, out of sample and one step ahead.

    Where no row is one step ahead, the shortest horizon that has rows stands in.
    """
    ours = _shortest(records)
    ratio, p = ours["crps_ewma"], ours["dm_p_ewma"]
    return ratio is not None and p is not None and ratio < 1.0 and p < SIGNIFICANT


def verdict(records: Sequence[Record]) -> list[str]:
    """What the records say of the first model, in plain sentences; origins it has learnt from are not looked at."""
    ours, every = _shortest(records), _judged(records, "all")[0]
    model, ahead = ours["model"], _ahead(ours["h"])
    if not ours["n"]:
        what = "no forecast that was made before its day, and after the model's own data, has come due"
        return [f"Nothing can be said about {model}: {what}."]
    said = [
        _against("the random walk", ours, every, "crps_ratio", "dm_p"),
        _against("EWMA-normal", ours, every, "crps_ewma", "dm_p_ewma"),
        _point(every),
        f"{ahead[0].upper()}{ahead[1:]} the 80 % interval held {100.0 * ours['coverage80']:.1f} % of the outcomes, "
        f"the 95 % interval {100.0 * ours['coverage95']:.1f} %.",
    ]
    rivals = [r for r in _judged(records, "all") if r["n"] == every["n"] and r["crps_ratio"] is not None]
    best = min(rivals, key=lambda r: float(r["crps_ratio"]), default=every)
    if best["model"] != model:
        said.insert(
            2,
            f"{best['model']} has the lowest CRPS: {best['crps_ratio']:.4f} of the random walk's, "
            f"against {every['crps_ratio']:.4f}.",
        )
    return said


def compared(ratio: float, p: float | None) -> tuple[str, str, str]:
    """A loss beside a reference's in words: ``is better than``, ``0.74 % lower``, ``p = 0.012, significant``.

    Arguments:
        ratio: the loss divided by the reference's.
        p: of the test that they are equal; None where there was too little to test.
    """
    sure = p is not None and p < SIGNIFICANT
    if ratio < 1.0:
        how = "better than" if sure else "not shown to be better than"
    else:
        how = "worse than" if sure else "not better than"
    return f"is {how}", _percent(ratio), _chance(p)


def _ahead(h: int | str) -> str:
    return "one step ahead" if h in (1, "all") else f"{h} steps ahead"


def _chance(p: float | None) -> str:
    if p is None:
        return "too few days to test it"
    size = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    return f"{size}, {'significant' if p < SIGNIFICANT else 'which may be chance'}"


def _percent(ratio: float) -> str:
    return f"{100.0 * abs(1.0 - ratio):.2f} % {'lower' if ratio < 1.0 else 'higher'}"


def _against(reference: str, ours: Record, every: Record, ratio: str, test: str) -> str:
    model, first, p = ours["model"], ours[ratio], ours[test]
    if first is None:
        return f"{model} cannot be compared with {reference}, which has no loss on these rows."
    if abs(first - 1.0) < 1e-12:
        return f"{model} has the same CRPS as {reference} {_ahead(ours['h'])}."
    how, size, chance = compared(first, p)
    return (
        f"{model} {how} {reference}: its CRPS is {size} {_ahead(ours['h'])} ({chance}), "
        f"{_percent(every[ratio])} over all horizons."
    )


def _point(every: Record) -> str:
    ratio, p = every["mae_ratio"], every["dm_p_mae"]
    if every["direction"] is None:
        return "The point forecast is the random walk itself: it has no view on the direction."
    if ratio is not None and ratio < 1.0 and p is not None and p < SIGNIFICANT:
        return f"The point forecast has skill: its MAE is {_percent(ratio)} than the random walk's ({_chance(p)})."
    size = "" if ratio is None else f": its MAE is {ratio:.4f} of the random walk's ({_chance(p)})"
    return f"The point forecast has no skill over the random walk{size}."
