"""Late fusion: the networks' answer and a linear model's, weighed against each other on development data.

Log probabilities are mixed, p ∝ p_network^(1-w) · p_linear^w, which is a product of experts (Hinton 2002), and then
divided by a temperature (Guo et al. 2017, arXiv:1706.04599).
"""

from __future__ import annotations

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
_NEAR: Final = 2  # weights to each side


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


def choose(network: Floats, linear: Mapping[str, Floats], gold: Ints, classes: int) -> Choice:
    """The linear model, its weight and the temperature.

    Model and weight are those of the best macro-F1, averaged over neighbouring weights, since one text more or less is
    noise; of equals the log loss decides. The temperature is the one of the least log loss after that.

    Arguments:
        network: log probabilities of the networks, ``(n, c)``.
        linear: those of each linear model that may be fused with them.
        gold: the true labels, ``(n,)``.
        classes: how many labels there are.
    """
    best: tuple[float, float, str | None, float] | None = None
    for name, logs in linear.items():
        mixed = [fuse(network, logs, weight) for weight in WEIGHTS]
        f1 = [metrics.macro_f1(gold, one.argmax(axis=1), classes) for one in mixed]
        smooth = np.convolve(np.pad(f1, _NEAR, mode="edge"), np.full(2 * _NEAR + 1, 1 / (2 * _NEAR + 1)), mode="valid")
        for one, weight, score in zip(mixed, WEIGHTS, smooth.tolist(), strict=True):
            calm = fuse(one, None, 0.0, metrics.temperature(one, gold))
            found = (round(score, 4), -metrics.log_loss(calm, gold), name if weight else None, weight)
            if best is None or found[:2] > best[:2]:
                best = found
    chosen, weight = best[2:] if best else (None, 0.0)
    fused = fuse(network, linear[chosen] if chosen else None, weight)
    trust = len(gold) / (len(gold) + _FEW)  # a handful of texts, all of them right, would ask for certainty
    return Choice(chosen, weight, float(metrics.temperature(fused, gold) ** trust))
