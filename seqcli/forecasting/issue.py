"""Issues a forecast: a model folder and the newest data in, the next business days out. No PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.core import checkpoint, clock
from seqcli.core.checkpoint import Manifest, ModelFolder
from seqcli.core.safe_formats import HINT
from seqcli.errors import InputError, ModelError, TryLaterError, UsageError
from seqcli.forecasting import calendar, download, journal, predict, records, scoring, sources
from seqcli.forecasting import calibration as calibrations
from seqcli.forecasting.calibration import Calibration
from seqcli.forecasting.config import ForecastConfig
from seqcli.forecasting.data import Floats, Panel
from seqcli.forecasting.sources import TableOptions
from seqcli.results import Result

KIND = "forecaster"
FEWEST_VALUES = 20  # below this an estimate of a volatility is off by a sixth and more
RATES = "rates"  # the source of a model that was trained on the ECB's rates


@dataclass(frozen=True, eq=False)
class Model:
    """A forecaster as it was loaded.

    Arguments:
        config: the network's shape.
        tensors: its weights.
        manifest: what made it and how good it is.
        table: how the table that it was trained on was read.
        calibrations: what its journal taught about its intervals, oldest first; each origin has the last one whose
            outcomes were known by then.
    """

    config: ForecastConfig
    tensors: Mapping[str, NDArray[Any]]
    manifest: Manifest
    table: TableOptions
    calibrations: tuple[Calibration, ...] = ()

    @property
    def name(self) -> str:
        """What it is called in reports: its cell."""
        return self.config.cell

    @property
    def data_until(self) -> str:
        """The last day that it has learnt from."""
        return str(self.manifest.data["until"])

    @property
    def calibration(self) -> Calibration | None:
        """The one that a forecast from the newest data has."""
        return self.calibrations[-1] if self.calibrations else None

    def levels(self, panel: Panel, origins: NDArray[np.intp]) -> Floats:
        """``(N, O, H, Q)``: quantiles of the levels after each origin; NaN where a series has no value there."""
        levels = predict.quantiles(self.tensors, self.config, panel, origins)
        used = calibrations.in_force(self.calibrations, panel.dates[origins])
        for one in self.calibrations:
            here = [place for place, each in enumerate(used) if each is one]
            levels[:, here] = calibrations.apply(levels[:, here], one)
        return levels

    def panel(
        self, source: str | None, pairs: Sequence[str] | None, table: TableOptions, until: str | None = None
    ) -> Panel:
        """The data that it is asked about: read as its training data were, where ``table`` does not say otherwise.

        Raises:
            UsageError: it was trained on a table, and neither a table nor a pair is given.
            InputError: as ``sources.panel``.
        """
        trained_on = self.manifest.data["source"]
        if source is None and not pairs:
            if trained_on != RATES:
                raise UsageError(
                    "SOURCE", f"the model was trained on {trained_on}: give a table", "seqcli forecast MODEL TABLE.csv"
                )
            pairs = list(self.manifest.data["series"])
        how = table if source is None else _merged(self.table, table)
        return self._as_trained(sources.panel(source, pairs, how, until=until))

    def _as_trained(self, panel: Panel) -> Panel:
        """Series that it knows stay in logarithms or differences, whatever their newest values would suggest."""
        trained = dict(zip(self.manifest.data["series"], self.manifest.data["log"], strict=True))
        log = np.array([trained.get(name, own) for name, own in zip(panel.names, panel.log, strict=True)])
        for column in np.flatnonzero(log & ~panel.log):
            row = int(np.nanargmin(panel.values[:, column]))
            what = f"{panel.values[row, column]:g} on {panel.dates[row]}, but the model knows a positive series"
            raise InputError(panel.names[column], what, "mend the value, or train again")
        return replace(panel, log=log)


def load(folder: Path) -> Model:
    """Reads a forecaster, with suspicion.

    Raises:
        ModelError: the folder is missing, damaged, of another kind, or too new.
    """

    def shape(raw: Mapping[str, Any]) -> ForecastConfig:
        return ForecastConfig.from_json(raw, str(folder / "config.json"))

    manifest, raw, tensors = checkpoint.load(folder, KIND, lambda raw: predict.shapes(shape(raw)))
    _check(manifest, folder)
    kept = calibrations.usable(calibrations.load(ModelFolder(folder).calibrations), manifest.id)
    return Model(shape(raw), tensors, manifest, _table_from(raw.get("table")), kept)


def _check(manifest: Manifest, folder: Path) -> None:
    """Refuses a manifest that does not say what a forecaster's says of its data."""
    data = manifest.data
    try:
        np.datetime64(data["until"], "D")
        fine = isinstance(data["source"], str) and all(isinstance(name, str) for name in data["series"])
        fine = fine and [type(log) for log in data["log"]] == [bool] * len(data["series"])
    except (KeyError, TypeError, ValueError):
        fine = False
    if not fine:
        raise ModelError(str(folder), "seqcli.json does not say what it was trained on", HINT)


@dataclass(frozen=True)
class Freshness:
    """How old the data may be.

    Arguments:
        max_age: business days of the calendar from the newest value to today, such as ``4d``; ``None``: any.
        allow_stale: forecast from older data all the same, and say so in the records.
    """

    max_age: str | None = None
    allow_stale: bool = False

    @property
    def days(self) -> int | None:
        """``max_age`` as a number.

        Raises:
            UsageError: it is none.
        """
        if self.max_age is None:
            return None
        text = self.max_age.strip().lower().removesuffix("d")
        if not text.isdecimal():
            raise UsageError(f"--max-age {self.max_age}", "not a number of business days", "write it as 4d")
        return int(text)


def refresh(source_url: str | None, freshness: Freshness) -> tuple[str, ...]:
    """Downloads the newest rates before a forecast; what is to be said about it.

    Where old data would do, a server that does not answer is a warning: the age of the data is checked afterwards.

    Raises:
        TryLaterError: no newer rates could be had, and no ``max_age`` says how old they may be.
        InputError: as ``download.update``.
    """
    try:
        return download.update(source_url).warnings
    except TryLaterError as error:
        if freshness.days is None and not freshness.allow_stale:
            raise
        return (f"{error.where}: {error.what}",)


def as_of_day(as_of: str | None) -> np.datetime64 | None:
    """The day of ``--as-of``.

    Raises:
        UsageError: it is no date.
        InputError: it lies in the future.
    """
    day, today = sources.day("--as-of", as_of), np.datetime64(clock.today())
    if day is not None and day > today:
        hint = "leave it out to forecast from the newest data"
        raise InputError(f"--as-of {as_of}", f"lies in the future: today is {today}", hint)
    return day


def forecast(model: Model, panel: Panel, as_of: str | None = None, freshness: Freshness | None = None) -> Result:
    """Forecasts from each series' newest value, of ``as_of`` or before.

    Raises:
        InputError: ``as_of`` lies in the future, or before the data; or no series has two values.
        TryLaterError: the newest value of a series is older than ``freshness`` allows.
    """
    day = as_of_day(as_of)
    if day is not None:
        if day < panel.dates[0]:
            raise InputError(f"--as-of {as_of}", f"lies before the data, which begin on {panel.dates[0]}", None)
        panel = panel.head(int(np.searchsorted(panel.dates, day, "right")))
    origins = _origins(panel)
    if not (origins > -1).any():
        what = f"{', '.join(panel.names[:3])} until {panel.dates[-1]}: a single value says nothing of how far it moves"
        raise InputError("forecast", what, None)
    ages = _ages(panel, origins, day or np.datetime64(clock.today()), freshness or Freshness())
    rows = [row | ages.get(row["series"], {}) for row in _rows(model, panel, origins)]
    warnings = [*_past(model, rows, day), *_strange(panel, origins)]
    if ages:
        warnings.insert(0, f"the data are {max(age['stale'] for age in ages.values())} business days old")
    return Result(tuple(rows), records.table(rows), (_sentence(model, rows),), tuple(warnings))


def keep(result: Result, path: Path, force: bool = False) -> Result:
    """Writes a forecast's records to a journal; what it says of that is added to the result.

    Raises:
        InputError: the file is no journal.
        TryLaterError: other processes held it for too long.
    """
    written = journal.append(path, result.records, force=force)
    done = {"added": written.added, "there already": written.unchanged, "replaced": written.superseded}
    said = f"Journal {path}: {', '.join(f'{count} {what}' for what, count in done.items() if count) or 'nothing new'}."
    return replace(result, sentences=(*result.sentences, said), warnings=(*result.warnings, *written.warnings()))


def _origins(panel: Panel) -> NDArray[np.intp]:
    """``(N,)``: the row of each series' newest value; -1 where there are not two values, and so not one move."""
    known = ~np.isnan(panel.values)
    newest = len(known) - 1 - np.argmax(known[::-1], axis=0)
    return np.where(known.sum(axis=0) > 1, newest, -1)


def _ages(
    panel: Panel, origins: NDArray[np.intp], today: np.datetime64, freshness: Freshness
) -> dict[str, dict[str, int]]:
    """The column ``stale`` of each series, its age in business days, where an old one was let through; else nothing."""
    most = freshness.days
    names = [(name, panel.dates[row]) for name, row in zip(panel.names, origins, strict=True) if row > -1]
    ages = {name: calendar.count(panel.calendar, newest, today) for name, newest in names}
    if most is None or max(ages.values()) <= most:
        return {}
    if not freshness.allow_stale:
        name, newest = min(names, key=lambda one: one[1])
        what = f"the newest value of {name} is of {newest}, {ages[name]} business days old; --max-age allows {most}"
        raise TryLaterError("forecast", what, "seqcli rates --update, or --allow-stale to forecast all the same")
    return {name: {"stale": age} for name, age in ages.items()}


def _past(model: Model, rows: Sequence[Mapping[str, Any]], as_of: np.datetime64 | None) -> Iterator[str]:
    """Says of days that are no tomorrow: they have passed, or the model knows them."""
    today = str(clock.today())
    last = {row["series"]: row["target_date"] for row in rows}
    if as_of is not None:
        if any(row["origin_date"] < model.data_until for row in rows):
            yield f"the model has learnt until {model.data_until}: from an earlier day this is a replay, not a forecast"
        return
    over = [name for name, target in last.items() if target < today]
    if over:
        names = ", ".join(over[:3]) + (f" and {len(over) - 3} more" if len(over) > 3 else "")
        yield f"all days forecast of {names} have passed: the data are old (newer rates: --update)"


def _strange(panel: Panel, origins: NDArray[np.intp]) -> list[str]:
    """What a person should know of a series before believing its intervals."""
    said = []
    for name, row, values in zip(panel.names, origins, panel.values.T, strict=True):
        known = values[~np.isnan(values)]
        if row < 0:
            said.append(f"{name} has {len(known)} value{'' if len(known) == 1 else 's'}: no forecast")
            continue
        if len(known) < FEWEST_VALUES:
            said.append(f"{name} has only {len(known)} values: how wide its intervals are is a guess")
        if known.min() == known.max():
            said.append(f"{name} never moves: its intervals have no width")
        if row < len(panel.dates) - 1:
            said.append(f"{name} has no value after {panel.dates[row]}; the others go on until {panel.dates[-1]}")
    return said


def _rows(model: Model, panel: Panel, origins: NDArray[np.intp]) -> Iterator[dict[str, Any]]:
    issued_at = clock.now().isoformat(timespec="seconds")
    distinct = np.unique(origins[origins >= 0])
    levels = model.levels(panel, distinct)
    used = calibrations.in_force(model.calibrations, panel.dates[distinct])
    for place, origin in enumerate(distinct):  # as a rule one day; all of its series at once
        columns = np.flatnonzero(origins == origin)
        names = tuple(panel.names[column] for column in columns)
        some = replace(panel, names=names, values=panel.values[:, columns], log=panel.log[columns])
        last = dict(zip(names, panel.values[origin, columns].tolist(), strict=True))
        correction = used[place]
        corrected = {"calibration": correction.id if correction else None} if model.calibrations else {}
        for row in records.rows(some, np.array([origin]), levels[columns, place : place + 1]):
            yield row | {
                "last": last[row["series"]],
                "naive": last[row["series"]],
                "issued_at": issued_at,
                "model_id": model.manifest.id,
                "data_until": model.data_until,
                **corrected,
            }


def _sentence(model: Model, rows: Sequence[Mapping[str, Any]]) -> str:
    """What the numbers are worth, from the model's own report; of other series than its own it says nothing."""
    newest = max(row["origin_date"] for row in rows)
    said = f"Data until {newest}; the model has learnt until {model.data_until}."
    report = [r for r in model.manifest.metrics if r.get("model") == model.name and r.get("h") == 1]
    if not report:
        return said + " It carries no report (--holdout 0): seqcli backtest says how good it is."
    if strangers := sorted({row["series"] for row in rows} - set(model.manifest.data["series"])):
        return f"{said} It was not trained or measured on {', '.join(strangers)}: seqcli backtest says how good it is."
    ratio, p = (_number(report[0].get(name)) for name in ("crps_ewma", "dm_p_ewma"))
    if ratio is None:
        return f"{said} Its report could not be scored: seqcli backtest says how good it is."
    how, size, chance = scoring.compared(ratio, p)
    point = "" if model.config.free_median else "; the point is the last value"
    return (
        f"{said} On unseen days, one day ahead and over all of its series, the model {how} EWMA-normal: "
        f"CRPS {size} ({chance}){point}."
    )


def _number(value: Any) -> float | None:
    """A number of a report, which may come from anywhere."""
    return float(value) if type(value) in (int, float) else None


def _merged(recorded: TableOptions, given: TableOptions) -> TableOptions:
    """What the user says now, and for the rest what was said when the model was trained."""
    said = {name: value for name, value in asdict(given).items() if value not in (None, ())}
    return replace(recorded, **said)


def _table_from(raw: Any) -> TableOptions:
    """The recorded options; anything strange in them is as if it were not there."""
    known = TableOptions()
    if not isinstance(raw, dict):
        return known
    texts: dict[str, Any] = {
        name: value
        for name, value in raw.items()
        if name in asdict(known) and name != "value_columns" and isinstance(value, str)
    }
    columns = raw.get("value_columns")
    if isinstance(columns, list) and all(isinstance(c, str) for c in columns):
        texts["value_columns"] = tuple(columns)
    return replace(known, **texts)
