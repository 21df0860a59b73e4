"""What comes after a day moves no digit of what was said on it; and the same again gives the same."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run
from forecasts import NOW, manifest, weights
from safetensors.numpy import load_file
from tables import TINY, days, quick, table, walk

__all__ = ["quick"]  # the fixture


# No look-ahead


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
        quick(*train, "--epochs", 3000, "--max-minutes", 0.04, "--out", "timed", "--overwrite")
        data = manifest(tmp_path / "timed")["data"]
        assert 1 <= data["steps"] <= data["planned_steps"] < 3000
        if not data["cut_by_time"]:
            break
    quick(*train, "--steps", data["planned_steps"], "--out", "counted")
    assert weights(tmp_path / "timed") == weights(tmp_path / "counted")


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
