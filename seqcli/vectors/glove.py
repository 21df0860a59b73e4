"""GloVe: vectors whose products are the logarithms of co-occurrence counts.

    J = Σ_ij f(X_ij) (w_i · w̃_j + b_i + b̃_j − log X_ij)²,   f(x) = min(1, (x / x_max)^¾)

Source: Pennington, Socher and Manning 2014, GloVe: Global Vectors for Word Representation. A word's vector is w + w̃.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from seqcli.errors import DivergedError
from seqcli.vectors.learned import Settings

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_MOST = 100.0  # x_max
_POWER = 0.75
_BATCH = 4096  # entries whose gradients are taken together


class GloVe:
    """Trains on the nonzero co-occurrences in random order, with AdaGrad.

    The two sides of a pair are the rows of one array each: the vector, then its bias. The gradients of a batch are
    summed by word with a sparse matrix, since a word comes many times in it.

    Arguments:
        settings: how to learn; the number of threads is NumPy's.
        pairs: co-occurrences, ``(words, words)``, symmetric, weighted by 1/distance.
    """

    def __init__(self, settings: Settings, pairs: csr_matrix) -> None:
        self._settings = settings
        entries = pairs.tocoo()
        self._word, self._context = entries.row.astype(np.int64), entries.col.astype(np.int64)
        self._target = np.log(entries.data).astype(np.float32)
        self._weight = np.minimum(1.0, (entries.data / _MOST) ** _POWER).astype(np.float32)
        shape = (2, pairs.shape[0], settings.dim + 1)
        random = np.random.default_rng(settings.seed)
        self._sides = ((random.random(shape, dtype=np.float32) - 0.5) / settings.dim).astype(np.float32)
        self._squares = np.ones(shape, dtype=np.float32)  # AdaGrad's sums begin at 1, as in the authors' code

    def epoch(self, number: int) -> str:
        """Trains one epoch, from 0.

        Raises:
            DivergedError: the loss is not a number any more; the vectors are again those before this epoch.
        """
        order = np.random.default_rng([self._settings.seed, number]).permutation(len(self._target))
        before = self._sides.copy()
        with np.errstate(over="ignore", invalid="ignore"):  # looked for below
            mean = sum(self._step(order[start : start + _BATCH]) for start in range(0, len(order), _BATCH)) / len(order)
        if not np.isfinite(mean):
            self._sides = before
            raise DivergedError("glove", f"the loss is {mean} in epoch {number + 1}", "lower --learning-rate")
        return f"loss {mean:.4f}"

    def _step(self, batch: np.ndarray) -> float:
        word, context = self._word[batch], self._context[batch]
        left, right = self._sides[0][word], self._sides[1][context]  # (batch, dim + 1)
        error = (left[:, :-1] * right[:, :-1]).sum(axis=1) + left[:, -1] + right[:, -1] - self._target[batch]
        weighted = self._weight[batch] * error  # (batch,)
        ones = np.ones((len(batch), 1), dtype=np.float32)
        for side, ids, other in ((0, word, right), (1, context, left)):
            self._descend(side, ids, weighted[:, None] * np.hstack([other[:, :-1], ones]))
        return float((weighted * error).sum())

    def _descend(self, side: int, ids: np.ndarray, gradients: np.ndarray) -> None:
        from scipy import sparse

        rows, place = np.unique(ids, return_inverse=True)
        sum_of = sparse.csr_matrix((np.ones(len(ids), np.float32), (place, np.arange(len(ids)))))
        # AdaGrad: every number has its own rate, which falls with the squares of its gradients.
        self._squares[side][rows] += sum_of @ gradients**2
        rate = self._settings.rate / np.sqrt(self._squares[side][rows])
        self._sides[side][rows] -= rate * (sum_of @ gradients)

    def state(self) -> dict[str, np.ndarray]:
        """Vectors, biases and AdaGrad's sums; the order of an epoch depends on its number only."""
        return {"sides": self._sides, "squares": self._squares}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Goes on from a state."""
        self._sides[...], self._squares[...] = state["sides"], state["squares"]

    def vectors(self) -> np.ndarray:
        """``(words, dim)``, float32: the sum of both sides."""
        return np.asarray(self._sides[:, :, :-1].sum(axis=0), dtype=np.float32)
