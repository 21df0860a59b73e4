from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats  # noqa: TID253 - a test may be slow to import

from seqcli.core.statistics import LEVELS, SCORED
from seqcli.forecasting.baselines import GROUPS, Offsets, run
from seqcli.forecasting.data import Panel
from seqcli.forecasting.scoring import Losses, actual_moves, has_skill, losses, score, verdict

WALK, EWMA = "random-walk", "ewma-normal"
LOG = np.array([True, True])
Z = stats.norm.ppf(LEVELS)
RATIOS = ("mae_ratio", "rmse_ratio", "crps_ratio", "crps_ewma", "direction", "coverage80", "coverage95")
TESTS = ("dm_p", "dm_p_ewma", "dm_p_mae")
KEYS = ["model", "series", "h", "n", *RATIOS, "width80", "width95", *TESTS, "in_sample"]


def outcome(origins: int = 60, horizon: int = 2, series: int = 2, seed: int = 0) -> np.ndarray:
    """``(N, O, H)`` moves of about a hundredth."""
    steps = np.random.default_rng(seed).normal(0.0, 0.01, (series, origins, horizon))
    return np.cumsum(steps, axis=2)


def normal(moves: np.ndarray, sigma: float, point: float | np.ndarray = 0.0) -> Offsets:
    centre = np.broadcast_to(point, moves.shape).astype(float)
    root = np.sqrt(np.arange(1, moves.shape[2] + 1))
    return Offsets(centre, centre[..., None] + sigma * root[:, None] * Z)


def scored(moves: np.ndarray, models: dict[str, Offsets], log: np.ndarray = LOG, **options):
    names = [f"s{n}" for n in range(len(moves))]
    return score(names, moves, {name: losses(moves, f, log) for name, f in models.items()}, log, **options)


def trio(moves: np.ndarray, ours: Offsets) -> dict[str, Offsets]:
    return {"lstm": ours, WALK: normal(moves, 0.013), EWMA: normal(moves, 0.011)}


def pick(records, model="lstm", series="all", h: int | str = 1, in_sample=False):
    key = {"model": model, "series": series, "h": h, "in_sample": in_sample}
    return next(r for r in records if all(r[k] == v for k, v in key.items()))


def crps(y: np.ndarray, offsets: Offsets) -> np.ndarray:
    """Written out level by level."""
    total = np.zeros(y.shape)
    for level in SCORED:
        error = y - offsets.quantiles[..., LEVELS.index(level)]
        total += np.where(error >= 0, level * error, (level - 1) * error)
    return 2 * total / len(SCORED)


def test_the_outcome_is_the_level_at_the_target_less_that_at_the_origin() -> None:
    levels = np.array([[0.0, 5.0], [1.0, np.nan], [4.0, 6.0], [9.0, 8.0]])
    moves = actual_moves(levels, np.array([0, 1, 2]), 2)
    np.testing.assert_array_equal(moves[0], [[1, 4], [3, 8], [5, np.nan]])
    np.testing.assert_array_equal(moves[1], [[np.nan, 1], [np.nan, np.nan], [2, np.nan]])


def test_records_have_the_names_of_the_interface_and_pass_through_json() -> None:
    moves = outcome()
    records = scored(moves, trio(moves, normal(moves, 0.01))).records
    assert all(list(record) == KEYS for record in records)
    assert len(records) == 3 * 3 * 3  # models; all and two series; all and two horizons
    assert json.loads(json.dumps(records, allow_nan=False)) == records


def test_ratios_are_those_of_each_series_averaged_geometrically() -> None:
    moves = outcome()
    models = trio(moves, normal(moves, 0.01, point=0.002))
    records = scored(moves, models).records
    ours, walk, ewma = (crps(moves, models[m])[:, :, 1].mean(axis=1) for m in ("lstm", WALK, EWMA))
    two = pick(records, h=2)
    assert two["n"] == 120
    assert two["crps_ratio"] == pytest.approx(math.sqrt(np.prod(ours / walk)))
    assert two["crps_ewma"] == pytest.approx(math.sqrt(np.prod(ours / ewma)))
    assert pick(records, series="s1", h=2)["crps_ratio"] == pytest.approx(ours[1] / walk[1])
    error = np.abs(moves - 0.002).mean(axis=1) / np.abs(moves).mean(axis=1)
    assert two["mae_ratio"] == pytest.approx(math.sqrt(np.prod(error[:, 1])))
    squared = ((moves - 0.002) ** 2).mean(axis=1) / (moves**2).mean(axis=1)
    assert two["rmse_ratio"] == pytest.approx(math.sqrt(np.sqrt(np.prod(squared[:, 1]))))
    assert two["direction"] == pytest.approx((moves[:, :, 1] > 0).mean())


def test_the_record_of_all_horizons_is_the_mean_of_theirs() -> None:
    moves = outcome()
    records = scored(moves, trio(moves, normal(moves, 0.01, point=0.002))).records
    one, two, every = (pick(records, h=h) for h in (1, 2, "all"))
    assert every["n"] == 240
    for name in ("mae_ratio", "crps_ratio", "crps_ewma", "direction", "coverage80", "width95"):
        assert every[name] == pytest.approx((one[name] + two[name]) / 2)


def test_the_pooled_test_works_on_the_daily_mean_of_scaled_differences() -> None:
    moves = outcome(horizon=3)
    models = trio(moves, normal(moves, 0.01))
    ours, walk = crps(moves, models["lstm"])[:, :, 2], crps(moves, models[WALK])[:, :, 2]
    d = ((ours - walk) / walk.mean(axis=1, keepdims=True)).mean(axis=0)
    n, e = len(d), d - d.mean()
    variance = (e @ e + 2 * (2 / 3) * (e[1:] @ e[:-1]) + 2 * (1 / 3) * (e[2:] @ e[:-2])) / n
    statistic = d.mean() / math.sqrt(variance / n) * math.sqrt((n + 1 - 6 + 6 / n) / n)
    expected = 2 * stats.t.sf(abs(statistic), n - 1)
    assert pick(scored(moves, models).records, h=3)["dm_p"] == pytest.approx(expected)


def test_series_that_move_together_are_not_counted_as_more_evidence() -> None:
    alone = outcome(series=1)
    twins = np.repeat(alone, 2, axis=0)
    p = pick(scored(alone, trio(alone, normal(alone, 0.009)), LOG[:1]).records)["dm_p"]
    assert pick(scored(twins, trio(twins, normal(twins, 0.009))).records)["dm_p"] == pytest.approx(p)


def test_coverage_and_width_are_those_of_the_intervals() -> None:
    moves = outcome(origins=2000, horizon=1)
    one = pick(scored(moves, trio(moves, normal(moves, 0.01))).records)
    assert one["coverage80"] == pytest.approx(0.80, abs=0.02)
    assert one["coverage95"] == pytest.approx(0.95, abs=0.01)
    assert one["width80"] == pytest.approx(2 * 1.28155 * 0.01, rel=1e-4)
    assert one["width95"] == pytest.approx(2 * 1.95996 * 0.01, rel=1e-4)


def test_the_random_walk_against_itself_is_one_and_untested() -> None:
    moves = outcome()
    walk = pick(scored(moves, trio(moves, normal(moves, 0.01))).records, WALK)
    assert walk["mae_ratio"] == walk["crps_ratio"] == 1.0
    assert walk["direction"] is walk["dm_p"] is None
    assert walk["dm_p_ewma"] is not None


def test_a_median_within_a_hundredth_of_a_basis_point_is_the_random_walk() -> None:
    moves = outcome()
    rounded = pick(scored(moves, trio(moves, normal(moves, 0.01, point=9e-7))).records)
    assert rounded["direction"] is None and rounded["mae_ratio"] == 1.0
    view = pick(scored(moves, trio(moves, normal(moves, 0.01, point=2e-6))).records)
    assert view["direction"] is not None


def test_crossing_quantiles_are_sorted_before_they_are_scored() -> None:
    moves = outcome()
    ours = normal(moves, 0.01)
    crossed = Offsets(ours.point, ours.quantiles[..., ::-1])
    assert scored(moves, trio(moves, crossed)).records == scored(moves, trio(moves, ours)).records


@pytest.mark.parametrize("log", [True, False])
def test_the_unit_of_a_series_changes_no_ratio(log: bool) -> None:
    rng = np.random.default_rng(1)
    levels = 4.0 + np.cumsum(rng.normal(0, 0.01, (500, 1)), axis=0)
    origins = np.arange(400, 490)

    def records(factor: float):
        values = factor * (np.exp(levels) if log else levels)
        panel = Panel(np.arange(500).astype("datetime64[D]"), ("s0",), values, "daily", np.array([log]))
        moves = actual_moves(panel.levels(), origins, 3)
        models = {name: losses(moves, run(name, panel, 399, origins, 3), panel.log) for name in GROUPS["fast"]}
        return score(panel.names, moves, models, panel.log).records

    for small, large in zip(records(1.0), records(1000.0), strict=True):
        for name in RATIOS + TESTS:
            assert (large[name] is None) == (small[name] is None)
            assert large[name] is None or large[name] == pytest.approx(small[name], rel=1e-6)


def test_widths_of_series_in_different_units_have_no_mean() -> None:
    moves = outcome()
    records = scored(moves, trio(moves, normal(moves, 0.01)), np.array([False, True])).records
    assert pick(records)["width80"] is None
    assert pick(records, series="s0")["width80"] is not None


def test_a_row_that_one_model_lacks_is_dropped_for_all_and_counted() -> None:
    moves = outcome()
    moves[0, 59] = np.nan  # not due yet: no row of anybody
    models = trio(moves, normal(moves, 0.01))
    whole = scored(moves, models)
    assert whole.dropped == 0 and not whole.notes
    gap = models[EWMA].quantiles.copy()
    gap[1, 7, 0] = np.nan
    part = scored(moves, {**models, EWMA: Offsets(models[EWMA].point, gap)})
    assert part.dropped == 1 and part.notes[0].startswith("1 rows left out")
    for model in models:
        assert pick(whole.records, model)["n"] == 119 and pick(part.records, model)["n"] == 118
    keep = np.arange(60) != 7
    expected = crps(moves, models["lstm"])[1, keep, 0].mean() / crps(moves, models[WALK])[1, keep, 0].mean()
    assert pick(part.records, series="s1")["crps_ratio"] == pytest.approx(expected)


def test_a_baseline_that_a_series_never_had_costs_the_others_nothing() -> None:
    moves = outcome()
    garch = normal(moves, 0.01)
    garch.quantiles[1] = np.nan
    scores = scored(moves, {**trio(moves, normal(moves, 0.01)), "garch-t": garch})
    assert pick(scores.records)["n"] == 120 and scores.dropped == 0
    assert pick(scores.records, "garch-t")["n"] == 60
    missing = pick(scores.records, "garch-t", "s1")
    assert missing["n"] == 0 and missing["crps_ratio"] is None
    assert scores.notes == ("garch-t has no forecast for s1: its row for all series leaves it out",)


def test_a_constant_series_has_no_ratios_and_disturbs_none() -> None:
    moves = outcome()
    alone = pick(scored(moves[:1], trio(moves[:1], normal(moves[:1], 0.01)), LOG[:1]).records)
    moves[1] = 0.0
    models = trio(moves, normal(moves, 0.01))
    for offsets in models.values():
        offsets.quantiles[1] = 0.0
    both = scored(moves, models).records
    flat = pick(both, series="s1")
    assert flat["n"] == 60 and flat["crps_ratio"] is flat["mae_ratio"] is flat["dm_p"] is None
    assert pick(both)["crps_ratio"] == pytest.approx(alone["crps_ratio"])
    assert pick(both)["dm_p"] == pytest.approx(alone["dm_p"])


def test_origins_the_model_has_learnt_from_are_marked_and_kept_out_of_the_verdict() -> None:
    moves = outcome(origins=120)
    sigma = np.where(np.arange(120) < 60, 0.01, 0.1)  # splendid on what it knows, hopeless on what it does not
    ours = normal(moves, 1.0)
    models = trio(moves, Offsets(ours.point, ours.quantiles * sigma[:, None, None]))
    scores = scored(moves, models, in_sample=np.arange(120) < 60)
    inside, outside = pick(scores.records, in_sample=True), pick(scores.records)
    assert inside["n"] == outside["n"] == 120
    assert inside["crps_ewma"] < 1 < outside["crps_ewma"]
    assert not has_skill(scores.records)
    assert verdict(scores.records)[0].startswith("lstm is worse than the random walk")


def test_without_an_origin_after_its_data_nothing_is_said() -> None:
    moves = outcome()
    scores = scored(moves, trio(moves, normal(moves, 0.01)), in_sample=np.ones(60, bool))
    assert verdict(scores.records) == [
        "Nothing can be said about lstm: no forecast that was made before its day, and after the model's own data, "
        "has come due."
    ]
    assert not has_skill(scores.records)


def record(model: str, h: int | str, **values: object):
    base = {
        "model": model, "series": "all", "h": h, "n": 500, "mae_ratio": 1.0, "rmse_ratio": 1.0, "crps_ratio": 1.0,
        "crps_ewma": 1.03, "direction": None, "coverage80": 0.801, "coverage95": 0.948, "width80": 0.02,
        "width95": 0.03, "dm_p": None, "dm_p_ewma": 0.2, "dm_p_mae": None, "in_sample": False,
    }  # fmt: skip
    return {**base, **values}


def report(**ours: object):
    walk = [record(WALK, h) for h in ("all", 1)]
    return [record("lstm", h, **{"crps_ratio": 0.9658, "dm_p": 1e-6, **ours}) for h in ("all", 1)] + walk


def test_skill_is_a_lower_crps_than_ewma_with_p_below_five_percent() -> None:
    assert has_skill(report(crps_ewma=0.992, dm_p_ewma=0.049))
    assert not has_skill(report(crps_ewma=0.992, dm_p_ewma=0.05))
    assert not has_skill(report(crps_ewma=1.01, dm_p_ewma=0.001))
    assert not has_skill(report(crps_ewma=0.992, dm_p_ewma=None))
    assert not has_skill(report(crps_ewma=None, dm_p_ewma=None))


@pytest.mark.parametrize(
    ("ours", "sentence"),
    [
        (
            {"crps_ewma": 0.9926, "dm_p_ewma": 0.0001},
            "lstm is better than EWMA-normal: its CRPS is 0.74 % lower one step ahead (p < 0.001, significant), "
            "0.74 % lower over all horizons.",
        ),
        (
            {"crps_ewma": 0.999, "dm_p_ewma": 0.31},
            "lstm is not shown to be better than EWMA-normal: its CRPS is 0.10 % lower one step ahead "
            "(p = 0.310, which may be chance), 0.10 % lower over all horizons.",
        ),
        (
            {"crps_ewma": 1.02, "dm_p_ewma": 0.5},
            "lstm is not better than EWMA-normal: its CRPS is 2.00 % higher one step ahead "
            "(p = 0.500, which may be chance), 2.00 % higher over all horizons.",
        ),
        (
            {"crps_ewma": 1.02, "dm_p_ewma": None},
            "lstm is not better than EWMA-normal: its CRPS is 2.00 % higher one step ahead (too few days to test it), "
            "2.00 % higher over all horizons.",
        ),
        ({"crps_ewma": None}, "lstm cannot be compared with EWMA-normal, which has no loss on these rows."),
        ({"crps_ratio": 1.0, "dm_p": None}, "lstm has the same CRPS as the random walk one step ahead."),
        ({}, "The point forecast is the random walk itself: it has no view on the direction."),
        (
            {"direction": 0.5, "mae_ratio": 0.9998, "dm_p_mae": 0.8},
            "The point forecast has no skill over the random walk: its MAE is 0.9998 of the random walk's "
            "(p = 0.800, which may be chance).",
        ),
        (
            {"direction": 0.6, "mae_ratio": 0.97, "dm_p_mae": 0.01},
            "The point forecast has skill: its MAE is 3.00 % lower than the random walk's (p = 0.010, significant).",
        ),
        ({}, "One step ahead the 80 % interval held 80.1 % of the outcomes, the 95 % interval 94.8 %."),
    ],
)
def test_the_verdict_says_in_words_what_the_records_hold(ours: dict[str, object], sentence: str) -> None:
    assert sentence in verdict(report(**ours))


def test_without_a_row_one_step_ahead_the_shortest_horizon_that_has_rows_is_judged() -> None:
    every = record("lstm", "all", dm_p=1e-6, crps_ratio=0.96, crps_ewma=0.99, dm_p_ewma=0.01)
    empty = {"n": 0, "crps_ratio": None, "crps_ewma": None, "coverage80": None, "coverage95": None, "dm_p_ewma": None}
    ours = [every, record("lstm", 1, **empty), {**every, "h": 3}, {**every, "h": 4, "crps_ewma": 1.1}]
    walk = [record(WALK, h) for h in ("all", 1, 3, 4)]
    assert has_skill(ours + walk)
    said = " ".join(verdict(ours + walk))
    assert "is better than EWMA-normal: its CRPS is 1.00 % lower 3 steps ahead" in said
    assert "3 steps ahead the 80 % interval held" in said
    assert not has_skill([ours[0], *ours[3:], *walk])  # and without a record of one step as well


def test_a_baseline_that_does_better_is_named() -> None:
    rival = [record("gjr-garch-t", h, crps_ratio=0.96) for h in ("all", 1)]
    assert "gjr-garch-t has the lowest CRPS: 0.9600 of the random walk's, against 0.9658." in verdict(report() + rival)
    fewer = [{**r, "n": 400} for r in rival]  # not on the same rows: no comparison
    assert not any("gjr-garch-t" in s for s in verdict(report() + fewer))


def test_what_is_kept_of_a_model_does_not_grow_with_its_quantiles() -> None:
    moves = outcome()
    kept = losses(moves, normal(moves, 0.01), LOG)
    assert isinstance(kept, Losses) and all(array.shape == moves.shape for array in vars(kept).values())
