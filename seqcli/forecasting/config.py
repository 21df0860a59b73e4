"""All that rebuilds a forecaster, and nothing that needs PyTorch to be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, cast

from seqcli.core.encoder import CellName
from seqcli.core.statistics import LEVELS
from seqcli.errors import ModelError

FEATURES: Final = 1  # raise it whenever features.build gives other numbers for the same panel

CLIP: Final = 6.0  # standard deviations; an input beyond is an accident, not information
LOG_LIMIT: Final = 3.0  # a day's volatility stays within e^±3 of today's

# Chosen on three windows of two years, 2018 to June 2024, each forecast from the data before it.
LEARNING_RATE: Final = 3e-3
WEIGHT_DECAY: Final = 0.01
CLIP_NORM: Final = 1.0
BATCH_SIZE: Final = 64  # chunks, each ``block`` scored days of one series
EPOCHS: Final = 5
WARMUP: Final = 0.3  # share of the steps in which the learning rate rises; then a cosine to zero
SINCE: Final = "2000-01-01"  # the first year of the rates only warms the averages up


@dataclass(frozen=True)
class ForecastConfig:
    """The shape of a forecaster and how its inputs are cut; JSON holds it as it stands.

    Arguments:
        cell: ``rnn``, ``gru`` or ``lstm``.
        hidden: units of each layer.
        layers: layers on top of each other.
        dropout: share of a state's values that are dropped in training, in [0, 1).
        members: networks that differ in their random numbers only; their quantiles are averaged.
        horizon: H, business days ahead.
        levels: Q probabilities; ``statistics.LEVELS`` and no others.
        warmup: days that a network reads before the first day it is asked about.
        block: days of calendar time after which it begins afresh. Blocks stand still in time, so that a forecast
            depends on its date and not on how it was asked for.
        free_median: learn the median too, instead of holding it at the last value.
        features: the version of ``features.build`` that the weights were trained with.
    """

    cell: CellName = "lstm"
    hidden: int = 16
    layers: int = 1
    dropout: float = 0.3
    members: int = 5
    horizon: int = 5
    levels: tuple[float, ...] = LEVELS
    warmup: int = 60
    block: int = 120
    free_median: bool = False
    features: int = FEATURES

    @property
    def upper(self) -> tuple[float, ...]:
        """The levels above the median."""
        return tuple(level for level in self.levels if level > 0.5)

    @classmethod
    def from_json(cls, values: Mapping[str, Any], where: str = "config.json") -> ForecastConfig:
        """Reads what ``dataclasses.asdict`` gave; unknown keys are left alone.

        Raises:
            ModelError: a value is missing, of another type or out of range, or the features are of another version.
        """
        known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        for name, low, high in (
            ("hidden", 1, 4096), ("layers", 1, 64), ("members", 1, 256), ("horizon", 1, 512),
            ("warmup", 0, 65536), ("block", 1, 65536), ("features", 1, 1 << 30),
        ):  # fmt: skip
            value = known.get(name)
            if type(value) is not int or not low <= value <= high:
                raise ModelError(where, f"{name!r} is {str(value)[:60]!r}, not a whole number from {low} to {high}")
        levels = known.get("levels")
        if not isinstance(levels, list | tuple) or tuple(levels) != LEVELS:  # the columns are named after them
            raise ModelError(where, f"'levels' is {str(levels)[:60]!r}, not the {len(LEVELS)} from 0.025 to 0.975")
        dropout, cell = known.get("dropout"), known.get("cell")
        if type(dropout) not in (int, float) or not 0 <= cast(float, dropout) < 1:
            raise ModelError(where, f"'dropout' is {str(dropout)[:60]!r}, not a number from 0 to below 1")
        if cell not in ("rnn", "gru", "lstm"):
            raise ModelError(where, f"'cell' is {str(cell)[:60]!r}, not rnn, gru or lstm")
        if type(known.get("free_median")) is not bool:
            raise ModelError(where, f"'free_median' is {str(known.get('free_median'))[:60]!r}, not true or false")
        if known["features"] != FEATURES:
            what = f"made with inputs of version {known['features']}; this seqcli makes version {FEATURES}"
            raise ModelError(where, what, "train it again")
        return cls(**(known | {"levels": tuple(levels)}))
