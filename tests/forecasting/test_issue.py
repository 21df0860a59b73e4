from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from panels import currency_panel, plain_panel

from seqcli.core import checkpoint
from seqcli.core.checkpoint import Manifest
from seqcli.errors import ModelError
from seqcli.forecasting import calibration as calibrations
from seqcli.forecasting import issue, journal, predict, records
from seqcli.forecasting.calibration import Calibration
from seqcli.forecasting.config import ForecastConfig

CONFIG = ForecastConfig(hidden=2, members=1, horizon=2, warmup=10, block=20)
PANEL = currency_panel(120, names=("USD/JPY", "EUR/USD"))
DATA = {"source": "rates", "series": list(PANEL.names), "log": [True, True], "until": str(PANEL.dates[60])}


def save(path: Path, seed: int = 0, metrics: tuple[dict[str, Any], ...] = (), **config: Any) -> Path:
    """A forecaster with made-up weights."""
    random = np.random.default_rng(seed)
    shapes = predict.shapes(CONFIG)
    tensors = {name: np.abs(random.normal(0.1, 0.05, shape)).astype(np.float32) for name, shape in shapes.items()}
    manifest = Manifest("forecaster", "2026-01-01T00:00:00+00:00", data=DATA, metrics=metrics)
    checkpoint.save(path, manifest, config=asdict(CONFIG) | config, tensors=tensors, overwrite=True)
    return path


def corrected(path: Path, day: str, factor: float, **more: Any) -> Calibration:
    """A calibration whose last outcome is of ``day``, kept in the folder."""
    own = {"model_id": checkpoint.peek(path).id, **more}
    one = Calibration(
        "2026-01-01T00:00:00+00:00", own.pop("model_id"), day, (50,), ((factor,) * 10,), (0.7,), (0.9,), None
    )
    calibrations.add(path / "calibration.json", replace(one, **own))
    return replace(one, **own)


def width(path: Path, as_of: int) -> tuple[float, Any]:
    """How wide the first 80 % interval of a forecast is, in logarithms, and which calibration made it so."""
    row = issue.forecast(issue.load(path), PANEL, str(PANEL.dates[as_of])).records[0]
    return float(np.log(row["q0.9"] / row["q0.1"])), row.get("calibration", "no column")


# Calibrations


def test_a_replay_gets_the_calibration_that_could_have_been_known_that_day(tmp_path: Path) -> None:
    path = save(tmp_path / "fx")
    raw = {day: width(path, day)[0] for day in (79, 80, 99, 100, 119)}
    first = corrected(path, str(PANEL.dates[80]), 2.0)
    second = corrected(path, str(PANEL.dates[100]), 3.0)
    wanted = {79: (1.0, None), 80: (2.0, first.id), 99: (2.0, first.id), 100: (3.0, second.id), 119: (3.0, second.id)}
    for day, (factor, identity) in wanted.items():
        found, named = width(path, day)
        assert found == pytest.approx(factor * raw[day])
        assert named == identity


def test_a_backtest_corrects_each_origin_as_a_forecast_from_it_would(tmp_path: Path) -> None:
    path = save(tmp_path / "fx")
    corrected(path, str(PANEL.dates[90]), 2.0)
    model, origins = issue.load(path), np.arange(80, 119)
    levels = model.levels(PANEL, origins)
    for place, origin in ((0, 80), (9, 89), (10, 90), (38, 118)):
        row = issue.forecast(model, PANEL, str(PANEL.dates[origin])).records[0]
        assert row["q0.9"] == pytest.approx(np.exp(levels[0, place, 0, 18]))


def test_a_calibration_of_other_weights_or_one_that_is_not_applied_changes_nothing(tmp_path: Path) -> None:
    path = save(tmp_path / "fx")
    raw = width(path, 119)
    corrected(path, str(PANEL.dates[80]), 2.0, model_id="anotherid")
    assert width(path, 119) == raw
    corrected(path, str(PANEL.dates[80]), 2.0, applied=False)
    assert width(path, 119) == raw
    one = corrected(path, str(PANEL.dates[80]), 2.0)
    assert width(path, 119)[1] == one.id
    assert len(calibrations.load(path / "calibration.json")) == 2  # the one that was not applied now is


def test_a_forecast_without_a_calibration_goes_into_the_journal_beside_one_with(tmp_path: Path) -> None:
    path, kept = save(tmp_path / "fx"), tmp_path / "fx.db"
    one = corrected(path, str(PANEL.dates[80]), 2.0)
    for day in (70, 119):
        issue.keep(issue.forecast(issue.load(path), PANEL, str(PANEL.dates[day])), kept)
    assert {(row["origin_date"], row["calibration"]) for row in journal.read(kept)} == {
        (str(PANEL.dates[70]), None),
        (str(PANEL.dates[119]), one.id),
    }


# The sentence


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        (
            {"crps_ewma": 0.99, "dm_p_ewma": 0.01},
            "is better than EWMA-normal: CRPS 1.00 % lower (p = 0.010, significant)",
        ),
        ({"crps_ewma": 1.02, "dm_p_ewma": 0.01}, "is worse than EWMA-normal: CRPS 2.00 % higher"),
        (
            {"crps_ewma": 0.99},
            "is not shown to be better than EWMA-normal: CRPS 1.00 % lower (too few days to test it)",
        ),
        ({"crps_ewma": None, "dm_p_ewma": None}, "report could not be scored"),
        ({}, "report could not be scored"),
        ({"crps_ewma": "<b>", "dm_p_ewma": []}, "report could not be scored"),
    ],
)
def test_what_a_forecast_is_worth_is_said_from_the_report_whatever_it_holds(
    tmp_path: Path, measured: dict[str, Any], said: str
) -> None:
    path = save(tmp_path / "fx", metrics=({"model": "lstm", "h": 1, **measured},))
    assert said in issue.forecast(issue.load(path), PANEL).sentences[0]


# The folder


@pytest.mark.parametrize("read", ["load_config", "load_tensors", "read_tensors", "tensor_shapes"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_model_that_is_replaced_while_it_is_read_is_the_old_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: str, when: str
) -> None:
    path, other = save(tmp_path / "fx"), save(tmp_path / "new", seed=1)
    both = {checkpoint.peek(each).id: checkpoint.load_tensors(each)["centre"].tolist() for each in (path, other)}
    real: Callable[..., Any] = getattr(checkpoint, read)
    swaps = [lambda: (path.rename(tmp_path / "old"), other.rename(path))]

    def swapping(*args: Any, **options: Any) -> Any:
        if when == "before" and swaps:
            swaps.pop()()
        found = real(*args, **options)
        if swaps:
            swaps.pop()()
        return found

    monkeypatch.setattr(checkpoint, read, swapping)
    model = issue.load(path)
    assert model.tensors["centre"].tolist() == both[model.manifest.id]
    assert not swaps


def test_a_config_of_another_saving_is_refused(tmp_path: Path) -> None:
    path, other = save(tmp_path / "fx"), save(tmp_path / "other", dropout=0.1)
    shutil.copy(other / "config.json", path)
    with pytest.raises(ModelError, match=r"config\.json is not the one that was saved"):
        issue.load(path)


# Many series


def test_a_thousand_series_are_issued_about_as_fast_as_their_rows_are_made(tmp_path: Path) -> None:
    moves = np.random.default_rng(0).normal(0, 0.01, (400, 1000))
    panel = plain_panel(np.exp(np.cumsum(moves, axis=0)) * 100, log=True)
    panel.values[-1, ::2] = np.nan  # half of them end a day early
    model = issue.load(save(tmp_path / "fx"))
    levels = model.levels(panel, np.array([398, 399]))
    once, plain = _fastest(lambda: list(records.rows(panel, np.array([399]), levels[:, 1:])))
    origins = np.where(np.arange(1000) % 2, 399, 398)
    took, issued = _fastest(lambda: list(issue._rows(_Said(model, levels), panel, origins)))
    assert len(issued) == 2 * len(plain) == 2000
    assert took < 10 * once + 0.5
    last = {name: values[~np.isnan(values)][-1] for name, values in zip(panel.names, panel.values.T, strict=True)}
    assert all(row["last"] == last[row["series"]] for row in issued)


def _fastest(work: Callable[[], list[Any]]) -> tuple[float, list[Any]]:
    """Seconds of the best of three runs, which other programs have disturbed the least; and what it gave."""
    times, given = [], []
    for _ in range(3):
        began = time.perf_counter()
        given = work()
        times.append(time.perf_counter() - began)
    return min(times), given


class _Said:
    """A model that has computed its quantiles already."""

    def __init__(self, model: issue.Model, levels: Any) -> None:
        self.manifest, self.data_until, self.calibrations = model.manifest, model.data_until, ()
        self.levels = lambda panel, origins: levels
