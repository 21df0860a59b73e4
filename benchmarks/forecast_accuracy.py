"""How good the forecasts are on days that no choice was made on: three seeds, beside the baselines.

    python benchmarks/forecast_accuracy.py [--until 2024-06-28] [--end DATE] [--seeds 1 2 3]

Fits on data until ``--until``, forecasts ten pairs one to five days ahead from every day after it until ``--end``. The
scores are our own backtest's; where the outside scorer of ``../shared/bench/forecast`` is there, its as well, with a
Diebold-Mariano test against the forecasts of a GJR-GARCH-t that is refitted every month.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import measure

PAIRS = ["USD/JPY", "EUR/USD", "EUR/JPY", "GBP/USD", "AUD/USD", "USD/CHF", "USD/CAD", "EUR/GBP", "AUD/JPY", "NZD/USD"]
OUTSIDE = measure.HERE.parent.parent / "shared" / "bench" / "forecast"
KEPT = ("mae_ratio", "rmse_ratio", "pinball_ratio", "pinball_ratio_ewma", "cov80", "cov95", "dm_pin_ewma_p")


def main() -> None:
    """Measures, and writes results/forecast_accuracy.json (of another period, with its dates in the name)."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--until", default="2024-06-28")
    asked.add_argument("--end")
    asked.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    asked.add_argument("--train", nargs=argparse.REMAINDER, default=[], help="further flags of train-forecast")
    options = asked.parse_args()
    name = "forecast_accuracy" if options.until == "2024-06-28" else f"forecast_accuracy_{options.until}"
    with tempfile.TemporaryDirectory() as folder:
        seeds = {seed: one(Path(folder), seed, options) for seed in options.seeds}
    measure.write(name, {"until": options.until, "end": options.end, "pairs": PAIRS, "seeds": seeds})


def one(folder: Path, seed: int, options: Any) -> dict[str, Any]:
    """Trains with one seed and scores it."""
    model, rows = folder / f"seed{seed}", folder / f"seed{seed}.csv.gz"
    until = ["--until", options.until, "--holdout", 0, "--seed", seed]
    spent = measure.run([*measure.SEQCLI, "train-forecast", *until, "--out", model, *options.train])
    pairs = [word for pair in PAIRS for word in ("--pair", pair)]
    window = ["--since", options.until, *(["--until", options.end] if options.end else [])]
    command = [
        *measure.SEQCLI,
        "backtest",
        model,
        *pairs,
        *window,
        "--by-horizon",
        "--forecasts",
        rows,
        "--format",
        "json",
    ]
    said = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout
    found: dict[str, Any] = {"training": vars(spent), "backtest": [r for r in json.loads(said) if r["h"] in ("all", 1)]}
    if OUTSIDE.exists():
        found["outside"] = outside(rows, options)
    return found


def outside(rows: Path, options: Any) -> dict[str, Any]:
    """What the outside scorer says of a file of forecasts."""
    scores = rows.with_suffix(".json")
    period = {"FX_TRAIN_END": options.until} | ({"FX_END": options.end} if options.end else {})
    command = [sys.executable, OUTSIDE / "evaluate.py", rows, "--json", scores]
    peer = OUTSIDE / "peer_gjr_garch_t.csv.gz"
    if options.until == "2024-06-28":
        command += ["--against", peer]
    said = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=True, env=os.environ | period
    ).stdout
    result = json.loads(scores.read_text())[rows.name.removesuffix(".csv.gz")]
    by_h = [{"h": row["h"], **{key: round(row[key], 6) for key in KEPT}} for row in result["per_h"]]
    mean = {key: round(value, 6) for key, value in result["mean_over_h"].items() if key in KEPT}
    against = said.partition("versus ")[2].splitlines()[1:7]
    return {"by_horizon": by_h, "mean": mean, "against_gjr_garch_t": against}


if __name__ == "__main__":
    main()
