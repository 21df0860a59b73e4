from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from journals import NORMAL, SIGMA, keep, offsets, rows, walk

from seqcli.core.statistics import LEVELS
from seqcli.errors import InputError, ModelError
from seqcli.forecasting import calibration as calibrations
from seqcli.forecasting import journal
from seqcli.forecasting.calibration import PAIRS, Calibration, add, apply, load
from seqcli.forecasting.data import Panel
from seqcli.forecasting.recalibrate import FEWEST_DAYS, recalibrate, result

FIT = 300


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fx.sqlite"


def made(factors: tuple[tuple[float, ...], ...]) -> Calibration:
    return Calibration("2026-01-01T00:00:00+00:00", "m1", "2025-12-31", (50,), factors, (0.7,), (0.9,), None)


def coverage(panel: Panel, origins: np.ndarray, spread: np.ndarray, level: float) -> list[float]:
    """The share of outcomes inside the interval, for each horizon."""
    low, high = LEVELS.index(round((1 - level) / 2, 3)), LEVELS.index(round((1 + level) / 2, 3))
    levels = panel.levels()
    out = []
    for h in range(spread.shape[2]):
        moves = (levels[origins + h + 1] - levels[origins]).T
        out.append(float(((moves >= spread[:, :, h, low]) & (moves <= spread[:, :, h, high])).mean()))
    return out


@pytest.mark.parametrize("scale", [0.65, 1.5])
def test_coverage_is_restored_on_days_that_come_later(path: Path, scale: float) -> None:
    panel = walk(FIT + 700, names=("A/B", "C/D", "E/F", "G/H"))
    keep(path, panel.head(FIT + 250), FIT, horizon=3, scale=scale)
    found = recalibrate(path, panel.head(FIT + 250), "m1")
    later = np.arange(FIT + 250, FIT + 695)
    before, true = offsets(panel, later, 3, scale), offsets(panel, later, 3)
    after = apply(before, found)
    for level in (0.8, 0.95):
        ideal = coverage(panel, later, true, level)  # what the days themselves, being few, let the right answer have
        assert np.abs(np.subtract(coverage(panel, later, before, level), ideal)).min() > 0.03
        assert coverage(panel, later, after, level) == pytest.approx(ideal, abs=0.025)
    assert found.crps_check is not None
    assert found.crps_check < 0.99


def test_a_calibrated_model_is_left_nearly_as_it_is(path: Path) -> None:
    panel = walk(FIT + 500, names=("A/B", "C/D", "E/F", "G/H"))
    found = recalibrate(keep(path, panel, FIT), panel, "m1")
    assert np.array(found.factors) == pytest.approx(1.0, abs=0.08)


def test_few_outcomes_move_the_factors_less_than_many(path: Path) -> None:
    panel = walk(FIT + 500, seed=2)
    keep(path, panel, FIT, scale=0.6)
    few, many = (np.log(recalibrate(path, panel.head(FIT + n), "m1").factors[0]).mean() for n in (45, 500))
    assert 0.0 < few < many < np.log(1.0 / 0.6) + 0.05


def test_the_future_does_not_move_a_calibration(path: Path) -> None:
    panel = walk(FIT + 150)
    keep(path, panel, FIT, scale=0.7)
    values = panel.values.copy()
    values[FIT + 100 :] *= 1.5
    other = Panel(panel.dates, panel.names, values, panel.calendar, panel.log)
    day = panel.dates[FIT + 99]
    found = recalibrate(path, panel, "m1", until=day)
    assert replace(recalibrate(path, other, "m1", until=day), created=found.created) == found
    assert found.outcomes_until == str(day)
    assert recalibrate(path, other, "m1").factors != found.factors


def test_days_of_the_training_data_do_not_count(path: Path) -> None:
    panel = walk(FIT + 120)
    origins = np.arange(FIT - 100, FIT + 119)
    journal.append(path, rows(panel, origins, offsets(panel, origins, 1), FIT))
    assert recalibrate(path, panel, "m1").days == (118,)


def test_too_few_outcomes_are_refused_with_both_numbers(path: Path) -> None:
    panel = walk(FIT + 30)
    keep(path, panel, FIT)
    with pytest.raises(InputError, match=f"outcomes of 28 days one step ahead, and it takes {FEWEST_DAYS}"):
        recalibrate(path, panel, "m1")
    with pytest.raises(InputError, match="no forecasts of model m2") as caught:
        recalibrate(path, panel, "m2")
    assert "m1" in str(caught.value.hint)


def test_a_horizon_with_too_few_outcomes_takes_the_factors_of_the_one_before(path: Path) -> None:
    panel = walk(FIT + FEWEST_DAYS + 4)
    keep(path, panel, FIT, horizon=4, scale=0.7)
    found = recalibrate(path, panel, "m1")
    assert found.days == (42, 41, 40, 0)
    assert found.factors[3] == found.factors[2]
    assert found.factors[2] != found.factors[1]


def test_forecasts_made_with_a_calibration_are_taken_back_first(path: Path, tmp_path: Path) -> None:
    panel = walk(FIT + 200)
    origins = np.arange(FIT + 1, FIT + 200)
    raw = offsets(panel, origins, 2, 0.7)
    first = replace(
        made((tuple(np.linspace(1.3, 1.2, 10)), tuple(np.linspace(1.2, 1.1, 10)))), outcomes_until="2021-03-01"
    )
    plain = tmp_path / "plain"
    journal.append(plain, rows(panel, origins, raw, FIT))
    journal.append(path, rows(panel, origins[:80], raw[:, :80], FIT))
    journal.append(path, rows(panel, origins[80:], apply(raw[:, 80:], first), FIT, calibration=first.id))
    wanted = recalibrate(plain, panel, "m1")
    found = recalibrate(path, panel, "m1", [first])
    assert np.array(found.factors) == pytest.approx(np.array(wanted.factors), rel=1e-9)
    assert recalibrate(path, panel, "m1").days[0] == 80  # an unknown calibration cannot be taken back


def test_the_median_stays_and_each_pair_gets_its_factor() -> None:
    factors = tuple(np.linspace(1.5, 1.1, len(PAIRS)))
    spread = 0.3 + SIGMA * NORMAL[None, None, :]  # (1, 1, 21)
    out = apply(spread, made((factors,)))
    assert out[0, 0, 10] == spread[0, 0, 10]
    for k, factor in enumerate(factors):
        assert out[0, 0, k] - 0.3 == pytest.approx(factor * SIGMA * NORMAL[k])
        assert out[0, 0, 20 - k] - 0.3 == pytest.approx(-factor * SIGMA * NORMAL[k])


def test_quantiles_never_cross_whatever_the_factors() -> None:
    random = np.random.default_rng(0)
    spread = np.sort(random.normal(size=(3, 7, 4, 21)), axis=-1)
    before = spread.copy()
    out = apply(spread, made(tuple(tuple(row) for row in random.uniform(0.2, 5.0, (2, 10)))))
    assert (np.diff(out, axis=-1) >= 0.0).all()
    assert (spread == before).all()


def test_a_longer_forecast_than_was_learnt_from_takes_the_last_horizons_factors() -> None:
    one = made(((1.2,) * 10, (1.4,) * 10))
    assert calibrations.spread(one, 4)[:, 0].tolist() == [1.2, 1.4, 1.4, 1.4]
    assert calibrations.spread(one, 1)[:, 0].tolist() == [1.2]


def test_calibrations_are_kept_one_behind_the_other(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    assert load(path) == ()
    first, second = made(((1.1,) * 10,)), made(((1.2,) * 10,))
    assert add(path, first)
    assert not add(path, replace(first, created="2026-02-01T00:00:00+00:00"))  # the same again
    assert add(path, second)
    assert load(path) == (first, second)
    assert json.loads(path.read_text())["calibrations"][1]["id"] == second.id != first.id


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{",
        '{"format": 2, "calibrations": []}',
        '{"format": 1}',
        '{"format": 1, "calibrations": [{"factors": [[1.0]]}]}',
        '{"format": 1, "calibrations": [3]}',
        '{"format": 1, "calibrations": 3}',
    ],
)
def test_a_damaged_or_newer_file_is_a_model_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(content)
    with pytest.raises(ModelError, match=r"calibration\.json"):
        load(path)
    with pytest.raises(ModelError):
        add(path, made(((1.1,) * 10,)))
    assert path.read_text() == content


@pytest.mark.parametrize(
    ("name", "value"), [("applied", 1), ("outcomes_until", "NaT"), ("outcomes_until", "soon"), ("model_id", 3)]
)
def test_a_calibration_that_does_not_say_when_and_of_what_it_is_is_refused(
    tmp_path: Path, name: str, value: object
) -> None:
    path = tmp_path / "calibration.json"
    add(path, made(((1.1,) * 10,)))
    content = json.loads(path.read_text())
    content["calibrations"][0][name] = value
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError, match="not a list of calibrations"):
        load(path)


def test_a_calibration_of_an_older_seqcli_is_applied(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    add(path, made(((1.1,) * 10,)))
    content = json.loads(path.read_text())
    del content["calibrations"][0]["applied"]
    path.write_text(json.dumps(content))
    assert load(path)[0].applied


@pytest.mark.parametrize("factor", [0.0, -1.0, 1e999])
def test_factors_that_would_turn_a_forecast_around_are_refused(tmp_path: Path, factor: float) -> None:
    path = tmp_path / "calibration.json"
    add(path, made(((1.1,) * 10,)))
    path.write_text(path.read_text().replace("1.1", str(factor) if factor < 1e308 else "1e400"))
    with pytest.raises(ModelError):
        load(path)


def test_the_result_says_what_changes_and_warns_where_it_would_not_have_helped(path: Path) -> None:
    panel = walk(FIT + 250, seed=3)
    found = result(recalibrate(keep(path, panel, FIT, scale=0.7), panel, "m1"))
    assert [r["h"] for r in found.records] == [1, 2]
    assert "wider" in found.sentences[0]
    assert found.warnings == ()
    (warning,) = result(replace(made(((0.9,) * 10,)), crps_check=1.01, applied=False)).warnings
    assert "not applied (--force applies it)" in warning
    (warning,) = result(replace(made(((0.9,) * 10,)), crps_check=1.01)).warnings
    assert "applied all the same" in warning


def test_a_correction_that_would_have_made_it_worse_is_applied_only_by_force(path: Path) -> None:
    panel = walk(FIT + 150, seed=4)
    origins = np.arange(FIT + 1, FIT + 149)
    scale = np.where(np.arange(len(origins)) < 98, 0.5, 1.5)[None, :, None, None]  # what was too narrow is now too wide
    journal.append(path, rows(panel, origins, offsets(panel, origins, 1) * scale, FIT))
    found = recalibrate(path, panel, "m1")
    assert found.crps_check is not None
    assert found.crps_check > 1.0
    assert not found.applied
    assert recalibrate(path, panel, "m1", force=True).applied


def test_replays_teach_nothing(path: Path) -> None:
    panel = walk(FIT + 150)
    late, on_time = np.arange(FIT + 1, FIT + 60), np.arange(FIT + 60, FIT + 149)
    journal.append(path, rows(panel, late, offsets(panel, late, 1), FIT, issued_at="2031-01-01T00:00:00+00:00"))
    journal.append(path, rows(panel, on_time, offsets(panel, on_time, 1), FIT))
    assert recalibrate(path, panel, "m1").days == (89,)


def test_forecasts_whose_quantiles_a_calibration_pressed_together_are_left_out(path: Path) -> None:
    panel = walk(FIT + 200)
    origins = np.arange(FIT + 1, FIT + 199)
    raw = offsets(panel, origins, 1)
    pressed = replace(made(((0.5, *(2.0,) * 9),)), outcomes_until="2021-03-01")  # 95 % would lie inside 90 %
    journal.append(path, rows(panel, origins[:100], raw[:, :100], FIT))
    journal.append(path, rows(panel, origins[100:], apply(raw[:, 100:], pressed), FIT, calibration=pressed.id))
    assert recalibrate(path, panel, "m1", [pressed]).days == (100,)


def test_a_model_that_is_certain_has_no_width_to_correct(path: Path) -> None:
    panel = walk(FIT + 100)
    still = Panel(panel.dates, panel.names, np.full_like(panel.values, 7.0), panel.calendar, panel.log)
    origins = np.arange(FIT + 1, FIT + 100)
    journal.append(path, rows(still, origins, np.zeros((2, len(origins), 2, 21)), FIT))
    found = recalibrate(path, still, "m1")
    assert np.array(found.factors) == pytest.approx(1.0)
    assert found.crps_check is None
