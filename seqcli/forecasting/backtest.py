"""Rolling origins: what the model would have said on each day of the past, scored beside the baselines."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.core import files
from seqcli.core.rows import dumps
from seqcli.core.statistics import LEVELS
from seqcli.errors import InputError, UsageError
from seqcli.forecasting import baselines, records, scoring
from seqcli.forecasting.baselines import Offsets
from seqcli.forecasting.data import Floats, Panel
from seqcli.forecasting.issue import Model
from seqcli.forecasting.sources import day
from seqcli.results import Progress, Result

_MEDIAN = LEVELS.index(0.5)
_SHOWN = (
    "model",
    "h",
    "n",
    "mae_ratio",
    "crps_ratio",
    "crps_ewma",
    "dm_p_ewma",
    "coverage80",
    "coverage95",
    "in_sample",
)


def backtest(
    model: Model,
    panel: Panel,
    *,
    since: str | None = None,
    until: str | None = None,
    every: int = 1,
    group: str = "all",
    by_series: bool = False,
    by_horizon: bool = False,
    forecasts: Path | None = None,
    require_skill: bool = False,
) -> Generator[Progress, None, Result]:
    """Forecasts from every origin between two dates with what was known that day, and scores them.

    An origin is a day with all of its targets known. Without ``since`` the origins begin where the model's data end;
    if nothing lies after that, the last 250 days are replayed, marked ``in_sample``, and no verdict is given.

    Arguments:
        model: a loaded model.
        panel: the series; the whole history up to each origin is used.
        since: the first origin's date.
        until: the last origin's date.
        every: use every n-th origin.
        group: ``none``, ``fast`` (all but GARCH) or ``all`` of the baselines; the two references are always there.
        by_series: records of each series as well.
        by_horizon: records of each horizon as well.
        forecasts: a file for the model's forecast rows (.csv, .csv.gz or .jsonl).

    Raises:
        InputError: no origin between the two dates.
        UsageError: a suffix that is not known.
    """
    if forecasts is not None:
        _check_suffix(forecasts)
    data_until = np.datetime64(model.data_until)
    origins, warnings = _origins(
        panel, model.config.horizon, day("--since", since), day("--until", until), every, data_until
    )
    fit_end = min(int(np.searchsorted(panel.dates, data_until, "right")) - 1, int(origins[0]))
    in_sample = panel.dates[origins] <= data_until
    levels = model.levels(panel, origins)
    if forecasts is not None:
        _write(forecasts, list(records.rows(panel, origins, levels)))
    scores = yield from report(model.name, levels, panel, origins, max(fit_end, 0), group, in_sample)
    return result(scores.records, warnings + scores.notes, require_skill, by_series, by_horizon)


def report(
    name: str,
    levels: Floats,
    panel: Panel,
    origins: NDArray[np.intp],
    fit_end: int,
    group: str = "all",
    in_sample: NDArray[np.bool_] | None = None,
) -> Generator[Progress, None, scoring.Scores]:
    """The model and the baselines on the same origins.

    Arguments:
        name: what the model is called in the records.
        levels: ``(N, O, H, Q)``, the model's quantiles as levels.
        panel: the series, with the outcomes.
        origins: ``(O,)`` rows.
        fit_end: the last row that the baselines learn from.
        group: ``none``, ``fast`` or ``all``; the random walk and EWMA-normal are always there.
        in_sample: ``(O,)`` True for origins that the model has learnt from.
    """
    horizon = levels.shape[2]
    known = panel.levels()
    moves = scoring.actual_moves(known, origins, horizon)
    ours = levels - known[origins].T[:, :, None, None]
    losses = {name: scoring.losses(moves, Offsets(ours[..., _MEDIAN], ours), panel.log)}
    wanted = [
        b for b in baselines.BASELINES if b in (*baselines.GROUPS[group], baselines.RANDOM_WALK, baselines.EWMA_NORMAL)
    ]
    notes: list[str] = []
    for done, baseline in enumerate(wanted):
        yield Progress("baselines", done, len(wanted), baseline)
        offsets = baselines.run(baseline, panel, fit_end, origins, horizon)
        losses[baseline] = scoring.losses(moves, offsets, panel.log)
        notes += offsets.notes
    yield Progress("baselines", len(wanted), len(wanted))
    scores = scoring.score(panel.names, moves, losses, panel.log, in_sample)
    by_horizon = sorted(
        scores.records,
        key=lambda r: (
            r["in_sample"],
            r["series"] != "all",
            r["series"],
            str(r["h"]) != "all",
            r["h"] if r["h"] != "all" else 0,
        ),
    )
    return scoring.Scores(by_horizon, scores.dropped, (*notes, *scores.notes))


def result(
    scored: Sequence[scoring.Record],
    warnings: Sequence[str],
    gate: bool = False,
    by_series: bool = False,
    by_horizon: bool = False,
) -> Result:
    """One record for the model and one for each baseline, a short table, and the verdict.

    Arguments:
        scored: from ``report``.
        warnings: what the reader has to know.
        gate: fail if there is no skill.
        by_series: records of each series as well.
        by_horizon: records of each horizon as well.
    """
    kept = [r for r in scored if r["n"]] or scored
    shown = [r for r in kept if r["series"] == "all" and r["h"] in ("all", 1)]
    return Result(
        records=tuple(r for r in kept if (by_series or r["series"] == "all") and (by_horizon or r["h"] == "all")),
        table=tuple({name: r[name] for name in _SHOWN} for r in shown),
        sentences=tuple(scoring.verdict(scored)),
        warnings=tuple(warnings),
        gate="no significant skill over EWMA-normal one step ahead" if gate and not scoring.has_skill(scored) else None,
    )


def _origins(
    panel: Panel, horizon: int, since: Any, until: Any, every: int, data_until: np.datetime64
) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    known = np.isfinite(panel.values).any(axis=1)
    rows = np.flatnonzero(known)
    rows = rows[rows + horizon < len(panel.dates)]
    dates, warnings = panel.dates[rows], ()
    if since is None:
        fresh = rows[(dates >= data_until) & ((until is None) | (dates <= (until or dates[-1])))] if len(rows) else rows
        if len(fresh) > 1:
            since = data_until
        else:
            since = dates[max(0, len(rows) - 250)] if len(rows) else None
            warnings = (
                f"the model has seen all data until {data_until}: these origins are in-sample and prove nothing "
                "(its report on unseen days is in seqcli info)",
            )
    chosen = (
        rows[(dates >= since) & (dates <= (until if until is not None else dates[-1]))][::every] if len(rows) else rows
    )
    if not len(chosen):
        span = f"{panel.dates[0]} to {panel.dates[-1]}"
        raise InputError(
            "backtest",
            f"no day from {since or 'the beginning'} to {until or 'the end'} has its {horizon} targets",
            f"the data go from {span}",
        )
    return chosen, warnings


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
