"""Which label is said, once the probabilities are known: the one by which macro-F1 is expected to be highest.

To say the most probable label is best for accuracy. Macro-F1 is the mean over the labels k of 2 r_k / (s_k + a_k): r_k
answers "k" that are right, s_k texts that are k, a_k answers "k". One more answer "k", to a text that is k with
probability p_k, adds about (2 p_k - F_k) / (s_k + a_k) to the sum of the F_k. Where no answer can be changed for the
better, each is the label with the largest such value: a rare label is said at a smaller probability. Where one label
alone matters, this is the threshold F / 2 (Lipton, Elkan and Naryanaswamy 2014, arXiv:1402.1892).

All it takes is probabilities that mean something. How the texts are labelled is not looked at, which keeps chance out.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]

LEAST_GAIN: Final = 0.002
"""Of macro-F1, as it is expected; for less, the most probable label is said."""

_PASSES: Final = 50


class Decision(NamedTuple):
    """The label that is said is the one with the largest ``gain · probability - cost``.

    Arguments:
        gains: of each label; none: the most probable label is said.
        costs: of each label.
    """

    gains: tuple[float, ...] = ()
    costs: tuple[float, ...] = ()

    def of(self, log_probabilities: Floats) -> Ints:
        """The labels that are said, ``(n,)``, where natural logarithms of the probabilities are ``(n, c)``."""
        values = np.exp(log_probabilities) * self.gains - self.costs if self.gains else log_probabilities
        said: Ints = values.argmax(axis=1)
        return said


MOST_PROBABLE: Final = Decision()


def decide(log_probabilities: Floats) -> Decision:
    """The decision by which macro-F1 is expected to be highest.

    Arguments:
        log_probabilities: natural logarithms, ``(n, c)``, of texts that the model has not learnt from.
    """
    probabilities = np.exp(log_probabilities.astype(np.float64))
    found = MOST_PROBABLE
    if not len(probabilities):
        return found
    expected, sizes = _expected(probabilities, found.of(log_probabilities))
    best = expected.mean() + LEAST_GAIN
    f1 = expected
    for _ in range(_PASSES):
        gains = 2 / sizes
        scale = gains.mean()
        tried = Decision(tuple((gains / scale).tolist()), tuple((f1 / sizes / scale).tolist()))
        expected, now = _expected(probabilities, tried.of(log_probabilities))
        if expected.mean() > best:
            best, found = expected.mean(), tried
        f1, sizes = (f1 + expected) / 2, (sizes + now) / 2  # at once, it might jump to and fro
    return found


def _expected(probabilities: Floats, said: Ints) -> tuple[Floats, Floats]:
    """F1 of each label as it is expected, and how many texts are it, and answers say it, together; both ``(c,)``."""
    right = np.zeros(probabilities.shape[1])
    np.add.at(right, said, probabilities[np.arange(len(said)), said])
    sizes = probabilities.sum(axis=0) + np.bincount(said, minlength=len(right))
    sizes = np.maximum(sizes, np.finfo(np.float64).tiny)
    return 2 * right / sizes, sizes
