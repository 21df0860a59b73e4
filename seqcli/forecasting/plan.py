"""What a training is asked to do: the defaults that were chosen, what the user said instead, and where days are cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.core.lines import display_name
from seqcli.errors import InputError, UsageError
from seqcli.forecasting import calendar, config, issue
from seqcli.forecasting.config import BATCH_SIZE, ForecastConfig
from seqcli.forecasting.data import Panel
from seqcli.forecasting.sources import TableOptions

if TYPE_CHECKING:
    from seqcli.core.training import FitSettings

VALIDATION_NOISE = 0.002  # of the loss of 250 days: a schedule is not cut short for less
FEWEST_DAYS = 60  # below this there is nothing to learn a volatility's ways from


@dataclass(frozen=True)
class Plan:
    """What is trained, on which days, and how it is judged.

    Arguments:
        config: the network's shape.
        fit: how it is trained.
        since: origins before this day shape the inputs' long averages, but are not learned from; ``None``: all are.
        holdout: last days, kept for the report; as many before them validate. 0: no report and no validation.
        refit: fit again through the end, for as many steps as validation found best.
        baselines: ``none``, ``fast`` or ``all``, in the report.
        init_from: a model folder to start from; the fit of the report starts from nothing instead, if that model has
            learnt from later days than it may.
        device: auto, cpu, cuda or mps.
        threads: of the processor. One by default: these networks are so small that a second one mostly waits, on a busy
            machine for minutes; and a seed then gives the same weights on any machine of a kind.
        command: as the user typed it, for the record.
        source: where the data come from: ``rates``, or a table's name.
        table: how the table was read; remembered, so that later ones are read alike.
    """

    config: ForecastConfig
    fit: FitSettings
    batch_size: int = BATCH_SIZE
    since: np.datetime64 | None = None
    holdout: int = 250
    refit: bool = True
    baselines: str = "all"
    init_from: Path | None = None
    device: str = "auto"
    threads: int = 1
    command: str = ""
    source: str = issue.RATES
    table: TableOptions = field(default_factory=TableOptions)


def make(
    flags: Mapping[str, Any],
    *,
    quick: bool,
    horizon: int,
    members: int | None,
    free_median: bool = False,
    **rest: Any,
) -> Plan:
    """The defaults that were chosen for the task, with what the user said instead.

    Arguments:
        flags: what was said of ``--cell``, ``--hidden``, ``--epochs`` and the other flags that every training has.
        quick: a smaller model for a first look.
        horizon: business days ahead.
        members: networks that are averaged; ``None``: the default.
        free_median: learn the median too, which else is the last value.
        rest: fields of ``Plan``.
    """
    from seqcli.core.training import FitSettings

    default = ForecastConfig()
    shape = ForecastConfig(
        cell=flags.get("cell", default.cell),
        layers=flags.get("layers", default.layers),
        hidden=flags.get("hidden", default.hidden),
        dropout=flags.get("dropout", default.dropout),
        members=members or (2 if quick else default.members),
        horizon=horizon,
        free_median=free_median,
    )
    minutes = flags.get("max_minutes")
    fit = FitSettings(
        epochs=flags.get("epochs", 4 if quick else config.EPOCHS),
        steps=flags.get("steps"),
        max_minutes=minutes / 2 if minutes and rest["holdout"] and rest["refit"] else minutes,  # for each of two fits
        learning_rate=flags.get("learning_rate", config.LEARNING_RATE),
        schedule="cosine",
        warmup=config.WARMUP,
        weight_decay=config.WEIGHT_DECAY,
        clip_norm=flags.get("clip_norm", config.CLIP_NORM),
        tolerance=VALIDATION_NOISE,
        precision="float32",
        seed=flags["seed"],
    )
    common = {name: flags[name] for name in ("device", "threads", "command", "batch_size") if name in flags}
    return Plan(shape, fit, **common, **rest)


@dataclass(frozen=True)
class Cut:
    """Rows of the panel: until ``fit_end`` to learn, ``valid`` to choose the number of steps, then the report's."""

    fit_end: int
    valid: int
    test: int

    @property
    def valid_end(self) -> int:
        """The first row of the report's days."""
        return self.fit_end + self.valid


def held_out(panel: Panel, cut: Cut, horizon: int) -> NDArray[np.intp]:
    """The rows of the report's origins: their days have values, and all of their targets lie in the held-out days."""
    rows = np.arange(cut.valid_end - 1, len(panel.dates) - horizon)
    known = np.asarray(np.isfinite(panel.values).any(axis=1))
    return rows[known[rows]]


def split(panel: Panel, plan: Plan) -> tuple[Cut, tuple[str, ...]]:
    """Where the days are cut; a short history gets a shorter holdout or none, and a warning.

    Raises:
        UsageError: a holdout of too few days to say anything at this horizon.
        InputError: too few days, nothing that moves, or held-out days that would decide how the others are read.
    """
    where, days = display_name(plan.source), len(panel.dates)
    least = 2 * plan.config.horizon  # as many days again as the first origin needs to see its last target
    if 0 < plan.holdout < least:
        what = f"too few for a report on {plan.config.horizon} days ahead; at least {least}"
        raise UsageError(f"--holdout {plan.holdout}", what, f"--holdout {least}, or 0 for no report")
    with np.errstate(invalid="ignore"):
        span = np.nanmax(panel.values, axis=0) - np.nanmin(panel.values, axis=0)
    still = [name for name, width in zip(panel.names, span, strict=True) if not width > 0]
    fewest = FEWEST_DAYS + plan.config.horizon
    if days < fewest:
        raise InputError(where, f"{days} day{'s' if days > 1 else ''}; at least {fewest} are needed", None)
    if len(still) == len(panel.names):
        raise InputError(where, f"{', '.join(still[:3])} never moves: there is nothing to learn", None)
    warnings = tuple(f"{name} never moves" for name in still)
    usable = days if plan.since is None else int((panel.dates >= plan.since).sum())
    if usable < FEWEST_DAYS:
        raise InputError(where, f"{usable} days since {plan.since}; at least {FEWEST_DAYS} are needed", None)
    holdout = min(plan.holdout, usable // 4)
    if 0 < holdout < least:
        what = f"{usable} days are too few for a report on {plan.config.horizon} days ahead: there is none"
        return Cut(days, 0, 0), (*warnings, what)
    if holdout < plan.holdout:
        warnings += (f"only {usable} days: the report is on the last {holdout} of them, not {plan.holdout}",)
    if not holdout:
        return Cut(days, 0, 0), warnings
    cut = Cut(days - 2 * holdout, holdout, holdout)
    if plan.source != issue.RATES:
        _check_transform(panel, plan, cut)
        _check_calendar(panel, plan, cut)
    return cut, warnings


def _check_transform(panel: Panel, plan: Plan, cut: Cut) -> None:
    """Refuses a series that is modelled in differences only because of days which its fit must not know."""
    if plan.table.transform == "difference":
        return
    for column in np.flatnonzero(~panel.log):
        values = panel.values[:, column]
        known = values[: cut.fit_end]
        if np.isnan(known).all() or np.nanmin(known) < 0:
            continue
        with np.errstate(invalid="ignore"):
            row = int(np.flatnonzero(values <= 0)[0])
        raise InputError(
            f"{display_name(plan.source)}: {panel.names[column]}",
            f"{values[row]:g} on {panel.dates[row]} has no logarithm, and nothing is negative until "
            f"{panel.dates[cut.fit_end - 1]}, where the report's training ends",
            "mend or empty the cell, or model differences with --transform difference",
        )


def _check_calendar(panel: Panel, plan: Plan, cut: Cut) -> None:
    """Refuses to let days that the fit must not know decide which days there are."""
    if plan.table.calendar not in (None, "infer"):
        return
    known = np.asarray(np.isfinite(panel.values).any(axis=1))
    before, every = (calendar.infer(panel.dates[:rows][known[:rows]]) for rows in (cut.fit_end, len(known)))
    # Without a closing day in their span the first days keep both calendars alike.
    if every != panel.calendar or before == every or (before, every) == ("weekdays", "target"):
        return
    raise InputError(
        display_name(plan.source),
        f"the days until {panel.dates[cut.fit_end - 1]}, where the report's training ends, keep the calendar "
        f"{before!r}, and all of them {every!r}",
        f"say which one it is: --calendar {every}",
    )
