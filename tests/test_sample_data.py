"""The tables in sample_data/ are what their script makes and what their README promises."""

from __future__ import annotations

import datetime
import itertools
import math
import subprocess
import sys
from pathlib import Path

import pytest

from seqcli.core import rows

FOLDER = Path(__file__).parent.parent / "sample_data"
TABLES = ("rates-wide.csv", "rates-long.csv", "spread.csv", "為替.csv")
FOUNDERS_DAY = datetime.date(2022, 9, 21)


def wide() -> dict[tuple[datetime.date, str], float]:
    table = rows.read_table(FOLDER / "rates-wide.csv")
    return {(rows.date(row, "date"), pair): rows.number(row, pair) for row in table for pair in table.columns[1:]}


def long(name: str, date: str, series: str, value: str) -> dict[tuple[datetime.date, str], float]:
    table = rows.read_table(FOLDER / name)
    return {(rows.date(row, date), rows.text(row, series)): rows.number(row, value) for row in table}


def known(values: dict[tuple[datetime.date, str], float]) -> dict[tuple[datetime.date, str], float]:
    return {key: value for key, value in values.items() if not math.isnan(value)}


def test_the_script_makes_the_committed_bytes_again(tmp_path: Path) -> None:
    subprocess.run([sys.executable, FOLDER / "make_sample_data.py", tmp_path], check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(TABLES)
    for name in TABLES:
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes(), name


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_small_and_named_in_the_readme(name: str) -> None:
    assert (FOLDER / name).stat().st_size < 150_000
    assert f"`{name}`" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_the_long_and_the_japanese_table_hold_the_rates_of_the_wide_one() -> None:
    rates = known(wide())
    assert known(long("rates-long.csv", "date", "series", "value")) == rates
    japanese = long("為替.csv", "日付", "通貨", "値")
    names = {"アロ/ベク": "ARO/BEK", "アロ/シル": "ARO/CIL", "シル/ベク": "CIL/BEK"}
    assert {(day, names[pair]): value for (day, pair), value in japanese.items()} == rates


def test_the_rates_have_the_holiday_and_the_gaps_of_the_readme() -> None:
    rates = wide()
    days = {day for day, _ in rates}
    assert FOUNDERS_DAY not in days
    assert FOUNDERS_DAY - datetime.timedelta(1) in days
    assert all(day.weekday() < 5 for day in days)
    missing = {(day.isoformat(), pair) for (day, pair), value in rates.items() if math.isnan(value)}
    week = {(f"2023-03-{day}", "ARO/CIL") for day in range(13, 18)}
    assert missing == week | {("2022-06-15", "ARO/BEK"), ("2022-06-15", "CIL/BEK"), ("2024-11-28", "CIL/BEK")}


def test_a_missing_value_of_the_long_table_is_a_row_without_one_or_no_row() -> None:
    day = datetime.date(2022, 6, 15)
    rates = long("rates-long.csv", "date", "series", "value")
    assert math.isnan(rates[day, "ARO/BEK"])
    assert (day, "CIL/BEK") not in rates


def test_the_volatility_of_the_rates_clusters() -> None:
    values = [value for (_, pair), value in known(wide()).items() if pair == "ARO/BEK"]
    sizes = [abs(math.log(after / before)) for before, after in itertools.pairwise(values)]
    mean = sum(sizes) / len(sizes)
    lagged = sum((a - mean) * (b - mean) for a, b in itertools.pairwise(sizes))
    assert lagged / sum((size - mean) ** 2 for size in sizes) > 0.1


def test_the_spread_crosses_zero() -> None:
    values = [rows.number(row, "spread") for row in rows.read_table(FOLDER / "spread.csv")]
    assert min(values) < 0 < max(values)
    assert len(values) > 740
