"""Tables and values: what is read, what is refused, and whether the place is named."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import math
import sys
import tracemalloc
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqcli.core import rows
from seqcli.core.json_lines import dumps
from seqcli.core.rows import OnError, Row, Table
from seqcli.errors import InputError, MachineError, UsageError


def table(content: str | bytes, input_format: str = "csv", on_error: OnError = "fail", encoding: str = "auto") -> Table:
    raw = content if isinstance(content, bytes) else content.encode()
    return rows.read_table("-", input_format=input_format, on_error=on_error, encoding=encoding, stdin=io.BytesIO(raw))


def values(*arguments: Any, **options: Any) -> list[dict[str, object]]:
    return [row.values for row in table(*arguments, **options)]


def refused(*arguments: Any, **options: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        list(table(*arguments, **options))
    return caught.value


def cell(value: object) -> Row:
    return Row("rates.csv", 17, {"rate": value})


# Text that CSV can carry: no NUL, no half surrogates, no escape (ISO-2022-JP begins with it); a lone \r is a line end.
FIELDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\x1b"), max_size=20)


@given(st.data(), st.integers(min_value=2, max_value=4))
def test_whatever_python_writes_as_csv_is_read_back(data: st.DataObject, width: int) -> None:
    records = data.draw(st.lists(st.lists(FIELDS, min_size=width, max_size=width), min_size=1, max_size=5))
    header = [f"column {index}" for index in range(width)]
    buffer = io.StringIO()
    csv.writer(buffer).writerows([header, *records])
    # Python writes \r\n between rows; the newlines inside of values are \n.
    assert [list(row.values.values()) for row in table(buffer.getvalue())] == records


@given(st.lists(st.dictionaries(FIELDS, st.none() | st.booleans() | st.integers() | FIELDS), min_size=1, max_size=5))
def test_whatever_dumps_writes_is_read_back_from_json_lines(records: list[dict[str, object]]) -> None:
    assert values("".join(f"{dumps(record)}\n" for record in records), "jsonl") == records


def test_rows_are_counted_as_an_editor_counts_lines() -> None:
    content = '\ndate,note\n2024-06-27,"two\nlines"\n\n2024-06-28,one\n'
    assert [(row.number, row.values["note"]) for row in table(content)] == [(3, "two\nlines"), (6, "one")]


def test_quotation_marks_delimiters_and_newlines_may_stand_in_a_quoted_value() -> None:
    assert values('a,b\n"say ""hi"", then",x\n') == [{"a": 'say "hi", then', "b": "x"}]


def test_a_header_with_semicolons_and_no_comma_is_separated_by_semicolons() -> None:
    assert values("date;value\n2024-06-28;1,5\n") == [{"date": "2024-06-28", "value": "1,5"}]
    assert table("a;b,c\n1,2\n").columns == ("a;b", "c")


def test_tsv_is_separated_by_tabs_alone() -> None:
    assert values("a\tb\n1,5\t2\n", "tsv") == [{"a": "1,5", "b": "2"}]


def test_a_header_that_names_a_column_twice_is_refused() -> None:
    assert "'value' twice" in refused("date,value, value\n1,2,3\n").what


def test_columns_without_a_name_are_told_by_their_places() -> None:
    error = refused("date,value,, \n1,2,3,4\n")
    assert error.what == "its header has no name for the columns 3 and 4"
    assert "last comma" in (error.hint or "")


@pytest.mark.parametrize("input_format", ["csv", "tsv", "jsonl"])
@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_an_empty_table_is_called_empty(content: str, input_format: str) -> None:
    assert refused(content, input_format).what == "is empty"


def test_a_header_alone_is_called_that() -> None:
    assert refused("date,value\n\n").what == "has a header but no rows"


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [
        ("a,b\n1,2\n1,2,3\n", "stdin: row 3", "3 values, but the header names 2 columns"),
        ("a,b\n\n1\n", "stdin: row 3", "1 values, but the header names 2 columns"),
        ('a,b\n1,"2\n3,4\n', "stdin: row 2", "a quotation mark is opened and never closed"),
        ('a,b\n1,"2" 3\n', "stdin: row 2", "not well-formed"),
        ("a,b\n1,\0\n", "stdin: row 2", "character 3 is NUL"),
        (b"a,b\n1,2\n\xe3\x81\x82,2\n1,\xff\n", "stdin: row 4", "byte 3 is 0xFF, which is not text in UTF-8"),
    ],
)
def test_a_bad_row_of_csv_is_named(content: str | bytes, where: str, what: str) -> None:
    error = refused(content)
    assert error.where == where
    assert what in error.what


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"a": 1', "not JSON"),
        ("[1]", "not a JSON object: '[1]'"),
        ("[" * 100_000, "not JSON"),
        ('{"a": "\\ud800"}', "not JSON"),
        ('{"a": 1}\0', "is NUL"),
        ("9" * 5000, "not JSON"),
    ],
)
def test_a_bad_line_of_json_is_named(line: str, what: str) -> None:
    error = refused(f'{{"a": 0}}\n\n{line}\n{{"a": 2}}\n', "jsonl")
    assert error.where == "stdin: row 3"
    assert what in error.what
    assert len(error.what) < 250


BAD = b'a,b\n1,2\n1,2,3\n\xff,2\n1,\0\n"x" y,2\n5,6\n'


def test_bad_rows_can_be_marked_and_keep_their_place() -> None:
    marked = list(table(BAD, on_error="mark", encoding="utf-8"))
    assert [row.number for row in marked] == [2, 3, 4, 5, 6, 7]
    assert [row.error is None for row in marked] == [True, False, False, False, False, True]
    assert marked[1].values == {"a": "1", "b": "2"}
    assert marked[-1].values == {"a": "5", "b": "6"}


def test_bad_rows_can_be_skipped_and_are_counted() -> None:
    kept = table(BAD, on_error="skip", encoding="utf-8")
    assert [row.values["a"] for row in kept] == ["1", "5"]
    assert kept.skipped == 4


def test_json_lines_can_be_marked_too() -> None:
    marked = list(table('{"a": 1}\nx\n{"a": 2}\n', "jsonl", on_error="mark"))
    assert [row.values.get("a") for row in marked] == [1, None, 2]
    assert marked[1].error is not None


def test_a_table_whose_rows_were_all_skipped_is_not_called_empty() -> None:
    assert values("a,b\n1\n", on_error="skip") == []


def test_a_huge_field_is_read() -> None:
    assert values(f"a,b\n{'x' * 1_000_000},2\n")[0]["a"] == "x" * 1_000_000


def test_memory_does_not_grow_with_the_table(tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    path.write_text("a,b\n" + "1,2\n" * 100_000)
    tracemalloc.start()
    for _ in rows.read_table(path):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000  # a hundred thousand rows kept would be thirty times that


def test_rows_come_before_the_whole_input_was_read() -> None:
    class Endless(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            return b"1,2\n"

    endless = iter(rows.read_table("-", input_format="csv", stdin=Endless()))
    assert [next(endless).number for _ in range(3)] == [2, 3, 4]


# ------------------------------------------------------------------------------------------- names and formats


def test_a_missing_column_is_answered_with_those_there_are_and_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        table("Date,Rate\n1,2\n").require("rate", "--value-column")
    assert caught.value.what == "no column 'rate'; there are: Date, Rate"
    assert caught.value.hint == "did you mean --value-column Rate?"


def test_a_missing_column_with_nothing_near_is_answered_with_the_option() -> None:
    with pytest.raises(InputError) as caught:
        table("日付,値\n1,2\n").require("rate", "--value-column")
    assert caught.value.hint == "name one with --value-column"
    assert table("日付,値\n1,2\n").require("値") == "値"


@pytest.mark.parametrize("name", ["t.csv", "t.CSV", "t.tsv", "t.jsonl", "t.ndjson", "t.csv.gz", "t.jsonl.gz"])
def test_the_suffix_tells_the_format(tmp_path: Path, name: str) -> None:
    content = '{"a": "1", "b": "2"}\n' if "json" in name else ("a\tb\n1\t2\n" if "tsv" in name else "a,b\n1,2\n")
    raw = gzip.compress(content.encode()) if name.endswith("gz") else content.encode()
    (tmp_path / name).write_bytes(raw)
    assert [row.values for row in rows.read_table(tmp_path / name)] == [{"a": "1", "b": "2"}]


def test_the_format_can_be_given_whatever_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("a,b\n1,2\n")
    assert rows.read_table(path, input_format="csv").columns == ("a", "b")
    with pytest.raises(UsageError, match=r"suffix '\.txt'"):
        rows.read_table(path)


def test_a_suffix_that_tells_nothing_is_answered_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text("[]")
    with pytest.raises(UsageError) as caught:
        rows.read_table(tmp_path / "t.json")
    assert "--input-format jsonl" in (caught.value.hint or "")
    with pytest.raises(InputError, match="no such file"):
        rows.read_table(tmp_path / "not there")


def test_standard_input_must_say_its_format() -> None:
    with pytest.raises(UsageError) as caught:
        rows.read_table("-", stdin=io.BytesIO(b"a,b\n1,2\n"))
    assert "--input-format csv" in str(caught.value.hint)


def test_an_unknown_format_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="'xlsx'") as caught:
        rows.read_table("-", input_format="xlsx", stdin=io.BytesIO())
    assert "parquet" in str(caught.value.hint)


# --------------------------------------------------------------------------------------------------- Parquet


def parquet(path: Path) -> None:
    import pyarrow as arrow
    from pyarrow import parquet as file

    days = [datetime.date(2024, 6, 27), datetime.date(2024, 6, 28)]
    moments = [datetime.datetime(2024, 6, 27, 14), None]
    file.write_table(arrow.table({"日付": days, "at": moments, "値": [1.5, None], "n": [1, 2]}), path)


def test_parquet_is_read_with_its_own_types(tmp_path: Path) -> None:
    parquet(tmp_path / "t.parquet")
    opened = rows.read_table(tmp_path / "t.parquet")
    assert opened.columns == ("日付", "at", "値", "n")
    first, second = opened
    assert (first.number, second.number) == (1, 2)
    assert rows.date(first, "日付") == rows.date(first, "at") == datetime.date(2024, 6, 27)
    assert rows.number(first, "値") == 1.5
    assert math.isnan(rows.number(second, "値"))
    assert rows.text(second, "n") == "2"


def test_parquet_is_read_from_a_pipe(tmp_path: Path) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise OSError("a pipe")

    parquet(tmp_path / "t.parquet")
    stream = Pipe((tmp_path / "t.parquet").read_bytes())
    assert len(list(rows.read_table("-", input_format="parquet", stdin=stream))) == 2


def test_a_damaged_parquet_file_is_bad_input(tmp_path: Path) -> None:
    parquet(tmp_path / "t.parquet")
    raw = (tmp_path / "t.parquet").read_bytes()
    for name, content in {"text.parquet": b"a,b\n1,2\n", "cut.parquet": raw[:200], "none.parquet": b""}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="not a Parquet file"):
            list(rows.read_table(tmp_path / name))


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet(tmp_path / "t.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MachineError) as caught:
        rows.read_table(tmp_path / "t.parquet")
    assert caught.value.hint == "pip install 'seqcli[parquet]'"


# ---------------------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1.5", 1.5), (" -2e-3 ", -0.002), (3, 3.0), (np.float32(0.5), 0.5), ("0", 0.0), (Decimal("2.5"), 2.5)],
)
def test_numbers_are_read(value: object, expected: float) -> None:
    assert rows.number(cell(value), "rate") == expected


@pytest.mark.parametrize("value", [None, "", "  ", "NA", "N/A", "nan", "NULL", "-", ".", float("nan")])
def test_a_missing_number_is_nan(value: object) -> None:
    assert math.isnan(rows.number(cell(value), "rate"))


@pytest.mark.parametrize("value", ["1O9.2", "1_000", "1,234.5", "12%", True, [1], datetime.date(2024, 6, 28), 10**400])
def test_what_is_not_a_number_is_named_with_its_place(value: object) -> None:
    with pytest.raises(InputError) as caught:
        rows.number(cell(value), "rate")
    assert caught.value.where == "rates.csv: row 17: column rate"
    assert caught.value.what.startswith(f"not a number: {value!r}"[:60])
    assert caught.value.hint


def test_a_comma_in_a_number_is_explained() -> None:
    with pytest.raises(InputError) as caught:
        rows.number(cell("109,2"), "rate")
    assert "a point before the decimals" in str(caught.value.hint)


@pytest.mark.parametrize("value", ["inf", "-Infinity", "1e999", float("inf")])
def test_infinity_is_no_rate(value: object) -> None:
    with pytest.raises(InputError, match="not a finite number"):
        rows.number(cell(value), "rate")


@pytest.mark.parametrize(
    "value",
    [
        "2024-06-08",
        " 2024/06/08 ",
        "2024/6/8",
        "2024.06.08",
        "20240608",
        20240608,
        "2024年6月8日",
        "2024-06-08T23:59:59+09:00",
        "2024-06-08 00:00:00",
        "2024/6/8 9:30",
        datetime.date(2024, 6, 8),
        datetime.datetime(2024, 6, 8, 23, 59),
    ],
)
def test_dates_that_begin_with_the_year_are_read(value: object) -> None:
    day = rows.date(cell(value), "rate")
    assert day == datetime.date(2024, 6, 8)
    assert type(day) is datetime.date


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("03/04/2024", "day first or month first?: '03/04/2024'"),
        ("3.4.24", "day first or month first?: '3.4.24'"),
        ("2024-02-30", "no such day: '2024-02-30'"),
        ("2024-06/08", "not a date: '2024-06/08'"),
        ("2024-06", "not a date: '2024-06'"),
        ("tomorrow", "not a date: 'tomorrow'"),
        (True, "not a date: True"),
        (1.5, "not a date: 1.5"),
        ("", "no date: ''"),
        (None, "no date: None"),
    ],
)
def test_any_other_date_is_refused_with_its_value(value: object, what: str) -> None:
    with pytest.raises(InputError) as caught:
        rows.date(cell(value), "rate")
    assert caught.value.where == "rates.csv: row 17: column rate"
    assert caught.value.what == what


@given(st.dates())
def test_every_iso_date_is_itself(day: datetime.date) -> None:
    assert rows.to_date(day.isoformat()) == rows.to_date(f"{day:%Y%m%d}".zfill(8)) == day


@pytest.mark.parametrize(
    ("value", "expected"),
    [("雨", "雨"), (None, ""), (math.nan, ""), (1.5, "1.5"), (True, "true"), (datetime.date(2024, 6, 8), "2024-06-08")],
)
def test_text_is_read_as_it_would_be_written(value: object, expected: str) -> None:
    assert rows.text(cell(value), "rate") == expected


def test_a_list_is_not_text() -> None:
    with pytest.raises(InputError, match=r"column rate: not text: \['a'\]"):
        rows.text(cell(["a"]), "rate")


def test_a_long_value_is_shortened_in_an_error() -> None:
    with pytest.raises(InputError) as caught:
        rows.number(cell("x" * 10_000), "rate")
    assert len(caught.value.what) < 120
