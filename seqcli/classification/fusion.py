"""Late fusion: the networks' answer and a linear model's, weighed against each other on development data.

Log probabilities are mixed, p ∝ p_network^(1-w) · p_linear^w, which is a product of experts (Hinton 2002), and then
divided by a temperature (Guo et al. 2017, arXiv:1706.04599).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seqcli.classification.network import log_softmax

Floats = NDArray[np.float32]


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
