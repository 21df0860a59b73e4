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
from seqcli.forecasting.baselines import EWMA_NORMAL, RANDOM_WALK, Offsets
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
        in_sample: ``(O,)`` True for origins that the model has learnt from. They get records of their own, marked
            ``in_sample``, which no verdict looks at.
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
            notes.append(f"{model} has no forecast for {', '.join(without)}: its row for all series leaves {them} out")
    seen = np.zeros(moves.shape[1], bool) if in_sample is None else np.asarray(in_sample, bool)
    records: list[Record] = []
    for inside in (False, True):
        part = rows & (seen == inside)[None, :, None]
        if part.any() or not inside:
            records += _records(names, models, part, log, inside)
    return Scores(records, dropped, tuple(notes))


def _mean(values: Floats, where: NDArray[np.bool_]) -> Floats:
    """``(N, H)`` mean over origins; NaN where there is none."""
    use = where & np.isfinite(values)
    count = use.sum(axis=1)
    total = np.where(use, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _ratio(over: Floats, under: Floats) -> Floats:
    """NaN where the reference has no loss: a constant series has nothing to compare."""
    return np.where(under > 0.0, over / np.where(under > 0.0, under, 1.0), np.nan)


def _nanmean(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else math.nan


def _geometric(ratios: Floats) -> float:
    finite = ratios[np.isfinite(ratios)]
    with np.errstate(divide="ignore"):
        return float(np.exp(np.log(finite).mean())) if len(finite) else math.nan


@dataclass(frozen=True, eq=False)
class _Sums:
    """Means ``(N, H)`` of one model, beside those of the references, and its daily loss differences ``(N, O, H)``."""

    n: NDArray[np.int64]
    hits: NDArray[np.int64]
    direction: Floats
    mae_ratio: Floats
    rmse_ratio: Floats
    crps_ratio: Floats
    crps_ewma: Floats
    coverage80: Floats
    coverage95: Floats
    width80: Floats
    width95: Floats
    differences: dict[str, Floats]


def _sums(model: Losses, walk: Losses, ewma: Losses, rows: NDArray[np.bool_]) -> _Sums:
    rows = rows & np.isfinite(model.crps)

    def difference(ours: Floats, theirs: Floats) -> Floats:
        scale = _mean(theirs, rows)[:, None, :]
        return np.where(rows, _ratio(ours - theirs, np.broadcast_to(scale, ours.shape)), np.nan)

    return _Sums(
        n=rows.sum(axis=1),
        hits=(rows & np.isfinite(model.hit)).sum(axis=1),
        direction=_mean(model.hit, rows),
        mae_ratio=_ratio(_mean(model.absolute, rows), _mean(walk.absolute, rows)),
        rmse_ratio=np.sqrt(_ratio(_mean(model.squared, rows), _mean(walk.squared, rows))),
        crps_ratio=_ratio(_mean(model.crps, rows), _mean(walk.crps, rows)),
        crps_ewma=_ratio(_mean(model.crps, rows), _mean(ewma.crps, rows)),
        coverage80=_mean(model.inside80, rows),
        coverage95=_mean(model.inside95, rows),
        width80=_mean(model.width80, rows),
        width95=_mean(model.width95, rows),
        differences={
            "dm_p": difference(model.crps, walk.crps),
            "dm_p_ewma": difference(model.crps, ewma.crps),
            "dm_p_mae": difference(model.absolute, walk.absolute),
        },
    )


def _daily(differences: Floats) -> Floats:
    """``(O, H)`` mean over the series that have a value that day; NaN on days without any."""
    known = np.isfinite(differences)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, differences, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)


def _pooled(means: Floats, counts: NDArray[np.int64]) -> Floats:
    """``(H,)`` mean over all rows, from the means of the series and how many rows are in each."""
    total = np.where(counts > 0, means * counts, 0.0).sum(axis=0)
    return _ratio(total, counts.sum(axis=0).astype(float))


def _record(sums: _Sums, series: slice, horizon: int | None, same_unit: bool) -> Record:
    """One record over the chosen series, for one horizon (0-based) or, with None, for all of them."""
    steps = range(sums.n.shape[1]) if horizon is None else [horizon]

    def over(values: Floats, pool: Any) -> float:
        return _nanmean(np.array([pool(values[series, h]) for h in steps]))

    record: Record = {"n": int(sums.n[series][:, steps].sum())}
    for name in ("mae_ratio", "rmse_ratio", "crps_ratio", "crps_ewma"):
        record[name] = over(getattr(sums, name), _geometric)
    record["direction"] = _nanmean(_pooled(sums.direction[series], sums.hits[series])[list(steps)])
    for name in ("coverage80", "coverage95", "width80", "width95"):
        record[name] = over(getattr(sums, name), _nanmean) if same_unit or "coverage" in name else math.nan
    for name, differences in sums.differences.items():
        daily = _daily(differences[series])[:, steps].mean(axis=1)  # NaN unless every horizon is known
        record[name] = diebold_mariano(daily, steps[-1] + 1)[1]
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in record.items()}


def _records(
    names: Sequence[str],
    models: Mapping[str, Losses],
    rows: NDArray[np.bool_],
    log: NDArray[np.bool_],
    in_sample: bool,
) -> Iterator[Record]:
    sums = {model: _sums(loss, models[RANDOM_WALK], models[EWMA_NORMAL], rows) for model, loss in models.items()}
    groups = [("all", slice(None)), *((name, slice(n, n + 1)) for n, name in enumerate(names))]
    horizons = [None, *range(rows.shape[2])]
    for series, chosen in groups:
        same_unit = len(names) == 1 or series != "all" or bool(np.all(log))  # widths in different units have no mean
        for model, numbers in sums.items():
            for h in horizons:
                record = _record(numbers, chosen, h, same_unit)
                key = {"model": model, "series": series, "h": "all" if h is None else h + 1}
                yield {**key, **record, "in_sample": in_sample}


def _judged(records: Sequence[Record], h: int | str) -> list[Record]:
    """The pooled records that a verdict may look at."""
    return [r for r in records if r["series"] == "all" and r["h"] == h and not r["in_sample"]]


def has_skill(records: Sequence[Record]) -> bool:
    """Whether the first model's pooled CRPS one step ahead beats EWMA-normal with p < 0.05, out of sample."""
    ours = _judged(records, 1)[0]
    ratio, p = ours["crps_ewma"], ours["dm_p_ewma"]
    return ratio is not None and p is not None and ratio < 1.0 and p < SIGNIFICANT


def verdict(records: Sequence[Record]) -> list[str]:
    """What the records say of the first model, in plain sentences; origins it has learnt from are not looked at."""
    ours, every = _judged(records, 1)[0], _judged(records, "all")[0]
    model = ours["model"]
    if not ours["n"]:
        return [f"Nothing can be said about {model}: no forecast after its own data has come due."]
    said = [
        _against("the random walk", ours, every, "crps_ratio", "dm_p"),
        _against("EWMA-normal", ours, every, "crps_ewma", "dm_p_ewma"),
        _point(every),
        f"One step ahead the 80 % interval held {100.0 * ours['coverage80']:.1f} % of the outcomes, "
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
        return f"{model} has the same CRPS as {reference} one step ahead."
    sure = p is not None and p < SIGNIFICANT
    if first < 1.0:
        how = "is better than" if sure else "is not shown to be better than"
    else:
        how = "is worse than" if sure else "is not better than"
    return (
        f"{model} {how} {reference}: its CRPS is {_percent(first)} one step ahead ({_chance(p)}), "
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
