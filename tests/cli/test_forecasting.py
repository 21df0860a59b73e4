"""The forecasting commands as they are typed: business days, what the records hold, and pictures."""

from __future__ import annotations

import datetime
import shlex
from pathlib import Path

import pytest
from conftest import Run
from forecasts import (
    FAST,
    FORECAST_KEYS,
    ISSUED_KEYS,
    JAPANESE,
    JAPANESE_COLUMNS,
    NOW,
    REPORT_KEYS,
    WIDE,
    manifest,
    names,
    numbers,
    weights,
)
from tables import DAYS, TINY, days, quick, table, walk

from seqcli.forecasting import records
from seqcli.forecasting.calendar import target_closing_days

__all__ = ["quick"]  # the fixture


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
