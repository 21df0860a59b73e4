"""The track record: what was forecast, what happened, and whether the model can stay.

The scores are those of ``backtest``, from the same functions, so that the two agree on the same days.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from seqcli.core import figures
from seqcli.errors import InputError
from seqcli.forecasting import baselines, drift, journal, outcomes, scoring
from seqcli.forecasting.baselines import EWMA_NORMAL, RANDOM_WALK, Offsets
from seqcli.forecasting.data import Floats, Panel
from seqcli.forecasting.outcomes import Outcomes
from seqcli.results import Record, Result

POOLED: Final = "all"
"""The name under which the models of a journal that holds several are scored together, the newest of each day."""

_NEWEST: Final = "the newest model of each day"
_SHOWN: Final = {
    "model": "model",
    "series": "series",
    "h": "h",
    "n": "n",
    "pending": "pending",
    "crps_ratio": "CRPS÷rw",
    "crps_ewma": "÷ewma",
    "coverage80": "80 %",
    "coverage95": "95 %",
}  # what a person reads in 80 columns, by the words of backtest's table


@dataclass(frozen=True, eq=False)
class _Part:
    """One model's forecasts and what they lost, beside the references issued on the same days."""

    outcomes: Outcomes
    losses: dict[str, scoring.Losses]  # of the model, the random walk and EWMA-normal
    ewma: Offsets

    @property
    def counts(self) -> NDArray[np.bool_]:
        """``(N, O, H)``: rows on which all three have a score."""
        return np.asarray(np.logical_and.reduce([np.isfinite(loss.crps) for loss in self.losses.values()]))


def track(path: Path, panel: Panel) -> Result:
    """Scores the forecasts of a journal against what happened, and gives a verdict on its newest model.

    The records are, for each model, for all series and each one, for all horizons and each one: ``model, series, h, n,
    pending, mae, mae_ratio, crps, crps_ratio, crps_ewma, dm_p, dm_p_ewma, coverage80, coverage95, pit, e_bias,
    e_width, e_worse, e_better, verdict, in_sample``. Those ``in_sample`` are replays: of days that the model has
    learnt from, issued after their target date, or with a calibration younger than the origin. ``mae`` and ``crps`` are
    in level units (log-return, or difference), ``pit`` has ten parts. The ``e_`` columns, on the rows of the shortest
    horizon, are evidence that may be looked at daily (60 is drift); ``dm_p`` and ``dm_p_ewma`` hold for a single look.
    A journal of several models has ``model`` ``all`` as well: the newest one of each day.

    Arguments:
        path: the journal.
        panel: the values known today of the journal's series, with the history that a backtest would use.

    Raises:
        InputError: no journal, an empty or damaged one, or none of its series in the panel.
        ModelError: a journal of a newer seqcli.
    """
    parts, notes = _parts(path, panel)
    shown = [_pool(parts), *parts[::-1]] if len(parts) > 1 else parts
    records: list[Record] = []
    sentences: list[str] = []
    for part in shown:
        scores = _score(part)
        drifts = _drifts(part)
        records += _records(part, scores, drifts)
        whole, newest = drifts["all"], part is parts[-1]
        if part is shown[0]:
            name = part.outcomes.model_id if newest else _NEWEST
            sentences += [_counted(part), *scoring.verdict([_named(r, name, part) for r in scores.records])]
            sentences += [] if newest else [whole.sentence(_NEWEST)]
            notes += scores.notes
        if newest:
            command = {drift.RECALIBRATE: f"seqcli recalibrate MODEL {path}", drift.RETRAIN: "seqcli train-forecast"}
            sentences.append(whole.sentence(part.outcomes.model_id, command.get(whole.verdict, "")))
    table = [r for r in records if r["series"] == "all" or r["h"] == "all"]
    return Result(
        records=tuple(records),
        table=tuple(_short(r, mark=any(r["in_sample"] for r in table)) for r in table),
        sentences=tuple(sentences),
        warnings=notes,
    )


def _short(record: Record, *, mark: bool) -> dict[str, Any]:
    """A record for a terminal; with ``mark``, which ones are replays."""
    seen = {"seen": record["in_sample"]} if mark else {}
    return {shown: record[name] for name, shown in _SHOWN.items()} | seen


def rows(path: Path, panel: Panel) -> Iterator[dict[str, Any]]:
    """The journal's rows, each with ``actual``, ``error`` (actual - point), ``inside80`` and ``inside95``.

    These are None where nothing is known yet. Errors as in ``track``, but for series without data.
    """
    row_of = {str(day): row for row, day in enumerate(panel.dates)}
    column_of = {name: column for column, name in enumerate(panel.names)}
    for record in journal.read(path):
        row, column = row_of.get(record["target_date"]), column_of.get(record["series"])
        value = float(panel.values[row, column]) if row is not None and column is not None else np.nan
        numbers = [record[name] for name in ("point", "q0.025", "q0.1", "q0.9", "q0.975")]
        if not np.isfinite(value) or None in numbers:
            yield {**record, "actual": None, "error": None, "inside80": None, "inside95": None}
            continue
        yield {
            **record,
            "actual": value,
            "error": value - numbers[0],
            "inside80": numbers[2] <= value <= numbers[3],
            "inside95": numbers[1] <= value <= numbers[4],
        }


def plot(records: Sequence[Record], path: Path) -> None:
    """A picture of a track record: the PIT histogram of the shortest horizon, and coverage by horizon.

    Arguments:
        records: of ``track``; the first model in them is drawn.
        path: .png or .svg.

    Raises:
        UsageError, MachineError: see ``core.figures``.
        InputError: nothing has come due yet.
    """
    figures.check(path)
    due = [r for r in records if r["series"] == "all" and r["h"] != "all" and r["n"] and not r["in_sample"]]
    ours = [r for r in due if r["model"] == due[0]["model"]]
    if not ours:
        raise InputError(
            f"--plot {path}", "no forecast of this journal has come due yet", "seqcli track JOURNAL --rows"
        )
    first = ours[0]
    figure, (top, bottom) = figures.new(2)
    bins = len(first["pit"])
    top.bar((np.arange(bins) + 0.5) / bins, first["pit"], 0.9 / bins, color=figures.BLUE)
    top.axhline(1.0 / bins, color=figures.GREY, linewidth=1)
    top.set(
        xlim=(0, 1),
        xlabel="part of the forecast distribution",
        ylabel="share of outcomes",
        title=f"{first['model']}, h = {first['h']}, n = {first['n']}: level if calibrated",
    )
    for name, nominal, colour in (("coverage80", 0.8, figures.BLUE), ("coverage95", 0.95, figures.RED)):
        bottom.plot(
            [r["h"] for r in ours], [r[name] for r in ours], "o-", color=colour, label=f"{nominal:.0%} interval"
        )
        bottom.axhline(nominal, color=colour, linewidth=1, linestyle=":")
    bottom.set(
        xticks=[r["h"] for r in ours],
        ylim=(min(0.6, *(r["coverage80"] for r in ours)), 1.0),
        xlabel="h",
        ylabel="outcomes inside",
    )
    bottom.legend(frameon=False, loc="lower right")
    figures.save(figure, path)


def _parts(path: Path, panel: Panel) -> tuple[list[_Part], tuple[str, ...]]:
    records = list(journal.read(path))
    if not records:
        raise InputError(str(path), "no forecasts in it", f"seqcli forecast MODEL --journal {path}")
    matched, notes = outcomes.match(records, panel, str(path))
    return [_scored(one) for one in matched], notes


def _scored(one: Outcomes) -> _Part:
    horizon = one.moves.shape[2]
    losses = {one.model_id: scoring.losses(one.moves, one.forecast, one.panel.log)}
    for name in (RANDOM_WALK, EWMA_NORMAL):
        reference = baselines.run(name, one.panel, one.fit_end, one.origins, horizon)
        losses[name] = scoring.losses(one.moves, reference, one.panel.log)
    return _Part(one, losses, reference)


def _pool(parts: Sequence[_Part]) -> _Part:
    """The newest model of each origin, whatever its name. Parts come oldest model first."""
    owner = {row: part for part in parts for row in part.outcomes.origins.tolist()}
    origins = np.array(sorted(owner), np.intp)
    kept = [np.array([owner[row] is part for row in part.outcomes.origins.tolist()], bool) for part in parts]
    order = np.argsort(np.concatenate([part.outcomes.origins[keep] for part, keep in zip(parts, kept, strict=True)]))
    horizon = max(part.outcomes.moves.shape[2] for part in parts)

    def joined(arrays: Sequence[NDArray[Any]], fill: float = np.nan) -> NDArray[Any]:
        """Arrays ``(N, O, H, …)``, those of the shorter horizons filled up."""
        filled = [
            np.pad(
                a[:, keep],
                [(0, 0), (0, 0), (0, horizon - a.shape[2])] + [(0, 0)] * (a.ndim - 3),
                constant_values=fill,
            )
            for a, keep in zip(arrays, kept, strict=True)
        ]
        return np.concatenate(filled, axis=1)[:, order]

    def offsets(all_of_them: Sequence[Offsets]) -> Offsets:
        return Offsets(joined([o.point for o in all_of_them]), joined([o.quantiles for o in all_of_them]))

    def losses(place: int) -> scoring.Losses:
        each = [list(part.losses.values())[place] for part in parts]
        return scoring.Losses(**{name: joined([getattr(loss, name) for loss in each]) for name in each[0].__dict__})

    pending = np.zeros((len(parts[0].outcomes.pending), horizon), np.int64)
    for part in parts:
        pending[:, : part.outcomes.pending.shape[1]] += part.outcomes.pending
    newest = parts[-1].outcomes
    pooled = replace(
        newest,
        model_id=POOLED,
        origins=origins,
        forecast=offsets([part.outcomes.forecast for part in parts]),
        moves=joined([part.outcomes.moves for part in parts]),
        pending=pending,
        calibration=np.full(len(origins), ""),
        in_sample=joined([part.outcomes.in_sample for part in parts], fill=False),
    )
    names = (POOLED, RANDOM_WALK, EWMA_NORMAL)
    return _Part(pooled, {name: losses(k) for k, name in enumerate(names)}, offsets([part.ewma for part in parts]))


def _score(part: _Part) -> scoring.Scores:
    one = part.outcomes
    return scoring.score(one.panel.names, one.moves, part.losses, one.panel.log, one.in_sample)


def _drifts(part: _Part) -> dict[str, drift.Drift]:
    """The sequential tests, of all series together and of each."""
    names = part.outcomes.panel.names
    alone = {name: drift.watch(part.outcomes, part.ewma, n) for n, name in enumerate(names)}
    return {**alone, "all": drift.watch(part.outcomes, part.ewma)}


def _records(part: _Part, scores: scoring.Scores, drifts: dict[str, drift.Drift]) -> Iterator[Record]:
    one, counts = part.outcomes, part.counts
    ours = part.losses[one.model_id]
    shortest = next((h + 1 for h in range(one.moves.shape[2]) if np.isfinite(one.moves[..., h]).any()), 1)
    for record in scores.records:
        if record["model"] != one.model_id:
            continue
        everywhere, every = record["series"] == "all", record["h"] == "all"
        n = slice(None) if everywhere else _only(one.panel.names.index(record["series"]))
        h = slice(None) if every else _only(record["h"] - 1)
        chosen = np.zeros_like(counts)
        chosen[n, :, h] = counts[n, :, h] & (one.in_sample[n, :, h] == record["in_sample"])
        same_unit = not everywhere or bool(one.panel.log.all()) or len(one.panel.names) == 1
        pit = outcomes.pit_histogram(one, chosen)
        proof = drifts[record["series"]] if record["h"] == shortest and not record["in_sample"] else None
        yield {
            "model": one.model_id,
            "series": record["series"],
            "h": record["h"],
            "n": record["n"],
            "pending": 0 if record["in_sample"] else int(one.pending[n, h].sum()),
            "mae": _mean(ours.absolute, chosen) if same_unit else None,
            "mae_ratio": record["mae_ratio"],
            "crps": _mean(ours.crps, chosen) if same_unit else None,
            **{
                name: record[name]
                for name in ("crps_ratio", "crps_ewma", "dm_p", "dm_p_ewma", "coverage80", "coverage95")
            },
            "pit": None if pit is None else pit.tolist(),
            "e_bias": proof.bias.either if proof else None,
            "e_width": proof.width.either if proof else None,
            "e_worse": proof.skill.above if proof else None,
            "e_better": proof.skill.below if proof else None,
            "verdict": drifts["all"].verdict if everywhere and every and not record["in_sample"] else None,
            "in_sample": record["in_sample"],
        }


def _only(place: int) -> slice:
    return slice(place, place + 1)


def _mean(values: Floats, where: NDArray[np.bool_]) -> float | None:
    """Over origins first, then over series and horizons, as the ratios are."""
    counted = where.sum(axis=1)
    means = np.where(where, values, 0.0).sum(axis=1)[counted > 0] / counted[counted > 0]
    return float(means.mean()) if len(means) else None


def _named(record: scoring.Record, name: str, part: _Part) -> scoring.Record:
    return {**record, "model": name} if record["model"] == part.outcomes.model_id else record


def _counted(part: _Part) -> str:
    one, due = part.outcomes, np.isfinite(part.outcomes.moves)
    counted, replayed = due & ~one.in_sample, int((due & one.in_sample).sum())
    days = int(counted.any(axis=(0, 2)).sum())
    said = f"{int(counted.sum()):,} forecasts from {days:,} days have come due, {int(one.pending.sum()):,} are pending"
    return f"{said}; {replayed:,} replays are not judged." if replayed else f"{said}."
