"""Late fusion: the networks' answer and a linear model's, weighed against each other on development data.

Log probabilities are mixed, p ∝ p_network^(1-w) · p_linear^w, which is a product of experts (Hinton 2002), and then
divided by a temperature (Guo et al. 2017, arXiv:1706.04599).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqcli.classification.network import log_softmax
from seqcli.core import metrics

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

WEIGHTS: Final = tuple(step / 20 for step in range(21))
"""The weights of the linear model that are tried."""

_FEW: Final = 50
_NARROW: Final = 5.0  # (w - 1/2)² costs so many nats, as if weights were normal about one half, deviation 0.32
_SCALED: Final = {"svc": 1.0}  # nats: its scale was chosen on the same texts, a parameter more (Akaike 1974)


def fuse(network: Floats, linear: Floats | None, weight: float, temperature: float = 1.0) -> Floats:
    """Log probabilities ``(n, c)`` of the fused model.

    Arguments:
        network: log probabilities of the networks, ``(n, c)``.
        linear: those of the linear model; ``None``: there is none.
        weight: of the linear model, from 0 to 1.
        temperature: above 1 makes the answer less sure, below 1 surer.
    """
    mixed = network
    if linear is not None and weight > 0:
        mixed = np.float32(1 - weight) * network + np.float32(weight) * linear
    return log_softmax(mixed / np.float32(temperature))


class Choice(NamedTuple):
    """What was chosen on development data.

    Arguments:
        linear: the name of the linear model; ``None``: the networks alone.
        weight: what it has to say, from 0 to 1.
        temperature: what the fused log probabilities are divided by.
    """

    linear: str | None
    weight: float
    temperature: float


def choose(network: Floats, linear: Mapping[str, Floats], gold: Ints) -> Choice:
    """The linear model, its weight and the temperature: those of the least log loss.

    Where few texts say little, the weight is drawn towards one half, which is seldom far from the best, and logistic
    regression is taken rather than an SVC. Macro-F1, for which all this is done, jumps where one text more is right. By
    the log loss the weights were steadier, and the answers to other texts better in both. But no weight is taken with
    which macro-F1 is lower than that of the best linear model alone: networks that add nothing must not take anything
    away.

    Arguments:
        network: log probabilities of the networks, ``(n, c)``.
        linear: those of each linear model that may be fused with them.
        gold: the true labels, ``(n,)``.
    """
    best, chosen, weight = math.inf, None, 0.0
    least = max((_macro_f1(logs, gold) for logs in linear.values()), default=0.0)
    for name, logs in linear.items():
        for one in WEIGHTS:
            mixed = fuse(network, logs, one)
            loss = metrics.log_loss(fuse(mixed, None, 0.0, metrics.temperature(mixed, gold)), gold)
            loss += (_NARROW * (one - 0.5) ** 2 + _SCALED.get(name, 0.0)) / len(gold)
            if loss < best and _macro_f1(mixed, gold) >= least:
                best, chosen, weight = loss, name if one else None, one
    fused = fuse(network, linear[chosen] if chosen else None, weight)
    trust = len(gold) / (len(gold) + _FEW)  # a handful of texts, all of them right, would ask for certainty
    return Choice(chosen, weight, float(metrics.temperature(fused, gold) ** trust))


def _macro_f1(logs: Floats, gold: Ints) -> float:
    return metrics.macro_f1(gold, logs.argmax(axis=1), logs.shape[1])
