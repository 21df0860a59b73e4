from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats  # noqa: TID253 - a test may be slow to import

from seqcli.core.statistics import LEVELS, SCORED, crps_from_quantiles, diebold_mariano, pinball, student_t_p


def test_the_21_levels_are_the_19_scored_ones_and_the_bounds_of_the_95_percent_interval() -> None:
    assert len(SCORED) == 19 and SCORED[0] == 0.05 and SCORED[-1] == 0.95
    assert (0.025, *SCORED, 0.975) == LEVELS


def test_pinball_loss_equals_the_numbers_computed_by_hand() -> None:
    # 10 happened. The 0.1 quantile was 8: 0.1 * 2. The 0.9 quantile was 8: 0.9 * 2. The median was 13: 0.5 * 3.
    np.testing.assert_allclose(pinball(10.0, [8.0, 8.0, 13.0], [0.1, 0.9, 0.5]), [0.2, 1.8, 1.5])


def test_the_true_quantile_has_the_least_pinball_loss() -> None:
    y = np.random.default_rng(0).normal(size=20_000)
    guesses = np.array([0.9, 1.2816, 1.6])
    loss = pinball(y, np.broadcast_to(guesses, (len(y), 3)), [0.9, 0.9, 0.9]).mean(axis=0)
    assert loss.argmin() == 1


def test_the_crps_of_a_forecast_that_is_sure_of_one_value_is_its_absolute_error() -> None:
    np.testing.assert_allclose(crps_from_quantiles([1.0, -2.0], np.zeros((2, 21))), [1.0, 2.0])


def test_the_crps_is_near_its_closed_form_for_a_normal_distribution() -> None:
    y = np.linspace(-2, 2, 9)
    closed = y * (2 * stats.norm.cdf(y) - 1) + 2 * stats.norm.pdf(y) - 1 / math.sqrt(math.pi)
    quantiles = np.broadcast_to(stats.norm.ppf(LEVELS), (9, 21))
    np.testing.assert_allclose(crps_from_quantiles(y, quantiles), closed, rtol=0.06)  # no level beyond 0.05 and 0.95


def test_the_crps_does_not_look_at_the_outer_levels_nor_at_their_order() -> None:
    quantiles = stats.norm.ppf(LEVELS)
    wide = quantiles.copy()
    wide[[0, -1]] = [-99.0, 99.0]
    expected = crps_from_quantiles(0.3, quantiles)
    assert crps_from_quantiles(0.3, wide) == expected
    np.testing.assert_allclose(crps_from_quantiles(0.3, quantiles[::-1], LEVELS[::-1]), expected)


def test_the_crps_refuses_quantiles_without_a_scored_level() -> None:
    with pytest.raises(ValueError, match=r"0\.05"):
        crps_from_quantiles(0.0, [0.0, 0.1], [0.5, 0.9])


def test_one_step_ahead_diebold_mariano_is_the_t_test_of_the_mean() -> None:
    d = np.random.default_rng(1).normal(0.1, 1.0, 80)
    expected = stats.ttest_1samp(d, 0.0)
    np.testing.assert_allclose(diebold_mariano(d, 1), [expected.statistic, expected.pvalue])


@pytest.mark.parametrize("horizon", [2, 5])
def test_diebold_mariano_equals_the_formula_written_out_as_a_double_sum(horizon: int) -> None:
    d = np.convolve(np.random.default_rng(2).normal(0.05, 1.0, 120), np.ones(horizon), mode="valid")
    n, mean = len(d), d.mean()
    total = 0.0
    for i in range(n):
        for j in range(n):
            total += max(0.0, 1 - abs(i - j) / horizon) * (d[i] - mean) * (d[j] - mean)
    harvey = math.sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)
    statistic = harvey * mean / math.sqrt(total / n**2)
    np.testing.assert_allclose(
        diebold_mariano(d, horizon), [statistic, 2 * stats.t.sf(abs(statistic), n - 1)], rtol=1e-10
    )


def test_a_smaller_loss_gives_a_negative_statistic_whatever_the_unit() -> None:
    d = np.random.default_rng(3).normal(-0.5, 1.0, 60)
    statistic, p = diebold_mariano(d, 3)
    assert statistic < 0 and p < 0.05
    np.testing.assert_allclose(diebold_mariano(d * 1e-9, 3), [statistic, p])


def test_days_without_a_value_are_left_out_of_the_test() -> None:
    d = np.random.default_rng(4).normal(size=40)
    assert diebold_mariano(np.insert(d, [3, 17], np.nan), 2) == diebold_mariano(d, 2)


@pytest.mark.parametrize("d", [np.zeros(50), np.full(50, 0.1), np.arange(9.0), np.full(20, np.nan), np.array([])])
def test_nothing_is_said_of_equal_or_too_few_differences(d: np.ndarray) -> None:
    assert all(math.isnan(x) for x in diebold_mariano(d, 1))


def test_nothing_is_said_when_the_horizon_is_longer_than_the_record() -> None:
    assert math.isnan(diebold_mariano(np.random.default_rng(5).normal(size=12), 12)[1])


def test_the_p_value_of_student_t_is_two_sided() -> None:
    assert student_t_p(-2.0, 10) == student_t_p(2.0, 10) == pytest.approx(2 * stats.t.sf(2.0, 10))
