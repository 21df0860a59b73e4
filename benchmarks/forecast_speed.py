"""What forecasting costs, as ratios of one run: training beside neuralforecast's LSTM, commands beside importing torch.

    python benchmarks/forecast_speed.py [--peers PYTHON]

``--peers`` is a Python that has neuralforecast (``run.sh`` makes one in an environment of its own).
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import measure
import numpy as np

IMPORT_TORCH = [sys.executable, "-c", "import torch"]
PEER = measure.HERE / "peer_neuralforecast.py"
TEN = ["USD/JPY", "EUR/USD", "EUR/JPY", "GBP/USD", "AUD/USD", "USD/CHF", "USD/CAD", "EUR/GBP", "AUD/JPY", "NZD/USD"]


def main() -> None:
    """Measures, and writes results/forecast_speed.json."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--peers", help="a Python with neuralforecast")
    options = asked.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train = [
            *measure.SEQCLI,
            "train-forecast",
            "--until",
            "2024-06-28",
            "--holdout",
            0,
            "--threads",
            1,
            "--overwrite",
        ]
        found: dict[str, Any] = {}
        model = folder / "fx"
        cost = measure.run([*train, "--out", model], **measure.ONE_THREAD)
        found["training, 28 crosses, one fit"] = vars(cost)
        if options.peers:
            peer = measure.run([options.peers, PEER], **measure.ONE_THREAD)
            found["neuralforecast LSTM, 500 steps"] = vars(peer)
            found["training ratio, wall"] = round(cost.wall / peer.wall, 3)
        found["forecast / import torch"] = measure.paired([*measure.SEQCLI, "forecast", model], IMPORT_TORCH)
        found["--help / import torch"] = measure.paired([*measure.SEQCLI, "--help"], IMPORT_TORCH)
        pairs = [word for pair in TEN for word in ("--pair", pair)]
        window = ["--since", "2024-06-28", "--baselines", "none", "--forecasts", folder / "rows.csv"]
        replay = [*measure.SEQCLI, "backtest", model, *pairs, *window]
        found["backtest, 594 origins x 10 pairs, whole process"] = vars(measure.run(replay))
        found["growth"] = growth(folder)
    measure.write("forecast_speed", found)


def growth(folder: Path) -> dict[str, Any]:
    """Training of 1, 10 and 28 pairs and of 1,000 generated series of 2,000 days, in seconds and MB."""
    fixed = ["--holdout", 0, "--threads", 1, "--overwrite", "--out", folder / "grown"]
    cost: dict[str, Any] = {}
    for count in (1, 10, 28):
        pairs = [word for pair in TEN[:count] for word in ("--pair", pair)] if count <= len(TEN) else []
        cost[f"{count} pairs"] = vars(
            measure.run([*measure.SEQCLI, "train-forecast", *pairs, *fixed], **measure.ONE_THREAD)
        )
    table = folder / "series.csv"
    for count in (100, 1000):
        generate(table, count)
        command = [*measure.SEQCLI, "train-forecast", table, "--calendar", "weekdays", *fixed]
        cost[f"{count} series of 2,000 days"] = vars(measure.run(command, **measure.ONE_THREAD))
    return cost


def generate(path: Path, count: int, days: int = 2000) -> None:
    """A wide table of random walks whose volatility wanders."""
    rng = np.random.default_rng(1)
    volatility = 0.006 * np.exp(
        0.05 * rng.standard_normal((days, count)).cumsum(0) / np.sqrt(np.arange(1, days + 1))[:, None]
    )
    values = 100 * np.exp((volatility * rng.standard_normal((days, count))).cumsum(0))
    dates = np.busday_offset("2018-01-01", np.arange(days), roll="forward")
    lines = [",".join(["date", *(f"s{k:04d}" for k in range(count))])]
    lines += [",".join([str(day), *(f"{v:.5f}" for v in row)]) for day, row in zip(dates, values, strict=True)]
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
