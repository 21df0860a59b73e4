"""The newest forecast of each series in a journal, with the values that came before it and after."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seqcli.forecasting.data import Panel
from seqcli.forecasting.records import QUANTILES


@dataclass(frozen=True, eq=False)
class Fan:
    """The newest forecast of one series.

    Arguments:
        series: its name.
        origin: ISO date that it starts from.
        last: the value on that day.
        targets: ISO dates, the next days.
        quantiles: for each name of ``records.QUANTILES``, a value for each target.
        history: ISO dates and values until the origin; NaN where there is none.
        came: for each target, what happened; None where that is not known yet.
        issued_at: ISO time in UTC.
        model_id: the model.
        data_until: ISO date of the last day that the model has learnt from.
        stale: how old the data were, in business days, where old data were let through.
        calibration: identity of the calibration in force, if any.
        calendar: which days the series has.
    """

    series: str
    origin: str
    last: float
    targets: tuple[str, ...]
    quantiles: Mapping[str, tuple[float, ...]]
    history: tuple[tuple[str, float], ...]
    came: tuple[float | None, ...]
    issued_at: str
    model_id: str
    data_until: str
    stale: int | None
    calibration: str | None
    calendar: str

    @property
    def median(self) -> tuple[float, ...]:
        """The middle of the forecast, for each target."""
        return self.quantiles["q0.5"]

    @property
    def digits(self) -> int:
        """Decimals that tell two values of the fan apart: 157.25, 1.1172, 0.000314."""
        span = self.quantiles["q0.975"][-1] - self.quantiles["q0.025"][-1]
        return min(10, max(0, math.ceil(2.5 - math.log10(span)))) if span > 0 else 4


def newest(rows: Sequence[Mapping[str, Any]], panel: Panel, days: int) -> list[Fan]:
    """One fan for each series, in the order in which the journal came to know them.

    Of several models the one that was issued last from the newest origin; a row that lacks a number is left out.

    Arguments:
        rows: of a journal.
        panel: the values known today; a series that it lacks has no history.
        days: of history, at most.
    """
    groups: dict[str, dict[tuple[str, str, str], list[Mapping[str, Any]]]] = {}
    for row in rows:
        if all(row[name] is not None for name in ("last", *QUANTILES)):
            key = (row["origin_date"], row["issued_at"], row["model_id"])
            groups.setdefault(row["series"], {}).setdefault(key, []).append(row)
    # A run that was cut short or repeated has rows of one origin and model issued at two moments.
    found = []
    for series, issued in groups.items():
        origin, _, model = max(issued)
        mine = [row for key, group in issued.items() if (key[0], key[2]) == (origin, model) for row in group]
        found.append(_fan(series, sorted(mine, key=lambda row: int(row["h"])), panel, days))
    return found


def _fan(series: str, rows: Sequence[Mapping[str, Any]], panel: Panel, days: int) -> Fan:
    first = rows[0]
    known: dict[str, float] = {}
    if series in panel.names:
        values = panel.values[:, panel.names.index(series)].tolist()
        known = dict(zip(panel.dates.astype(str).tolist(), values, strict=True))
    before = [(day, value) for day, value in known.items() if day < first["origin_date"]]
    begun = next((place for place, (_, value) in enumerate(before) if math.isfinite(value)), len(before))
    targets = tuple(row["target_date"] for row in rows)
    outcomes = (known.get(day, math.nan) for day in targets)
    return Fan(
        series=series,
        origin=first["origin_date"],
        last=first["last"],
        targets=targets,
        quantiles={name: tuple(row[name] for row in rows) for name in QUANTILES},
        history=(*before[begun:][-days:], (first["origin_date"], first["last"])),
        came=tuple(value if math.isfinite(value) else None for value in outcomes),
        issued_at=max(row["issued_at"] for row in rows),
        model_id=first["model_id"],
        data_until=max(row["data_until"] for row in rows),
        stale=first["stale"],
        calibration=first["calibration"],
        calendar=panel.calendar,
    )
