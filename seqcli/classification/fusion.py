"""Late fusion: the networks' answer and a linear model's, weighed against each other on development data.

Log probabilities are mixed, p ∝ p_network^(1-w) · p_linear^w, which is a product of experts (Hinton 2002), and then
divided by a temperature (Guo et al. 2017, arXiv:1706.04599).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from seqcli.classification.network import log_softmax
from seqcli.core import metrics

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

WEIGHTS: Final = tuple(step / 20 for step in range(21))
"""The weights of the linear model that are tried."""

_FEW: Final = 50


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


def choose(network: Floats, linear: Floats | None, gold: Ints, classes: int) -> tuple[float, float]:
    """The weight of the linear model and the temperature, by development data.

    The weight is the one of the best macro-F1, averaged over its neighbours, since one text more or less is noise; of
    equals the log loss decides. The temperature is the one of the least log loss after that.

    Arguments:
        network: log probabilities of the networks, ``(n, c)``.
        linear: those of the linear model; ``None``: there is none.
        gold: the true labels, ``(n,)``.
        classes: how many labels there are.
    """
    weight = 0.0
    if linear is not None:
        mixed = [fuse(network, linear, w) for w in WEIGHTS]
        f1 = np.array([metrics.macro_f1(gold, logs.argmax(axis=1), classes) for logs in mixed])
        padded = np.pad(f1, 2, mode="edge")
        smooth = np.convolve(padded, np.full(5, 0.2), mode="valid")
        loss = [metrics.log_loss(fuse(logs, None, 0.0, metrics.temperature(logs, gold)), gold) for logs in mixed]
        weight = WEIGHTS[max(range(len(WEIGHTS)), key=lambda k: (round(float(smooth[k]), 4), -loss[k]))]
    temperature = metrics.temperature(fuse(network, linear, weight), gold)
    trust = len(gold) / (len(gold) + _FEW)  # a handful of texts, all of them right, would ask for certainty
    return weight, float(temperature**trust)
