"""Counting as the network's teacher: what n-grams would have written at each place of the training text.

A network that is told at every place the one unit that stands there learns a long text by heart, and a rare unit's
neighbours from a few examples. Kneser–Ney counts know better how the probability spreads over what was never seen.
So a small share of the loss is for a unit that they draw::

    loss_t = -(1 - α) ln p(x_t) - α ln p(y_t),    y_t drawn from p_KN(· | x_{t-2} x_{t-1})

which is, in the mean over the draws, the cross-entropy with a mixture of both: distillation (Hinton, Vinyals and Dean
2015, arXiv:1503.02531) from a smoothed n-gram model, that regularizes as noise from one does (Xie et al. 2017,
arXiv:1703.02573). The teacher must not have counted the place that it is asked about, or it would only repeat what
stands there: the text is cut into parts, and each is taught by the counts of all others.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from seqcli.generation.ngram import KneserNey

MOST: Final = 2_000_000
"""Units of a text that is taught; a longer one is read so few times that it needs no teacher."""

_LEAST: Final = 1_000  # units of a text whose parts can be counted
_PARTS: Final = 8
_ORDER: Final = 3  # of the counts; longer n-grams of the other parts are seldom met again
_DRAWS: Final = 16  # different epochs; the next ones see them again


@dataclass(frozen=True, eq=False)
class Teacher:
    """What was drawn for each place of a text.

    Arguments:
        drawn: ``(draws, t)`` ids.
    """

    drawn: NDArray[np.integer[Any]]

    @classmethod
    def of(cls, tokens: NDArray[np.integer[Any]], vocabulary: int, seed: int) -> Teacher | None:
        """The teacher of a training text, ``(t,)`` ids; none where it is too short or too long for one."""
        if not _LEAST <= len(tokens) <= MOST:
            return None
        random = np.random.default_rng(seed)
        ends = np.linspace(0, len(tokens), _PARTS + 1).astype(int)
        drawn = np.empty((_DRAWS, len(tokens)), np.min_scalar_type(vocabulary - 1))
        for start, end in pairwise(ends):
            others = KneserNey.fit(np.concatenate([tokens[end:], tokens[:start]]), vocabulary, _ORDER)
            begin = max(0, start - _ORDER + 1)
            drawn[:, start:end] = others.drawn(tokens[begin:end], _DRAWS, random)[:, start - begin :]
        return cls(drawn)

    def at(self, epoch: int, places: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """What it says in an epoch (from 0) at some places of the text, in their shape."""
        return np.asarray(self.drawn[epoch % len(self.drawn), places], np.int64)
