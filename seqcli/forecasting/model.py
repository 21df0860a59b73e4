"""The forecaster: recurrent networks that say how widely, and in what shape, a series will move.

What is predicted. Let L_t be the level of a series (the logarithm of a rate), s_t its volatility at the close of day t
(``features.Inputs.scale``) and h = 1..H a number of business days. The networks see ``x_t``, what is known on day t,
and ``d_{t,k}``, what kind of day the k-th day ahead is, and give quantiles of

    y_{t,h} = (L_{t+h} - L_t) / (s_t √h)

so that they learn only what the ordinary scaling of volatility misses. One member of the ensemble computes:

    o_t       = encoder(x_1 … x_t)                                what is remembered, (hidden,)
    u_{t,k}   = a_k·o_t + b_k + c·x_t + (W o_t + w)·d_{t,k}       log volatility of the k-th day ahead, over s_t
    σ_{t,h}   = √( (e^{2u_{t,1}} + … + e^{2u_{t,h}}) / h )        days add up as independent variances do
    g_{t,h,j} = softplus(V o_t + v_h + e_h)_j > 0                 steps from one quantile level to the next
    q_{t,h,±j} = ± σ_{t,h} (g_{t,h,1} + … + g_{t,h,j})            quantiles: no two can cross

e_h is not learned: with it alone the quantiles are those of the size of all y in training, so that a network begins as
what is known as an EWMA with empirical quantiles. The median is q_{t,h,0} = 0, the last value, as no model of daily
exchange rates has beaten it for long (Meese & Rogoff 1983); with ``free_median`` every quantile is moved by
σ_{t,h} (M o_t)_h. Jobs reports, long weekends and year ends act through d: the same kind of day weighs the same at
every horizon, and the state decides how much for this series.

Every day of a chunk is scored with the pinball loss (Koenker & Bassett 1978), whose mean over the levels is half of
the continuous ranked probability score. Members differ in their random numbers only; their quantiles are averaged.
``predict.py`` computes the same in NumPy.
"""

from __future__ import annotations

# ruff: noqa: TID253 - a PyTorch file by design; who must not load PyTorch uses predict.py
from statistics import NormalDist

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqcli.core.cells import RecurrentEncoder
from seqcli.core.encoder import EncoderConfig
from seqcli.forecasting.config import CLIP, LOG_LIMIT, ForecastConfig
from seqcli.forecasting.days import DAY_FEATURES
from seqcli.forecasting.features import NAMES

MIN_STEP = 1e-3  # between two empirical quantiles, for a series that mostly stands still


class Head(nn.Module):
    """From a member's state to its quantiles; the equations stand at the top of the file."""

    days: Tensor

    def __init__(self, config: ForecastConfig) -> None:
        super().__init__()
        levels = config.upper
        self.level = nn.Linear(config.hidden, config.horizon)
        self.direct = nn.Linear(len(NAMES), 1, bias=False)
        self.day = nn.Linear(config.hidden, len(DAY_FEATURES))
        self.shape = nn.Linear(config.hidden, len(levels), bias=False)
        self.steps = nn.Parameter(torch.zeros(config.horizon, len(levels)))
        self.median = nn.Linear(config.hidden, config.horizon, bias=False) if config.free_median else None
        self.register_buffer("days", torch.arange(1, config.horizon + 1), persistent=False)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)  # a new head knows nothing but today's volatility

    def forward(self, state: Tensor, x: Tensor, days: Tensor, empirical: Tensor) -> Tensor:
        """Quantiles of ``y``, ``(b, t, H, Q)``.

        Arguments:
            state: ``(b, t, hidden)``.
            x: ``(b, t, F)``, standardized.
            days: ``(b, t, H, K)``.
            empirical: ``(H, Q // 2)``, e in the equations.
        """
        kind = (days @ self.day(state)[..., None])[..., 0]  # (b, t, H)
        log_volatility = self.level(state) + self.direct(x) + kind  # (b, t, H)
        variance = torch.exp(2 * log_volatility.clamp(-LOG_LIMIT, LOG_LIMIT)).cumsum(-1)
        spread = (variance / self.days).sqrt()[..., None]  # (b, t, H, 1)
        steps = functional.softplus(self.shape(state)[..., None, :] + self.steps + empirical)  # (b, t, H, Q // 2)
        upper = spread * steps.cumsum(-1)
        quantiles = torch.cat([-upper.flip(-1), torch.zeros_like(spread), upper], dim=-1)  # (b, t, H, Q)
        return quantiles if self.median is None else quantiles + spread * self.median(state)[..., None]


class Forecaster(nn.Module):
    """An ensemble of recurrent quantile forecasters.

    Arguments:
        config: its shape. ``EncoderConfig`` checks cell, hidden, layers and dropout.

    Tensors: ``centre`` and ``spread`` ``(F,)``, with which the inputs are standardized, ``empirical`` ``(H, Q // 2)``,
    which the training days give and which is a normal distribution's before, ``encoder.{member}.…`` as
    ``cells.RecurrentEncoder`` lists them and ``head.{member}.…``.
    """

    centre: Tensor
    spread: Tensor
    empirical: Tensor

    def __init__(self, config: ForecastConfig) -> None:
        super().__init__()
        self.config = config
        shape = EncoderConfig(config.cell, len(NAMES), config.hidden, config.layers, config.dropout)
        self.register_buffer("centre", torch.zeros(len(NAMES)))
        self.register_buffer("spread", torch.ones(len(NAMES)))
        normal = torch.tensor([NormalDist().inv_cdf(level) for level in config.upper])
        self.register_buffer("empirical", steps_between(normal).repeat(config.horizon, 1))
        self.encoder = nn.ModuleList(RecurrentEncoder(shape) for _ in range(config.members))
        self.head = nn.ModuleList(Head(config) for _ in range(config.members))
        self.dropout = nn.Dropout(config.dropout)

    def member(self, k: int, x: Tensor, days: Tensor, skip: int = 0) -> Tensor:
        """Quantiles of member k for every step after the first ``skip``, ``(b, t - skip, H, Q)``.

        Arguments:
            k: 0-based.
            x: ``(b, t, F)``, as ``features.build`` gives it; NaN marks padding before the history begins.
            days: ``(b, t - skip, H, K)``.
            skip: steps that are read only to warm up.
        """
        x = ((x - self.centre) / self.spread).clamp(-CLIP, CLIP).nan_to_num()  # (b, t, F)
        state, _ = self.encoder[k](x)  # (b, t, hidden)
        quantiles: Tensor = self.head[k](self.dropout(state[:, skip:]), x[:, skip:], days, self.empirical)
        return quantiles

    def forward(self, x: Tensor, days: Tensor, skip: int = 0) -> Tensor:
        """The ensemble's quantiles: the mean of the members'. Arguments as for ``member``."""
        return torch.stack([self.member(k, x, days, skip) for k in range(self.config.members)]).mean(0)


def steps_between(quantiles: Tensor) -> Tensor:
    """The numbers whose softplus are the steps from 0 to the first of quantiles ``(…, Q // 2)``, and on to the last."""
    steps = torch.diff(quantiles, dim=-1, prepend=torch.zeros_like(quantiles[..., :1])).clamp(min=MIN_STEP)
    return torch.log(torch.expm1(steps))


def pinball(quantiles: Tensor, y: Tensor, levels: Tensor) -> Tensor:
    """Mean pinball loss ``max(p (y - q), (p - 1) (y - q))`` over all levels and all known targets (a scalar).

    Arguments:
        quantiles: ``(…, Q)``, in the units of ``y``.
        y: ``(…,)``; NaN where unknown.
        levels: ``(Q,)`` probabilities p.
    """
    known = y.isfinite()
    y = torch.where(known, y, 0.0)
    # The same as p (y - q) + max(q - y, 0), summed over the levels with fewer passes over the quantiles.
    above = functional.relu(quantiles - y[..., None]).sum(-1)
    loss = (above + levels.sum() * y - quantiles @ levels) / len(levels)
    return (loss * known).sum() / known.sum().clamp(min=1)
