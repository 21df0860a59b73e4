"""How a panel is cut for training: pieces of one series each, at the places where forecasting begins afresh too."""

from __future__ import annotations

# ruff: noqa: TID253 - a PyTorch file by design; only training reads it
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqcli.forecasting import features
from seqcli.forecasting.blocks import Blocks
from seqcli.forecasting.config import BATCH_SIZE, ForecastConfig
from seqcli.forecasting.data import Floats, Panel
from seqcli.forecasting.model import Forecaster, pinball, steps_between

MIN_SPREAD = 0.02  # an input that hardly moves is not blown up
Indices = NDArray[np.int64]  # (members, b): which chunks each member sees in this batch


class Batches:
    """The batches of one epoch; each member goes through all chunks in its own order."""

    def __init__(self, orders: Indices, size: int) -> None:
        self.orders, self.size = orders, size

    def __len__(self) -> int:
        return math.ceil(int(self.orders.shape[1]) / self.size)

    def __iter__(self) -> Iterator[Indices]:
        return (self.orders[:, start : start + self.size] for start in range(0, self.orders.shape[1], self.size))


@dataclass(frozen=True, eq=False)
class Chunks:
    """Training data: every block of every series, with the days before it that warm the network up.

    Arguments:
        x: ``(N, B, warmup + block, F)``; NaN before the history begins.
        days: ``(B, block, H, K)``, shared by the series.
        y: ``(N, B, block, H)`` scaled moves; NaN where unknown or not to be learned from.
        centre, spread: ``(F,)`` mean and standard deviation of the inputs over the days that are learned from.
        sizes: ``(H, Q // 2)`` quantiles of |y|: with their negatives, those of the scaled moves if they were symmetric.
    """

    x: Tensor
    days: Tensor
    y: Tensor
    centre: Tensor
    spread: Tensor
    sizes: Tensor

    @classmethod
    def build(cls, panel: Panel, config: ForecastConfig, since: np.datetime64 | None = None) -> Chunks:
        """Cuts a panel.

        Arguments:
            panel: nothing after its last day is known.
            config: horizon, warmup and block.
            since: origins before this day are not learned from; all are, if absent.
        """
        inputs = features.build(panel, config.horizon)
        x, kinds, y = inputs.x, inputs.days, features.targets(panel, inputs, config.horizon)
        dates = panel.dates
        learned = np.ones(len(dates), bool) if since is None else dates >= since
        ready = inputs.observed & learned & (inputs.seen >= min(config.warmup, len(dates) // 4))
        del inputs  # of a thousand series it is large, and so is what comes below
        y[~ready] = np.nan
        blocks = Blocks.of(panel, config)
        blocks = blocks.only(np.asarray(np.isfinite(blocks.scored(y, axis=1)).any(axis=(0, 2, 3))))
        centre, spread = _moments(x, ready)
        sizes = _sizes(y, config)
        y = y.astype(np.float32)
        return cls(
            x=torch.from_numpy(blocks.read(x, axis=1)),
            days=torch.from_numpy(blocks.scored(kinds, axis=0, fill=0.0)),
            y=torch.from_numpy(blocks.scored(y, axis=1)),
            centre=torch.from_numpy(centre),
            spread=torch.from_numpy(spread),
            sizes=torch.from_numpy(sizes),
        )

    def __len__(self) -> int:
        return self.x.shape[0] * self.x.shape[1]

    def batches(self, seed: int, members: int, size: int = BATCH_SIZE) -> Callable[[int], Batches]:
        """For ``training.fit``: a function from the epoch's number to its batches, that depends on nothing else."""

        def of_epoch(epoch: int) -> Batches:
            orders = [np.random.default_rng([seed, k, epoch]).permutation(len(self)) for k in range(members)]
            return Batches(np.stack(orders), size)

        return of_epoch

    def step(self, model: Forecaster) -> Callable[[Indices, Any], tuple[Tensor, None]]:
        """For ``training.fit``: the mean of the members' losses, each on its own chunks; no state is carried."""
        config = model.config
        model.centre.copy_(self.centre)
        model.spread.copy_(self.spread)
        model.empirical.copy_(steps_between(self.sizes))
        levels = torch.tensor(config.levels, device=model.centre.device)
        of_series = self.x.shape[1]

        def step(batch: Indices, _carried: Any) -> tuple[Tensor, None]:
            losses = []
            for k, chosen in enumerate(batch):
                series, block = (torch.from_numpy(i) for i in np.divmod(chosen, of_series))
                x, days, y = self.x[series, block], self.days[block], self.y[series, block]
                quantiles = model.member(k, x.to(levels.device), days.to(levels.device), config.warmup)
                losses.append(pinball(quantiles, y.to(levels.device), levels))
            return torch.stack(losses).mean(), None

        return step

    def loss(self, model: Forecaster, size: int = BATCH_SIZE) -> float:
        """The ensemble's mean pinball loss over all chunks, without dropout: what validation looks at."""
        levels = torch.tensor(model.config.levels, device=model.centre.device)
        total, count, training = 0.0, 0, model.training
        model.eval()
        with torch.no_grad():
            for chosen in torch.split(torch.arange(len(self)), size):
                series, block = chosen // self.x.shape[1], chosen % self.x.shape[1]
                x, days, y = self.x[series, block], self.days[block], self.y[series, block]
                known = int(y.isfinite().sum())
                quantiles = model(x.to(levels.device), days.to(levels.device), model.config.warmup)
                total += float(pinball(quantiles, y.to(levels.device), levels)) * known
                count += known
        model.train(training)
        return total / max(1, count)


def _moments(x: NDArray[np.float32], ready: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of each input over the rows that are learned from."""
    rows = ready if ready.any() else np.ones_like(ready)
    each = (x[..., i][rows].astype(np.float64) for i in range(x.shape[-1]))  # one at a time: x itself is large
    mean, deviation = np.array([(one.mean(), one.std()) for one in each], np.float32).T
    return np.ascontiguousarray(mean), np.maximum(deviation, np.float32(MIN_SPREAD))


def _sizes(y: Floats, config: ForecastConfig) -> NDArray[np.float32]:
    """``(H, Q // 2)`` the upper quantiles of a symmetric distribution, from the sizes of all known scaled moves."""
    shares = 2 * np.array(config.upper) - 1
    known = (np.abs(y[..., h][np.isfinite(y[..., h])]) for h in range(config.horizon))
    return np.array([np.quantile(k if len(k) else [0.0], shares) for k in known], np.float32)
