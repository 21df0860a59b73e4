from __future__ import annotations

import numpy as np
import pytest

from seqcli.core.statistics import LEVELS
from seqcli.forecasting import baselines
from seqcli.forecasting.baselines import BASELINES, GROUPS, Task, ewma_volatility, run
from seqcli.forecasting.data import Panel

FAST = GROUPS["fast"]
GARCH = ("garch-t", "gjr-garch-t")
FIT_END, DAYS = 599, 660
ORIGINS = np.arange(FIT_END, 650, 10)


def walk(days: int = DAYS, series: int = 2, seed: int = 0) -> np.ndarray:
    """Levels ``(T, N)`` with calm and wild stretches."""
    rng = np.random.default_rng(seed)
    sigma = 0.006 * np.exp(0.4 * np.sin(np.arange(days) / 40))[:, None]
    return np.cumsum(sigma * rng.standard_t(5, (days, series)), axis=0)


def panel(levels: np.ndarray, log: bool = True) -> Panel:
    days, series = levels.shape
    dates = np.arange(days).astype("datetime64[D]")
    names = tuple(f"series {n}" for n in range(series))
    return Panel(dates, names, np.exp(levels) if log else levels, "daily", np.full(series, log))


def one(name: str, levels: np.ndarray, fit_end: int = FIT_END, origins: np.ndarray = ORIGINS, horizon: int = 3):
    return BASELINES[name](Task(levels, fit_end, origins, horizon))


def test_the_names_are_those_of_the_interface() -> None:
    assert tuple(BASELINES) == (
        "random-walk",
        "random-walk-drift",
        "random-walk-250",
        "ewma-normal",
        "ewma-empirical",
        "garch-t",
        "gjr-garch-t",
    )
    assert GROUPS["none"] == () and tuple(BASELINES)[:5] == FAST and GROUPS["all"] == tuple(BASELINES)


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_gives_increasing_quantiles_for_each_series_origin_and_step(name: str) -> None:
    offsets = run(name, panel(walk()), FIT_END, ORIGINS, 3)
    assert offsets.point.shape == (2, len(ORIGINS), 3)
    assert offsets.quantiles.shape == (2, len(ORIGINS), 3, 21)
    assert (np.diff(offsets.quantiles, axis=-1) >= 0).all()
    width = offsets.quantiles[..., -1] - offsets.quantiles[..., 0]
    assert (width[..., 2] > width[..., 0]).all()
    assert not offsets.notes


@pytest.mark.parametrize("name", BASELINES)
def test_no_forecast_changes_when_every_value_after_the_origin_does(name: str) -> None:
    levels = walk()[:, 0]
    before = one(name, levels)
    for k in (0, 2, len(ORIGINS) - 1):
        changed = levels.copy()
        changed[ORIGINS[k] + 1 :] = 7.0 + np.random.default_rng(9).normal(size=DAYS - ORIGINS[k] - 1)
        after = one(name, changed)
        np.testing.assert_array_equal(after.quantiles[: k + 1], before.quantiles[: k + 1])
        np.testing.assert_array_equal(after.point[: k + 1], before.point[: k + 1])


@pytest.mark.parametrize("name", [n for n in BASELINES if n not in {"random-walk", "random-walk-drift"}])
def test_the_last_days_move_changes_the_forecast_of_the_next(name: str) -> None:
    levels = walk()[:, 0]
    shocked = levels.copy()
    shocked[ORIGINS[-1]] += 0.2
    before, after = one(name, levels), one(name, shocked)
    np.testing.assert_array_equal(after.quantiles[:-1], before.quantiles[:-1])
    assert (after.quantiles[-1] != before.quantiles[-1]).any()


def test_the_random_walk_takes_the_quantiles_of_all_training_moves() -> None:
    levels = walk()[:, 0]
    moves = [levels[t + 2] - levels[t] for t in range(FIT_END - 1)]
    np.testing.assert_allclose(one("random-walk", levels).quantiles[3, 1], np.quantile(moves, LEVELS))


def test_the_trailing_random_walk_takes_the_last_250_moves_up_to_the_origin() -> None:
    levels, origin = walk()[:, 0], ORIGINS[2]
    moves = [levels[t] - levels[t - 3] for t in range(origin - 249, origin + 1)]
    np.testing.assert_allclose(one("random-walk-250", levels).quantiles[2, 2], np.quantile(moves, LEVELS))


def test_the_trailing_random_walk_makes_do_with_the_moves_there_are() -> None:
    levels = walk(100)[:, 0]
    out = one("random-walk-250", levels, 60, np.array([15, 60]), 1)
    assert np.isnan(out.quantiles[0]).all()
    np.testing.assert_allclose(out.quantiles[1, 0], np.quantile(np.diff(levels[:61]), LEVELS))
    assert out.notes


def test_the_drift_is_the_mean_daily_move_of_the_training_period() -> None:
    levels = walk()[:, 0]
    drift = (levels[FIT_END] - levels[0]) / FIT_END
    np.testing.assert_allclose(one("random-walk-drift", levels).point, np.tile(drift * np.arange(1, 4), (6, 1)))


def test_the_ewma_volatility_is_the_recursion_written_as_a_loop() -> None:
    levels = walk(90)[:, 0]
    moves = np.diff(levels)
    variance = np.mean(moves[:20] ** 2)
    for t, move in enumerate(moves, start=1):
        variance = 0.94 * variance + 0.06 * move**2
        expected = np.sqrt(variance) if t >= 20 else np.nan
        np.testing.assert_allclose(ewma_volatility(levels)[t], expected)


def test_the_ewma_baseline_is_normal_and_grows_with_the_root_of_the_horizon() -> None:
    levels = walk()[:, 0]
    out = one("ewma-normal", levels).quantiles
    sigma = ewma_volatility(levels)[ORIGINS]
    np.testing.assert_allclose(out[:, 0, -1], 1.959964 * sigma, rtol=1e-6)
    np.testing.assert_allclose(out[:, 2], out[:, 0] * np.sqrt(3))


def test_the_empirical_ewma_baseline_learns_its_quantiles_from_standardized_training_moves() -> None:
    levels = walk()[:, 0]
    sigma = ewma_volatility(levels)
    z = [(levels[t + 2] - levels[t]) / (sigma[t] * np.sqrt(2)) for t in range(100, FIT_END - 1)]
    expected = sigma[ORIGINS[1]] * np.sqrt(2) * np.quantile(z, LEVELS)
    np.testing.assert_allclose(one("ewma-empirical", levels).quantiles[1, 1], expected)


def test_a_move_over_a_gap_counts_as_that_many_days_of_a_random_walk() -> None:
    levels = np.arange(60.0)  # one unit a day
    gappy = levels.copy()
    gappy[30:34] = np.nan
    gappy[34:] = gappy[29] + np.sqrt(5) + np.arange(26)  # five days' worth of unit moves under a random walk
    np.testing.assert_allclose(ewma_volatility(gappy)[25:], 1.0)


@pytest.mark.parametrize("name", BASELINES)
def test_a_series_with_gaps_gets_forecasts_at_the_days_it_has(name: str) -> None:
    levels = walk()
    missing = np.random.default_rng(3).random(levels.shape) < 0.1
    missing[ORIGINS] = False
    missing[ORIGINS[2], 1] = True
    levels[missing] = np.nan
    offsets = run(name, panel(levels), FIT_END, ORIGINS, 2)
    without = np.isnan(offsets.quantiles).all(axis=(2, 3))
    assert without.sum() == 1 and without[1, 2]
    assert np.isfinite(offsets.point[~without]).all()


@pytest.mark.parametrize("name", BASELINES)
def test_a_series_in_differences_may_be_negative_and_of_any_size(name: str) -> None:
    levels = walk()[:, :1] - 3.0
    small = run(name, panel(levels, log=False), FIT_END, ORIGINS, 2).quantiles
    large = run(name, panel(levels * 2.0**40, log=False), FIT_END, ORIGINS, 2).quantiles
    assert np.isfinite(small).all()
    np.testing.assert_allclose(large, small * 2.0**40, rtol=1e-9)


@pytest.mark.parametrize("name", BASELINES)
def test_a_constant_series_gets_no_width_or_a_note_but_no_crash(name: str) -> None:
    offsets = run(name, panel(np.full((DAYS, 1), 2.0), log=False), FIT_END, ORIGINS, 2)
    if name in {*GARCH, "ewma-empirical"}:
        assert np.isnan(offsets.quantiles).all()
        assert offsets.notes[0].startswith(f"{name}: ") and "(series 0)" in offsets.notes[0]
    else:
        assert (offsets.quantiles == 0).all()


@pytest.mark.parametrize("name", BASELINES)
def test_a_series_of_ten_days_has_no_baseline_and_says_so(name: str) -> None:
    offsets = run(name, panel(walk(10)), 8, np.array([8, 9]), 2)
    assert np.isnan(offsets.quantiles).all() and np.isnan(offsets.point).all()
    assert len(offsets.notes) == 1 and offsets.notes[0].endswith("(series 0, series 1)")


def test_a_note_on_many_series_names_the_first_few() -> None:
    offsets = run("ewma-normal", panel(walk(10, series=8)), 8, np.array([8]), 1)
    assert offsets.notes[0].endswith("(series 0, series 1, series 2, series 3, series 4 and 3 more)")


def test_a_series_without_any_value_is_left_empty() -> None:
    levels = walk()
    levels[:, 1] = np.nan
    offsets = run("ewma-empirical", panel(levels), FIT_END, ORIGINS, 2)
    assert np.isnan(offsets.quantiles[1]).all() and np.isfinite(offsets.quantiles[0]).all()


@pytest.mark.parametrize("name", GARCH)
def test_garch_with_too_few_days_is_unavailable(name: str) -> None:
    out = one(name, walk()[:, 0], 200, np.array([200, 240]))
    assert np.isnan(out.quantiles).all()
    assert out.notes == ("fewer than 250 moves to fit on",)


def test_garch_refuses_a_series_that_mostly_stands_still() -> None:
    steps = np.zeros(DAYS)
    steps[::10] = 0.25
    out = one("garch-t", np.cumsum(steps))
    assert np.isnan(out.quantiles).all()
    assert out.notes == ("most of its moves are zero",)


def garch_series(days: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Levels ``(days + 1,)`` of a GARCH(1,1), and the standard deviation of the move after each of them."""
    shocks, variance = np.random.default_rng(seed).normal(size=days), np.empty(days + 1)
    variance[0], moves = 1.0, np.empty(days)
    for t in range(days):
        moves[t] = np.sqrt(variance[t]) * shocks[t]
        variance[t + 1] = 0.05 + 0.10 * moves[t] ** 2 + 0.85 * variance[t]
    return np.concatenate([[0.0], np.cumsum(moves)]) / 100, np.sqrt(variance) / 100


def test_garch_finds_the_volatility_that_a_garch_series_was_made_with() -> None:
    levels, sigma = garch_series(2500, seed=5)
    origins = np.arange(2400, 2480)
    out = one("garch-t", levels, 2400, origins, 1)
    ours = (out.quantiles[:, 0, LEVELS.index(0.9)] - out.quantiles[:, 0, LEVELS.index(0.1)]) / 2.563
    np.testing.assert_allclose(ours, sigma[origins], rtol=0.1)
    assert sigma[origins].max() / sigma[origins].min() > 1.5  # there was something to find


def test_garch_variances_are_filtered_as_the_recursion_says() -> None:
    garch = baselines._Garch(0.1, 0.05, 0.04, 0.8, 6.0)
    moves = np.random.default_rng(1).normal(size=50)
    v = 1.0
    for move, after in zip(moves, garch.filter(moves), strict=True):
        v = 0.1 + (0.05 + 0.04 * (move < 0)) * move**2 + 0.8 * v
        assert after == pytest.approx(v)


def test_the_simulation_agrees_with_the_sum_of_normal_moves_where_there_is_no_garch() -> None:
    garch = baselines._Garch(omega=1.0, alpha=0.0, gamma=0.0, beta=0.0, nu=500.0)
    out = np.mean([garch.simulate(np.array([1.0]), horizon=5, seed=seed)[0] for seed in range(40)], axis=0)
    normal = one("ewma-normal", np.arange(60.0), 50, np.array([50]), 5).quantiles[0]
    np.testing.assert_allclose(out, normal, atol=0.05)


def test_without_convergence_garch_keeps_the_parameters_before_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "_fit_garch", lambda *_: None)
    out = one("gjr-garch-t", walk()[:, 0])
    assert np.isfinite(out.quantiles).all()
    assert out.notes == ("3 of 3 fits did not converge; the parameters before them were kept",)


def test_a_fit_that_fails_inside_the_package_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    from arch.univariate import ZeroMean

    def fail(*_: object, **__: object) -> None:
        raise np.linalg.LinAlgError("singular matrix")

    monkeypatch.setattr(ZeroMean, "fit", fail)
    assert baselines._fit_garch(np.ones(300), leverage=False, start=None) is None


def test_garch_is_fitted_again_every_21_days_whatever_origins_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[int] = []
    monkeypatch.setattr(baselines, "_fit_garch", lambda moves, *_: ends.append(len(moves)))
    levels = walk()[:, 0]
    one("garch-t", levels, 400, np.arange(400, 464))
    assert ends == [400, 421, 442, 463]
    ends.clear()
    one("garch-t", levels, 400, np.array([430, 463, 470]))
    assert ends == [421, 463]


@pytest.mark.parametrize("name", GARCH)
def test_garch_answers_the_same_twice_and_for_a_thinned_choice_of_origins(name: str) -> None:
    levels = walk()[:, 0]
    whole = one(name, levels).quantiles
    np.testing.assert_array_equal(one(name, levels).quantiles, whole)
    np.testing.assert_allclose(one(name, levels, origins=ORIGINS[::2]).quantiles, whole[::2], rtol=2e-3, atol=1e-6)
