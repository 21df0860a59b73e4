from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch  # noqa: TID253 - these tests are about PyTorch
from panels import currency_panel, plain_panel

from seqcli.errors import ModelError
from seqcli.forecasting import features, predict
from seqcli.forecasting.blocks import Blocks
from seqcli.forecasting.config import ForecastConfig
from seqcli.forecasting.model import Forecaster

CONFIG = ForecastConfig(hidden=5, members=2, warmup=20, block=40)


def random_model(config: ForecastConfig = CONFIG, seed: int = 0) -> Forecaster:
    """Every tensor random, so that nothing is at its neutral start."""
    torch.manual_seed(seed)
    model = Forecaster(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
        model.centre += 0.1 * torch.randn_like(model.centre)
        model.spread += 0.1 * torch.rand_like(model.spread)
        model.empirical += 0.1 * torch.randn_like(model.empirical)
    return model


def tensors(model: Forecaster) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in model.state_dict().items()}


def forecast(panel, origins, config=CONFIG):
    return predict.quantiles(tensors(random_model(config)), config, panel, np.asarray(origins))


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("free_median", [False, True])
def test_numpy_and_torch_give_the_same_quantiles(cell, free_median):
    config = replace(CONFIG, cell=cell, layers=2, free_median=free_median)
    panel, model = currency_panel(200), random_model(config).double()
    inputs, blocks = features.build(panel), Blocks.of(panel, config)
    with torch.no_grad():
        x = torch.from_numpy(blocks.read(inputs.x, axis=1)).double()[0]
        days = torch.from_numpy(blocks.scored(inputs.days, axis=0, fill=0.0)).double()
        scaled = model(x, days, config.warmup).numpy()
    rows = blocks.rows[:, config.warmup :]
    root = np.sqrt(np.arange(1, 6))[:, None]
    levels = np.log(panel.values[:, 0])[:, None, None]
    expected = levels[rows[rows >= 0]] + scaled[rows >= 0] * inputs.scale[0, rows[rows >= 0], None, None] * root
    found = predict.quantiles(tensors(model), config, panel, rows[rows >= 0])[0]
    assert np.allclose(found, expected, rtol=0, atol=1e-12)


def test_a_forecast_is_the_same_alone_and_among_others():
    panel = currency_panel()
    together = forecast(panel, np.arange(100, 420))
    for origin in (100, 137, 419):
        assert np.allclose(forecast(panel, [origin])[:, 0], together[:, origin - 100], rtol=0, atol=1e-12)
    alone = replace(panel, names=panel.names[2:], values=panel.values[:, 2:], log=panel.log[2:])
    assert np.allclose(forecast(alone, [300])[0, 0], together[2, 200], rtol=0, atol=1e-12)


def test_a_forecast_does_not_look_ahead():
    panel = currency_panel()
    values, logs = panel.values.copy(), panel.currency_logs.copy()
    values[301:], logs[301:] = 7.0, 1.0
    changed = replace(panel, values=values, currency_logs=logs)
    cut = replace(panel, dates=panel.dates[:301], values=panel.values[:301], currency_logs=panel.currency_logs[:301])
    expected = forecast(panel, [250, 300])
    assert np.array_equal(forecast(changed, [250, 300]), expected)
    assert np.allclose(forecast(cut, [250, 300]), expected, rtol=0, atol=1e-12)


def test_the_last_day_changes_the_forecast_for_the_next():
    panel = currency_panel()
    values = panel.values.copy()
    values[300, 0] *= 1.01
    before, after = forecast(panel, [300])[0, 0, 0], forecast(replace(panel, values=values), [300])[0, 0, 0]
    assert not np.allclose(np.diff(before), np.diff(after), rtol=1e-3, atol=0)


def test_quantiles_increase_and_their_median_is_the_last_value():
    panel = currency_panel()
    quantiles = forecast(panel, np.arange(50, 420))
    assert (np.diff(quantiles, axis=-1) > 0).all()
    assert np.allclose(quantiles[..., 10], np.log(panel.values[50:]).T[..., None], atol=1e-12)


def test_a_series_without_a_value_on_the_day_has_no_forecast():
    panel = currency_panel()
    values = panel.values.copy()
    values[300, 1] = np.nan
    quantiles = forecast(replace(panel, values=values), [300, 301])
    assert np.isnan(quantiles[1, 0]).all()
    assert np.isfinite(np.delete(quantiles, 1, axis=0)).all()
    assert np.isfinite(quantiles[1, 1]).all()


@pytest.mark.parametrize("values", [np.full((30, 1), -3.0), np.array([[5.0]]), np.linspace(-1, 1, 30)[:, None]])
def test_constant_short_and_negative_series_have_finite_forecasts(values):
    quantiles = forecast(plain_panel(values), [len(values) - 1])
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles, axis=-1) >= 0).all()


def test_no_origins_give_no_forecasts():
    assert forecast(currency_panel(60), np.array([], int)).shape == (3, 0, 5, 21)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_the_promised_shapes_are_those_of_the_tensors(cell):
    config = replace(CONFIG, cell=cell, layers=2, free_median=cell == "gru")
    assert predict.shapes(config) == {name: value.shape for name, value in tensors(Forecaster(config)).items()}


def test_a_missing_tensor_is_named():
    broken = tensors(random_model())
    del broken["head.1.level.bias"]
    with pytest.raises(ModelError, match=r"head\.1\.level\.bias"):
        predict.quantiles(broken, CONFIG, currency_panel(100), np.array([99]))


def test_a_config_comes_back_from_json():
    assert ForecastConfig.from_json({**asdict(CONFIG), "unknown": 1}) == CONFIG


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hidden", 0), ("hidden", "16"), ("members", True), ("horizon", 10**9), ("dropout", 1.0),
        ("levels", [0.1, 0.9]), ("levels", [0.1, 0.5, 0.9]), ("levels", 3),
        ("levels", [0.02, *CONFIG.levels[1:-1], 0.98]),  # printed as q0.025 and q0.975
        ("levels", [0.9, 0.5, 0.1]), ("cell", "transformer"), ("features", 10**6), ("free_median", 1), ("block", None),
    ],
)  # fmt: skip
def test_a_config_that_makes_no_sense_is_refused(key, value):
    with pytest.raises(ModelError):
        ForecastConfig.from_json({**asdict(CONFIG), key: value})
