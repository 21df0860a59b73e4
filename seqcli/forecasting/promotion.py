"""Whether a new model may take the place of an old one: each is judged only by days that it has not learnt from."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.core.checkpoint import ModelFolder
from seqcli.errors import ModelError
from seqcli.forecasting import backtest, issue, predict
from seqcli.forecasting.config import ForecastConfig
from seqcli.forecasting.data import Panel
from seqcli.forecasting.plan import Cut, Plan, held_out
from seqcli.results import Progress, Record

FEWEST_ORIGINS = 40  # below this a mean of losses says too little
NOISE = 0.001  # of the CRPS on the same days: two seeds of the same training differ by less
OTHER_DAYS = 0.005  # of the CRPS over EWMA's in two reports: a margin that was chosen, for other days are other days
_PREVIOUS = "previous"


@dataclass(frozen=True, eq=False)
class Incumbent:
    """The model that a new one would replace.

    Arguments:
        model: as it was loaded.
        origins: ``(O,)`` rows of held-out days that it has not learnt from; none if they are too few to compare on.
    """

    model: issue.Model
    origins: NDArray[np.intp]


@dataclass(frozen=True)
class Judgement:
    """What the comparison said, as a sentence, and whether the new model is the worse one."""

    said: str
    worse: bool


def incumbent(out: Path, panel: Panel, plan: Plan, cut: Cut) -> Incumbent | None:
    """The model in a folder; ``None`` where there is none.

    Raises:
        ModelError: the two cannot be compared, or it is damaged.
    """
    if not ModelFolder(out).manifest.exists():
        return None
    model = issue.load(out)
    if not cut.test:
        raise _apart(out, "no held-out days")
    if model.config.horizon != plan.config.horizon:
        raise _apart(out, f"it looks {model.config.horizon} days ahead")
    origins = held_out(panel, cut, plan.config.horizon)
    origins = origins[panel.dates[origins] > np.datetime64(model.data_until)]
    if len(origins) >= FEWEST_ORIGINS:
        return Incumbent(model, origins)
    if set(model.manifest.data["series"]) != set(panel.names):
        what = f"only {len(origins)} held-out days that it has not learnt from, and its own report is on other series"
        raise _apart(out, what)
    return Incumbent(model, origins[:0])


def _apart(out: Path, what: str) -> ModelError:
    return ModelError(str(out), f"cannot be compared with the new model: {what}", "leave out --promote-if-better")


def judge(
    old: Incumbent,
    panel: Panel,
    cut: Cut,
    *,
    config: ForecastConfig,
    weights: Mapping[str, NDArray[Any]],
    records: Sequence[Record],
) -> Generator[Progress, None, Judgement]:
    """Compares on days that neither model has seen, or else each one's report on days that it had not seen itself.

    Arguments:
        old: the model that would be replaced.
        panel: the series.
        cut: where the days end that the new model of the report knows.
        config: the new model's shape.
        weights: the new model's, of the report.
        records: its report.
    """
    if not len(old.origins):
        return _by_reports(old.model, config.cell, records)
    new_levels = predict.quantiles(weights, config, panel, old.origins)
    both = {config.cell: new_levels, _PREVIOUS: old.model.levels(panel, old.origins)}
    scores = yield from backtest.report(both, backtest.Test(panel, old.origins, cut.valid_end - 1, "none"))
    new, before = (_pooled(scores.records, model, "crps_ratio") for model in both)
    since = f"{len(old.origins)} days from {panel.dates[old.origins[0]]} on, which neither model has learnt from"
    if new is None or not before:
        return Judgement(f"the new model and the old one cannot be compared on {since}", worse=True)
    said = f"the new model's CRPS is {new / before:.4f} of the old one's on {since}"
    return Judgement(said, worse=new > before * (1 + NOISE))


def _by_reports(old: issue.Model, name: str, records: Sequence[Record]) -> Judgement:
    new, before = _pooled(records, name, "crps_ewma"), _pooled(old.manifest.metrics, old.name, "crps_ewma")
    if before is None:
        return Judgement("the old model carries no report that the new one could be compared with", worse=False)
    if new is None:
        return Judgement("the held-out days are too few to compare the new model with the old one", worse=True)
    said = (
        f"the new model's CRPS is {new:.4f} of EWMA's, the old one's was {before:.4f}, each on its own held-out days: "
        f"the old model has learnt until {old.data_until}, so that too few are left which neither has seen"
    )
    return Judgement(said, worse=new > before * (1 + OTHER_DAYS))


def _pooled(records: Sequence[Mapping[str, Any]], model: str, ratio: str) -> float | None:
    """A ratio over all series and horizons, out of sample."""
    for row in records:
        pooled = row.get("series") == row.get("h") == "all" and not row.get("in_sample")
        if pooled and row.get("model") == model and isinstance(value := row.get(ratio), (int, float)):
            return float(value)
    return None
