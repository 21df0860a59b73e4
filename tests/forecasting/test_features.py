from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from panels import currency_panel, plain_panel

from seqcli.forecasting import averages, features, market
from seqcli.forecasting.blocks import Blocks
from seqcli.forecasting.config import ForecastConfig
from seqcli.forecasting.days import DAY_FEATURES, day_features, us_holidays, us_jobs_days


def column(inputs: features.Inputs, name: str) -> np.ndarray:
    return inputs.x[:, :, features.NAMES.index(name)]


def changed_after(panel, row):
    values, logs = panel.values.copy(), panel.currency_logs.copy()
    values[row + 1 :] *= 3.0
    values[row + 5 :: 7] = np.nan
    logs[row + 1 :] += 2.0
    return replace(panel, values=values, currency_logs=logs)


@pytest.mark.parametrize("row", [0, 1, 150, 418])
def test_no_input_of_a_day_depends_on_any_later_value(row):
    panel = currency_panel()
    before, after = features.build(panel), features.build(changed_after(panel, row))
    assert np.array_equal(before.x[:, : row + 1], after.x[:, : row + 1])
    assert np.array_equal(before.scale[:, : row + 1], after.scale[:, : row + 1])
    assert np.array_equal(before.days, after.days)
    if row < 400:
        assert not np.array_equal(before.x[:, row + 1 :], after.x[:, row + 1 :])


def test_cutting_the_later_days_off_changes_nothing_before_them():
    panel = currency_panel()
    short = replace(panel, dates=panel.dates[:300], values=panel.values[:300], currency_logs=panel.currency_logs[:300])
    whole, part = features.build(panel), features.build(short)
    assert np.array_equal(whole.x[:, :300], part.x)
    assert np.array_equal(whole.days[:300], part.days)


def test_inputs_of_a_series_do_not_depend_on_the_other_series():
    panel = currency_panel()
    alone = replace(panel, names=panel.names[1:2], values=panel.values[:, 1:2], log=panel.log[1:2])
    assert np.array_equal(features.build(panel).x[1:2], features.build(alone).x)


def test_the_scale_is_the_ewma_volatility_of_the_moves_so_far():
    panel = currency_panel()
    moves = np.diff(np.log(panel.values[:, 0]))
    weights = market.REFERENCE ** np.arange(len(moves))[::-1]
    expected = np.sqrt((weights * moves**2).sum() / weights.sum())
    assert features.build(panel).scale[0, -1] == pytest.approx(expected, rel=1e-12)


def test_without_currencies_the_cross_section_is_neutral():
    inputs = features.build(plain_panel(np.exp(currency_panel().currency_logs[:, 1:2]), log=True))
    assert all(not column(inputs, name).any() for name in market.NAMES)
    assert column(inputs, "return").any()


def test_a_pair_outside_the_context_still_sees_the_market():
    inputs = features.build(currency_panel(names=("SEK/NOK",)))
    assert all(column(inputs, name).any() for name in market.NAMES)


def test_a_shock_is_the_size_of_todays_moves_in_units_of_their_usual_size():
    panel = currency_panel()
    logs = panel.currency_logs.copy()
    usual = column(features.build(panel), "shock")[0, 300]
    own = logs - logs.mean(axis=1, keepdims=True)
    logs[300:] -= 0.5 * np.diff(own, axis=0)[299]  # the same moves that day, half as large
    shock = column(features.build(replace(panel, currency_logs=logs)), "shock")[0, 300]
    assert shock == pytest.approx(usual - np.log(2), abs=1e-4)


def test_the_flight_to_havens_is_the_yens_move_against_the_australian_dollars():
    panel = currency_panel()
    logs = np.zeros((420, 4))
    logs[:, 0] = np.cumsum(np.random.default_rng(0).normal(size=420)) / 100
    panel = replace(panel, currencies=("JPY", "AUD", "USD", "EUR"), currency_logs=logs)
    flight, move = column(features.build(panel), "flight")[0], np.diff(logs[:, 0])
    assert (np.sign(flight[1:]) == np.sign(move)).all()
    assert 0.8 < flight[50:].std() < 1.2


def test_across_a_gap_the_move_is_from_the_last_value_and_nothing_is_filled_in():
    panel = currency_panel()
    values = panel.values.copy()
    values[200:204, 0] = np.nan
    inputs = features.build(replace(panel, values=values))
    assert not inputs.observed[0, 200:204].any()
    assert np.allclose(inputs.scale[0, 200:204], inputs.scale[0, 199], rtol=1e-12)
    move = np.log(values[204, 0] / values[199, 0])
    assert column(inputs, "return")[0, 204] == pytest.approx(move / inputs.scale[0, 204], rel=1e-5)
    assert np.isfinite(inputs.x).all()
    y = features.targets(replace(panel, values=values), inputs, 5)
    assert np.isnan(y[0, 199, :4]).all()
    assert y[0, 199, 4] == pytest.approx(move / (inputs.scale[0, 199] * np.sqrt(5)), rel=1e-9)


@pytest.mark.parametrize(
    "values",
    [
        np.full((80, 1), 3.0),
        np.zeros((80, 1)),
        np.full((80, 1), np.nan),
        np.array([[1.0]]),
        np.array([[1.0], [2.0]]),
        np.where(np.arange(80)[:, None] % 3 == 0, 2.0, np.nan),
        1e-12 * np.random.default_rng(0).normal(size=(80, 1)),
        1e12 * np.random.default_rng(0).normal(size=(80, 1)),
    ],
    ids=["constant", "zero", "never seen", "one row", "two rows", "mostly gaps", "tiny", "huge"],
)
def test_every_series_gives_finite_inputs_and_a_positive_scale(values):
    inputs = features.build(plain_panel(values))
    assert np.isfinite(inputs.x).all()
    assert np.isfinite(inputs.scale).all()
    assert (inputs.scale > 0).all()


def test_targets_are_future_moves_in_units_of_the_scale():
    panel = currency_panel()
    inputs = features.build(panel)
    y = features.targets(panel, inputs, 3)
    move = np.log(panel.values[103, 1] / panel.values[100, 1])
    assert y[1, 100, 2] == pytest.approx(move / (inputs.scale[1, 100] * np.sqrt(3)), rel=1e-9)
    assert np.isnan(y[:, -3:, 2]).all()
    assert np.isfinite(y[:, :-3]).all()


def test_the_days_ahead_of_the_last_row_are_those_of_the_calendar():
    panel = currency_panel(250)
    longer = currency_panel(260)
    assert np.array_equal(features.build(panel).days, features.build(longer).days[:250])


@pytest.mark.parametrize("decay", [0.5, 0.97, 1.0])
def test_discounted_sums_equal_the_recursion(decay):
    values = np.random.default_rng(0).normal(size=(333, 2))
    expected, state = [], np.zeros(2)
    for row in values:
        state = row + decay * state
        expected.append(state)
    assert np.allclose(averages.discounted(values, decay), expected, rtol=1e-12, atol=1e-12)


def test_the_us_jobs_report_follows_its_rule():
    days = us_jobs_days(np.datetime64("2023-12-01"), np.datetime64("2025-09-01"))
    known = ["2024-01-05", "2024-02-02", "2024-03-08", "2024-11-01", "2025-01-10", "2025-07-03", "2025-08-01"]
    assert np.isin(np.array(known, "datetime64[D]"), days).all()


def test_new_yorks_holidays_are_the_observed_ones():
    days = us_holidays(np.datetime64("2021-01-01"), np.datetime64("2023-12-31"))
    known = ["2021-07-05", "2021-11-25", "2021-12-24", "2022-09-05", "2022-12-26", "2023-01-02", "2023-05-29"]
    assert np.isin(np.array(known, "datetime64[D]"), days).all()


def test_the_jobs_report_moves_the_next_fixing_and_in_the_odd_week_of_autumn_the_same():
    dates = np.arange("2024-10-01", "2024-12-20", dtype="datetime64[D]")
    dates = dates[np.is_busday(dates)]
    found = dates[day_features("target", dates)[:, DAY_FEATURES.index("us_jobs")] > 0]
    # 4 October and 6 December: after the fixing, so Monday's. 1 November: Europe had already changed its clocks.
    assert found.astype(str).tolist() == ["2024-10-07", "2024-11-01", "2024-12-09"]


@pytest.mark.parametrize("calendar", ["weekly", "monthly", "daily", "weekdays", "target"])
def test_every_calendar_has_blocks_that_stand_still(calendar):
    values = np.random.default_rng(0).normal(size=(100, 1)).cumsum(0)
    panel = plain_panel(values, calendar)
    config = ForecastConfig(warmup=5, block=20)
    later = replace(panel, dates=panel.dates[13:], values=panel.values[13:])
    blocks, shifted = (
        [p.dates[rows[rows >= 0]].tolist() for rows in Blocks.of(p, config).rows[:, 5:]] for p in (panel, later)
    )
    assert sum(map(len, blocks)) == 100
    assert blocks[-4:] == shifted[-4:]
