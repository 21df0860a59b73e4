"""Where a panel comes from: the ECB's rates, or a table of the user's."""

from __future__ import annotations

import datetime
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from seqcli.core import rows
from seqcli.core.lines import display_name, nearest
from seqcli.errors import InputError, UsageError
from seqcli.forecasting import calendar as calendars
from seqcli.forecasting import journal, rates
from seqcli.forecasting.config import SINCE
from seqcli.forecasting.data import Floats, Panel


@dataclass(frozen=True)
class TableOptions:
    """How a table is read.

    Arguments:
        date_column: the column of dates; ``None``: ``date``, ``Date``, ``日付`` or the first column.
        value_columns: the columns of values; empty: every other column of a wide table, the only other one of a long.
        series_column: the column that names the series; its presence makes the table a long one.
        input_format: csv, tsv, jsonl or parquet; ``None``: by suffix.
        encoding: a codec's name, or ``auto``.
        calendar: a key of ``calendar.CALENDARS``, or ``infer``.
        transform: ``auto`` (log-returns of a positive series, differences of any other), ``log`` or ``difference``.

    ``None`` in one of the last three: nobody said anything. That is not ``auto`` where a model remembers how its table
    was read.
    """

    date_column: str | None = None
    value_columns: tuple[str, ...] = ()
    series_column: str | None = None
    input_format: str | None = None
    encoding: str | None = None
    calendar: str | None = None
    transform: str | None = None


@dataclass
class _Series:
    """One column of a table as it is read: dates that increase, values, and where each one stood."""

    name: str
    dates: list[datetime.date] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)

    def cut(self, since: np.datetime64 | None, until: np.datetime64 | None) -> _Series:
        """The values between two dates, both included; what lies outside is as if it had never been read."""
        kept = [
            i
            for i, (date, value) in enumerate(zip(self.dates, self.values, strict=True))
            if not math.isnan(value)
            and (since is None or np.datetime64(date) >= since)
            and (until is None or np.datetime64(date) <= until)
        ]
        return _Series(
            self.name, [self.dates[i] for i in kept], [self.values[i] for i in kept], [self.rows[i] for i in kept]
        )

    def add(self, date: datetime.date, value: float, row: int, source: str) -> None:
        if self.dates and date <= self.dates[-1]:
            what = "stands there twice" if date == self.dates[-1] else f"comes after {self.dates[-1]}"
            raise InputError(
                f"{source}: row {row}", f"{date} {what}: dates must increase", "sort the table by date, one row a day"
            )
        self.dates.append(date)
        self.values.append(value)
        self.rows.append(row)


def panel(
    source: str | None,
    pairs: Sequence[str] | None,
    options: TableOptions,
    since: str | None = None,
    until: str | None = None,
) -> Panel:
    """The panel that a command works on: of ``source`` if there is one, else of the ECB's rates.

    Raises:
        UsageError: a date that cannot be read, or options of a table without one.
        InputError: see ``from_table`` and ``from_rates``.
    """
    first, last = day("--since", since), day("--until", until)
    if source is not None:
        if not pairs and _is_pair(source):
            raise UsageError(f"SOURCE {source}", "a currency pair, and no table of that name", f"--pair {source}")
        table = from_table(source, options, first, last)
        return _only(table, pairs, display_name(source)) if pairs else table
    flags = {
        "--date-column": options.date_column,
        "--value-column": " ".join(options.value_columns),
        "--series-column": options.series_column,
        "--input-format": options.input_format,
    }
    if said := next((f"{flag} {value}" for flag, value in flags.items() if value), None):
        raise UsageError(said, "is about a table, and none is named", "name the table as SOURCE, or - for stdin")
    return from_rates(rates.load(), pairs or rates.CROSSES, first, last)


def _is_pair(source: str) -> bool:
    letters = source.replace("/", "")
    return len(letters) == 6 and letters.isalpha() and letters.isupper() and not Path(source).exists()


def _only(table: Panel, names: Sequence[str], where: str) -> Panel:
    """Some series of a table; the others were read all the same, since they tell what their currencies did."""
    for name in names:
        if name not in table.names:
            hint = f"did you mean --pair {close}?" if (close := nearest(name, table.names)) else None
            raise InputError(where, f"no series {name!r}; there are: {', '.join(table.names[:12])}", hint)
    columns = [table.names.index(name) for name in names]
    return replace(table, names=tuple(names), values=table.values[:, columns], log=table.log[columns])


def of_journal(path: Path, source: str | None, options: TableOptions) -> Panel:
    """The values of a journal's series: of ``source``, else of the ECB's rates.

    Raises:
        InputError: no journal, or a series that the rates do not have.
    """
    names = journal.contents(path).series
    return panel(source, None if source is not None else names, options)


def day(option: str, value: str | None) -> np.datetime64 | None:
    """An option's date.

    Raises:
        UsageError: it is none.
    """
    if value is None:
        return None
    try:
        return np.datetime64(rows.to_date(value))
    except ValueError as problem:
        raise UsageError(f"{option} {value}", str(problem), "write dates as 2024-06-28") from None


def first_day(source: str | None, since: str | None) -> np.datetime64 | None:
    """The first day to learn from: ``since``, or for the ECB's rates the one that the defaults were chosen with."""
    return day("--since", since or (SINCE if source is None else None))


def from_rates(
    history: rates.History, pairs: Sequence[str], since: np.datetime64 | None = None, until: np.datetime64 | None = None
) -> Panel:
    """The crosses of the ECB's rates as a panel on TARGET's business days.

    Whatever pairs are asked for, all currencies are there to read the market from: a pair's forecast does not depend on
    its company.

    Raises:
        InputError: an unknown currency, or no rate between the two dates.
    """
    names = tuple("/".join(rates.split_pair(pair, history.currencies)) for pair in pairs)
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"--pair {twice[0]}", "given twice", None)
    chosen = np.ones(len(history.dates), bool)
    if since is not None:
        chosen &= history.dates >= since
    if until is not None:
        chosen &= history.dates <= until
    values = np.column_stack([history.cross(name) for name in names])
    chosen &= ~np.isnan(values).all(axis=1)
    if not chosen.any():
        span = f"{history.dates[0]} to {history.dates[-1]}"
        raise InputError(
            "rates",
            f"none of {', '.join(names)} between {since or 'the beginning'} and {until or 'the end'}",
            f"the history goes from {span}",
        )
    where = np.flatnonzero(chosen)
    stretch = slice(where[0], where[-1] + 1)
    days = history.dates[stretch]
    calendars.check("target", days, "rates")
    dates = calendars.between("target", days[0], days[-1])
    place = np.searchsorted(dates, days)
    return Panel(
        dates=dates,
        names=names,
        values=_spread(values[stretch], place, len(dates)),
        calendar="target",
        log=np.ones(len(names), bool),
        currencies=history.currencies,
        currency_logs=_spread(history.logs(history.currencies)[stretch], place, len(dates)),
    )


def from_table(
    source: str,
    options: TableOptions,
    since: np.datetime64 | None = None,
    until: np.datetime64 | None = None,
    stdin: io.BufferedIOBase | None = None,
) -> Panel:
    """A user's table as a panel: wide (a column a series) or long (a row a value).

    An empty cell, and a day that is not there, is a day without a value; nothing is filled in.

    Raises:
        InputError: a missing column, a date or number that cannot be read, dates out of order or twice, a zero in an
            otherwise positive series, a day that the calendar does not have, or no values at all.
    """
    kind = options.input_format or ("csv" if source == "-" else None)
    table = rows.read_table(source, input_format=kind, encoding=options.encoding or "auto", stdin=stdin)
    date_column = table.require(options.date_column or _date_column(table.columns), "--date-column")
    for column in options.value_columns:
        table.require(column, "--value-column")
    if options.series_column:
        table.require(options.series_column, "--series-column")
    series = (
        _read_long(table, date_column, options) if options.series_column else _read_wide(table, date_column, options)
    )
    everything = [s for s in (s.cut(None, None) for s in series) if s.values]
    if not everything:
        raise InputError(table.name, "no values", "a table needs a column of dates and a column of numbers")
    series = [s for s in (s.cut(since, until) for s in everything) if s.values]
    if not series:
        what = f"no values between {since or 'the beginning'} and {until or 'the end'}"
        first, last = min(s.dates[0] for s in everything), max(s.dates[-1] for s in everything)
        raise InputError(table.name, what, f"its values go from {first} to {last}")
    days = np.array(sorted({d for s in series for d in s.dates}), "datetime64[D]")
    calendar = calendars.infer(days) if options.calendar in (None, "infer") else options.calendar
    calendars.check(calendar, days, table.name)
    dates = calendars.between(calendar, days[0], days[-1])
    values = np.full((len(dates), len(series)), np.nan)
    for place, one in enumerate(series):
        values[np.searchsorted(dates, np.array(one.dates, "datetime64[D]")), place] = one.values
    names = tuple(s.name for s in series)
    log = np.array([_is_log(s, options.transform or "auto", table.name) for s in series])
    currencies, currency_logs = _currencies(names, values, log)
    return Panel(dates, names, values, calendar, log, currencies, currency_logs)


def _spread(values: Floats, place: np.ndarray, length: int) -> Floats:
    out = np.full((length, values.shape[1]), np.nan)
    out[place] = values
    return out


def _date_column(columns: Sequence[str]) -> str:
    return next((c for c in columns if c.strip().lower() in ("date", "日付", "ds", "day", "timestamp")), columns[0])


def _read_wide(table: rows.Table, date_column: str, options: TableOptions) -> list[_Series]:
    names = options.value_columns or tuple(c for c in table.columns if c != date_column)
    series = {name: _Series(name) for name in names}
    for row in table:
        date = rows.date(row, date_column)
        for name, one in series.items():
            try:
                value = rows.number(row, name)
            except InputError as error:
                if len(one.dates) or len(series) < 2:  # not the first row: one bad cell
                    raise
                hint = f"a long table? name the column of series: --series-column {name}"
                raise InputError(error.where, error.what, hint) from None
            one.add(date, value, row.number, table.name)
    return list(series.values())


def _read_long(table: rows.Table, date_column: str, options: TableOptions) -> list[_Series]:
    key = options.series_column
    assert key is not None
    others = options.value_columns or tuple(c for c in table.columns if c not in (date_column, key))
    if len(others) != 1:
        raise InputError(
            table.name, f"which of {', '.join(others) or 'no column'} holds the value?", "name it with --value-column"
        )
    series: dict[str, _Series] = {}
    for row in table:
        name = rows.text(row, key)
        if not name.strip():
            raise InputError(row.where(key), "no name of a series", "name the series in every row")
        one = series.setdefault(name, _Series(name))
        one.add(rows.date(row, date_column), rows.number(row, others[0]), row.number, table.name)
    return list(series.values())


def _is_log(series: _Series, transform: str, source: str) -> bool:
    if transform == "difference":
        return False
    values = np.array(series.values)
    lowest = float(np.nanmin(values))
    if lowest > 0 or (lowest < 0 and transform == "auto"):
        return lowest > 0
    row = series.rows[int(np.nanargmin(values))]
    raise InputError(
        f"{source}: row {row}: {series.name}",
        f"{lowest:g} has no logarithm in an otherwise positive series",
        "mend or empty the cell, or model differences with --transform difference",
    )


def _currencies(names: Iterable[str], values: Floats, log: np.ndarray) -> tuple[tuple[str, ...], Floats]:
    """The currencies behind pairs such as ``USD/JPY``, each in units of the first one, where the pairs connect them.

    Fewer than three currencies have no cross-section: the panel then has none.
    """
    pairs: Mapping[int, tuple[str, str]] = {
        column: (sides[0], sides[1])
        for column, name in enumerate(names)
        if len(sides := name.split("/")) == 2 and log[column] and all(len(s) == 3 and s.isalpha() for s in sides)
    }
    known: dict[str, Floats] = {}
    if pairs:
        known[next(iter(pairs.values()))[0]] = np.zeros(len(values))
    grown = True
    while grown:
        grown = False
        for column, (base, quote) in pairs.items():
            with np.errstate(invalid="ignore", divide="ignore"):
                move = np.log(values[:, column])  # log of base in units of quote
            if base in known and quote not in known:
                known[quote], grown = known[base] - move, True
            elif quote in known and base not in known:
                known[base], grown = known[quote] + move, True
    if len(known) < 3:
        return (), np.empty((len(values), 0))
    return tuple(known), np.column_stack(list(known.values()))
