"""What a training may look at, what it may be compared with, and what it may be gone on with."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from panels import plain_panel
from signs import finished

from seqcli.core import files, place, training
from seqcli.errors import InputError, ModelError, TryLaterError, UsageError
from seqcli.forecasting import plan, train
from seqcli.forecasting.calendar import between
from seqcli.forecasting.data import Panel
from seqcli.forecasting.plan import Plan
from seqcli.forecasting.sources import TableOptions
from seqcli.results import Result

DAYS = 160


def walk(days: int = DAYS, seed: int = 0) -> Panel:
    """A positive series with ordinary moves."""
    moves = np.random.default_rng(seed).normal(0.0, 0.01, (days, 1))
    return plain_panel(100 * np.exp(moves.cumsum(axis=0)), log=True)


def tiny(**changes: Any) -> Plan:
    """The smallest training; what is no field of ``Plan`` is a flag."""
    flags = {"cell": "lstm", "layers": 1, "hidden": 4, "epochs": 1, "seed": 1, "threads": 1}
    rest: dict[str, Any] = {"holdout": 30, "refit": True, "baselines": "none", "horizon": 5}
    for name, value in changes.items():
        (flags if name in (*flags, "command", "max_minutes", "learning_rate", "steps") else rest)[name] = value
    return plan.make(flags, quick=True, members=1, **rest)


def trained(panel: Panel, out: Path, how: Plan, **options: Any) -> Result:
    """Trains to the end, into a folder that may be replaced."""
    gate = options.pop("require_skill", False)
    work = train.train(panel, train.Place(out, **({"overwrite": True} | options)), how, require_skill=gate)
    return finished(work)


def weights(model: Path) -> bytes:
    return (model / "model.safetensors").read_bytes()


# What is held out


def tail(panel: Panel, at: int, values: np.ndarray | float) -> Panel:
    """The panel with other values from a row on."""
    changed = panel.values.copy()
    changed[at:, 0] = values
    return replace(panel, values=changed, log=np.array([bool(np.nanmin(changed) > 0)]))


def test_the_held_out_days_do_not_say_how_a_series_is_modelled(tmp_path: Path) -> None:
    panel, how = walk(), tiny(refit=False, source="x.csv")
    with pytest.raises(InputError) as refused:
        trained(tail(panel, DAYS - 1, -1.0), tmp_path / "fx", how)
    assert str(refused.value).startswith(f"x.csv: series 0: -1 on {panel.dates[-1]} has no logarithm")
    assert "--transform difference" in str(refused.value.hint)
    differences = replace(panel, values=panel.values - 100, log=np.array([False]))
    made = []
    for name, one in {
        "log": panel,
        "log, another tail": tail(panel, 130, 7 * panel.values[130:, 0]),
        "difference": differences,
        "difference, a positive tail": tail(differences, 130, 5.0 + np.arange(30) % 7),
    }.items():
        trained(one, tmp_path / name, how)
        made.append(weights(tmp_path / name))
    assert made[0] == made[1] != made[2]
    assert made[2] == made[3]
    told = replace(how, table=TableOptions(transform="difference"))
    negative = tail(panel, DAYS - 1, -1.0)
    trained(negative, tmp_path / "told", told)
    trained(replace(panel, log=negative.log), tmp_path / "told too", told)
    assert weights(tmp_path / "told") == weights(tmp_path / "told too")


def test_the_held_out_days_do_not_say_which_days_there_are(tmp_path: Path) -> None:
    dates = between("daily", np.datetime64("2024-01-02"), np.datetime64("2024-08-01"))
    values = np.where(np.is_busday(dates), 0.0, np.nan)
    values += np.random.default_rng(0).normal(0.0, 1.0, len(dates)).cumsum()
    last = int(np.flatnonzero(~np.is_busday(dates))[-1])
    values[last] = 1.0  # a single Saturday or Sunday makes a daily table of it
    panel = Panel(dates, ("x",), values[:, None], "daily", np.array([False]))
    for said, source in ((None, "x.csv"), ("infer", "x.csv")):
        with pytest.raises(InputError, match="keep the calendar 'weekdays', and all of them 'daily'") as refused:
            plan.split(panel, replace(tiny(source=source), table=TableOptions(calendar=said)))
        assert refused.value.hint == "say which one it is: --calendar daily"
    cut, _ = plan.split(panel, replace(tiny(source="x.csv"), table=TableOptions(calendar="daily")))
    assert cut.test == 30


@pytest.mark.parametrize(("holdout", "horizon"), [(1, 5), (9, 5), (39, 20)])
def test_a_report_on_fewer_days_than_it_needs_is_refused(tmp_path: Path, holdout: int, horizon: int) -> None:
    with pytest.raises(UsageError) as refused:
        trained(walk(), tmp_path / "fx", tiny(holdout=holdout, horizon=horizon))
    assert refused.value.where == f"--holdout {holdout}"
    assert f"on {horizon} days ahead; at least {2 * horizon}" in refused.value.what
    assert not (tmp_path / "fx").exists()


def test_a_history_that_is_too_short_for_a_report_is_trained_without_one(tmp_path: Path) -> None:
    said = trained(walk(120), tmp_path / "fx", tiny(holdout=250, horizon=20))
    assert said.records == ()
    assert "120 days are too few for a report on 20 days ahead: there is none" in said.warnings
    with pytest.raises(InputError, match="--require-skill: nothing to show it on"):
        trained(walk(120), tmp_path / "gated", tiny(holdout=250, horizon=20), require_skill=True)
    assert not (tmp_path / "gated").exists()


def test_a_median_that_is_learnt_has_a_view_on_the_direction(tmp_path: Path) -> None:
    fixed = trained(walk(), tmp_path / "fixed", tiny())
    free = trained(walk(), tmp_path / "free", tiny(free_median=True, learning_rate=0.05))
    assert fixed.records[0]["direction"] is None
    assert 0 <= free.records[0]["direction"] <= 1


# A warm start


def test_a_donor_that_knows_the_held_out_days_does_not_change_the_report(tmp_path: Path) -> None:
    panel = walk()
    cold = trained(panel, tmp_path / "cold", tiny())
    trained(panel, tmp_path / "donor", tiny(holdout=0, learning_rate=0.05, epochs=3))
    warm = trained(panel, tmp_path / "warm", tiny(init_from=tmp_path / "donor"))
    assert warm.records == cold.records
    assert weights(tmp_path / "warm") != weights(tmp_path / "cold")  # the fit through the end begins there
    last = panel.dates[DAYS - 61]
    assert any(f"donor has learnt until {panel.dates[-1]}, after its last day {last}" in s for s in warm.sentences)
    with pytest.raises(UsageError, match="knows nothing after") as refused:
        trained(panel, tmp_path / "none", tiny(init_from=tmp_path / "donor", refit=False))
    assert "--no-refit" in str(refused.value.hint)
    assert not (tmp_path / "none").exists()


def test_a_donor_that_has_learnt_from_no_later_day_is_where_the_report_begins(tmp_path: Path) -> None:
    panel = walk()
    trained(panel.head(DAYS - 60), tmp_path / "donor", tiny(holdout=0, learning_rate=0.05, epochs=3))
    cold, warm = (
        trained(panel, tmp_path / "fx", tiny(init_from=start, refit=False)) for start in (None, tmp_path / "donor")
    )
    assert warm.records != cold.records
    assert not any("began from nothing" in sentence for sentence in warm.sentences)


# Within a time


@pytest.mark.parametrize("holdout", [0, 30])
def test_a_training_that_the_clock_cut_short_says_that_no_number_of_steps_repeats_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holdout: int
) -> None:
    monkeypatch.setattr(training._Loop, "plan", lambda *_: 10**6)
    said = trained(walk(), tmp_path / "fx", tiny(max_minutes=0.01, holdout=holdout))
    data = json.loads((tmp_path / "fx" / "seqcli.json").read_text(encoding="utf-8"))["data"]
    assert data["cut_by_time"] is True
    assert 1 <= data["steps"] < data["planned_steps"] == 10**6
    assert said.warnings[-1].startswith("--max-minutes: the time was up after ")
    assert "of 1000000 planned steps; no --steps gives these weights again" in said.warnings[-1]


@pytest.mark.parametrize("holdout", [0, 30])
def test_a_training_that_ends_within_its_time_is_repeated_by_the_steps_that_it_planned(
    tmp_path: Path, holdout: int
) -> None:
    said = trained(walk(), tmp_path / "timed", tiny(max_minutes=9, epochs=3, holdout=holdout))
    data = json.loads((tmp_path / "timed" / "seqcli.json").read_text(encoding="utf-8"))["data"]
    assert data["cut_by_time"] is False
    assert not any("--max-minutes" in warning for warning in said.warnings)
    trained(walk(), tmp_path / "counted", tiny(steps=data["planned_steps"], holdout=holdout))
    assert weights(tmp_path / "timed") == weights(tmp_path / "counted")


# Going on


@pytest.mark.parametrize(
    ("differing", "panel", "how"),
    [
        ("'log'", replace(walk(), log=np.array([False])), tiny()),
        ("'threads'", walk(), tiny(threads=2)),
        ("'calendar'", replace(walk(), calendar="target"), tiny()),
        ("'currencies'", replace(walk(), currencies=("EUR",), currency_logs=np.zeros((DAYS, 1))), tiny()),
        ("'init_from'", walk(), "donor"),
    ],
    ids=["log", "threads", "calendar", "currencies", "init_from"],
)
def test_a_training_that_began_differently_is_not_gone_on_with(
    tmp_path: Path, differing: str, panel: Panel, how: Plan | str
) -> None:
    if isinstance(how, str):
        trained(walk(DAYS - 60), tmp_path / how, tiny(holdout=0))
        how = tiny(init_from=tmp_path / how)
    work = train.train(walk(), train.Place(tmp_path / "fx"), tiny())
    while next(work).stage != "fitting through the end":
        pass
    work.close()
    assert (tmp_path / "fx" / "resume" / "fit").exists()
    with pytest.raises(ModelError, match=f"{differing} was .* when the training began, and is now") as refused:
        trained(panel, tmp_path / "fx", how, overwrite=False, resume=True)
    assert refused.value.code == 4
    trained(walk(), tmp_path / "fx", tiny(), overwrite=False, resume=True)


# In the place of another


def test_models_are_compared_on_days_that_neither_has_seen_where_there_are_enough(tmp_path: Path) -> None:
    panel, out = walk(400), tmp_path / "fx"
    trained(panel.head(340), out, tiny(holdout=0))
    before = weights(out)
    bad = trained(panel, out, tiny(holdout=80, learning_rate=1.0, epochs=8), promote_if_better=True)
    assert "of the old one's on 55 days" in str(bad.gate)  # 60 days, and five of them are for the last targets
    assert str(panel.dates[340]) in str(bad.gate)
    assert "which neither model has learnt from" in str(bad.gate)
    assert {row["model"] for row in bad.records} == {"lstm"}
    assert weights(out) == before
    trained(panel.head(340), out, tiny(holdout=0, learning_rate=1.0, epochs=8))  # ruined
    good = trained(panel, out, tiny(holdout=80), promote_if_better=True)
    assert good.gate is None
    assert any("Replaced" in said and "which neither model has learnt from" in said for said in good.sentences)


def test_a_model_that_has_learnt_from_the_held_out_days_is_judged_by_its_own_report(tmp_path: Path) -> None:
    out = tmp_path / "fx"
    panel = walk(400)
    trained(panel, out, tiny(holdout=80))
    fresh = trained(panel, out, tiny(holdout=80, command="again"), promote_if_better=True)
    assert fresh.gate is None  # the same again is no worse
    assert any("each on its own held-out days" in said for said in fresh.sentences)
    assert '"again"' in (out / "seqcli.json").read_text(encoding="utf-8")
    second = weights(out)
    bad = trained(panel, out, tiny(holdout=80, learning_rate=1.0, epochs=8), promote_if_better=True)
    assert f"the old model has learnt until {panel.dates[-1]}" in str(bad.gate)
    assert weights(out) == second


def test_a_model_without_a_report_is_replaced_and_that_is_said(tmp_path: Path) -> None:
    out = tmp_path / "fx"
    trained(walk(), out, tiny(holdout=0))
    said = trained(walk(), out, tiny(), promote_if_better=True)
    assert said.gate is None
    assert any("the old model carries no report" in sentence for sentence in said.sentences)


@pytest.mark.parametrize(
    ("how", "panel", "what"),
    [
        (tiny(holdout=0), walk(), "no held-out days"),
        (tiny(horizon=3), walk(), "it looks 5 days ahead"),
        (tiny(), replace(walk(), names=("other",)), "its own report is on other series"),
    ],
    ids=["holdout", "horizon", "series"],
)
def test_models_that_cannot_be_compared_are_not(tmp_path: Path, how: Plan, panel: Panel, what: str) -> None:
    trained(walk(), tmp_path / "fx", tiny())
    before = weights(tmp_path / "fx")
    with pytest.raises(ModelError, match=what):
        trained(panel, tmp_path / "fx", how, promote_if_better=True)
    assert weights(tmp_path / "fx") == before


# One at a time


@contextmanager
def held(out: Path, seconds: float | None) -> Iterator[None]:
    """Another one has the folder for so long; ``None``: for as long as the block lasts."""
    has_it, done = threading.Event(), threading.Event()

    def hold() -> None:
        with files.lock(out):
            has_it.set()
            done.wait(seconds)

    other = threading.Thread(target=hold)
    other.start()
    has_it.wait()
    try:
        yield
    finally:
        done.set()
        other.join()


def test_a_folder_in_use_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "LOCK_SECONDS", 60.0)
    with held(tmp_path / "fx", 0.2):
        trained(walk(), tmp_path / "fx", tiny(holdout=0))
    assert (tmp_path / "fx" / "seqcli.json").exists()


def test_a_folder_in_use_is_not_waited_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "LOCK_SECONDS", 0.2)
    with held(tmp_path / "fx", None), pytest.raises(TryLaterError, match=r"by another process \(waited 0.2 s\)"):
        trained(walk(), tmp_path / "fx", tiny(holdout=0))
    assert not (tmp_path / "fx").exists()
