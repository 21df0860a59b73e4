"""The sample tables, what a forecaster's records hold, and what is looked at in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from conftest import SAMPLES

from seqcli.forecasting import records

WIDE, LONG, JAPANESE, SPREAD = (SAMPLES / f"{n}.csv" for n in ("rates-wide", "rates-long", "為替", "spread"))
NOW = {"SEQCLI_NOW": "2026-10-30T18:00:00+00:00"}
LONG_COLUMNS = ("--series-column", "series", "--value-column", "value")
JAPANESE_COLUMNS = ("--date-column", "日付", "--series-column", "通貨", "--value-column", "値")
FORECAST_KEYS = ["series", "origin_date", "h", "target_date", "point", *records.QUANTILES]
ISSUED_KEYS = ["last", "naive", "issued_at", "model_id", "data_until"]
REPORT_KEYS = {
    "model", "series", "h", "n", "mae_ratio", "rmse_ratio", "crps_ratio", "crps_ewma", "direction",
    "coverage80", "coverage95", "dm_p", "dm_p_ewma",
}  # fmt: skip
FAST = ["random-walk", "random-walk-drift", "random-walk-250", "ewma-normal", "ewma-empirical"]


def weights(model: Path) -> bytes:
    return (model / "model.safetensors").read_bytes()


def manifest(model: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((model / "seqcli.json").read_text(encoding="utf-8"))
    return found


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def numbers(rows: list[dict[str, Any]], key: str = "q0.1") -> list[float]:
    return [float(row[key]) for row in rows]
