"""From texts to the numbers that the networks read: the same in training and in prediction. No PyTorch.

Words repeat themselves, so what is known of a token is worked out once for every distinct one. A batch holds its
distinct tokens and, for every text, which of them stand where.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.classification.config import PADDING, UNKNOWN, UNKNOWN_CHARACTER, ClassifierConfig
from seqcli.core.tokens import Token, Tokenizer

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

UNKNOWN_WORD = "<unk>"
_CHARACTERS_A_TOKEN = 8  # a text is cut here before it is split: a megabyte need not be tokenized for its first words
_REMEMBERED = 100_000  # distinct tokens whose ids are kept at hand


@dataclass(frozen=True, eq=False)
class Batch:
    """Texts as a network reads them; u distinct tokens in b texts of at most t tokens.

    Arguments:
        vectors: ``(u, vector_size)``, the frozen vectors of the distinct tokens; zeros where there is none.
        words: ``(u,)``, word ids; 0 is an unknown one.
        characters: ``(u, L)``, character ids; 0 is padding.
        tokens: ``(b, t)``, which distinct token stands where; anything at the padding.
        lengths: ``(b,)``, real tokens of each text, at most t; 0 for an empty one.
    """

    vectors: Floats
    words: Ints
    characters: Ints
    tokens: Ints
    lengths: Ints

    def __len__(self) -> int:
        return len(self.lengths)


@dataclass(frozen=True, eq=False)
class Encoded:
    """Texts that were split and looked up, in the order they came.

    Arguments:
        rows: ``(u,)``, rows in the table of vectors, -1 where there is none.
        words: ``(u,)``.
        characters: ``(u, L)``.
        texts: of each text its tokens as numbers from 0 to u - 1.
        table: the frozen vectors.
    """

    rows: Ints
    words: Ints
    characters: Ints
    texts: tuple[NDArray[np.int32], ...]
    table: Table | None

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def lengths(self) -> Ints:
        """Tokens of each text."""
        return np.array([len(text) for text in self.texts], dtype=np.int64)

    def batch(self, chosen: Sequence[int] | Ints) -> Batch:
        """Some of the texts as one batch, padded to the longest."""
        texts = [self.texts[row] for row in chosen]
        lengths = np.array([len(text) for text in texts], dtype=np.int64)
        distinct, numbers = np.unique(np.concatenate(texts), return_inverse=True)
        if not len(distinct):  # nothing but empty texts, and there must be something to point at
            distinct = np.zeros(1, dtype=np.int64)
        tokens = np.zeros((len(texts), max(1, int(lengths.max()))), dtype=np.int64)
        tokens[np.arange(tokens.shape[1]) < lengths[:, None]] = numbers
        vectors = self.table.vectors(self.rows[distinct]) if self.table else np.zeros((len(distinct), 0), np.float32)
        return Batch(vectors, self.words[distinct], self.characters[distinct], tokens, lengths)


class Table:
    """Frozen word vectors, of one mean length whatever their source.

    Arguments:
        matrix: ``(rows, size)``, as the source has them; may be mapped into memory.
        mean: ``(size,)``, taken away from each.
        scale: what they are multiplied by after that.
    """

    def __init__(self, matrix: Any, mean: Floats, scale: float) -> None:
        self.matrix, self.mean, self.scale = matrix, mean, np.float32(scale)

    def vectors(self, rows: Ints) -> Floats:
        """The vectors of some rows, ``(n, size)``; zeros for -1."""
        found: Floats = (self.matrix[np.maximum(rows, 0)] - self.mean) * self.scale
        found[rows < 0] = 0.0
        return found.astype(np.float32, copy=False)


class Features:
    """Splits texts and looks their tokens up.

    Arguments:
        config: how.
        words: the word of each id; the first is ``<unk>``.
        characters: the character of each id; the first two are padding and the unknown one.
        source: where frozen vectors are found: something with ``row(key) -> int | None``; ``None``: nowhere.
        table: the vectors of those rows.
    """

    def __init__(
        self,
        config: ClassifierConfig,
        words: Sequence[str],
        characters: Sequence[str],
        source: Any = None,
        table: Table | None = None,
    ) -> None:
        self.config, self.words, self.characters, self.source, self.table = config, words, characters, source, table
        self.tokenizer = Tokenizer.from_recipe(config.tokenizer)
        self._word_ids = {word: number for number, word in enumerate(words)}
        self._character_ids = {character: number for number, character in enumerate(characters)}
        self._known: dict[tuple[str, str, str], tuple[int, int, tuple[int, ...]]] = {}

    def tokens(self, text: str) -> list[Token]:
        """The tokens of a text that the networks read."""
        return tokens(self.tokenizer, text, self.config.max_tokens)

    def encode(self, texts: Iterable[str]) -> Encoded:
        """Splits and looks up texts; an empty one has no tokens."""
        return self.encode_tokens(self.tokens(text) for text in texts)

    def encode_tokens(self, texts: Iterable[Sequence[Token]]) -> Encoded:
        """The same for texts that were split before."""
        numbers: dict[tuple[str, str, str], int] = {}
        found: list[tuple[int, int, tuple[int, ...]]] = []
        encoded = []
        for text in texts:
            row = np.empty(len(text), dtype=np.int32)
            for at, token in enumerate(text):
                key = (token.surface, token.dictionary, token.normalized)
                number = numbers.get(key)
                if number is None:
                    number = numbers[key] = len(found)
                    found.append(self._look_up(key))
                row[at] = number
            encoded.append(row)
        rows, words = (np.array([one[k] for one in found], dtype=np.int64) for k in (0, 1))
        longest = self.config.max_characters
        characters = np.full((len(found), longest), PADDING, dtype=np.int64)
        for at, (_, _, spelling) in enumerate(found):
            characters[at, : len(spelling)] = spelling
        return Encoded(rows, words, characters, tuple(encoded), self.table)

    def _look_up(self, key: tuple[str, str, str]) -> tuple[int, int, tuple[int, ...]]:
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[key] = (self._row(key), self._word_ids.get(key[0], UNKNOWN), self._spelling(key[0]))
        return known

    def _row(self, key: tuple[str, str, str]) -> int:
        """The row of a token: by its normalized form, as ja_ginza's keys are, then as a dictionary lists it."""
        if self.source is None:
            return -1
        surface, dictionary, normalized = key
        for form in (normalized, dictionary, surface):
            row = self.source.row(form)
            if row is not None:
                return int(row)
        return -1

    def _spelling(self, word: str) -> tuple[int, ...]:
        ids = self._character_ids
        return tuple(ids.get(character, UNKNOWN_CHARACTER) for character in word[: self.config.max_characters])


def tokens(tokenizer: Tokenizer, text: str, most: int) -> list[Token]:
    """The first tokens of a text, at most ``most``."""
    return tokenizer.tokens(text[: most * _CHARACTERS_A_TOKEN])[:most]


def vocabulary(texts: Iterable[Sequence[Token]], *, min_count: int) -> tuple[list[str], list[str]]:
    """The words and the characters that get vectors of their own, the most frequent first.

    Arguments:
        texts: the training texts.
        min_count: how often a word must have been seen; a character twice.
    """
    words: Counter[str] = Counter()
    for text in texts:
        words.update(token.surface for token in text)
    characters: Counter[str] = Counter()
    for word, count in words.items():
        for character in word:
            characters[character] += count
    kept = [word for word, count in words.items() if count >= min_count and word != UNKNOWN_WORD]
    spelled = [character for character, count in characters.items() if count > 1]
    return (
        [UNKNOWN_WORD, *sorted(kept, key=lambda word: (-words[word], word))],
        ["", UNKNOWN_WORD, *sorted(spelled, key=lambda character: (-characters[character], character))],
    )
