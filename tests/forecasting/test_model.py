from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch  # noqa: TID253 - these tests are about PyTorch
from panels import currency_panel, plain_panel

from seqcli.core.training import FitSettings, TrainingState, fit
from seqcli.forecasting import features
from seqcli.forecasting.chunks import Chunks
from seqcli.forecasting.config import ForecastConfig
from seqcli.forecasting.days import DAY_FEATURES
from seqcli.forecasting.model import Forecaster, pinball

CONFIG = ForecastConfig(hidden=4, members=2, warmup=20, block=40)


def trained(chunks: Chunks, epochs: int = 2, config: ForecastConfig = CONFIG) -> Forecaster:
    torch.manual_seed(0)
    model = Forecaster(config)
    state = TrainingState(model, FitSettings(epochs=epochs, learning_rate=0.01), {})
    list(fit(state, chunks.batches(0, config.members, 8), chunks.step(model)))
    return model


def test_a_new_forecaster_is_the_normal_distribution_with_todays_volatility():
    model = Forecaster(CONFIG).eval()
    quantiles = model(torch.randn(2, 30, len(features.NAMES)), torch.zeros(2, 10, 5, len(DAY_FEATURES)), skip=20)
    assert quantiles.shape == (2, 10, 5, 21)
    normal = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(CONFIG.levels))
    assert torch.allclose(quantiles, normal.expand_as(quantiles), atol=1e-5)


def test_training_begins_with_the_empirical_quantiles_of_the_scaled_moves():
    chunks = Chunks.build(currency_panel(300), CONFIG)
    model = Forecaster(CONFIG).eval()
    chunks.step(model)
    quantiles = model(chunks.x[0], chunks.days, CONFIG.warmup)[0, 0]
    y = features.targets(currency_panel(300), features.build(currency_panel(300)), 5)[:, CONFIG.warmup :]
    for h in (0, 4):
        size = np.abs(y[..., h][np.isfinite(y[..., h])])
        assert quantiles[h, -1].item() == pytest.approx(np.quantile(size, 0.95), rel=1e-4)
        assert (size <= quantiles[h, 14].item()).mean() == pytest.approx(0.4, abs=0.01)


def test_the_mean_pinball_loss_equals_its_definition_and_skips_unknown_targets():
    quantiles = torch.tensor([[-1.0, 0.0, 2.0], [0.0, 0.0, 0.0]])
    levels = torch.tensor([0.1, 0.5, 0.9])
    loss = pinball(quantiles, torch.tensor([1.0, float("nan")]), levels)
    assert loss.item() == pytest.approx((0.1 * 2 + 0.5 * 1 + 0.1 * 1) / 3)
    assert pinball(quantiles, torch.full((2,), torch.nan), levels) == 0


def test_chunks_hold_every_day_of_every_series_once():
    panel = currency_panel(300)
    chunks = Chunks.build(panel, CONFIG)
    y = features.targets(panel, features.build(panel), 5)
    expected = np.isfinite(y[:, CONFIG.warmup :]).sum()
    assert int(chunks.y.isfinite().sum()) == expected


def test_origins_outside_the_given_days_are_not_learned_from():
    panel = currency_panel(300)
    some = Chunks.build(panel.head(150), CONFIG, since=panel.dates[100])
    assert int(some.y[..., 0].isfinite().sum()) == 3 * 49  # the last day's target has not come


def test_a_change_after_the_last_day_learned_from_changes_no_weight():
    panel = currency_panel(300)
    values, logs = panel.values.copy(), panel.currency_logs.copy()
    values[200:], logs[200:] = 2 * values[200:], logs[200:] + 0.5
    first, second = (
        trained(Chunks.build(p.head(200), CONFIG)) for p in (panel, replace(panel, values=values, currency_logs=logs))
    )
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_training_finds_the_kind_of_day_on_which_a_series_moves_more(cell):
    random = np.random.default_rng(0)
    panel = plain_panel(np.zeros((1200, 4)))
    monday = (panel.dates.astype(int) + 3) % 7 == 0
    moves = random.normal(size=(1200, 4)) * np.where(monday, 3.0, 1.0)[:, None]
    chunks = Chunks.build(replace(panel, values=moves.cumsum(0)), replace(CONFIG, cell=cell))
    model = trained(chunks, epochs=15, config=replace(CONFIG, cell=cell))
    model.eval()
    widths = model(chunks.x[0], chunks.days, CONFIG.warmup).detach()[..., 0, 18]
    is_monday = chunks.days[..., 0, 0] > 0
    assert widths[is_monday].mean() > 1.5 * widths[~is_monday].mean()


def test_members_see_all_chunks_in_orders_of_their_own_that_the_epoch_decides():
    chunks = Chunks.build(currency_panel(300), CONFIG)
    batches = chunks.batches(seed=3, members=2, size=5)
    first = np.concatenate(list(batches(0)), axis=1)
    assert np.array_equal(first, np.concatenate(list(batches(0)), axis=1))
    assert (np.sort(first, axis=1) == np.arange(len(chunks))).all()
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first, np.concatenate(list(batches(1)), axis=1))
    assert len(batches(0)) == sum(1 for _ in batches(0))


def test_validation_is_the_ensembles_loss_over_all_chunks():
    chunks = Chunks.build(currency_panel(300), CONFIG)
    model = trained(chunks)
    with torch.no_grad():
        model.eval()
        every = [model(chunks.x[k], chunks.days, CONFIG.warmup) for k in range(3)]
        expected = pinball(torch.stack(every), chunks.y, torch.tensor(CONFIG.levels))
    model.train()
    assert chunks.loss(model, size=4) == pytest.approx(float(expected), rel=1e-5)
    assert model.training


def test_constant_and_short_series_train_without_a_number_going_wrong():
    values = np.stack([np.full(120, 5.0), np.where(np.arange(120) < 100, np.nan, 1.0)], axis=1)
    model = trained(Chunks.build(plain_panel(values), CONFIG))
    assert all(value.isfinite().all() for value in model.state_dict().values())
