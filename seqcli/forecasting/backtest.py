"""Rolling origins: what the model would have said on each day of the past, scored beside the baselines."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.core import files
from seqcli.core.json_lines import dumps
from seqcli.core.statistics import LEVELS
from seqcli.errors import InputError, UsageError
from seqcli.forecasting import baselines, records, scoring
from seqcli.forecasting.baselines import Offsets
from seqcli.forecasting.data import Floats, Panel
from seqcli.forecasting.issue import Model
from seqcli.forecasting.sources import day
from seqcli.results import Progress, Result

_MEDIAN = LEVELS.index(0.5)
_SHOWN = {
    "model": "model",
    "h": "h",
    "n": "n",
    "mae_ratio": "MAE÷rw",
    "crps_ratio": "CRPS÷rw",
    "crps_ewma": "÷ewma",
    "dm_p_ewma": "p",
    "coverage80": "80 %",
    "coverage95": "95 %",
}  # what a person reads in 80 columns: rw is the random walk, p the test against EWMA


@dataclass(frozen=True)
class Window:
    """Which origins: the dates of the first and the last one, and every n-th between them."""

    since: str | None = None
    until: str | None = None
    every: int = 1


@dataclass(frozen=True)
class Detail:
    """What is reported.

    Arguments:
        baselines: ``none``, ``fast`` (all but GARCH) or ``all``; ratios and verdict need two of them in any case.
        by_series: records of each series as well.
        by_horizon: records of each horizon as well.
        require_skill: fail, after everything was printed, unless the model is significantly better than EWMA.
    """

    baselines: str = "all"
    by_series: bool = False
    by_horizon: bool = False
    require_skill: bool = False


def backtest(
    model: Model, panel: Panel, window: Window, detail: Detail, forecasts: Path | None = None
) -> Generator[Progress, None, Result]:
    """Forecasts from every origin of a window with what was known that day, and scores them.

    An origin is a day with all of its targets known. Without a first date the origins begin where the model's data
    end; if nothing lies after that, the last 250 days (of few, the later half) are replayed, marked ``in_sample``, and
    no verdict is given.

    Arguments:
        model: a loaded model.
        panel: the series; the whole history up to each origin is used.
        window: which origins.
        detail: what is reported.
        forecasts: a file for the model's forecast rows (.csv, .csv.gz or .jsonl).

    Raises:
        InputError: no origin in the window.
        UsageError: a suffix that is not known.
    """
    if forecasts is not None:
        _check_suffix(forecasts)
    data_until = np.datetime64(model.data_until)
    origins, warnings = _origins(panel, model.config.horizon, window, data_until)
    # The baselines learn from what the model learnt from; of a model that has seen it all, from before the window.
    fit_end = min(int(np.searchsorted(panel.dates, data_until, "right")) - 1, int(origins[0]))
    levels = model.levels(panel, origins)
    if forecasts is not None:
        _write(forecasts, list(records.rows(panel, origins, levels)))
    test = Test(panel, origins, max(fit_end, 0), detail.baselines, panel.dates[origins] <= data_until)
    scores = yield from report({model.name: levels}, test)
    return result(scores.records, warnings + scores.notes, detail)


@dataclass(frozen=True, eq=False)
class Test:
    """Where forecasts are compared.

    Arguments:
        panel: the series, with the outcomes.
        origins: ``(O,)`` rows.
        fit_end: the last row that the baselines learn from.
        group: ``none``, ``fast`` or ``all`` of the baselines; the two references are always there.
        in_sample: ``(O,)`` True for origins that the model has learnt from; ``None``: it has not seen any.
    """

    panel: Panel
    origins: NDArray[np.intp]
    fit_end: int
    group: str = "all"
    in_sample: NDArray[np.bool_] | None = None


def report(models: Mapping[str, Floats], test: Test) -> Generator[Progress, None, scoring.Scores]:
    """The models and the baselines on the same origins.

    Arguments:
        models: name to quantiles as levels, ``(N, O, H, Q)``; the first one is the one that is judged.
        test: where they are compared.
    """
    panel, origins = test.panel, test.origins
    horizon = next(iter(models.values())).shape[2]
    known = panel.levels()
    moves = scoring.actual_moves(known, origins, horizon)
    start = known[origins].T[:, :, None, None]
    losses = {
        name: scoring.losses(moves, Offsets((levels - start)[..., _MEDIAN], levels - start), panel.log)
        for name, levels in models.items()
    }
    always = (baselines.RANDOM_WALK, baselines.EWMA_NORMAL)
    wanted = [b for b in baselines.BASELINES if b in (*baselines.GROUPS[test.group], *always)]
    notes: list[str] = []
    for done, baseline in enumerate(wanted):
        yield Progress("baselines", done, len(wanted), baseline)
        offsets = baselines.run(baseline, panel, test.fit_end, origins, horizon)
        losses[baseline] = scoring.losses(moves, offsets, panel.log)
        notes += offsets.notes
    yield Progress("baselines", len(wanted), len(wanted))
    scores = scoring.score(panel.names, moves, losses, panel.log, test.in_sample)
    return scoring.Scores(sorted(scores.records, key=_reading_order), scores.dropped, (*notes, *scores.notes))


def _reading_order(record: scoring.Record) -> tuple[bool, bool, str, int]:
    """Out of sample first, then what is pooled; within a group the models stay in their order."""
    horizon = 0 if record["h"] == "all" else record["h"]
    return record["in_sample"], record["series"] != "all", record["series"], horizon


def result(scored: Sequence[scoring.Record], warnings: Sequence[str], detail: Detail) -> Result:
    """One record for the model and one for each baseline, a short table, and the verdict."""
    kept = [r for r in scored if r["n"]] or scored
    shown = [r for r in kept if r["series"] == "all" and r["h"] in ("all", 1)]
    unprinted = set(baselines.BASELINES) - set(baselines.GROUPS[detail.baselines])
    wanted = [r for r in kept if r["model"] not in unprinted and (detail.by_series or r["series"] == "all")]
    failed = detail.require_skill and not scoring.has_skill(scored)
    return Result(
        records=tuple(r for r in wanted if detail.by_horizon or r["h"] == "all"),
        table=tuple(_short(r, mark=any(r["in_sample"] for r in shown)) for r in shown),
        sentences=tuple(scoring.verdict(scored)),
        warnings=tuple(warnings),
        gate="no significant skill over EWMA-normal one step ahead" if failed else None,
    )


def _short(record: scoring.Record, *, mark: bool) -> dict[str, Any]:
    """A record for a terminal; with ``mark``, which ones are in-sample."""
    seen = {"seen": record["in_sample"]} if mark else {}
    return {shown: record[name] for name, shown in _SHOWN.items()} | seen


def _origins(
    panel: Panel, horizon: int, window: Window, data_until: np.datetime64
) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    since, until = day("--since", window.since), day("--until", window.until)
    rows = np.flatnonzero(np.isfinite(panel.values).any(axis=1))
    rows = rows[rows + horizon < len(panel.dates)]
    if until is not None:
        rows = rows[panel.dates[rows] <= until]
    warnings: tuple[str, ...] = ()
    if since is not None:
        rows = rows[panel.dates[rows] >= since]
    elif (panel.dates[rows] > data_until).any():
        rows = rows[panel.dates[rows] > data_until]
    else:
        rows = rows[-min(250, (len(rows) + 1) // 2) :]  # the baselines learn from what lies before
        warnings = (
            f"the model has learnt from all data until {data_until}: these origins prove nothing "
            "(seqcli info shows its report on days that it had not seen)",
        )
    if not len(rows):
        span = f"from {window.since or 'the beginning'} to {window.until or 'the end'}"
        hint = f"the data go from {panel.dates[0]} to {panel.dates[-1]}"
        raise InputError("backtest", f"no day {span} has its {horizon} targets", hint)
    return rows[:: window.every], warnings


def _check_suffix(path: Path) -> None:
    if not path.name.endswith((".csv", ".csv.gz", ".jsonl")):
        raise UsageError(f"--forecasts {path}", "the suffix is not known", "end it in .csv, .csv.gz or .jsonl")


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    if path.name.endswith(".jsonl"):
        files.write_text(path, "".join(dumps(row) + "\n" for row in rows))
        return
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]) if rows else ["series"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    content = buffer.getvalue().encode()
    files.write_bytes(path, gzip.compress(content, mtime=0) if path.name.endswith(".gz") else content)
