"""A season of mornings: forecasts into a journal, what came of them, and what the model learns from that."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import Run
from tables import quick

from seqcli.forecasting import issue, journal
from seqcli.forecasting.sources import TableOptions

__all__ = ["quick"]  # the fixture


@pytest.fixture
def season(fx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folders: dict[str, str]) -> Path:
    """A copy of the tiny forecaster, and beside it the journal of its mornings since it was trained."""
    monkeypatch.setenv("SEQCLI_DATA_DIR", folders["SEQCLI_DATA_DIR"])
    path = shutil.copytree(fx, tmp_path / "fx")
    model = issue.load(path)
    panel = model.panel(None, None, TableOptions())
    records = []
    for day in panel.dates[panel.dates > np.datetime64(model.data_until)]:
        monkeypatch.setenv("SEQCLI_NOW", f"{day}T18:00:00+00:00")
        records += issue.forecast(model, panel, str(day)).records
    monkeypatch.delenv("SEQCLI_NOW")
    journal.append(tmp_path / "fx.db", records)
    return path


def test_a_recalibration_changes_tomorrows_forecast_and_no_replay(quick: Run, season: Path) -> None:
    learnt = quick("recalibrate", season, "fx.db", "--force").rows[0]
    assert learnt["applied"] is True
    (shown,) = quick("info", season).rows[0]["calibrations"]
    assert (shown["id"], shown["in_force"]) == (learnt["calibration"], True)
    assert {row["calibration"] for row in quick("forecast", season).rows} == {learnt["calibration"]}
    assert {row["calibration"] for row in quick("forecast", season, "--as-of", "2026-09-01").rows} == {None}
    window = ("--baselines", "none", "--every", 20)
    assert {row["in_sample"] for row in quick("backtest", season, *window).rows} == {False}


def test_recalibrating_what_is_not_there_leaves_nothing(quick: Run, season: Path, tmp_path: Path) -> None:
    ran = quick("recalibrate", "typo/fx", "fx.db", fails_with=4)
    assert ran.stderr.startswith("error: typo/fx: no such model folder\n")
    assert not (tmp_path / "typo").exists()


def test_a_correction_that_does_harm_is_kept_but_applied_only_by_force(quick: Run, season: Path) -> None:
    ran = quick("recalibrate", season, "fx.db")
    content = json.loads((season / "calibration.json").read_text())
    (kept,) = content["calibrations"]
    assert kept["applied"] is (kept["crps_check"] <= 1.0) is ran.rows[0]["applied"]
    kept["crps_check"], kept["applied"] = 1.01, False
    (season / "calibration.json").write_text(json.dumps(content))
    assert "calibration" not in quick("forecast", season).rows[0]
    (shown,) = quick("info", season).rows[0]["calibrations"]
    assert (shown["applied"], shown["in_force"]) == (False, False)


def test_replays_are_tracked_apart(quick: Run, season: Path) -> None:
    quick("forecast", season, "--as-of", "2026-09-01", "--journal", "replay.db", SEQCLI_NOW="2026-11-02")
    ran = quick("track", "replay.db")
    whole = [row for row in ran.rows if row["series"] == row["h"] == "all"]
    assert [(row["in_sample"], row["n"]) for row in whole] == [(False, 0), (True, 10)]
    assert "10 replays are not judged" in ran.stderr
    live = [row for row in quick("track", "fx.db").rows if row["series"] == row["h"] == "all"]
    assert [row["in_sample"] for row in live] == [False]
