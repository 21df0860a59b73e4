"""Inference-based vectors: skip-gram and fastText by gensim, which reads the tokens' file in C.

Training goes epoch by epoch, so that it can be watched, stopped and resumed. With one thread the same seed gives the
same vectors; with more, gensim's threads write over each other and no two runs are equal.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from seqcli.errors import MachineError

if TYPE_CHECKING:
    from seqcli.vectors.corpus import Vocabulary

_LAST_RATE = 1e-4  # the learning rate falls to this, as in word2vec.c


@dataclass(frozen=True)
class Settings:
    """How vectors are learned.

    Arguments:
        method: ``word2vec`` (skip-gram with negative sampling), ``fasttext`` or ``glove``.
        dim: numbers in a vector.
        window: tokens to each side.
        epochs: passes over the corpus.
        rate: the learning rate at the beginning.
        seed: of the initial vectors and of sampling.
        threads: processor threads.
    """

    method: str
    dim: int
    window: int
    epochs: int
    rate: float
    seed: int
    threads: int


class Learner(Protocol):
    """Vectors that are trained epoch by epoch."""

    def epoch(self, number: int) -> str:
        """Trains one epoch, from 0; says how it went, in a few words."""

    def state(self) -> dict[str, np.ndarray]:
        """All that ``restore`` needs to go on from here."""

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Goes on from a state of the same settings and vocabulary."""

    def vectors(self) -> np.ndarray:
        """``(words, dim)``, float32, in the order of the vocabulary."""


class Gensim:
    """Skip-gram with negative sampling (Mikolov et al. 2013), or fastText (Bojanowski et al. 2017).

    Arguments:
        settings: how to learn.
        words: the vocabulary; already counted, so the file is read in the epochs only.
        path: the tokens' file.

    Raises:
        MachineError: gensim is not installed.
    """

    def __init__(self, settings: Settings, words: Vocabulary, path: Path) -> None:
        try:
            from gensim.models import FastText, Word2Vec
        except ImportError:
            raise MachineError("gensim", "the package is not installed", "pip install gensim") from None
        # It reports through logging, and would print its warnings where nobody listens to them.
        logging.getLogger("gensim").addHandler(logging.NullHandler())
        self._settings, self._words, self._path = settings, words, path
        common: dict[str, Any] = {
            "vector_size": settings.dim, "window": settings.window, "min_count": 1, "sg": 1, "negative": 5,
            "seed": settings.seed, "workers": settings.threads, "alpha": settings.rate, "min_alpha": _LAST_RATE,
        }  # fmt: skip
        self._model = FastText(**common) if settings.method == "fasttext" else Word2Vec(**common)
        self._model.build_vocab_from_freq(dict(zip(words.words, words.counts, strict=True)), corpus_count=words.texts)

    def epoch(self, number: int) -> str:
        """Trains one epoch, from 0; the learning rate falls evenly over all of them."""
        first, last, epochs = self._settings.rate, min(_LAST_RATE, self._settings.rate), self._settings.epochs
        start, end = (first - (first - last) * done / epochs for done in (number, number + 1))
        self._model.train(
            corpus_file=str(self._path), total_words=self._words.total, total_examples=self._words.texts, epochs=1,
            start_alpha=start, end_alpha=end,
        )  # fmt: skip
        return f"learning rate {end:.4f}"

    def state(self) -> dict[str, np.ndarray]:
        """The weights of both layers, and where the random numbers stand."""
        _, keys, position, *_ = self._model.random.get_state()
        random = np.append(keys, position).astype(np.int64)
        return self._weights() | {"random": random}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Goes on from a state."""
        for name, array in self._weights().items():
            array[...] = state[name]
        keys, position = state["random"][:-1].astype(np.uint32), int(state["random"][-1])
        self._model.random.set_state(("MT19937", keys, position))

    def vectors(self) -> np.ndarray:
        """``(words, dim)``, float32."""
        rows = [self._model.wv.key_to_index[word] for word in self._words.words]
        return np.asarray(self._model.wv.vectors[rows], dtype=np.float32)

    def _weights(self) -> dict[str, np.ndarray]:
        wv = self._model.wv
        weights = {"vectors": wv.vectors, "output": self._model.syn1neg}
        if self._settings.method == "fasttext":
            weights |= {"whole-words": wv.vectors_vocab, "subwords": wv.vectors_ngrams}
        return weights
