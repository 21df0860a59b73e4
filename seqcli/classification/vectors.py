"""The frozen word vectors of a classifier: ja_ginza's table, or one that is kept in the model folder."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from seqcli.classification.config import ClassifierConfig
from seqcli.classification.encoding import Features, Floats, Source, Table
from seqcli.classification.unit_features import UnitFeatures
from seqcli.core import checkpoint, user_dictionary
from seqcli.core.units import Units
from seqcli.core.vector_store import VectorStore
from seqcli.core.word_vectors import open_vectors
from seqcli.errors import ModelError

MATRIX: Final = "vectors.npy"
WORDS: Final = "vectors.json"
_KEPT: Final = 50_000  # the most frequent words of a table are kept, and all that stand in the training texts
_MEASURED: Final = 20_000  # rows whose mean length says how long the vectors of a table are


@dataclass(frozen=True, eq=False)
class Own:
    """A table that belongs to the model.

    Arguments:
        words: of each row.
        matrix: ``(words, size)``, float32.
    """

    words: tuple[str, ...]
    matrix: Floats

    @classmethod
    def of(cls, store: VectorStore, seen: Sequence[str]) -> Own:
        """The most frequent words of a table, and whichever were seen."""
        words = list(dict.fromkeys([*store.by_frequency()[:_KEPT], *(word for word in seen if word in store)]))
        rows = [row for word in words if (row := store.row(word)) is not None]
        return cls(tuple(words), np.asarray(store.vectors[rows], dtype=np.float32))

    @classmethod
    def load(cls, folder: Path, digests: Mapping[str, str], size: int) -> Own:
        """Reads it from a model folder.

        Raises:
            ModelError: it is missing or damaged, or its parts do not fit together.
        """
        words = checkpoint.load_list(folder, WORDS)
        data = checkpoint.load_bytes(folder, MATRIX, digests=digests)
        try:
            matrix = np.load(io.BytesIO(data), allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise ModelError(str(folder / MATRIX), f"is damaged: {error}") from error
        if matrix.dtype != np.float32 or matrix.shape != (len(words), size) or not np.isfinite(matrix).all():
            what = f"holds {matrix.dtype} of shape {list(matrix.shape)}, not {len(words)} vectors of {size} numbers"
            raise ModelError(str(folder / MATRIX), what, "train the model again")
        return cls(tuple(words), matrix)

    def dump(self) -> bytes:
        """The matrix as a file."""
        file = io.BytesIO()
        np.save(file, self.matrix, allow_pickle=False)
        return file.getvalue()

    def source(self) -> Source:
        """Finds words."""
        return _Rows({word: number for number, word in enumerate(self.words)})

    def table(self) -> Table:
        """Gives vectors."""
        lengths = np.linalg.norm(self.matrix[:_MEASURED], axis=1)
        return _table(self.matrix, self.matrix[:_MEASURED].mean(axis=0), lengths)


@dataclass(frozen=True, eq=False)
class _Rows:
    numbers: Mapping[str, int]

    def row(self, key: str) -> int | None:
        return self.numbers.get(key)


def ginza() -> tuple[Source, Table]:
    """ja_ginza's table.

    Raises:
        MachineError: ja_ginza is not installed.
    """
    store = open_vectors("ginza")
    return store, _table(store.vectors, np.asarray(store.mean, dtype=np.float32), store.norms)


def features(
    config: ClassifierConfig, words: Sequence[str], characters: Sequence[str], folder: Path, digests: Mapping[str, str]
) -> Features:
    """What a saved model reads its texts with.

    Arguments:
        config: of the model.
        words: ``vocab.json``.
        characters: ``characters.json``.
        folder: of the model.
        digests: of its manifest.

    Raises:
        ModelError: its own vectors or its user dictionary are missing or damaged.
        MachineError: it reads with ja_ginza's, and that is not installed.
    """
    dictionary = user_dictionary.of_folder(folder)
    if config.unit != "token":
        return UnitFeatures(config, Units.from_folder(folder, digests), dictionary)
    if config.vectors == "none":
        return Features(config, words, characters, dictionary=dictionary)
    if config.vectors == "ginza":
        source, table = ginza()
        if table.matrix.shape[1] != config.vector_size:
            what = f"was trained with vectors of {config.vector_size} numbers; those of ja_ginza here have others"
            raise ModelError(str(folder), what, "install the ja_ginza that it was trained with, or train it again")
        return Features(config, words, characters, source, table, dictionary=dictionary)
    own = Own.load(folder, digests, config.vector_size)
    return Features(config, words, characters, own.source(), own.table(), dictionary=dictionary)


def _table(matrix: Floats, mean: Floats, lengths: Floats) -> Table:
    """A table whose numbers have a standard deviation of about one."""
    return Table(matrix, mean, float(np.sqrt(matrix.shape[1]) / max(float(lengths.mean()), 1e-6)))
