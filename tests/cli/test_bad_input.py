"""A table, an option or a machine that will not do: the right exit code, one clear line, nothing half-written."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import SAMPLES, Run
from refusals import DATES, VALUES, lines, names
from tables import DAYS, TINY, days, quick, table

__all__ = ["quick"]  # the fixture


def with_value(row: int, value: str) -> str:
    """The good table with another value in the row that stands in this line of the file."""
    return text(values=[*VALUES[: row - 2], value, *VALUES[row - 1 :]])


def text(dates: list[str] = DATES, values: list[str] = VALUES) -> str:
    return "date,x\n" + "".join(f"{date},{value}\n" for date, value in zip(dates, values, strict=True))


# A table that cannot be used


BAD_TABLES: dict[str, tuple[str, str, str]] = {
    "empty": ("", "bad.csv: is empty", ""),
    "header only": ("date,x\n", "bad.csv: has a header but no rows", ""),
    "one row": ("date,x\n2024-01-02,1.5\n", "bad.csv: 1 day; at least 65 are needed", ""),
    "no numbers": ("date\n2024-01-02\n", "bad.csv: no values", "a column of numbers"),
    "only empty cells": (text(values=[""] * DAYS), "bad.csv: no values", "a column of numbers"),
    "out of order": (
        text(dates=[*DATES[:50], DATES[51], DATES[50], *DATES[52:]]),
        f"bad.csv: row 53: {DATES[50]} comes after {DATES[51]}: dates must increase",
        "sort the table by date",
    ),
    "twice": (
        text(dates=[*DATES[:50], DATES[49], *DATES[51:]]),
        f"bad.csv: row 52: {DATES[49]} stands there twice",
        "one row a day",
    ),
    "zero": (with_value(60, "0"), "bad.csv: row 60: x: 0 has no logarithm", "--transform difference"),
    "text": (with_value(60, "abc"), "bad.csv: row 60: column x: not a number: 'abc'", "leave the field empty"),
    "thousands": (with_value(60, '"1,234.5"'), "bad.csv: row 60: column x: not a number: '1,234.5'", "1234.5"),
    "infinite": (with_value(60, "inf"), "bad.csv: row 60: column x: not a finite number: 'inf'", ""),
    "a word for a date": (
        text(dates=[*DATES[:50], "soon", *DATES[51:]]),
        "bad.csv: row 52: column date: not a date: 'soon'",
        "2024-06-28",
    ),
    "two meanings": (
        text(dates=[*DATES[:50], "03/04/2024", *DATES[51:]]),
        "bad.csv: row 52: column date: day first or month first?: '03/04/2024'",
        "2024-06-28",
    ),
    "no such day": (
        text(dates=[*DATES[:50], "2024-02-30", *DATES[51:]]),
        "bad.csv: row 52: column date: no such day: '2024-02-30'",
        "2024-06-28",
    ),
    "no date": (text(dates=[*DATES[:50], "", *DATES[51:]]), "bad.csv: row 52: column date: no date: ''", ""),
    "too many fields": (with_value(60, "1,2"), "bad.csv: row 60", ""),
    "never moves": (text(values=["5"] * DAYS), "bad.csv: x never moves", ""),
    "bytes of no encoding": (with_value(60, "\udcff\udcfe\udc80"), "bad.csv: row 60", ""),
    "a column twice": ("date,x,x\n2024-01-02,1,2\n", "bad.csv: its header names the column 'x' twice", ""),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_bad_table_is_refused_by_file_row_column_and_value(quick: Run, tmp_path: Path, name: str) -> None:
    content, error, hint = BAD_TABLES[name]
    (tmp_path / "bad.csv").write_bytes(content.encode("utf-8", "surrogateescape"))
    said = lines(quick("train-forecast", "bad.csv", *TINY, "--out", "model", fails_with=3))
    assert error in said[0]
    assert hint in "".join(said[1:])
    assert names(tmp_path) == ["bad.csv"]


@pytest.mark.parametrize("name", [n for n in BAD_TABLES if n not in ("one row", "never moves", "no numbers")])
def test_a_forecast_refuses_it_in_the_same_words(quick: Run, plain: Path, tmp_path: Path, name: str) -> None:
    content, error, _ = BAD_TABLES[name]
    (tmp_path / "bad.csv").write_bytes(content.encode("utf-8", "surrogateescape"))
    said = lines(quick("forecast", plain, "bad.csv", "--plot", "x.png", "--journal", "j.db", fails_with=3))
    assert error in said[0]
    assert names(tmp_path) == ["bad.csv"]


LONG = ("--series-column", "series", "--value-column", "value")


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("2024-01-02,a,1\n2024-01-02,b,2\n2024-01-02,a,3\n", "row 4: 2024-01-02 stands there twice"),
        ("2024-01-03,a,1\n2024-01-03,b,2\n2024-01-02,b,3\n", "row 4: 2024-01-02 comes after 2024-01-03"),
        ("2024-01-02,a,1\n2024-01-03,a,x\n", "row 3: column value: not a number: 'x'"),
    ],
)
def test_a_bad_row_of_a_long_table_is_named(quick: Run, plain: Path, tmp_path: Path, content: str, error: str) -> None:
    (tmp_path / "long.csv").write_text("date,series,value\n" + content, encoding="utf-8")
    assert f"long.csv: {error}" in lines(quick("forecast", plain, "long.csv", *LONG, fails_with=3))[0]


@pytest.mark.parametrize(
    ("flags", "error", "hint"),
    [
        (("--value-column", "price"), "x.csv: no column 'price'; there are: date, x", "name one with --value-column"),
        (("--date-column", "dat"), "x.csv: no column 'dat'; there are: date, x", "did you mean --date-column date?"),
        (("--series-column", "name"), "x.csv: no column 'name'; there are: date, x", "--series-column"),
        (("--calendar", "target"), "is no day of the calendar 'target'", "choose another --calendar"),
        (("--calendar", "weekdays"), "2024-01-06 is no day of the calendar 'weekdays'", "choose another --calendar"),
        (("--until", "2023-01-01"), "x.csv: no values between the beginning and 2023-01-01", "its values go from"),
        (("--since", "2031-01-01"), "x.csv: 0 days since 2031-01-01; at least 60 are needed", ""),
        (("--input-format", "jsonl"), "x.csv: row 1", ""),
        (("--transform", "log", "--value-column", "x", "--pair", "y"), "x.csv: no series 'y'; there are: x", ""),
    ],
)  # fmt: skip
def test_flags_that_do_not_fit_the_table_are_told_what_would(
    quick: Run, tmp_path: Path, flags: tuple[str, ...], error: str, hint: str
) -> None:
    table(tmp_path / "x.csv", days("daily"), x=VALUES)
    said = lines(quick("train-forecast", "x.csv", *TINY, *flags, "--out", "model", fails_with=3))
    assert error in said[0]
    assert hint in "".join(said[1:])
    assert names(tmp_path) == ["x.csv"]


@pytest.mark.parametrize(
    ("source", "code", "error"),
    [
        ("nothing.csv", 3, "nothing.csv: no such file"),
        ("folder.csv", 3, "folder.csv"),
        ("x.xls", 2, "x.xls: the suffix '.xls' is not a known table format"),
        ("-", 3, "stdin: is empty"),
    ],
)
def test_a_source_that_is_no_table_is_refused(quick: Run, tmp_path: Path, source: str, code: int, error: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "x.xls").write_text("date,x\n", encoding="utf-8")
    said = lines(quick("train-forecast", source, *TINY, "--out", "model", stdin="", fails_with=code))
    assert error in said[0]
    assert not (tmp_path / "model").exists()


def test_dash_without_data_is_said_by_the_real_command(run: Run, plain: Path) -> None:
    assert lines(run("forecast", plain, "-", fails_with=3)) == ["error: stdin: is empty"]


# Options that cannot be meant


@pytest.mark.parametrize(
    ("command", "code", "error"),
    [
        (("train-forecast", "x.csv", "--horizon", 0), 2, "--horizon"),
        (("train-forecast", "x.csv", "--cell", "transformer"), 2, "--cell"),
        (("train-forecast", "x.csv", "--until", "yesterday"), 2, "--until yesterday: not a date"),
        (("train-forecast", "--value-column", "x"), 2, "--value-column x: is about a table, and none is named"),
        (("train-forecast", "--input-format", "csv"), 2, "name the table as SOURCE, or - for stdin"),
        (("train-forecast", "--pair", "USD/XXQ"), 3, "--pair USD/XXQ: no rates for 'XXQ'"),
        (("train-forecast", "--pair", "USD/JPZ"), 3, "did you mean JPY"),
        (("train-forecast", "--pair", "yen"), 3, "--pair yen: not a currency pair"),
        (("train-forecast", "--pair", "JPY/JPY"), 3, "both currencies are the same"),
        (("train-forecast", "--pair", "USD/JPY", "--pair", "usdjpy"), 3, "given twice"),
        (("train-forecast", "--pair", "USD/JPY", "--until", "1998-12-31"), 3, "none of USD/JPY between"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused(
    quick: Run, tmp_path: Path, command: tuple[Any, ...], code: int, error: str
) -> None:
    table(tmp_path / "x.csv", DATES, x=VALUES)
    flags = ("--quick", "--members", 1, "--epochs", 1, "--hidden", 4, "--baselines", "none")
    said = quick(*command, *flags, "--out", "model", fails_with=code)
    assert error in said.stderr
    assert said.stdout == ""
    assert names(tmp_path) == ["x.csv"]


@pytest.mark.parametrize(
    ("flags", "code", "error"),
    [
        (("--as-of", "2030-01-01"), 3, "--as-of 2030-01-01: lies in the future: today is 2026-10-30"),
        (("--as-of", "2026-10-31"), 3, "lies in the future"),
        (("--as-of", "1998-12-31"), 3, "between the beginning and 1998-12-31"),
        (("--as-of", "soon"), 2, "--as-of soon: not a date"),
        (("--pair", "USD/XXQ"), 3, "no rates for 'XXQ'"),
        (("--max-age", "soon"), 2, "--max-age soon: not a number of business days"),
        (("--plot", "fan.pdf"), 2, "--plot fan.pdf"),
        (("--plot", "no/fan.png"), 5, "no such folder"),
        (("--journal", "x.csv"), 3, "x.csv: not an SQLite file"),
        (("x.csv", "--as-of", "2023-12-31"), 3, "x.csv: no values between the beginning and 2023-12-31"),
    ],
)
def test_a_forecast_that_cannot_be_made_is_refused(
    quick: Run, fx: Path, tmp_path: Path, flags: tuple[str, ...], code: int, error: str
) -> None:
    table(tmp_path / "x.csv", DATES, x=VALUES)
    said = lines(quick("forecast", fx, *flags, fails_with=code, SEQCLI_NOW="2026-10-30T18:00:00+00:00"))
    assert error in said[0]
    assert names(tmp_path) == ["x.csv"]


@pytest.mark.parametrize(
    ("flags", "code", "error"),
    [
        (("--since", "2030-01-01"), 3, "no day from 2030-01-01 to the end has its 5 targets"),
        (("--since", "soon"), 2, "--since soon: not a date"),
        (("--forecasts", "rows.xls"), 2, "--forecasts rows.xls: the suffix is not known"),
        (("--every", 0), 2, "--every"),
    ],
)
def test_a_backtest_that_cannot_be_made_is_refused(
    quick: Run, fx: Path, tmp_path: Path, flags: tuple[Any, ...], code: int, error: str
) -> None:
    said = quick("backtest", fx, "--baselines", "none", *flags, fails_with=code)
    assert error in said.stderr
    assert said.stdout == ""
    assert names(tmp_path) == []


def test_a_model_of_a_table_asks_for_one(quick: Run, plain: Path) -> None:
    said = lines(quick("forecast", plain, fails_with=2))
    assert f"the model was trained on {plain.parent / 'x.csv'}: give a table" in said[0]


# What a machine may lack


def test_parquet_without_pyarrow_says_what_to_install(run: Run, plain: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    code = "import sys\nsys.modules['pyarrow'] = None\nsys.modules['fastparquet'] = None\n"
    (blocked / "sitecustomize.py").write_text(code, encoding="utf-8")
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    path = os.pathsep.join([str(blocked), *filter(None, [os.environ.get("PYTHONPATH")])])
    for command in (("forecast", plain, "x.parquet"), ("train-forecast", "x.parquet", *TINY, "--out", "new")):
        said = lines(run(*command, fails_with=5, PYTHONPATH=path))
        assert "pyarrow" in said[0]
        assert "pip install" in said[1]
    assert not (tmp_path / "new").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of eight pages, six of which are taken."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        (folder / "taken").write_bytes(b"\0" * 6 * 4096)
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize(
    "command",
    [
        ("train-forecast", SAMPLES / "rates-wide.csv", *TINY, "--holdout", 0, "--out", "disk/new"),
        ("forecast", "MODEL", "x.csv", "--plot", "disk/fan.png"),
        ("forecast", "MODEL", "x.csv", "--journal", "disk/j.db"),
        ("backtest", "MODEL", "x.csv", "--baselines", "none", "--forecasts", "disk/rows.csv"),
    ],
    ids=["model", "picture", "journal", "rows"],
)
def test_a_full_disk_leaves_nothing_that_would_be_in_the_way_later(
    quick: Run, plain: Path, small_disk: Path, tmp_path: Path, command: tuple[Any, ...]
) -> None:
    table(tmp_path / "x.csv", DATES, x=VALUES)
    words = [plain if word == "MODEL" else word for word in command]
    assert "disk full" in lines(quick(*words, fails_with=5))[0]
    left = names(small_disk)
    assert left == ["taken"] or (left[0] == "j.db" and (small_disk / "j.db-wal").stat().st_size == 0)
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    quick(*words)  # nothing is in the way of the same command once there is room
