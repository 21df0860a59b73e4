"""``info`` and ``doctor``: what they show of a forecaster; ``evaluate``: what it refuses of every kind."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import SAMPLES, Run
from tables import quick

from seqcli.core import checkpoint
from seqcli.forecasting import calibration as calibrations
from seqcli.forecasting.calibration import Calibration

__all__ = ["quick"]  # the fixture


@pytest.fixture
def model(fx: Path, tmp_path: Path) -> Path:
    """A copy of the tiny forecaster that a test may spoil."""
    return shutil.copytree(fx, tmp_path / "fx")


def test_info_shows_the_calibrations_and_which_is_in_force(quick: Run, model: Path) -> None:
    assert quick("info", model).rows[0]["calibrations"] == []
    factors = (tuple(1.0 + k / 100 for k in range(10)),)
    one = Calibration(
        "2026-08-01T00:00:00+00:00", checkpoint.peek(model).id, "2026-07-31", (50,), factors, (0.7,), (0.9,), None
    )
    for each in (one, replace(one, outcomes_until="2026-08-31", applied=False), replace(one, model_id="another")):
        calibrations.add(model / "calibration.json", each)
    first, second, third = quick("info", model).rows[0]["calibrations"]
    assert [each["in_force"] for each in (first, second, third)] == [True, False, False]
    assert first == {
        "id": one.id,
        "model_id": one.model_id,
        "created": one.created,
        "outcomes_until": "2026-07-31",
        "days": [50],
        "factor80": [1.02],
        "factor95": [1.0],
        "applied": True,
        "in_force": True,
    }
    assert one.id in quick("info", model, "--format", "table").stdout
    said = quick("doctor", model, SEQCLI_NOW="2026-11-02").rows
    assert one.id in next(row["detail"] for row in said if row["check"] == "model")


def test_info_of_a_card_that_is_not_utf8_is_no_crash(quick: Run, model: Path) -> None:
    (model / "README.md").write_bytes("- 為替\n".encode("cp932"))
    assert "\ufffd" in quick("info", model).stderr


def test_the_doctor_fits_a_terminal_and_says_what_to_do(quick: Run, model: Path) -> None:
    ran = quick("doctor", model, "--format", "table", SEQCLI_NOW="2026-11-12")
    assert max(map(len, ran.stdout.splitlines())) <= 80
    assert "hint" not in ran.stdout.splitlines()[0]
    assert "rates: until 2026-10-30" in ran.stderr
    assert "(seqcli rates --update)" in ran.stderr
    assert ran.stderr.splitlines()[-1].startswith("Nothing would fail; ")


def test_the_doctor_ends_with_5_where_tomorrows_forecast_would_be_refused(quick: Run) -> None:
    assert "rates would fail" in quick("doctor", "--max-age", "4d", SEQCLI_NOW="2026-11-05", fails_with=5).stderr
    quick("doctor", "--max-age", "4d", SEQCLI_NOW="2026-11-04")


@pytest.mark.parametrize(
    "asked",
    [("--per-line",), ("--per-token", "logs.tsv"), ("--part", "network"), ("--aozora",), ("--no-aozora",)],
    ids=" ".join,
)
def test_what_only_a_generator_has_is_refused_of_a_classifier(
    quick: Run, topics: Path, tmp_path: Path, asked: tuple[Any, ...]
) -> None:
    ran = quick("evaluate", topics, SAMPLES / "posts.csv", *asked, fails_with=2)
    assert re.fullmatch(r"error: --\S+: a classifier has nothing of the kind\nhint: leave it out\n", ran.stderr)
    assert asked[0] in ran.stderr
    assert ran.stdout == ""
    assert not (tmp_path / "logs.tsv").exists()
