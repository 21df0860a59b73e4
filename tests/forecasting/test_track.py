from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from journals import SIGMA, keep, offsets, rows, walk
from signs import finished

from seqcli.cli.output import Output
from seqcli.core.json_lines import dumps
from seqcli.errors import InputError, UsageError
from seqcli.forecasting import backtest, drift, journal, outcomes, track
from seqcli.forecasting.baselines import EWMA_NORMAL, Offsets, run
from seqcli.forecasting.data import Panel
from seqcli.forecasting.outcomes import Outcomes
from seqcli.forecasting.scoring import actual_moves
from seqcli.results import Record, Result

FIT = 300
KEYS = [
    *(
        "model",
        "series",
        "h",
        "n",
        "pending",
        "mae",
        "mae_ratio",
        "crps",
        "crps_ratio",
        "crps_ewma",
        "dm_p",
        "dm_p_ewma",
    ),
    *("coverage80", "coverage95", "pit", "e_bias", "e_width", "e_worse", "e_better", "verdict", "in_sample"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fx.sqlite"


def record(result: Result, **wanted: Any) -> Record:
    """The one record with these values, out of sample."""
    wanted = {"model": result.records[0]["model"], "in_sample": False, **wanted}
    (found,) = [r for r in result.records if all(r[name] == value for name, value in wanted.items())]
    return found


def verdict(result: Result, **wanted: Any) -> str:
    return str(record(result, series="all", h="all", **wanted)["verdict"])


@pytest.mark.parametrize("log", [True, False])
def test_the_scores_are_those_of_backtest_on_the_same_days(path: Path, log: bool) -> None:
    panel = walk(FIT + 90, log=log)
    origins = np.arange(FIT - 10, FIT + 85)  # the first eleven were in the training data
    horizon = 5
    spread = offsets(panel, origins, horizon, 0.9, 0.1)
    spread *= np.random.default_rng(3).uniform(0.8, 1.2, (2, len(origins), 1, 1))
    journal.append(path, rows(panel, origins, spread, FIT))
    model = SimpleNamespace(
        name="m1",
        data_until=str(panel.dates[FIT]),
        config=SimpleNamespace(horizon=horizon),
        levels=lambda panel, origins: panel.levels()[origins].T[:, :, None, None] + spread,
    )
    window = backtest.Window(since=str(panel.dates[origins[0]]))
    steps = backtest.backtest(model, panel, window, backtest.Detail("none", by_series=True, by_horizon=True))
    theirs = [r for r in finished(steps).records if r["model"] == "m1"]
    result = track.track(path, panel)
    assert len(theirs) == len(result.records) == 2 * 3 * 6
    for wanted in theirs:
        found = record(result, series=wanted["series"], h=wanted["h"], in_sample=wanted["in_sample"])
        assert found["n"] == wanted["n"] > 0
        for name in ("mae_ratio", "crps_ratio", "crps_ewma", "dm_p", "dm_p_ewma", "coverage80", "coverage95"):
            assert found[name] == pytest.approx(wanted[name], rel=1e-9, abs=1e-9), name


def test_mean_errors_are_those_computed_by_hand(path: Path) -> None:
    panel = walk(FIT + 40)
    keep(path, panel, FIT, horizon=2, shift=0.5)
    found = record(track.track(path, panel), series="EUR/USD", h=2)
    origins = np.arange(FIT + 1, FIT + 38)
    levels = panel.levels()[:, 1]
    moves = levels[origins + 2] - levels[origins]
    assert found["n"] == 37
    assert found["pending"] == 2
    assert found["mae"] == pytest.approx(np.abs(moves - 0.5 * SIGMA * np.sqrt(2)).mean(), rel=1e-9)


def test_records_have_the_documented_keys_and_can_be_written_as_json(path: Path) -> None:
    panel = walk(FIT + 40)
    result = track.track(keep(path, panel, FIT), panel)
    assert all(list(r) == KEYS for r in result.records)
    assert all(json.loads(dumps(r))["n"] == r["n"] for r in result.records)
    assert len(record(result, series="all", h=1)["pit"]) == 10


@pytest.mark.parametrize(
    ("forecast", "expected", "why"),
    [
        ({}, drift.KEEP, "luck does not explain"),
        ({"scale": 0.65}, drift.RECALIBRATE, "intervals are too narrow"),
        ({"scale": 1.6}, drift.RECALIBRATE, "intervals are too wide"),
        ({"shift": 0.6}, drift.RETRAIN, "outcomes lie below its median"),
        ({"shift": -0.6}, drift.RETRAIN, "outcomes lie above its median"),
    ],
)
def test_the_verdict_on_a_forecaster_whose_fault_is_known(
    path: Path, forecast: dict[str, float], expected: str, why: str
) -> None:
    panel = walk(FIT + 250, seed=5)
    result = track.track(keep(path, panel, FIT, **forecast), panel)
    assert verdict(result) == expected
    assert why in result.sentences[-1]
    if expected == drift.RECALIBRATE:
        assert f"seqcli recalibrate MODEL {path}" in result.sentences[-1]


def test_a_model_that_scores_worse_than_ewma_at_the_right_width_is_to_be_retrained(path: Path) -> None:
    panel = walk(FIT + 500, seed=6)
    origins = np.arange(FIT + 1, FIT + 500)
    wild = np.where(np.random.default_rng(0).random((2, len(origins), 1, 1)) < 0.5, 0.78, 1.9)  # right only on average
    journal.append(path, rows(panel, origins, offsets(panel, origins) * wild, FIT))
    result = track.track(path, panel)
    assert record(result, series="all", h=1)["e_width"] < drift.ALARM
    assert record(result, series="all", h=1)["e_worse"] >= drift.ALARM
    assert verdict(result) == drift.RETRAIN
    assert "CRPS is higher than EWMA-normal's" in result.sentences[-1]


def test_with_few_days_it_is_too_early_to_say_and_the_number_needed_is_named(path: Path) -> None:
    panel = walk(FIT + 12)
    result = track.track(keep(path, panel, FIT), panel)
    assert verdict(result) == drift.TOO_EARLY
    assert "takes 20 days; 10 have come due" in result.sentences[-1]


def test_a_gross_fault_is_called_one_before_a_month_is_over(path: Path) -> None:
    panel = walk(FIT + 18, names=("A/B", "C/D", "E/F", "G/H"))
    assert verdict(track.track(keep(path, panel, FIT, scale=0.3), panel)) == drift.RECALIBRATE


def verdicts(panel: Panel, looks: range, **forecast: float) -> list[str]:
    """What is said of one-day forecasts on certain days: how many have come due."""
    origins = np.arange(FIT + 1, FIT + 1 + max(looks))
    said = Offsets(np.zeros((2, len(origins), 1)), offsets(panel, origins, 1, **forecast))
    moves = actual_moves(panel.levels(), origins, 1)
    ewma = run(EWMA_NORMAL, panel, FIT, origins, 1)
    fields = {"model_id": "m1", "panel": panel, "data_until": panel.dates[FIT], "last_issued": "", "fit_end": FIT}
    out = []
    for n in looks:
        seen = Outcomes(
            **fields,
            origins=origins[:n],
            forecast=Offsets(said.point[:, :n], said.quantiles[:, :n]),
            moves=moves[:, :n],
            pending=np.zeros((2, 1), np.int64),
            calibration=np.full(n, ""),
            in_sample=np.zeros((2, n, 1), bool),
        )
        out.append(drift.watch(seen, Offsets(ewma.point[:, :n], ewma.quantiles[:, :n])).verdict)
    return out


def test_a_calibrated_model_that_is_looked_at_every_fortnight_for_a_year_is_rarely_alarmed_for_nothing() -> None:
    runs, fortnights = 100, range(20, 251, 10)
    panels = [walk(FIT + 252, seed=seed) for seed in range(runs)]
    assert np.mean([set(verdicts(panel, fortnights)) != {drift.KEEP} for panel in panels]) <= 0.05
    assert np.mean([verdicts(panel, range(250, 251), scale=0.7) == [drift.RECALIBRATE] for panel in panels]) >= 0.95
    assert np.mean([verdicts(panel, range(250, 251), shift=0.5) == [drift.RETRAIN] for panel in panels]) >= 0.95


def test_days_with_many_series_count_as_one_bet_each(path: Path) -> None:
    # Twenty copies of one series are no more evidence than the series itself.
    one = walk(FIT + 60, names=("A/B",))
    many = Panel(
        one.dates, tuple(f"S{k}" for k in range(20)), np.repeat(one.values, 20, axis=1), "target", np.ones(20, bool)
    )
    alone = track.track(keep(path, one, FIT, scale=0.8), one)
    copies = track.track(keep(path.with_name("many"), many, FIT, scale=0.8), many)
    for name in ("e_bias", "e_width", "e_worse"):
        assert record(copies, series="all", h=1)[name] == pytest.approx(record(alone, series="all", h=1)[name])


def test_horizons_that_overlap_are_not_bet_on(path: Path) -> None:
    panel = walk(FIT + 100)
    origins = np.arange(FIT + 1, FIT + 100)
    journal.append(path, [r for r in rows(panel, origins, offsets(panel, origins, 3), FIT) if r["h"] == 3])
    (one,), _ = outcomes.match(journal.read(path), panel, "")
    seen = drift.watch(one, run(EWMA_NORMAL, panel, FIT, one.origins, 3))
    assert seen.days == 32
    assert (np.diff(np.searchsorted(panel.dates, seen.dates)) == 3).all()


def test_after_a_recalibration_the_evidence_begins_again(path: Path) -> None:
    panel = walk(FIT + 300, seed=7)
    origins = np.arange(FIT + 1, FIT + 300)
    before, after = origins[:150], origins[150:]
    journal.append(path, rows(panel, before, offsets(panel, before, scale=0.6), FIT))
    assert verdict(track.track(path, panel.head(FIT + 151))) == drift.RECALIBRATE
    journal.append(path, rows(panel, after, offsets(panel, after), FIT, calibration="2021-03-01-abcd"))
    result = track.track(path, panel)
    assert verdict(result) == drift.KEEP
    assert "In 148 days" in result.sentences[-1]


def test_models_that_are_retrained_weekly_are_judged_together_too(path: Path) -> None:
    panel = walk(FIT + 100, seed=8)
    for week in range(19):
        fit = FIT + 5 * week
        origins = np.arange(fit + 1, fit + 6)
        journal.append(path, rows(panel, origins, offsets(panel, origins, 2 + week % 2), fit, model_id=f"week{week}"))
    journal.append(path, rows(panel, [FIT + 30], offsets(panel, [FIT + 30], 2, 9.0), FIT, model_id="week0"))  # by hand
    result = track.track(path, panel)
    pooled = record(result, model="all", series="all", h=1)
    assert pooled["n"] == 2 * 95
    assert pooled["coverage80"] == pytest.approx(0.8, abs=0.1)
    assert verdict(result, model="all") == drift.KEEP
    assert verdict(result, model="week18") == drift.TOO_EARLY
    assert "Verdict on the newest model of each day: keep" in " ".join(result.sentences)
    alone = [record(result, model=f"week{week}", series="all", h=1) for week in range(19)]
    assert sum(r["n"] for r in alone) == pooled["n"] + 2


def test_values_after_the_last_known_day_change_nothing(path: Path) -> None:
    panel = walk(FIT + 80)
    keep(path, panel, FIT)
    values = panel.values.copy()
    values[FIT + 50 :] *= 3.0
    other = Panel(panel.dates, panel.names, values, panel.calendar, panel.log)
    assert track.track(path, panel.head(FIT + 50)) == track.track(path, other.head(FIT + 50))


def test_forecasts_whose_day_has_not_come_are_pending(path: Path) -> None:
    panel = walk(FIT + 30)
    keep(path, panel, FIT, horizon=2)
    result = track.track(path, panel.head(FIT + 1))
    assert record(result, series="all", h="all")["n"] == 0
    assert record(result, series="all", h="all")["pending"] == 2 * 2 * 29
    assert verdict(result) == drift.TOO_EARLY
    assert "0 forecasts from 0 days have come due, 116 are pending." in result.sentences
    with pytest.raises(InputError, match="no forecast of this journal has come due"):
        track.plot(result.records, path.with_suffix(".png"))


def test_rows_show_what_happened_beside_what_was_said(path: Path) -> None:
    panel = walk(FIT + 10)
    keep(path, panel, FIT)
    shown = list(track.rows(path, panel))
    stored = list(journal.read(path))
    assert [list(r)[: len(journal.COLUMNS)] for r in shown] == [list(r) for r in stored]
    first, last = shown[0], shown[-1]
    assert first["actual"] == panel.values[FIT + 2, panel.names.index(first["series"])]
    assert first["error"] == first["actual"] - first["point"]
    assert first["inside80"] is (first["q0.1"] <= first["actual"] <= first["q0.9"])
    assert [last[name] for name in ("actual", "error", "inside80", "inside95")] == [None] * 4


def test_what_cannot_be_used_is_counted_and_said(path: Path) -> None:
    panel = walk(FIT + 60)
    values = panel.values.copy()
    keep(path, panel, FIT, horizon=1)
    values[FIT + 20, 0] = np.nan
    values[FIT + 30, 1] *= 1.001
    dates = panel.dates.copy()
    late = rows(
        panel, [FIT + 40], offsets(panel, [FIT + 40], 1), FIT, model_id="m0", issued_at="2031-01-01T00:00:00+00:00"
    )
    closed = [{**r, "origin_date": "2020-05-01", "target_date": "2020-05-02"} for r in late]
    unknown = [{**r, "series": "XAU/USD"} for r in late]
    journal.append(path, [*late, *closed, *unknown])
    result = track.track(path, Panel(dates, panel.names, values, panel.calendar, panel.log))
    said = "\n".join(result.warnings)
    assert "no value on their origin or their target date: 2 left out" in said  # from that day, and for it
    assert "a value that has been revised since: 1" in said
    assert "issued after their target date: 2" in said
    assert "days not in the calendar 'target' (--calendar?): 2 left out" in said
    assert "XAU/USD, of which there are no data: 1 left out" in said
    assert record(result, model="m1", series="all", h=1)["n"] == 2 * 58 - 2


def test_replays_are_scored_apart_and_have_no_say_in_the_verdict(path: Path) -> None:
    panel = walk(FIT + 120)
    honest, late, young = (np.arange(FIT + a, FIT + b) for a, b in ((1, 40), (40, 80), (80, 119)))
    journal.append(path, rows(panel, honest, offsets(panel, honest, 1), FIT))
    bad = {"scale": 0.2, "shift": 2.0}  # hopeless, were they counted
    journal.append(path, rows(panel, late, offsets(panel, late, 1, **bad), FIT, issued_at="2031-01-01T00:00:00+00:00"))
    knowing = f"{panel.dates[FIT + 119]}-abcd"
    journal.append(path, rows(panel, young, offsets(panel, young, 1, **bad), FIT, calibration=knowing))
    result = track.track(path, panel)
    assert record(result, series="all", h=1)["n"] == 2 * 39
    assert record(result, series="all", h=1, in_sample=True)["n"] == 2 * 79
    assert record(result, series="all", h=1)["coverage80"] > 0.7
    assert verdict(result) != drift.RETRAIN
    assert "78 forecasts from 39 days have come due, 0 are pending; 158 replays are not judged." in result.sentences
    said = "\n".join(result.warnings)
    assert "issued after their target date: 80" in said
    assert "a calibration that knows what came after their origin: 78" in said
    marks = [r["seen"] for r in result.table or () if r["series"] == r["h"] == "all"]
    assert marks == [False, True]  # two lines of one name, told apart


def test_a_person_reads_the_record_in_80_columns(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    panel = walk(FIT + 40)
    for first, model in ((1, "f23a1c4c2220"), (20, "0c0e1945e67d")):
        origins = np.arange(FIT + first, FIT + first + 19)
        journal.append(path, rows(panel, origins, offsets(panel, origins, 1), FIT, model_id=model))
    Output("table").emit(track.track(path, panel).table or ())
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split()[:5] == ["model", "series", "h", "n", "pending"] and "seen" not in heading
    assert {line.split()[0] for line in lines} == {"all", "f23a1c4c2220", "0c0e1945e67d"}
    assert max(map(len, [heading, *lines])) <= 80


def test_a_journal_of_replays_only_says_so_once(path: Path) -> None:
    panel = walk(FIT + 40)
    origins = np.arange(FIT + 1, FIT + 39)
    journal.append(path, rows(panel, origins, offsets(panel, origins, 1), FIT, issued_at="2031-01-01T00:00:00+00:00"))
    first, second, third = track.track(path, panel).sentences
    assert first == "0 forecasts from 0 days have come due, 0 are pending; 76 replays are not judged."
    assert second.startswith("Nothing can be said about m1: no forecast that was made before its day")
    assert "too early to say" in third


def test_a_late_horizon_leaves_the_others_of_its_day_in_the_record(path: Path) -> None:
    panel = walk(FIT + 40)
    origins = np.arange(FIT + 1, FIT + 30)
    made = rows(panel, origins, offsets(panel, origins, 2), FIT)
    issued = {str(panel.dates[o]): f"{panel.dates[o + 2]}T07:00:00+00:00" for o in origins}
    journal.append(path, [{**r, "issued_at": issued[r["origin_date"]]} for r in made])
    result = track.track(path, panel)
    assert record(result, series="all", h=1)["n"] == 0
    assert record(result, series="all", h=2)["n"] == 2 * 29
    assert any("2 steps ahead" in sentence for sentence in result.sentences)


def test_negative_quantiles_of_a_positive_series_are_left_out_and_said(path: Path) -> None:
    panel = walk(FIT + 30, log=False)
    keep(path, panel, FIT)
    positive = Panel(panel.dates, panel.names, np.exp(panel.values), panel.calendar, np.ones(2, bool))
    assert any("--transform difference" in warning for warning in track.track(path, positive).warnings)


def test_a_constant_series_is_tracked_without_a_word_of_nan(path: Path) -> None:
    panel = walk(FIT + 60)
    still = Panel(panel.dates, panel.names, np.full_like(panel.values, 7.0), panel.calendar, panel.log)
    origins = np.arange(FIT + 1, FIT + 60)
    journal.append(path, rows(still, origins, np.zeros((2, len(origins), 2, 21)), FIT))
    result = track.track(path, still)
    assert verdict(result) == drift.KEEP
    assert record(result, series="all", h=1)["pit"] == pytest.approx([0.1] * 10)
    assert "nan" not in dumps(list(result.records)).lower() + " ".join(result.sentences).lower()


def test_an_empty_journal_and_one_of_other_series_are_input_errors(path: Path) -> None:
    panel = walk(FIT + 10)
    journal.append(path, [])
    with pytest.raises(InputError, match="no forecasts in it"):
        track.track(path, panel)
    keep(path, walk(FIT + 10, names=("XAU/USD",)), FIT)
    with pytest.raises(InputError, match=r"none of its series \(XAU/USD\) is among USD/JPY, EUR/USD"):
        track.track(path, panel)


def test_the_picture_is_drawn(path: Path) -> None:
    panel = walk(FIT + 60)
    records = track.track(keep(path, panel, FIT), panel).records
    track.plot(records, path.with_suffix(".svg"))
    assert path.with_suffix(".svg").read_bytes().startswith(b"<?xml")
    with pytest.raises(UsageError, match="no picture"):
        track.plot(records, path.with_suffix(".txt"))
