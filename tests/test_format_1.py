"""Models of format 1 load for ever, and answer as they did on the day that they were made (tests/models/make.py)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import SAMPLES, Run

MODELS = Path(__file__).parent / "models"


CLASSES, PROBABILITIES = ["京都観光", "携帯電話", "グルメ"], [0.345696, 0.284260, 0.281250]
BITS = [4.905234, 7.109600, 4.687224]  # of the mixture, the network and the n-grams
WRITTEN = "四懐と替りを借りでの火が"
QUANTILES = [143.367077, 145.476, 147.615945]
NEIGHBOURS = ["無い", "が", "もう"]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Copies, beside the folder that a command runs in: nothing may be written into the examples."""
    shutil.copytree(MODELS, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("make.py"))
    return tmp_path


@pytest.mark.parametrize("kind", ["forecaster", "classifier", "generator", "vectors"])
def test_info_reads_it(run: Run, models: Path, kind: str) -> None:
    assert run("info", models / kind).rows[0]["kind"] == kind


def test_the_classifier_answers_as_it_did(run: Run, models: Path) -> None:
    rows = run("classify", models / "classifier", "昨日の焼肉は最高だった", "試合を見に行った", "").rows
    assert [row["predicted"] for row in rows] == CLASSES
    assert [row["probability"] for row in rows] == pytest.approx(PROBABILITIES, abs=1e-4)


def test_the_generator_measures_and_writes_as_it_did(run: Run, models: Path) -> None:
    rows = run("evaluate", models / "generator", "-", stdin="兄さんへ。港は今日も静かです。".encode()).rows
    assert [row["bits_per_char"] for row in rows] == pytest.approx(BITS, abs=1e-4)
    (row,) = run("generate", models / "generator", "--seed", "1", "--length", "12").rows
    assert row["text"] == WRITTEN


def test_the_forecaster_forecasts_as_it_did(run: Run, models: Path) -> None:
    rows = run("forecast", models / "forecaster", SAMPLES / "rates-wide.csv").rows
    assert [rows[0][name] for name in ("q0.025", "q0.5", "q0.975")] == pytest.approx(QUANTILES, rel=1e-5)


def test_the_vectors_have_the_neighbours_that_they_had(run: Run, models: Path) -> None:
    rows = run("similar", "--model", models / "vectors", "港", "-n", "3").rows
    assert [row["item"] for row in rows] == NEIGHBOURS
