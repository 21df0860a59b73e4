"""What a network begins with instead of chance: embeddings that know already which units stand beside which.

With ``#_d(a b)`` the number of times that b stands d units behind a in the training text, and ``P`` the units' shares::

    F_d[a, b] = max(0, log(#_d(a b) / ((#(a) + 1) P(b))))       how much likelier b is behind a than anywhere
    B_d[b, a] = max(0, log(#_d(a b) / ((#(b) + 1) P(a))))       how much likelier a is before b than anywhere
    [F_1, B_1, F_2, B_2] ≈ U Σ Vᵀ,   E = U Σ^½

These are vectors of positive pointwise mutual information (Levy and Goldberg 2014; Levy, Goldberg and Dagan 2015), but
with each place of the window for itself, for a language model predicts where a unit stands. The decomposition is found
by random projections and a few turns of the power iteration (Halko, Martinsson and Tropp 2011, arXiv:0909.4061).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_READ: Final = 5_000_000  # units of the text whose neighbours are counted
_KINDS: Final = 50_000  # of units, the frequent ones first: the decomposition takes 5 kB of memory for each
_WINDOW: Final = 2  # units to each side
_MORE: Final = 32  # directions than are wanted, so that those which are wanted are found
_TURNS: Final = 4  # of the power iteration


def embeddings(tokens: NDArray[np.integer[Any]], vocabulary: int, size: int, seed: int) -> NDArray[np.float32]:
    """Numbers for each unit that say what stands beside it, ``(V, size)``.

    Arguments:
        tokens: ``(t,)`` ids of the training text.
        vocabulary: V.
        size: e, numbers of a unit; those beyond V are 0.
        seed: of the random projections.

    Returns:
        With a standard deviation of 1; zeros for units that are not in the text or are rare, and all zeros where none
        tells more about its neighbours than another.
    """
    found = np.zeros((vocabulary, size), np.float32)
    kinds = min(vocabulary, _KINDS)
    likelier = _likelier(np.asarray(tokens[:_READ], np.int64), kinds)
    if likelier.nnz:
        left, values = _decomposed(likelier, size, seed)
        found[:kinds, : len(values)] = left * np.sqrt(values)
        found /= found.std()
    return found


def _likelier(x: NDArray[np.int64], kinds: int) -> csr_matrix:
    """[F_1, B_1, F_2, B_2] of the equations above, of the ids below ``kinds``, ``(kinds, 4 kinds)``."""
    from scipy import sparse

    parts: list[csr_matrix] = []
    for distance in range(1, _WINDOW + 1):
        first_id, second_id = x[:-distance], x[distance:]
        both = (first_id < kinds) & (second_id < kinds)
        pairs, counts = np.unique(first_id[both] * kinds + second_id[both], return_counts=True)
        a, b = np.divmod(pairs, kinds)
        first, second = np.bincount(a, counts, kinds), np.bincount(b, counts, kinds)
        behind = np.log(counts / (first[a] + 1) / (second[b] / counts.sum()))
        before = np.log(counts / (second[b] + 1) / (first[a] / counts.sum()))
        for values, places in ((behind, (a, b)), (before, (b, a))):
            kept = values > 0
            entries = (values[kept].astype(np.float32), (places[0][kept], places[1][kept]))
            parts.append(sparse.csr_matrix(entries, (kinds, kinds)))
    return sparse.hstack(parts, format="csr")


def _decomposed(matrix: csr_matrix, size: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """U ``(V, k)`` and the falling diagonal of Σ ``(k,)`` of the truncated decomposition, k ≤ ``size``."""
    turned = matrix.T.tocsr()
    width = min(size + _MORE, matrix.shape[0])
    basis = np.random.default_rng(seed).standard_normal((matrix.shape[0], width), np.float32)
    for _ in range(_TURNS):
        basis = np.linalg.qr(matrix @ (turned @ basis))[0]
    seen = turned @ basis  # (4 kinds, width)
    squares, inner = np.linalg.eigh(seen.T @ seen)  # rising
    best = slice(None, -min(size, width) - 1, -1)
    return basis @ inner[:, best], np.sqrt(squares[best].clip(0))
