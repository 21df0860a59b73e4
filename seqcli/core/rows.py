"""Tables and text on their way in, once for every room: CSV, TSV, JSON lines, Parquet and plain lines."""

from __future__ import annotations

import csv
import datetime
import io
import itertools
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, cast

from seqcli.core.json_lines import dumps, plain
from seqcli.core.lines import BadLineError, Lines, display_name, nearest, open_input
from seqcli.errors import InputError, MachineError, UsageError

OnError = Literal["fail", "mark", "skip"]

FORMATS = ("csv", "tsv", "jsonl", "parquet")
_SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}

_LONGEST_FIELD = 1 << 26  # characters; a quotation mark that is never closed would otherwise eat the rest of a file

# What people and programs write where a value is missing (a point: FRED; N/A: the ECB).
_MISSING = {"", "na", "n/a", "nan", "null", "none", "-", "."}

_DATE = re.compile(
    r"(?:(\d{4})([-/.])(\d{1,2})\2(\d{1,2})|(\d{4})(\d{2})(\d{2})|(\d{4})年(\d{1,2})月(\d{1,2})日)"
    r"(?:[T ]+\d{1,2}:\d{2}.*)?"
)
_DAY_OR_MONTH_FIRST = re.compile(r"\d{1,2}([-/.])\d{1,2}\1(?:\d{4}|\d{2})(?:[T ].*)?")


class Row(NamedTuple):
    """One row of a table.

    Arguments:
        source: the file as the user named it, or ``stdin``.
        number: what the user counts in the file: the line on which the row begins, header and blank lines included;
            for Parquet the record, from 1.
        values: by column; text for CSV and TSV, JSON's or Parquet's own values otherwise.
        error: why the row cannot be used (``values`` then holds what could be read). Only with ``on_error="mark"``.
    """

    source: str
    number: int
    values: dict[str, object]
    error: InputError | None = None

    def where(self, column: str | None = None) -> str:
        """The place to name in an error: ``rates.csv: row 17: column rate``."""
        place = f"{self.source}: row {self.number}"
        return place if column is None else f"{place}: column {column}"


@dataclass(eq=False)
class Table:
    """Rows in the order of the file, read as they are asked for: iterate once, memory stays flat.

    Arguments:
        name: the file as the user named it, or ``stdin``.
        columns: the names in the header; of JSON lines, the keys of the first record.
        skipped: bad rows left out so far (``on_error="skip"``).
    """

    name: str
    columns: tuple[str, ...]
    _rows: Iterator[Row] = field(repr=False)
    _on_error: OnError = "fail"
    skipped: int = 0
    _seen: bool = False

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self._seen = True
            if row.error is None or self._on_error == "mark":
                yield row
            elif self._on_error == "fail":
                raise row.error
            else:
                self.skipped += 1
        if not self._seen:
            raise InputError(self.name, "has a header but no rows")

    def require(self, column: str, option: str | None = None) -> str:
        """``column`` itself if the table has it.

        Arguments:
            column: a name as the user wrote it.
            option: the flag that names the column, such as ``--value-column``, for the hint.

        Raises:
            InputError: there is none; says which there are, and the nearest spelling.
        """
        if column in self.columns:
            return column
        close = nearest(column, self.columns)
        flag = f"{option} " if option else ""
        hint = f"did you mean {flag}{close}?" if close else (f"name one with {option}" if option else None)
        raise InputError(self.name, f"no column {column!r}; there are: {', '.join(self.columns)}", hint)


def read_table(
    source: str | Path,
    *,
    input_format: str | None = None,
    encoding: str = "auto",
    on_error: OnError = "fail",
    stdin: io.BufferedIOBase | None = None,
) -> Table:
    """Open a table; its header is read at once, its rows as they are asked for.

    CSV and TSV are read strictly: quoted newlines and doubled quotation marks are understood, anything after a closing
    quotation mark, too many and too few values are a bad row. A CSV header with ``;`` and no ``,`` is separated by
    ``;``. Blank lines are skipped, but counted.

    Arguments:
        source: a path (``.gz`` too), or ``-`` for standard input.
        input_format: one of ``FORMATS``; by the suffix of ``source`` otherwise.
        encoding: a Python codec; ``auto`` finds UTF-8, UTF-16 with a byte-order mark, ISO-2022-JP, EUC-JP and cp932.
        on_error: what a bad row does: raise, stay with ``Row.error`` set, or be left out and counted.
        stdin: read in place of the process's standard input, where ``source`` is ``-``.

    Raises:
        InputError: no such file, not readable, empty, without rows, a header that names a column twice, a bad row.
        UsageError: the format cannot be told, or there is no such encoding.
        MachineError: Parquet without pyarrow.
    """
    name = display_name(source)
    kind = input_format or _format_of(name, source)
    if kind not in FORMATS:
        raise UsageError("--input-format", f"unknown format {kind!r}", f"one of {', '.join(FORMATS)}")
    if kind == "parquet":
        columns, rows = _parquet(source, stdin)
    elif kind == "jsonl":
        columns, rows = _json_lines(Lines(source, encoding, stdin))
    else:
        columns, rows = _delimited(Lines(source, encoding, stdin), "\t" if kind == "tsv" else ",")
    return Table(name, columns, rows, on_error)


def read_lines(source: str | Path, *, encoding: str = "auto", stdin: io.BufferedIOBase | None = None) -> Iterator[str]:
    """Plain text, line by line and without the line ends; an empty input has no lines.

    Arguments and errors are those of ``read_table``; a line that cannot be decoded raises.
    """
    for line in Lines(source, encoding, stdin):
        yield line.removesuffix("\n")


def _format_of(name: str, source: str | Path) -> str:
    if str(source) == "-":
        raise UsageError(name, "a table from - does not say its format", "add --input-format csv (tsv, jsonl, parquet)")
    suffix = Path(name.removesuffix(".gz")).suffix.lower()
    if suffix not in _SUFFIXES:
        with open_input(source):  # says what is wrong if it is not there
            pass
        json = "add --input-format jsonl if each line is a record; of an array: jq -c '.[]' makes such lines"
        hint = json if suffix == ".json" else "save it as CSV, or add --input-format if it is one of the formats"
        raise UsageError(name, f"the suffix {suffix!r} is not a known table format ({', '.join(FORMATS)})", hint)
    return _SUFFIXES[suffix]


def _delimited(lines: Lines, delimiter: str) -> tuple[tuple[str, ...], Iterator[Row]]:
    csv.field_size_limit(_LONGEST_FIELD)
    head = next((line for line in lines if line.strip()), None)
    if head is None:
        raise InputError(lines.name, "is empty")
    if delimiter == "," and ";" in head and "," not in head:
        delimiter = ";"
    number = lines.number
    reader = csv.reader(itertools.chain([head], lines), delimiter=delimiter, strict=True)
    try:
        columns = tuple(column.strip() for column in next(reader))
    except csv.Error as problem:
        raise _malformed(lines.name, number, problem) from None
    _once_each(lines.name, columns)
    return columns, _delimited_rows(lines, columns, reader)


def _delimited_rows(lines: Lines, columns: tuple[str, ...], reader: Iterator[list[str]]) -> Iterator[Row]:
    while True:
        number = lines.number + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            yield Row(lines.name, number, {}, _malformed(lines.name, number, problem))
            continue
        except BadLineError as bad:
            yield Row(lines.name, number, {}, bad)
            continue
        if len(fields) == len(columns):
            yield Row(lines.name, number, dict(zip(columns, fields, strict=True)))
        elif len(fields) > 1 or (fields and fields[0].strip()):
            what = f"{len(fields)} values, but the header names {len(columns)} columns"
            values: dict[str, object] = dict(zip(columns, fields, strict=False))
            yield Row(lines.name, number, values, InputError(f"{lines.name}: row {number}", what))


def _malformed(name: str, number: int, problem: csv.Error) -> InputError:
    what = str(problem)
    if "field limit" in what or "unexpected end" in what:
        what = "a quotation mark is opened and never closed"
    hint = 'a quotation mark inside a quoted value is written twice: ""'
    return InputError(f"{name}: row {number}", f"not well-formed: {what}", hint)


def _json_lines(lines: Lines) -> tuple[tuple[str, ...], Iterator[Row]]:
    rows = _json_rows(lines)
    first = next(rows, None)
    if first is None:
        raise InputError(lines.name, "is empty")
    if first.error is not None:  # the first record names the columns, so there is nothing to go on with
        raise first.error
    return tuple(first.values), itertools.chain([first], rows)


def _json_rows(lines: Lines) -> Iterator[Row]:
    while True:
        try:
            line = next(lines)
            if not line.strip():
                continue
            values = json.loads(line)
            if "\\u" in line:  # an escaped half of a surrogate pair could never be written out again
                dumps(values).encode()
        except StopIteration:
            return
        except BadLineError as bad:
            yield Row(lines.name, lines.number, {}, bad)
            continue
        except (ValueError, RecursionError) as problem:
            what = f"not JSON ({problem}): {_shown(line.strip())}"
            hint = "JSON lines hold a record in each line; of another format: --input-format csv, for example"
            yield Row(lines.name, lines.number, {}, InputError(f"{lines.name}: row {lines.number}", what, hint))
            continue
        if isinstance(values, dict):
            yield Row(lines.name, lines.number, values)
        else:
            what = f"not a JSON object: {_shown(line.strip())}"
            hint = 'one record a line: {"date": "2024-06-28", "value": 1.5}'
            yield Row(lines.name, lines.number, {}, InputError(f"{lines.name}: row {lines.number}", what, hint))


def _parquet(source: str | Path, stdin: io.BufferedIOBase | None) -> tuple[tuple[str, ...], Iterator[Row]]:
    name = display_name(source)
    records = _parquet_records(source, stdin)
    columns = cast("list[str]", next(records))
    rows = (Row(name, count, cast("dict[str, object]", values)) for count, values in enumerate(records, 1))
    return _once_each(name, tuple(columns)), rows


def _parquet_records(source: str | Path, stdin: io.BufferedIOBase | None) -> Iterator[object]:
    """First the names of the columns, then the records."""
    name = display_name(source)
    with open_input(source, stdin) as stream:
        try:
            import pyarrow as arrow
            from pyarrow import parquet
        except ImportError:
            hint = "pip install 'seqcli[parquet]'"
            raise MachineError(name, "to read Parquet, the package pyarrow is needed", hint) from None
        seekable = stream if stream.seekable() else io.BytesIO(stream.read())
        try:
            file = parquet.ParquetFile(seekable)
            yield file.schema_arrow.names
            for batch in file.iter_batches(batch_size=4096):
                yield from batch.to_pylist()
        except (arrow.ArrowException, OSError) as problem:
            raise InputError(name, f"not a Parquet file: {str(problem).splitlines()[0]}") from None


def _once_each(name: str, columns: tuple[str, ...]) -> tuple[str, ...]:
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice == "":
        places = [str(place) for place, column in enumerate(columns, 1) if not column]
        what = f"its header has no name for the columns {', '.join(places[:-1])} and {places[-1]}"
        raise InputError(name, what, "name them, or take out what follows the last comma")
    if twice is not None:
        raise InputError(name, f"its header names the column {twice!r} twice", "rename one of the two")
    return columns


def number(row: Row, column: str) -> float:
    """The value as a float; NaN if missing (empty, ``NA``, ``N/A``, ``NaN``, ``null``, ``none``, ``-``, ``.``).

    Raises:
        InputError: it is neither a finite number nor missing.
    """
    value = row.values.get(column)
    try:
        if isinstance(value, str):
            result = float(value)
            if "_" in value:  # Python reads 1_000 as a number; nobody's table means it
                raise ValueError
        else:
            result = math.nan if value is None else _real(value)
    except (TypeError, ValueError, OverflowError):
        if isinstance(value, str) and value.strip().casefold() in _MISSING:
            return math.nan
        hint = "leave the field empty where there is no value"
        if isinstance(value, str) and "," in value:
            hint = "write 1234.5: a point before the decimals, nothing between thousands"
        raise InputError(row.where(column), f"not a number: {_shown(value)}", hint) from None
    if math.isinf(result):
        raise InputError(row.where(column), f"not a finite number: {_shown(value)}")
    return result


def _real(value: object) -> float:
    if isinstance(value, bool | datetime.date | bytes):
        raise TypeError
    return float(cast("float", value))


def date(row: Row, column: str) -> datetime.date:
    """The value as a date; of a date with a time, the day as written.

    Raises:
        InputError: not a date that begins with its year, or none at all.
    """
    value = row.values.get(column)
    try:
        return to_date(value)
    except ValueError as problem:
        raise InputError(row.where(column), f"{problem}: {_shown(value)}", "write dates as 2024-06-28") from None


def to_date(value: object) -> datetime.date:
    """A date from ``2024-06-28``, ``2024/6/28``, ``20240628``, ``2024年6月28日``, with a time or without.

    Raises:
        ValueError: says what is wrong, without the value. 03/04/2024 is refused: it means two different days.
    """
    if isinstance(value, datetime.datetime):
        return value.date()
    if isinstance(value, datetime.date):
        return value
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if match := _DATE.fullmatch(text):
        parts = [part for part in match.groups() if part and part.isdigit()]
        try:
            return datetime.date(int(parts[0]), int(parts[1]), int(parts[2]))
        except ValueError:
            raise ValueError("no such day") from None
    if _DAY_OR_MONTH_FIRST.fullmatch(text):
        raise ValueError("day first or month first?")
    missing = value is None or (isinstance(value, str) and text.casefold() in _MISSING)
    raise ValueError("no date" if missing else "not a date")


def text(row: Row, column: str) -> str:
    """The value as text: a string as it stands, a number as JSON writes it, a missing value (NaN too) as an empty one.

    Raises:
        InputError: it is a list or a record.
    """
    value = row.values.get(column)
    if isinstance(value, list | dict | bytes):
        raise InputError(row.where(column), f"not text: {_shown(value)}")
    written = plain(value)
    if written is None:
        return ""
    return written if isinstance(written, str) else json.dumps(written)


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:76]}…{shown[-1]}"
