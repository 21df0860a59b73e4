"""How a classifier that started from a generator reads a text: in the generator's units, which it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqcli.classification.config import ClassifierConfig
from seqcli.classification.encoding import Encoded, Features, Floats, Split
from seqcli.core.tokens import Token
from seqcli.core.units import DOCUMENT, Units

_CHARACTERS_A_UNIT = 8  # a text is cut here before it is encoded: a megabyte need not be read for its first units


class UnitFeatures(Features):
    """Reads units; the tokens of a text are only what the linear model counts and what an explanation shows.

    A text begins with the boundary of documents, as every one of them did when the generator learned. One of nothing
    but spaces has no units, as it has no tokens.

    Arguments:
        config: of the classifier.
        units: of the generator.
        dictionary: as of ``Features``.
    """

    def __init__(self, config: ClassifierConfig, units: Units, dictionary: Path | None = None) -> None:
        super().__init__(config, units.vocab, (), dictionary=dictionary)
        self.units = units

    def read(self, texts: Sequence[str], split: Split) -> Encoded:  # noqa: ARG002 - Features needs the tokens
        """The units of texts."""
        vocabulary = np.arange(len(self.units), dtype=np.int64)
        rows = tuple(np.array(self._ids(text), dtype=np.int32) for text in texts)
        return Encoded(np.full_like(vocabulary, -1), vocabulary, np.zeros((len(vocabulary), 1), np.int64), rows, None)

    def shares(self, text: str, tokens: Sequence[Token], attention: Floats) -> Floats:
        """How much of the units' attention, ``(t,)``, rests on each token; what lies between two is the former's."""
        position, places = 0, [0]  # of each unit, the boundary of documents included
        for _, surface in self.units.pieces(self._beginning(text))[: len(attention) - 1]:
            position = max(position, text.find(surface, position))  # words may have spaces between them
            places.append(position)
            position += len(surface)
        starts = [token.start for token in tokens]
        holders = np.maximum(np.searchsorted(starts, places, side="right") - 1, 0)
        return np.bincount(holders, weights=attention, minlength=len(tokens)).astype(np.float32)

    def documents(self) -> dict[str, Any]:
        """The vocabulary, and how text becomes its ids."""
        return self.units.documents()

    def blobs(self) -> dict[str, bytes]:
        """The model of sentencepiece, where the units are subwords, and the user dictionary."""
        return {**self.units.blobs(), **super().blobs()}

    def _ids(self, text: str) -> list[int]:
        if not text.strip():
            return []
        return [DOCUMENT, *self.units.encode(self._beginning(text)).tolist()][: self.config.max_tokens]

    def _beginning(self, text: str) -> str:
        return text.lstrip()[: self.config.max_tokens * _CHARACTERS_A_UNIT]
