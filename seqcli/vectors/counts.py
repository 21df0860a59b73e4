"""Count-based vectors: how often words stand in texts and beside each other, weighted and reduced.

With ``#(w, c)`` the number of times that the context word c stands within the window of w, ``#(w)`` and ``#(c)`` its
sums over one of the two, ``P(w, c) = #(w, c) / Σ #``, ``P(w) = #(w) / Σ #`` and ``P_α(c) = #(c)^α / Σ #(c')^α``:

    PPMI(w, c) = max(0, log( P(w, c) / (P(w) P_α(c)) ))                             Levy and Goldberg 2014
    W = U_d Σ_d^½   of the truncated singular value decomposition  PPMI ≈ U_d Σ_d V_dᵀ   Levy, Goldberg and Dagan 2015

and for documents t of which word w stands in df(w) of n:

    TFIDF(w, t) = (1 + log tf(w, t)) · log(n / df(w)),   W = U_d Σ_d                Deerwester et al. 1990
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from seqcli.errors import InputError
from seqcli.results import Progress
from seqcli.vectors.corpus import Vocabulary

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_SMOOTHING = 0.75  # α: rare contexts are made less surprising (Levy, Goldberg and Dagan 2015)
_CHUNK = 500_000  # tokens counted at once
_BREAK = -1  # between two texts; also a word that is not in the vocabulary
_EVERY = 20_000  # texts between two signs of life


def cooccurrences(
    texts: Iterable[Sequence[str]], words: Vocabulary, window: int, *, harmonic: bool = False
) -> Generator[Progress, None, csr_matrix]:
    """How often words stand within ``window`` tokens of each other, ``(words, words)``, symmetric.

    Words outside of the vocabulary keep their place but count nowhere.

    Arguments:
        texts: tokenized.
        words: the vocabulary.
        window: tokens to each side.
        harmonic: a neighbour d tokens away counts 1/d (GloVe), not 1.
    """
    from scipy import sparse

    size = len(words.words)
    total = sparse.csr_matrix((size, size), dtype=np.float64)
    done = 0
    for ids, texts_read in _chunks(texts, words):
        rows, columns, values = [], [], []
        text = np.cumsum(ids == _BREAK - 1)  # so that no pair spans two texts
        for distance in range(1, window + 1):
            left, right = ids[:-distance], ids[distance:]
            pair = (left >= 0) & (right >= 0) & (text[:-distance] == text[distance:])
            rows.append(left[pair])
            columns.append(right[pair])
            values.append(np.full(int(pair.sum()), 1 / distance if harmonic else 1.0))
        index = (np.concatenate(rows), np.concatenate(columns))
        total = total + sparse.csr_matrix((np.concatenate(values), index), shape=(size, size))
        done += texts_read
        yield Progress("counting pairs", done, words.texts)
    return (total + total.T).tocsr()


def context_counts(pairs: csr_matrix, dim: int) -> np.ndarray:
    """The plain counts beside the ``dim`` most frequent words, ``(words, dim)``: the simplest vector of a word."""
    return np.asarray(pairs[:, :dim].toarray(), dtype=np.float32)


def ppmi(pairs: csr_matrix) -> csr_matrix:
    """Positive pointwise mutual information of co-occurrences, as in the module's equations."""
    from scipy import sparse

    entries = pairs.tocoo()
    word = np.asarray(pairs.sum(axis=1)).ravel()
    context = np.asarray(pairs.sum(axis=0)).ravel() ** _SMOOTHING
    expected = word[entries.row] * (context / context.sum())[entries.col]
    values = np.log(entries.data / expected)
    kept = values > 0
    return sparse.csr_matrix((values[kept], (entries.row[kept], entries.col[kept])), shape=pairs.shape)


def tfidf(texts: Iterable[Sequence[str]], words: Vocabulary) -> Generator[Progress, None, csr_matrix]:
    """TF-IDF of words in texts, ``(words, texts)``, as in the module's equations."""
    from scipy import sparse

    ids = {word: number for number, word in enumerate(words.words)}
    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    for column, text in enumerate(texts):
        for row, count in Counter(ids[word] for word in text if word in ids).items():
            rows.append(row)
            columns.append(column)
            values.append(count)
        if column % _EVERY == 0:
            yield Progress("counting texts", column, words.texts)
    counts = sparse.csr_matrix((values, (rows, columns)), shape=(len(ids), words.texts), dtype=np.float64)
    counts.data = 1 + np.log(counts.data)
    rarity = np.log(words.texts / np.maximum(np.diff(counts.indptr), 1))
    return sparse.csr_matrix(sparse.diags(rarity) @ counts)


def reduced(matrix: csr_matrix, dim: int, power: float, seed: int) -> np.ndarray:
    """The rows in the ``dim`` directions in which they vary most: U Σ^power, ``(rows, dim)``, float32.

    Raises:
        InputError: the matrix is too small for as many dimensions.
    """
    from scipy.sparse.linalg import svds

    most = min(matrix.shape) - 1
    if dim > most or matrix.nnz == 0:
        what = f"{matrix.shape[0]} words in {matrix.shape[1]} contexts give at most {most} dimensions, not {dim}"
        raise InputError("corpus", what, f"--dim {max(most, 1)}, or give more text")
    start = np.random.default_rng(seed).standard_normal(min(matrix.shape))
    left, values, _ = svds(matrix, k=dim, v0=start)
    order = np.argsort(-values)
    # The sign of a direction means nothing; a fixed one makes two runs equal.
    left = left[:, order] * np.sign(left[np.abs(left[:, order]).argmax(axis=0), order] + 1e-30)
    return np.asarray(left * values[order] ** power, dtype=np.float32)


def _chunks(texts: Iterable[Sequence[str]], words: Vocabulary) -> Iterator[tuple[np.ndarray, int]]:
    """Ids of many texts in one array, with ``_BREAK`` for unknown words and ``_BREAK - 1`` between texts."""
    ids = {word: number for number, word in enumerate(words.words)}
    chunk: list[int] = []
    count = 0
    for text in texts:
        chunk.extend(ids.get(word, _BREAK) for word in text)
        chunk.append(_BREAK - 1)
        count += 1
        if len(chunk) >= _CHUNK:
            yield np.array(chunk, dtype=np.int64), count
            chunk, count = [], 0
    if chunk:
        yield np.array(chunk, dtype=np.int64), count
