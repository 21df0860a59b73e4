"""The forecasting commands as they are typed: what they promise, and that they never look ahead."""

from __future__ import annotations

import datetime
import gzip
import json
import math
import os
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # noqa: TID253 - writes the tables in other formats
import pytest
from conftest import SAMPLES, Ran, Run, seqcli
from safetensors.numpy import load_file
from tables import DAYS, TINY, days, quick, table, walk

from seqcli.forecasting import records
from seqcli.forecasting.calendar import target_closing_days
from seqcli.forecasting.rates import CROSSES

__all__ = ["quick"]  # the fixture

WIDE, LONG, JAPANESE, SPREAD = (SAMPLES / f"{n}.csv" for n in ("rates-wide", "rates-long", "為替", "spread"))
NOW = {"SEQCLI_NOW": "2026-10-30T18:00:00+00:00"}
LONG_COLUMNS = ("--series-column", "series", "--value-column", "value")
JAPANESE_COLUMNS = ("--date-column", "日付", "--series-column", "通貨", "--value-column", "値")
FORECAST_KEYS = ["series", "origin_date", "h", "target_date", "point", *records.QUANTILES]
ISSUED_KEYS = ["last", "naive", "issued_at", "model_id", "data_until"]
REPORT_KEYS = {
    "model", "series", "h", "n", "mae_ratio", "rmse_ratio", "crps_ratio", "crps_ewma", "direction",
    "coverage80", "coverage95", "dm_p", "dm_p_ewma",
}  # fmt: skip
FAST = ["random-walk", "random-walk-drift", "random-walk-250", "ewma-normal", "ewma-empirical"]


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory, folders: dict[str, str]) -> Path:
    """A tiny forecaster of the wide sample table."""
    model = tmp_path_factory.mktemp("models") / "wide"
    seqcli("train-forecast", WIDE, *TINY, "--holdout", 100, "--out", model, **folders)
    return model


def weights(model: Path) -> bytes:
    return (model / "model.safetensors").read_bytes()


def manifest(model: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((model / "seqcli.json").read_text(encoding="utf-8"))
    return found


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def numbers(rows: list[dict[str, Any]], key: str = "q0.1") -> list[float]:
    return [float(row[key]) for row in rows]


# No look-ahead


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A table, the same with other values after day 120, the same without them, and one whose day 120 differs."""
    folder, dates, values = tmp_path_factory.mktemp("history"), days(), walk()
    strange = [*values[:121], *(round(v * (3 if i % 2 else 0.2), 4) for i, v in enumerate(values[121:]))]
    return {
        "as it was": table(folder / "rates.csv", dates, x=values),
        "other future": table(folder / "other.csv", dates, x=strange),
        "no future": table(folder / "short.csv", dates[:121], x=values[:121]),
        "negative future": table(folder / "negative.csv", dates, x=[*values[:121], *(-v for v in values[121:])]),
        "other last day": table(folder / "last.csv", dates, x=[*values[:120], values[120] * 1.03, *values[121:]]),
    }


@pytest.fixture(scope="module")
def known(history: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, folders: dict[str, str]) -> Path:
    """A model that has seen the table until day 120."""
    model = tmp_path_factory.mktemp("models") / "known"
    seqcli("train-forecast", history["as it was"], *TINY, "--until", days()[120], "--out", model, **folders)
    return model


@pytest.mark.parametrize("future", ["other future", "no future", "negative future"])
def test_what_comes_after_as_of_moves_no_digit_of_a_forecast(
    run: Run, known: Path, history: dict[str, Path], future: str
) -> None:
    as_of = ("--as-of", days()[120])
    before = run("forecast", known, history["as it was"], *as_of, **NOW)
    assert run("forecast", known, history[future], *as_of, **NOW).stdout == before.stdout
    assert before.rows[0]["origin_date"] == days()[120]


@pytest.mark.parametrize("future", ["other future", "no future", "negative future"])
def test_nor_where_the_series_is_new_to_the_model(quick: Run, fx: Path, history: dict[str, Path], future: str) -> None:
    as_of = ("--as-of", days()[120])
    before = quick("forecast", fx, history["as it was"], *as_of, **NOW).stdout
    assert quick("forecast", fx, history[future], *as_of, **NOW).stdout == before


@pytest.mark.parametrize("future", ["other future", "no future", "negative future"])
def test_what_comes_after_until_moves_no_bit_of_the_weights(
    quick: Run, known: Path, history: dict[str, Path], tmp_path: Path, future: str
) -> None:
    quick("train-forecast", history[future], *TINY, "--until", days()[120], "--out", "again")
    assert weights(tmp_path / "again") == weights(known)


def test_the_held_out_tail_moves_no_bit_of_weights_that_are_not_refitted(quick: Run, tmp_path: Path) -> None:
    values = walk()
    for name, tail in (("a", values[130:]), ("b", [2 * v for v in reversed(values[130:])])):
        table(tmp_path / f"{name}.csv", days(), x=[*values[:130], *tail])
        quick("train-forecast", f"{name}.csv", *TINY, "--no-refit", "--holdout", 30, "--out", name)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert manifest(tmp_path / "a")["metrics"] != manifest(tmp_path / "b")["metrics"]
    assert manifest(tmp_path / "a")["data"]["until"] == days()[129]


def test_the_value_of_the_last_day_changes_the_forecast_of_the_next(
    quick: Run, known: Path, history: dict[str, Path]
) -> None:
    as_of = ("--as-of", days()[120])
    before = quick("forecast", known, history["as it was"], *as_of).rows[0]
    after = quick("forecast", known, history["other last day"], *as_of).rows[0]
    assert after["point"] == pytest.approx(1.03 * before["point"])
    width = [math.log(row["q0.9"] / row["q0.1"]) for row in (before, after)]
    assert width[1] > 1.05 * width[0]  # three times an ordinary move: not the level alone, the interval knows it too


# The same again


def test_the_same_seed_gives_the_same_weights_in_another_process_and_another_seed_others(
    quick: Run, known: Path, history: dict[str, Path], tmp_path: Path
) -> None:
    for seed in (1, 2):
        train = ("train-forecast", history["as it was"], *TINY, "--until", days()[120], "--seed", seed)
        quick(*train, "--out", f"seed{seed}")
    assert weights(tmp_path / "seed1") == weights(known)
    assert weights(tmp_path / "seed2") != weights(known)


def test_the_steps_that_max_minutes_planned_give_the_same_weights_again(quick: Run, tmp_path: Path) -> None:
    table(tmp_path / "rates.csv", days(), x=walk())
    train = ("train-forecast", "rates.csv", *TINY, "--holdout", 0)
    for _ in range(5):  # a machine that grows busier meanwhile ends before the last planned step
        quick(*train, "--epochs", 1000, "--max-minutes", 0.02, "--out", "timed", "--overwrite")
        data = manifest(tmp_path / "timed")["data"]
        assert 1 <= data["steps"] <= data["planned_steps"] < 1000
        if not data["cut_by_time"]:
            break
    quick(*train, "--steps", data["planned_steps"], "--out", "counted")
    assert weights(tmp_path / "timed") == weights(tmp_path / "counted")


# Every kind of table


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


# A warm start


def test_a_warm_start_begins_where_the_other_model_ended(
    quick: Run, known: Path, history: dict[str, Path], tmp_path: Path
) -> None:
    train = ("train-forecast", history["as it was"], *TINY, "--until", days()[120])
    quick(*train, "--init-from", known, "--learning-rate", 1e-12, "--out", "still")
    before, after = (load_file(model / "model.safetensors") for model in (known, tmp_path / "still"))
    assert all(np.allclose(before[name], after[name], rtol=0, atol=1e-9) for name in before)
    quick(*train, "--init-from", known, "--out", "warm")
    assert weights(tmp_path / "warm") != weights(known)


@pytest.mark.parametrize("other", [("--hidden", 5), ("--members", 2), ("--cell", "gru"), ("--layers", 2)])
def test_a_warm_start_of_another_shape_is_refused(
    quick: Run, known: Path, history: dict[str, Path], tmp_path: Path, other: tuple[str, Any]
) -> None:
    train = ("train-forecast", history["as it was"], *TINY, *other, "--init-from", known, "--out", "new")
    said = quick(*train, fails_with=4).stderr
    assert "has another shape" in said
    assert "hint: give --cell, --hidden, --layers and --members as it was trained" in said
    assert not (tmp_path / "new").exists()


# Business days


@pytest.mark.parametrize(
    "as_of",
    [
        "2019-04-17", "2019-04-30", "2021-12-23", "2022-12-30", "2023-04-06", "2023-12-22", "2024-03-28", "2024-12-24",
        "2024-12-31", "2025-04-17", "2026-04-02", "2026-04-30",
    ],
)  # fmt: skip
def test_no_target_date_is_a_weekend_or_a_closing_day(quick: Run, fx: Path, as_of: str) -> None:
    closed = {str(day) for day in target_closing_days()}
    rows = quick("forecast", fx, "--pair", "USD/JPY", "--as-of", as_of).rows
    targets = [row["target_date"] for row in rows]
    assert targets == sorted(set(targets)) and targets[0] > rows[0]["origin_date"] == as_of
    assert not closed & set(targets)
    assert all(datetime.date.fromisoformat(day).weekday() < 5 for day in targets)


@pytest.mark.parametrize(
    ("as_of", "origin", "first"),
    [
        ("2024-03-31", "2024-03-28", "2024-04-02"),  # Easter Sunday, when the clocks change
        ("2024-12-26", "2024-12-24", "2024-12-27"),
        ("2025-01-01", "2024-12-31", "2025-01-02"),
        ("2026-05-01", "2026-04-30", "2026-05-04"),  # a Friday
    ],
)
def test_an_evening_without_a_fixing_forecasts_from_the_last_one(
    quick: Run, fx: Path, as_of: str, origin: str, first: str
) -> None:
    row = quick("forecast", fx, "--as-of", as_of).rows[0]
    assert (row["origin_date"], row["target_date"]) == (origin, first)


# What the records hold


def test_a_forecast_record_has_the_promised_keys_in_their_order(run: Run, fx: Path) -> None:
    rows = run("forecast", fx, "--as-of", "2026-07-15", **NOW).rows
    assert [list(row) for row in rows] == [FORECAST_KEYS + ISSUED_KEYS] * 10
    assert [(row["series"], row["h"]) for row in rows] == [(p, h) for p in ("USD/JPY", "EUR/USD") for h in range(1, 6)]
    assert all(row["point"] == row["last"] == row["naive"] == row["q0.5"] for row in rows)
    quantiles = [[row[q] for q in records.QUANTILES] for row in rows]
    assert all(values == sorted(values) for values in quantiles)
    assert {row["model_id"] for row in rows} == {manifest(fx)["id"]}
    assert {row["data_until"] for row in rows} == {"2026-06-30"}
    assert {row["issued_at"] for row in rows} == {"2026-10-30T18:00:00+00:00"}


@pytest.mark.parametrize("format", ["csv", "json", "jsonl"])
def test_every_output_format_holds_the_same_forecast(quick: Run, fx: Path, format: str) -> None:
    lines = quick("forecast", fx, "--as-of", "2026-07-15", **NOW).rows
    found = quick("forecast", fx, "--as-of", "2026-07-15", "--format", format, **NOW).rows
    assert [list(row) for row in found] == [list(row) for row in lines]
    assert numbers(found) == numbers(lines)


def test_the_table_for_people_shows_the_fan(quick: Run, fx: Path) -> None:
    shown = quick("forecast", fx, "--pair", "EUR/USD", "--as-of", "2026-07-15", "--format", "table").stdout
    assert "80 % between" in shown
    assert "2026-07-16" in shown
    assert "█" in shown


def test_training_prints_a_record_for_the_model_and_for_each_baseline(
    quick: Run, history: dict[str, Path], tmp_path: Path
) -> None:
    said = quick("train-forecast", history["as it was"], *TINY[:-1], "fast", "--holdout", 30, "--out", "model")
    assert [row["model"] for row in said.rows] == ["lstm", *FAST]
    assert all(set(row) >= REPORT_KEYS for row in said.rows)
    assert {(row["series"], row["h"]) for row in said.rows} == {("all", "all")}
    assert all(row["n"] == 130 for row in said.rows)  # of the last 30 days and the one before, 26 have five targets
    assert "the random walk" in said.stderr and "EWMA-normal" in said.stderr
    pooled = [row for row in manifest(tmp_path / "model")["metrics"] if row["h"] == "all"]
    assert pooled == said.rows
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert all(word in card for word in ("1 × lstm", "x", days()[-1], "seed 1", "seqcli forecast model"))


def test_without_held_out_days_there_is_no_report(quick: Run, history: dict[str, Path], tmp_path: Path) -> None:
    said = quick("train-forecast", history["as it was"], *TINY, "--holdout", 0, "--out", "model")
    assert said.stdout == ""
    assert manifest(tmp_path / "model")["metrics"] == []
    assert manifest(tmp_path / "model")["data"]["until"] == days()[-1]
    assert "carries no report" in quick("forecast", "model", history["as it was"]).stderr


def test_the_command_that_training_names_next_works(quick: Run, history: dict[str, Path], tmp_path: Path) -> None:
    said = quick("train-forecast", history["as it was"], *TINY, "--holdout", 0, "--out", "my model").stderr
    following = shlex.split(said.split("Next: seqcli ")[1])
    assert len(quick(*following).rows) == 5


def test_a_gate_that_is_not_passed_fails_after_everything_was_said_and_saved(
    run: Run, history: dict[str, Path], tmp_path: Path
) -> None:
    train = ("train-forecast", history["as it was"], *TINY, "--require-skill", "--out", "model")
    said = run(*train, fails_with=7)
    assert said.rows[0]["model"] == "lstm"
    assert "no significant skill over EWMA-normal" in said.stderr
    assert (tmp_path / "model" / "model.safetensors").exists()
    backtest = ("backtest", "model", history["as it was"], "--baselines", "none", "--require-skill")
    assert run(*backtest, fails_with=7).rows


def test_a_new_model_takes_the_place_of_the_old_one_only_if_it_is_no_worse(quick: Run, tmp_path: Path) -> None:
    train = ("train-forecast", WIDE, *TINY, "--holdout", 100, "--out", "model")
    quick(*train, "--epochs", 3)
    before = weights(tmp_path / "model")
    swap = ("--overwrite", "--promote-if-better")
    worse = quick(*train, *swap, "--steps", 20, "--learning-rate", 0.9, fails_with=7)
    assert "each on its own held-out days" in worse.stderr  # the old one was fitted through the end
    assert "model was kept as it is" in worse.stderr
    assert [row["model"] for row in worse.rows] == ["lstm"]
    assert weights(tmp_path / "model") == before
    assert "resume" not in names(tmp_path / "model")
    again = quick(*train, *swap, "--epochs", 3, "--seed", 1)
    assert "Replaced model: the new model's CRPS is" in again.stderr  # the same again is no worse
    assert weights(tmp_path / "model") == before


def test_skill_cannot_be_required_without_days_to_show_it_on(quick: Run, tmp_path: Path) -> None:
    train = ("train-forecast", WIDE, *TINY, "--holdout", 0, "--require-skill", "--out", "model")
    assert "error: --require-skill: nothing to show it on" in quick(*train, fails_with=2).stderr
    assert not (tmp_path / "model").exists()


# Replaying the past


def test_a_backtest_prints_a_record_for_the_model_and_for_each_baseline(run: Run, fx: Path) -> None:
    said = run("backtest", fx, "--since", "2026-07-01", "--until", "2026-09-30", "--baselines", "fast")
    assert [row["model"] for row in said.rows] == ["lstm", *FAST]
    assert all(set(row) >= REPORT_KEYS for row in said.rows)
    assert "EWMA-normal" in said.stderr


def test_the_garch_models_stand_in_the_full_table(quick: Run, fx: Path) -> None:
    short = ("--since", "2026-07-01", "--until", "2026-07-10", "--pair", "EUR/USD")
    found = quick("backtest", fx, *short, "--baselines", "all").rows
    assert [row["model"] for row in found] == ["lstm", *FAST, "garch-t", "gjr-garch-t"]
    assert all(0.5 < row["crps_ratio"] < 2 for row in found)


def test_origins_that_the_model_has_learnt_from_are_marked_and_kept_out_of_the_verdict(quick: Run, fx: Path) -> None:
    none = ("--baselines", "none")
    both = quick("backtest", fx, "--since", "2026-05-01", "--until", "2026-08-31", *none)
    after = quick("backtest", fx, "--since", "2026-07-01", "--until", "2026-08-31", *none)
    assert [row["in_sample"] for row in both.rows] == [False, True]
    # The baselines learn until the first origin here and until the model's last day there, so ratios differ a little.
    assert both.rows[0]["n"] == after.rows[0]["n"]
    assert both.rows[0]["crps_ewma"] == pytest.approx(after.rows[0]["crps_ewma"], rel=1e-9)
    only = quick("backtest", fx, "--since", "2026-05-01", "--until", "2026-06-26", *none)
    assert [row["in_sample"] for row in only.rows] == [True]
    assert "Nothing can be said" in only.stderr


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "jsonl"])
def test_backtested_forecasts_are_those_of_that_evening(quick: Run, fx: Path, tmp_path: Path, suffix: str) -> None:
    window = ("--since", "2026-07-13", "--until", "2026-07-24", "--baselines", "none")
    quick("backtest", fx, *window, "--forecasts", f"rows.{suffix}")
    content = (tmp_path / f"rows.{suffix}").read_bytes()
    text = (gzip.decompress(content) if suffix.endswith("gz") else content).decode()
    rows = Ran(0, text, "").rows
    assert list(rows[0]) == FORECAST_KEYS
    assert len(rows) == 2 * 10 * 5
    for day in ("2026-07-13", "2026-07-20", "2026-07-24"):
        alone = quick("forecast", fx, "--as-of", day).rows
        replayed = [row for row in rows if row["origin_date"] == day]
        assert [row["target_date"] for row in replayed] == [row["target_date"] for row in alone]
        for name in records.QUANTILES:
            assert numbers(replayed, name) == pytest.approx(numbers(alone, name), rel=1e-12)


def test_a_pair_alone_is_forecast_as_among_the_twenty_eight(quick: Run, fx: Path) -> None:
    flags = [word for pair in CROSSES for word in ("--pair", pair)]
    together = quick("forecast", fx, *flags, "--as-of", "2026-07-15").rows
    assert len(together) == 28 * 5
    for pair in ("USD/JPY", "AUD/NZD"):
        alone = quick("forecast", fx, "--pair", pair, "--as-of", "2026-07-15").rows
        among = [row for row in together if row["series"] == pair]
        for name in records.QUANTILES:
            assert numbers(among, name) == pytest.approx(numbers(alone, name), rel=1e-12)


def test_every_nth_origin_and_finer_records(quick: Run, fx: Path) -> None:
    window = ("--since", "2026-07-01", "--until", "2026-08-31", "--baselines", "none")
    all_of_it, third = (quick("backtest", fx, *window, "--every", n).rows[0]["n"] for n in (1, 3))
    assert all_of_it == 44 * 2 * 5
    assert third == 15 * 2 * 5
    fine = quick("backtest", fx, *window, "--by-series", "--by-horizon").rows
    assert [(row["series"], row["h"]) for row in fine] == [
        (series, h) for series in ("all", "EUR/USD", "USD/JPY") for h in ("all", 1, 2, 3, 4, 5)
    ]
    assert len(quick("backtest", fx, *window, "--by-series").rows) == 3
    assert len(quick("backtest", fx, *window, "--by-horizon").rows) == 6


def test_a_model_that_has_learnt_from_everything_is_replayed_with_baselines_that_have_not(
    quick: Run, known: Path, history: dict[str, Path]
) -> None:
    said = quick("backtest", known, history["no future"], "--baselines", "fast")
    assert "these origins prove nothing" in said.stderr
    assert "Nothing can be said" in said.stderr
    assert [row["in_sample"] for row in said.rows] == [True] * 6
    assert all(row["n"] == 58 * 5 and row["crps_ewma"] is not None for row in said.rows)


# Every morning


@pytest.fixture
def until(quick: Run, tmp_path: Path) -> Any:
    """Makes a table of EUR/USD that ends on a day, and says what a forecast from it prints."""
    rates = {row["date"]: row["rate"] for row in quick("rates", "EUR/USD", "--since", "2019-01-01").rows}

    def call(fx: Path, last: str, now: str, *words: Any, fails_with: int = 0) -> Ran:
        dates = [day for day in rates if day <= last]
        assert dates[-1] == last
        path = table(tmp_path / "eurusd.csv", dates, **{"EUR/USD": [rates[day] for day in dates]})
        return quick("forecast", fx, path, *words, fails_with=fails_with, SEQCLI_NOW=now)

    return call


@pytest.mark.parametrize(
    ("last", "now", "age"),
    [
        ("2026-07-10", "2026-07-10T18:00:00+00:00", 0),
        ("2026-07-10", "2026-07-12T06:00:00+00:00", 0),  # a Sunday
        ("2026-07-10", "2026-07-13T06:00:00+00:00", 1),
        ("2026-03-27", "2026-03-29T01:30:00+00:00", 0),  # the Sunday on which Europe's clocks go forward
        ("2025-10-24", "2025-10-26T01:30:00+00:00", 0),  # and back
        ("2026-04-02", "2026-04-06T06:00:00+00:00", 0),  # Easter Monday
        ("2026-04-02", "2026-04-07T06:00:00+00:00", 1),
        ("2025-12-31", "2026-01-01T12:00:00+00:00", 0),
        ("2025-12-24", "2026-01-02T06:00:00+00:00", 4),  # 29, 30, 31 December and 2 January
        ("2026-04-30", "2026-05-04T06:00:00+00:00", 1),  # Labour Day, a Friday
        ("2026-07-10", "2026-07-13T23:30:00-04:00", 2),  # already Tuesday in UTC
    ],
)
def test_the_age_of_the_data_is_counted_in_business_days(until: Any, fx: Path, last: str, now: str, age: int) -> None:
    assert len(until(fx, last, now, "--max-age", f"{age}d").rows) == 5
    if age:
        old = until(fx, last, now, "--max-age", f"{age - 1}d", fails_with=75)
        assert old.stdout == ""
        assert f"the newest value of EUR/USD is of {last}, {age} business days old" in old.stderr
        assert "hint:" in old.stderr
        let_through = until(fx, last, now, "--max-age", age - 1, "--allow-stale")
        assert {row["stale"] for row in let_through.rows} == {age}
        assert list(let_through.rows[0])[-1] == "stale"
        assert "warning: the data are" in let_through.stderr


def test_one_old_series_among_new_ones_is_too_old_as_well(quick: Run, fx: Path) -> None:
    ask = ("forecast", fx, "--pair", "USD/JPY", "--pair", "USD/RUB", "--max-age", "4d")
    refused = quick(*ask, fails_with=75, **NOW)
    assert "the newest value of USD/RUB is of 2022-03-01" in refused.stderr
    assert refused.stdout == ""
    let_through = quick(*ask, "--allow-stale", **NOW).rows
    assert {row["series"]: row["stale"] for row in let_through if row["h"] == 1} == {"USD/RUB": 1194, "USD/JPY": 0}


def test_a_journal_keeps_a_forecast_once_and_replaces_it_only_by_force(run: Run, fx: Path) -> None:
    ask = ("forecast", fx, "--as-of", "2026-07-15", "--journal", "j.db")
    first = run(*ask, **NOW)
    assert "10 added" in first.stderr
    again = run(*ask, **{"SEQCLI_NOW": "2026-10-30T19:00:00+00:00"})
    assert "10 there already" in again.stderr
    assert len(run("track", "j.db", "--rows").rows) == 10
    assert "10 replaced" in run(*ask, "--force", **{"SEQCLI_NOW": "2026-10-30T20:00:00+00:00"}).stderr
    assert len(run("track", "j.db", "--rows").rows) == 10


@pytest.fixture
def no_sockets(tmp_path: Path) -> dict[str, str]:
    """An environment in which opening a socket is a crash."""
    folder = tmp_path / "no-sockets"
    folder.mkdir()
    code = "import socket\n\ndef never(*_, **__):\n    raise SystemExit('a socket')\n\nsocket.socket.connect = never\n"
    (folder / "sitecustomize.py").write_text(code + "socket.getaddrinfo = never\n", encoding="utf-8")
    path = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(path), "SEQCLI_OFFLINE": "1"} | NOW


def test_offline_an_update_is_for_later_unless_the_data_at_hand_will_do(
    run: Run, fx: Path, no_sockets: dict[str, str]
) -> None:
    ask = ("forecast", fx, "--update")
    refused = run(*ask, fails_with=75, **no_sockets)
    assert refused.stdout == ""
    assert "SEQCLI_OFFLINE" in refused.stderr
    gone_on = run(*ask, "--max-age", "4d", **no_sockets)
    assert "warning: " in gone_on.stderr and "SEQCLI_OFFLINE" in gone_on.stderr
    assert len(gone_on.rows) == 10
    later = no_sockets | {"SEQCLI_NOW": "2027-10-29T18:00:00+00:00"}
    assert "business days old" in run(*ask, "--max-age", "4d", fails_with=75, **later).stderr


# Pictures


@pytest.mark.parametrize(("suffix", "begins"), [("png", b"\x89PNG\r\n"), ("svg", b"<?xml")])
def test_a_picture_is_drawn_without_a_warning_with_japanese_names(
    run: Run, wide: Path, tmp_path: Path, suffix: str, begins: bytes
) -> None:
    said = run("forecast", wide, JAPANESE, *JAPANESE_COLUMNS, "--plot", f"fan.{suffix}", SEQCLI_NOW="2024-12-01")
    assert "warning" not in said.stderr.lower()
    content = (tmp_path / f"fan.{suffix}").read_bytes()
    assert content.startswith(begins)
    assert len(content) > 10_000
    assert len(said.rows) == 15


def test_a_picture_draws_odd_series_and_says_what_it_leaves_out(quick: Run, known: Path, tmp_path: Path) -> None:
    odd = {"flat": [5.0] * DAYS, "new": [*[""] * (DAYS - 2), 1, 2], "ended": [*walk(DAYS - 9), *[""] * 9]}
    many = {f"s{i}": walk(seed=i) for i in range(10)}
    table(tmp_path / "x.csv", days(), **odd, **many)
    said = quick("forecast", known, "x.csv", "--plot", "fan.png")
    assert "warning: fan.png shows the first 12 of 13 series" in said.stderr
    assert (tmp_path / "fan.png").stat().st_size > 10_000
    assert len(said.rows) == 13 * 5
