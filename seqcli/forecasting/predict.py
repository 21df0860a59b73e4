"""Forecasts from a model's tensors, in NumPy: the same numbers as ``model.py``, without importing PyTorch.

Everything is computed in float64, so that a forecast is the same to twelve digits however many others are made with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.core.encoder import Encoder
from seqcli.errors import ModelError
from seqcli.forecasting import features
from seqcli.forecasting.blocks import Blocks
from seqcli.forecasting.config import CLIP, LOG_LIMIT, ForecastConfig
from seqcli.forecasting.data import Floats, Panel
from seqcli.forecasting.days import DAY_FEATURES

AT_ONCE = 64  # series, so that memory does not grow with their number
Tensors = Mapping[str, NDArray[Any]]


def quantiles(
    tensors: Tensors,
    config: ForecastConfig,
    panel: Panel,
    origins: NDArray[np.int64],
    inputs: features.Inputs | None = None,
) -> Floats:
    """Quantiles of the levels of the next H business days, ``(N, O, H, Q)``, in level units.

    Arguments:
        tensors: name → array, as the model folder holds them.
        config: what the model was trained as.
        panel: N series; for each forecast only the rows up to its origin count.
        origins: ``(O,)`` rows of the panel.
        inputs: ``features.build(panel, config.horizon)``, where the caller has it already.

    Returns:
        NaN for a series that has no value on the origin's day.
    """
    inputs = features.build(panel, config.horizon) if inputs is None else inputs
    blocks = Blocks.of(panel, config)
    wanted: NDArray[np.bool_] = np.isin(blocks.rows[:, config.warmup :], origins)
    some = np.asarray(wanted.any(axis=1))
    blocks, wanted = blocks.only(some), wanted[some]
    out = np.full((len(panel.names), len(origins), config.horizon, len(config.levels)), np.nan)
    if len(wanted):
        # Of the last block often only the first days are asked for: the network need not read further.
        steps = config.warmup + int(np.flatnonzero(wanted.any(0))[-1]) + 1
        blocks = Blocks(blocks.rows[:, :steps], config.warmup)
        days = blocks.scored(inputs.days, axis=0, fill=0.0).astype(np.float64)  # (B, t, H, K)
        place = np.full(len(panel.dates), -1)
        place[origins] = np.arange(len(origins))
        rows = blocks.rows[:, config.warmup :]
        at = np.where(rows >= 0, place[rows], -1)  # (B, t): which origin a step is, if any
        for first in range(0, len(panel.names), AT_ONCE):
            some_series = slice(first, first + AT_ONCE)
            x = blocks.read(inputs.x[some_series], axis=1).astype(np.float64)  # (n, B, t, F)
            out[some_series, at[at >= 0]] = _ensemble(tensors, config, x, days)[:, at >= 0]  # of (n, B, t, H, Q)
    days_root = np.sqrt(np.arange(1, config.horizon + 1))[:, None]
    levels = np.where(inputs.observed, panel.levels().T, np.nan)[:, origins]
    return levels[..., None, None] + out * inputs.scale[:, origins][..., None, None] * days_root


def _ensemble(tensors: Tensors, config: ForecastConfig, x: Floats, days: Floats) -> Floats:
    """``model.Forecaster.forward``: the mean of the members' quantiles, ``(N, B, t, H, Q)``, in units of the scale."""
    series, blocks, steps, size = x.shape
    x = (x - _get(tensors, "centre")) / _get(tensors, "spread")
    x = np.asarray(np.nan_to_num(np.clip(x, -CLIP, CLIP)), np.float64).reshape(series * blocks, steps, size)
    total: Floats = np.zeros((series, blocks, steps - config.warmup, config.horizon, len(config.levels)))
    for k in range(config.members):
        encoder = Encoder.from_tensors(tensors, f"encoder.{k}.", config.cell, np.float64)
        state = encoder.forward(x)[0]  # (N·B, t, hidden)
        shape = (series, blocks, steps - config.warmup, -1)
        read = x[:, config.warmup :].reshape(shape)
        remembered = np.asarray(state[:, config.warmup :].reshape(shape), np.float64)
        total += _head(tensors, k, config, (remembered, read, days))
    return total / config.members


def _head(tensors: Tensors, k: int, config: ForecastConfig, inputs: tuple[Floats, Floats, Floats]) -> Floats:
    """``model.Head.forward`` of member k from ``(state, x, days)``; ``days`` is ``(B, t, H, K)``."""
    state, x, days = inputs

    def linear(name: str, values: Floats, bias: bool = True) -> Floats:
        product: Floats = values @ _get(tensors, f"head.{k}.{name}.weight").T
        return product + _get(tensors, f"head.{k}.{name}.bias") if bias else product

    kind = (days @ linear("day", state)[..., None])[..., 0]
    log_volatility = linear("level", state) + linear("direct", x, bias=False) + kind
    variance = np.exp(2 * np.clip(log_volatility, -LOG_LIMIT, LOG_LIMIT)).cumsum(-1)
    spread = np.sqrt(variance / np.arange(1, config.horizon + 1))[..., None]
    shape = _get(tensors, f"head.{k}.steps") + _get(tensors, "empirical")
    steps = np.logaddexp(0.0, linear("shape", state, bias=False)[..., None, :] + shape)
    upper = spread * steps.cumsum(-1)
    out = np.concatenate([-upper[..., ::-1], np.zeros_like(spread), upper], axis=-1)
    return out + spread * linear("median", state, bias=False)[..., None] if config.free_median else out


def _get(tensors: Tensors, name: str) -> Floats:
    if name not in tensors:
        raise ModelError(name, "this tensor is missing from the model")
    return np.asarray(tensors[name], np.float64)


def shapes(config: ForecastConfig) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor that a model of this config has; what a folder holds is compared with it."""
    inputs, hidden, gates = len(features.NAMES), config.hidden, {"rnn": 1, "gru": 3, "lstm": 4}[config.cell]
    upper = len(config.upper)
    found: dict[str, tuple[int, ...]] = {"centre": (inputs,), "spread": (inputs,), "empirical": (config.horizon, upper)}
    for k in range(config.members):
        for layer in range(config.layers):
            prefix = f"encoder.{k}.layers.{layer}."
            found[f"{prefix}weight_ih_l0"] = (gates * hidden, inputs if layer == 0 else hidden)
            found[f"{prefix}weight_hh_l0"] = (gates * hidden, hidden)
            found[f"{prefix}bias_ih_l0"] = found[f"{prefix}bias_hh_l0"] = (gates * hidden,)
        head = f"head.{k}."
        found |= {f"{head}level.weight": (config.horizon, hidden), f"{head}level.bias": (config.horizon,)}
        found |= {f"{head}day.weight": (len(DAY_FEATURES), hidden), f"{head}day.bias": (len(DAY_FEATURES),)}
        found |= {
            f"{head}direct.weight": (1, inputs),
            f"{head}shape.weight": (upper, hidden),
            f"{head}steps": (config.horizon, upper),
        }
        if config.free_median:
            found[f"{head}median.weight"] = (config.horizon, hidden)
    return found
