"""From texts to the numbers that the networks read: the same in training and in prediction. No PyTorch.

Words repeat themselves, so what is known of a token is worked out once for every distinct one. A batch holds its
distinct tokens and, for every text, which of them stand where.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from seqcli.classification.config import PADDING, UNKNOWN, UNKNOWN_CHARACTER, ClassifierConfig
from seqcli.core import user_dictionary
from seqcli.core.tokens import Token, Tokenizer

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

Kind = tuple[str, str, str]  # a token's surface, dictionary form and normalized form

UNKNOWN_WORD: Final = "<unk>"
PADDING_CHARACTER: Final = ""
_CHARACTERS_A_TOKEN = 8  # a text is cut here before it is split: a megabyte need not be tokenized for its first words
_REMEMBERED = 100_000  # distinct tokens whose ids are kept at hand


class Source(Protocol):
    """Whatever knows the row of a word in a table of vectors."""

    def row(self, key: str) -> int | None:
        """The row of a word, if it has one."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Texts as a network reads them; u distinct tokens in b texts of at most t tokens.

    Arguments:
        vectors: ``(u, vector_size)``, the frozen vectors of the distinct tokens; zeros where there is none.
        words: ``(u,)``, word ids; 0 is an unknown one.
        characters: ``(u, L)``, character ids, as many as the longest token of the batch has; 0 is padding.
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
        rows: ``(u,)``, rows in the table of vectors, -1 where there is none. The last of the u is no token at all.
        words: ``(u,)``.
        characters: ``(u, L)``.
        texts: of each text its tokens as numbers from 0.
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
        if not len(distinct):
            distinct = np.array([len(self.words) - 1])
        tokens = np.zeros((len(texts), max(1, int(lengths.max()))), dtype=np.int64)
        tokens[np.arange(tokens.shape[1]) < lengths[:, None]] = numbers
        vectors = self.table.vectors(self.rows[distinct]) if self.table else np.zeros((len(distinct), 0), np.float32)
        spelt = self.characters[distinct]
        longest = max(1, int((spelt != PADDING).any(axis=0).sum()))
        return Batch(vectors, self.words[distinct], spelt[:, :longest], tokens, lengths)


class Table:
    """Frozen word vectors, centred and scaled so that the numbers of tables of any source are about as large.

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


@dataclass(frozen=True, eq=False)
class Split:
    """Texts as numbers of their distinct tokens; what is known of a token is looked up once.

    Arguments:
        kinds: the distinct tokens: surface, dictionary form, normalized form.
        texts: of each text its tokens as places in ``kinds``.
    """

    kinds: tuple[Kind, ...]
    texts: tuple[NDArray[np.int32], ...]

    @classmethod
    def of(cls, texts: Iterable[Iterable[Token | Kind]]) -> Split:
        """Numbers the tokens, or what is known of them, in the order in which they come."""
        numbers: dict[Kind, int] = {}
        rows = []
        for text in texts:
            kinds = (token[:3] for token in text)
            rows.append(np.array([numbers.setdefault(kind, len(numbers)) for kind in kinds], dtype=np.int32))
        return cls(tuple(numbers), tuple(rows))

    @classmethod
    def joined(cls, parts: Sequence[Split]) -> Split:
        """Several as one."""
        numbers: dict[Kind, int] = {}
        rows: list[NDArray[np.int32]] = []
        for part in parts:
            places = np.array([numbers.setdefault(kind, len(numbers)) for kind in part.kinds], dtype=np.int32)
            rows += [places[text] for text in part.texts]
        return cls(tuple(numbers), tuple(rows))

    def normalized(self) -> list[list[str]]:
        """The normalized forms of each text, which the linear model counts."""
        return [[self.kinds[number][2] for number in text.tolist()] for text in self.texts]


class Features:
    """Splits texts and looks their tokens up.

    Arguments:
        config: how.
        words: the word of each id; the first is ``<unk>``.
        characters: the character of each id; the first two are padding and the unknown one.
        source: where frozen vectors are found: something with ``row(key) -> int | None``; ``None``: nowhere.
        table: the vectors of those rows.
        dictionary: the user dictionary of the tokenizer, where the config names one.
    """

    def __init__(
        self,
        config: ClassifierConfig,
        words: Sequence[str],
        characters: Sequence[str],
        source: Source | None = None,
        table: Table | None = None,
        *,
        dictionary: Path | None = None,
    ) -> None:
        self.config, self.words, self.characters, self.source, self.table = config, words, characters, source, table
        self.tokenizer = Tokenizer.from_recipe(config.tokenizer, dictionary)
        self._word_ids = {word: number for number, word in enumerate(words)}
        self._character_ids = {character: number for number, character in enumerate(characters)}
        self._known: dict[Kind, tuple[int, int, tuple[int, ...]]] = {}

    def tokens(self, text: str) -> list[Token]:
        """The tokens of a text that the networks read."""
        return tokens(self.tokenizer, text, self.config.max_tokens)

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Splits and looks up texts; an empty one has no tokens."""
        return self.read(texts, self.split(texts))

    def split(self, texts: Iterable[str]) -> Split:
        """The same tokens of many texts, without where they stand."""
        most = self.config.max_tokens
        return Split.of(self.tokenizer.forms(_beginning(text.lstrip(), most))[:most] for text in texts)

    def read(self, texts: Sequence[str], split: Split) -> Encoded:  # noqa: ARG002 - UnitFeatures needs the texts
        """What the networks read of texts that were split before."""
        # The last one is of no text, but there must be something to point at where all texts are empty.
        found = [*(self._look_up(kind) for kind in split.kinds), (-1, UNKNOWN, ())]
        rows, words = (np.array([one[k] for one in found], dtype=np.int64) for k in (0, 1))
        characters = np.full((len(found), self.config.max_characters), PADDING, dtype=np.int64)
        for at, (_, _, spelling) in enumerate(found):
            characters[at, : len(spelling)] = spelling
        return Encoded(rows, words, characters, split.texts, self.table)

    def shares(self, text: str, tokens: Sequence[Token], attention: Floats) -> Floats:  # noqa: ARG002 - likewise
        """How much of the attention, ``(t,)``, rests on each token of a text."""
        return attention

    def documents(self) -> dict[str, Any]:
        """The JSON files that a model folder keeps of this."""
        return {"vocab.json": list(self.words), "characters.json": list(self.characters)}

    def blobs(self) -> dict[str, bytes]:
        """Its files that are not JSON: the user dictionary, if there is one."""
        dictionary = self.tokenizer.user_dictionary
        return {} if dictionary is None else user_dictionary.kept(dictionary)

    def _look_up(self, kind: Kind) -> tuple[int, int, tuple[int, ...]]:
        known = self._known.get(kind)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[kind] = (self._row(kind), self._word_ids.get(kind[0], UNKNOWN), self._spelling(kind[0]))
        return known

    def _row(self, kind: Kind) -> int:
        """The row of a token: by its normalized form, as ja_ginza's keys are, then as a dictionary lists it."""
        if self.source is None:
            return -1
        surface, dictionary, normalized = kind
        for form in dict.fromkeys((normalized, dictionary, surface)):
            row = self.source.row(form)
            if row is not None:
                return int(row)
        return -1

    def _spelling(self, word: str) -> tuple[int, ...]:
        ids = self._character_ids
        return tuple(ids.get(character, UNKNOWN_CHARACTER) for character in word[: self.config.max_characters])


def tokens(tokenizer: Tokenizer, text: str, most: int) -> list[Token]:
    """The first tokens of a text, at most ``most``; whitespace before them, however long, counts for nothing."""
    before = len(text) - len(text.lstrip())
    found = tokenizer.tokens(_beginning(text[before:], most))[:most]
    return [token._replace(start=token.start + before, end=token.end + before) for token in found] if before else found


def _beginning(text: str, most: int) -> str:
    """As much of a text as holds ``most`` tokens."""
    return text[: most * _CHARACTERS_A_TOKEN]


def vocabulary(split: Split, *, min_count: int) -> tuple[list[str], list[str]]:
    """The words and the characters that get vectors of their own, the most frequent first.

    Arguments:
        split: the training texts.
        min_count: how often a word must have been seen; a character twice.
    """
    counts = np.bincount(np.concatenate(split.texts), minlength=len(split.kinds)).tolist()
    words: Counter[str] = Counter()
    characters: Counter[str] = Counter()
    for (surface, _, _), count in zip(split.kinds, counts, strict=True):
        words[surface] += count
        for character in surface:
            characters[character] += count
    return (
        [UNKNOWN_WORD, *_frequent(words, min_count)],
        [PADDING_CHARACTER, UNKNOWN_WORD, *_frequent(characters, 2)],
    )


def _frequent(counts: Counter[str], least: int) -> list[str]:
    """Those counted often enough, the most frequent first."""
    kept = [name for name, count in counts.items() if count >= least and name != UNKNOWN_WORD]
    return sorted(kept, key=lambda name: (-counts[name], name))
