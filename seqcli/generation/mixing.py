"""How much the network is to be trusted beside the n-grams, found on the validation text."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_ROUNDS: Final = 50  # of expectation and maximization; the likelihood has one maximum and it is reached soon
_FAMILIAR: Final = 100.0  # places of an order by which the weight of all places counts as much as that of its own


def weights(network: Floats, ngram: Floats, orders: Ints, order: int) -> tuple[float, ...]:
    """The weight of the network by matched order, under which the text is most likely.

    Found by expectation and maximization (Jelinek & Mercer 1980). An order with few places leans on the weight of all.

    Arguments:
        network: ``(t,)`` natural log-probabilities of the units by the network.
        ngram: ``(t,)`` the same by the n-grams.
        orders: ``(t,)`` how many units before each place the n-grams have seen together, 0 to ``order`` - 1.
        order: of the n-grams.
    """
    odds = np.exp(np.clip(ngram - network, -50.0, 50.0))  # p_ngram / p_network
    overall = _best(odds, 0.5, 0.0)
    return tuple(_best(odds[orders == one], overall, _FAMILIAR) for one in range(order))


def mixed(network: NDArray[np.floating[Any]], ngram: Floats, orders: Ints, chosen: tuple[float, ...]) -> Floats:
    """Natural log-probabilities of the mixture. Arguments as of ``weights``, of any one shape, and its result."""
    share = np.array(chosen)[orders]
    with np.errstate(divide="ignore"):  # a weight of 0 or 1
        both: Floats = np.logaddexp(np.log(share) + network, np.log1p(-share) + ngram, dtype=np.float64)
    return both


def _best(odds: Floats, start: float, familiar: float) -> float:
    """λ that maximizes Σ ln(λ + (1 - λ) odds), with ``familiar`` more places at which it would be ``start``."""
    if not len(odds):
        return start
    share = start
    for _ in range(_ROUNDS):
        belongs = share / (share + (1 - share) * odds)  # to the network, at each place
        share = float((belongs.sum() + familiar * start) / (len(odds) + familiar))
    return share
