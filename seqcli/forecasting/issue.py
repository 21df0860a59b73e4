"""Issues a forecast: a model folder and the newest data in, the next business days out. No PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.core import checkpoint, clock
from seqcli.core.checkpoint import Manifest
from seqcli.errors import InputError, UsageError
from seqcli.forecasting import predict, records, sources
from seqcli.forecasting.config import ForecastConfig
from seqcli.forecasting.data import Floats, Panel
from seqcli.forecasting.sources import TableOptions
from seqcli.results import Result

KIND = "forecaster"
RATES = "rates"  # the source of a model that was trained on the ECB's rates


@dataclass(frozen=True, eq=False)
class Model:
    """A forecaster as it was loaded.

    Arguments:
        config: the network's shape.
        tensors: its weights.
        manifest: what made it and how good it is.
        table: how the table that it was trained on was read.
    """

    config: ForecastConfig
    tensors: Mapping[str, NDArray[Any]]
    manifest: Manifest
    table: TableOptions

    @property
    def name(self) -> str:
        """What it is called in reports: its cell."""
        return self.config.cell

    @property
    def data_until(self) -> str:
        """The last day that it has learnt from."""
        return str(self.manifest.data["until"])

    def levels(self, panel: Panel, origins: NDArray[np.intp]) -> Floats:
        """``(N, O, H, Q)``: quantiles of the levels after each origin; NaN where a series has no value there."""
        return predict.quantiles(self.tensors, self.config, panel, origins)

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
        return self._as_trained(sources.panel(source, pairs, _merged(self.table, table), until=until))

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
    manifest = checkpoint.peek(folder, KIND)
    raw = checkpoint.load_config(folder)
    config = ForecastConfig.from_json(raw, str(folder / "config.json"))
    tensors = checkpoint.load_tensors(folder, expected=predict.shapes(config))
    return Model(config, tensors, manifest, _table_from(raw.get("table")))


def forecast(model: Model, panel: Panel, as_of: str | None = None) -> Result:
    """Forecasts from each series' newest value, of ``as_of`` or before.

    Raises:
        InputError: ``as_of`` lies in the future, or before the data.
    """
    day = sources.day("--as-of", as_of)
    if day is not None:
        today = clock.today()
        if day > np.datetime64(today):
            raise InputError(
                f"--as-of {as_of}",
                f"lies in the future: today is {today}",
                "leave it out to forecast from the newest data",
            )
        if day < panel.dates[0]:
            raise InputError(f"--as-of {as_of}", f"lies before the data, which begin on {panel.dates[0]}", None)
        panel = panel.head(int(np.searchsorted(panel.dates, day, "right")))
    rows = list(_rows(model, panel))
    warnings = []
    for row in rows:
        late = row["h"] == 1 and np.datetime64(row["origin_date"]) < panel.dates[-1]
        if late:
            warnings.append(
                f"{row['series']} has no value after {row['origin_date']}; the others go on until {panel.dates[-1]}"
            )
    if not rows:
        raise InputError("forecast", f"no values until {panel.dates[-1]}", None)
    return Result(tuple(rows), records.table(rows), (_sentence(model, rows),), tuple(warnings))


def _rows(model: Model, panel: Panel) -> Iterator[dict[str, Any]]:
    known = ~np.isnan(panel.values)
    origins = np.where(known.any(axis=0), len(known) - 1 - np.argmax(known[::-1], axis=0), -1)
    issued_at = clock.now().isoformat(timespec="seconds")
    distinct = np.unique(origins[origins >= 0])
    levels = model.levels(panel, distinct)
    for place, origin in enumerate(distinct):
        for column in np.flatnonzero(origins == origin):
            one = replace(
                panel, names=(panel.names[column],), values=panel.values[:, [column]], log=panel.log[[column]]
            )
            last = float(panel.values[origin, column])
            for row in records.rows(one, np.array([origin]), levels[[column], place : place + 1]):
                yield row | {
                    "last": last,
                    "naive": last,
                    "issued_at": issued_at,
                    "model_id": model.manifest.id,
                    "data_until": model.data_until,
                }


def _sentence(model: Model, rows: Sequence[Mapping[str, Any]]) -> str:
    """What the numbers are worth, from the model's own report."""
    newest = max(row["origin_date"] for row in rows)
    said = f"Data until {newest}; the model has learnt until {model.data_until}."
    report = [r for r in model.manifest.metrics if r.get("model") == model.name and r.get("h") == 1]
    if not report:
        return said + " It carries no report (--holdout 0): seqcli backtest says how good it is."
    ratio, p = report[0]["crps_ewma"], report[0]["dm_p_ewma"]
    sure = p is not None and p < 0.05
    better = "better than" if ratio < 1 and sure else "not shown to be better than"
    chance = "too few days to test" if p is None else "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    return (
        f"{said} One day ahead its intervals were {better} EWMA on unseen days (CRPS × {ratio:.4f}, {chance}); "
        "the point is the last value."
    )


def _merged(recorded: TableOptions, given: TableOptions) -> TableOptions:
    """What the user says now, and for the rest what was said when the model was trained."""
    said = {name: value for name, value in asdict(given).items() if value not in (None, (), "auto", "infer")}
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
