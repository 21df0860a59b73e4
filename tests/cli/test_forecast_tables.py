"""Every kind of table that a forecaster reads: formats, encodings, calendars, gaps, odd series."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd  # noqa: TID253 - writes the tables in other formats
import pytest
from conftest import Run
from forecasts import JAPANESE, JAPANESE_COLUMNS, LONG, LONG_COLUMNS, NOW, SPREAD, WIDE, manifest, numbers
from tables import DAYS, TINY, days, quick, table, walk

from seqcli.forecasting import records

__all__ = ["quick"]  # the fixture


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_every_cell_trains_and_forecasts(quick: Run, tmp_path: Path, cell: str) -> None:
    table(tmp_path / "rates.csv", days(), x=walk())
    said = quick("train-forecast", "rates.csv", *TINY, "--cell", cell, "--out", "model")
    assert [row["model"] for row in said.rows] == [cell]
    rows = quick("forecast", "model", "rates.csv").rows
    assert [row["h"] for row in rows] == [1, 2, 3, 4, 5]
    assert all(row["q0.025"] < row["q0.5"] < row["q0.975"] for row in rows)


def test_a_long_table_gives_the_numbers_of_the_wide_one(quick: Run, wide: Path) -> None:
    expected = quick("forecast", wide, WIDE, **NOW).rows
    assert quick("forecast", wide, LONG, *LONG_COLUMNS, **NOW).rows == expected


def test_the_table_that_a_spreadsheet_in_japan_saved_gives_the_same_numbers(
    quick: Run, wide: Path, tmp_path: Path
) -> None:
    renamed = WIDE.read_text(encoding="utf-8").replace(
        "date,ARO/BEK,ARO/CIL,CIL/BEK", "日付,アロ/ベク,アロ/シル,シル/ベク"
    )
    (tmp_path / "utf8.csv").write_text(renamed, encoding="utf-8")
    expected = quick("forecast", wide, "utf8.csv", "--date-column", "日付", **NOW).rows
    assert quick("forecast", wide, JAPANESE, *JAPANESE_COLUMNS, **NOW).rows == expected
    piped = quick("forecast", wide, "-", *JAPANESE_COLUMNS, stdin=JAPANESE.read_bytes(), **NOW)
    assert piped.rows == expected
    assert expected[0]["series"] == "アロ/ベク"


def test_a_model_remembers_how_its_table_was_read(quick: Run, tmp_path: Path) -> None:
    quick("train-forecast", JAPANESE, *TINY, *JAPANESE_COLUMNS, "--holdout", 0, "--out", "model")
    assert quick("forecast", "model", JAPANESE).rows[0]["series"] == "アロ/ベク"


def test_what_is_said_now_beats_what_a_model_remembers_even_if_it_is_the_default(
    quick: Run, fx: Path, tmp_path: Path
) -> None:
    table(tmp_path / "daily.csv", days("daily"), x=walk())
    assert "no day of the calendar 'target'" in quick("forecast", fx, "daily.csv", fails_with=3).stderr
    row = quick("forecast", fx, "daily.csv", "--calendar", "infer").rows[0]
    assert row["target_date"] == days("daily", DAYS + 1)[-1]
    quick("train-forecast", JAPANESE, *TINY, *JAPANESE_COLUMNS, "--encoding", "cp932", "--holdout", 0, "--out", "model")
    (tmp_path / "utf8.csv").write_bytes(JAPANESE.read_bytes().decode("cp932").encode("utf-8"))
    assert quick("forecast", "model", "utf8.csv", fails_with=3).stdout == ""
    assert quick("forecast", "model", "utf8.csv", "--encoding", "auto").rows[0]["series"] == "アロ/ベク"


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (WIDE.read_bytes(), ()),
        (WIDE.read_bytes(), ("--input-format", "csv")),
        (WIDE.read_bytes().replace(b",", b"\t"), ("--input-format", "tsv")),
    ],
    ids=["without a format", "csv", "tsv"],
)
def test_a_table_from_stdin_is_the_table(quick: Run, wide: Path, content: bytes, options: tuple[str, ...]) -> None:
    expected = quick("forecast", wide, WIDE, **NOW).rows
    assert numbers(quick("forecast", wide, "-", *options, stdin=content, **NOW).rows) == numbers(expected)


def test_stdin_is_read_through_a_real_pipe(run: Run, wide: Path) -> None:
    expected = run("forecast", wide, WIDE, **NOW).stdout
    assert run("forecast", wide, "-", stdin=WIDE.read_bytes(), **NOW).stdout == expected


@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "csv.gz"])
def test_every_format_gives_the_same_numbers(quick: Run, wide: Path, tmp_path: Path, suffix: str) -> None:
    frame = pd.read_csv(WIDE)
    path = tmp_path / f"rates.{suffix}"
    {
        "jsonl": lambda: frame.to_json(path, orient="records", lines=True),
        "parquet": lambda: frame.to_parquet(path),
        "csv.gz": lambda: frame.to_csv(path, index=False),
    }[suffix]()
    expected = numbers(quick("forecast", wide, WIDE, **NOW).rows)
    assert numbers(quick("forecast", wide, path, **NOW).rows) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("calendar", "start", "targets"),
    [
        ("weekdays", "2024-01-01", ["2024-08-12", "2024-08-13", "2024-08-14", "2024-08-15", "2024-08-16"]),
        ("daily", "2024-01-01", ["2024-06-09", "2024-06-10", "2024-06-11", "2024-06-12", "2024-06-13"]),
        ("weekly", "2021-01-08", ["2024-02-02", "2024-02-09", "2024-02-16", "2024-02-23", "2024-03-01"]),
        ("monthly", "2010-01-31", ["2023-05-31", "2023-06-30", "2023-07-31", "2023-08-31", "2023-09-30"]),
    ],
)
def test_every_calendar_is_inferred_and_gone_on_with(
    quick: Run, tmp_path: Path, calendar: str, start: str, targets: list[str]
) -> None:
    table(tmp_path / "x.csv", days(calendar, start=start), x=walk())
    quick("train-forecast", "x.csv", *TINY, "--out", "model")
    assert manifest(tmp_path / "model")["data"]["calendar"] == calendar
    assert [row["target_date"] for row in quick("forecast", "model", "x.csv").rows] == targets


def test_gaps_and_a_holiday_are_neither_filled_nor_forecast_from(quick: Run, wide: Path) -> None:
    assert quick("forecast", wide, WIDE, "--as-of", "2022-09-21").rows[0]["origin_date"] == "2022-09-20"  # no row
    gap = quick("forecast", wide, WIDE, "--as-of", "2023-03-15")  # an empty cell, in one series of three
    assert {row["series"]: row["origin_date"] for row in gap.rows} == {
        "ARO/BEK": "2023-03-15", "ARO/CIL": "2023-03-10", "CIL/BEK": "2023-03-15",
    }  # fmt: skip
    assert "ARO/CIL has no value after 2023-03-10" in gap.stderr


def test_a_constant_series_is_warned_of_and_alone_refused(quick: Run, tmp_path: Path) -> None:
    table(tmp_path / "x.csv", days(), x=walk(), flat=[5.0] * DAYS)
    said = quick("train-forecast", "x.csv", *TINY, "--out", "model")
    assert "warning: flat never moves" in said.stderr
    shown = quick("forecast", "model", "x.csv")
    forecast = {row["series"]: row for row in shown.rows}
    assert "warning: flat never moves: its intervals have no width" in shown.stderr
    assert all(math.isfinite(forecast["flat"][q]) for q in records.QUANTILES)
    alone = quick("train-forecast", "x.csv", "--value-column", "flat", *TINY, "--out", "other", fails_with=3)
    assert "flat never moves" in alone.stderr
    assert not (tmp_path / "other").exists()


def test_a_series_of_few_values_is_warned_of_and_one_of_a_single_value_has_no_forecast(
    quick: Run, known: Path, tmp_path: Path
) -> None:
    table(tmp_path / "x.csv", days(), x=walk(), new=[*[""] * (DAYS - 3), 1, 2, 3], newest=[*[""] * (DAYS - 1), 1])
    said = quick("forecast", known, "x.csv")
    assert {row["series"] for row in said.rows} == {"x", "new"}
    assert "warning: new has only 3 values" in said.stderr
    assert "warning: newest has 1 value: no forecast" in said.stderr
    alone = quick("forecast", known, "x.csv", "--value-column", "newest", fails_with=3).stderr
    assert "a single value says nothing of how far it moves" in alone


def test_a_series_that_crosses_zero_is_modelled_in_differences(quick: Run, tmp_path: Path) -> None:
    quick("train-forecast", SPREAD, *TINY, "--holdout", 50, "--out", "model")
    assert manifest(tmp_path / "model")["data"]["log"] == [False]
    values = pd.read_csv(SPREAD)["spread"].dropna().tolist()
    shifted = table(tmp_path / "shifted.csv", days(n=len(values), start="2022-01-03"), spread=[v - 9 for v in values])
    table(tmp_path / "same.csv", days(n=len(values), start="2022-01-03"), spread=values)
    same = numbers(quick("forecast", "model", "same.csv").rows)
    assert numbers(quick("forecast", "model", shifted).rows) == pytest.approx([v - 9 for v in same])


def test_a_model_of_a_positive_series_refuses_it_once_it_is_negative(quick: Run, known: Path, tmp_path: Path) -> None:
    values = walk()
    table(tmp_path / "x.csv", days(), x=[*values[:-1], -values[-1]])
    assert "the model knows a positive series" in quick("forecast", known, "x.csv", fails_with=3).stderr
