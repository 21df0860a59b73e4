"""Replaying the past: a forecaster and its baselines on the days that it has not seen."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from conftest import Ran, Run
from forecasts import FAST, FORECAST_KEYS, REPORT_KEYS, numbers
from tables import quick

from seqcli.forecasting import records
from seqcli.forecasting.rates import CROSSES

__all__ = ["quick"]  # the fixture


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
