"""TF-IDF of character or word n-grams in NumPy, for millions of characters and for one line alike.

With tf(t, d) how often term t stands in text d, and df(t) in how many of n texts it stands:

    idf(t)    = ln((1 + n) / (1 + df(t))) + 1
    x(t, d)   = (1 + ln tf(t, d)) · idf(t)          (tf · idf without sublinear),   each text scaled to length 1

as in scikit-learn, whose TfidfVectorizer gives the same numbers. Terms are kept as a tree: a term of n symbols
(characters or words) is a node below the term of its first n-1, which is at least as frequent. So a text is looked up
with n binary searches over sorted integers for all of its positions at once, and no string is cut out of it.
"""

from __future__ import annotations

import itertools
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seqcli.errors import ModelError, UsageError

Ids = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float32]
Unit = Literal["char", "word"]

_SPACES = re.compile(r"\s\s+")
_HIGHEST = 8  # symbols in a term
_CHUNK = 1 << 21  # positions looked up, or numbers multiplied, at once
_NONE = -1  # no such symbol or term; also what stands between two texts


@dataclass(frozen=True)
class TfidfSettings:
    """What a term is and which are kept.

    Arguments:
        unit: ``char``: n-grams over the text in lower case, whitespace included (a run of it counts as one space);
            ``word``: n-grams of tokens that the caller made.
        low: fewest symbols in a term.
        high: most symbols in a term.
        min_count: texts in which a term must stand to be kept.
        sublinear: damp repetitions: 1 + ln tf.
        most: keep so many terms, those in the most texts (and what is shorter than ``low``, on the way); None: all.

    Raises:
        UsageError: lengths or counts that make no sense.
    """

    unit: Unit = "char"
    low: int = 1
    high: int = 4
    min_count: int = 2
    sublinear: bool = True
    most: int | None = None

    def __post_init__(self) -> None:
        if self.unit not in ("char", "word"):
            raise UsageError("tfidf", f"unknown unit {self.unit!r}", "char or word")
        if not 1 <= self.low <= self.high <= _HIGHEST or self.min_count < 1 or (self.most or 1) < 1:
            what = f"n-grams of {self.low} to {self.high} in at least {self.min_count} texts"
            raise UsageError("tfidf", what, f"1 <= low <= high <= {_HIGHEST} and min_count >= 1")


@dataclass(frozen=True, eq=False)
class SparseRows:
    """A matrix of which each row is mostly zeros (compressed sparse rows, CSR).

    Arguments:
        indptr: ``(rows + 1,)``: row r is at ``indptr[r]:indptr[r + 1]`` of the other two.
        indices: ``(entries,)`` columns, ascending within a row.
        values: ``(entries,)``.
        columns: how many columns there are.
    """

    indptr: Longs
    indices: Ids
    values: Floats
    columns: int

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def dot(self, weights: Floats) -> Floats:
        """The product with ``weights`` ``(columns, c)``, as ``(rows, c)``; a row is the same in any company."""
        result = np.zeros((len(self), weights.shape[1]), np.float32)
        filled = np.flatnonzero(np.diff(self.indptr))
        sizes = np.diff(self.indptr)[filled].tolist()
        for start, stop in _blocks(sizes, max(_CHUNK // weights.shape[1], 1)):
            rows = filled[start:stop]
            part = slice(int(self.indptr[rows[0]]), int(self.indptr[rows[-1] + 1]))
            products = weights[self.indices[part]] * self.values[part, None]
            result[rows] = np.add.reduceat(products, self.indptr[rows] - part.start, axis=0)
        return result

    def row(self, number: int) -> tuple[Ids, Floats]:
        """Columns and values of one row."""
        part = slice(int(self.indptr[number]), int(self.indptr[number + 1]))
        return self.indices[part], self.values[part]


class Tfidf:
    """Terms with their weights; turns texts into sparse rows of length 1.

    Arguments:
        settings: what a term is.
        symbols: the characters or words that occur in terms.
        parents: ``(nodes,)`` the node of the term without its last symbol, nodes counted from 1; 0: it has no other.
            Nodes are ordered by parent, then by last symbol, so shorter terms come first.
        last: ``(nodes,)`` place in ``symbols`` of the last symbol.
        df: ``(nodes,)`` number of texts with the term.
        texts: number of texts in all.

    Raises:
        ModelError: the nodes are not a tree in that order, or their numbers cannot be.
    """

    def __init__(
        self, settings: TfidfSettings, symbols: Sequence[str], *, parents: Ids, last: Ids, df: Ids, texts: int
    ) -> None:
        self.settings, self.symbols, self.texts = settings, tuple(symbols), texts
        self.parents, self.last, self.df = parents, last, df
        self._width = max(len(self.symbols), 1)
        self._keys = parents.astype(np.int64) * self._width + last
        self._bounds = _levels(parents, settings.high)  # nodes of k symbols: from bounds[k - 1] to bounds[k]
        self._check()
        self._skipped = self._bounds[settings.low - 1]  # shorter terms only lead to longer ones
        self.idf = (np.log((1 + texts) / (1 + df[self._skipped :].astype(np.float64))) + 1).astype(np.float32)
        self._numbers = {symbol: number for number, symbol in enumerate(self.symbols)}

    def __len__(self) -> int:
        return len(self.idf)

    @classmethod
    def fit(cls, settings: TfidfSettings, texts: Sequence[str] | Sequence[Sequence[str]]) -> Tfidf:
        """The terms of texts: strings if the unit is ``char``, lists of tokens if it is ``word``."""
        symbols, flat, row = _symbols(texts)
        width = max(len(symbols), 1)
        at = np.flatnonzero(flat != _NONE)
        nodes = np.zeros(len(at), np.int32)  # of the term that begins at each position
        parents, last, frequencies = [], [], []
        count = 0
        for length in range(settings.high):
            at, nodes, following = _continued(at, nodes, flat, length)
            keys = nodes.astype(np.int64) * width + following
            kept, df = _document_frequencies(keys, row[at], settings.min_count)
            parents.append(kept // width)
            last.append(kept % width)
            frequencies.append(df)
            at, nodes = _descended(kept, keys, at, count)
            count += len(kept)
        df = np.concatenate(frequencies)
        frequent = _frequent(df, settings.most)
        renumbered = np.concatenate([[0], np.cumsum(frequent)])  # a term that stays has a parent that stays
        used, numbers = np.unique(np.concatenate(last)[frequent], return_inverse=True)
        return cls(
            settings,
            [symbols[number] for number in used.tolist()],
            parents=renumbered[np.concatenate(parents)[frequent]].astype(np.int32),
            last=numbers.astype(np.int32),
            df=df[frequent].astype(np.int32),
            texts=len(texts),
        )

    def transform(self, texts: Sequence[str] | Sequence[Sequence[str]]) -> SparseRows:
        """A row for each text (list of tokens, if the unit is ``word``); one without a known term is all zeros."""
        blocks = [self._rows(texts[start:stop]) for start, stop in _blocks([len(text) for text in texts], _CHUNK)]
        if len(blocks) == 1:
            return blocks[0]
        counts = [np.zeros(1, np.int64), *(np.diff(block.indptr) for block in blocks)]
        return SparseRows(
            np.cumsum(np.concatenate(counts)),
            np.concatenate([np.zeros(0, np.int32), *(block.indices for block in blocks)]),
            np.concatenate([np.zeros(0, np.float32), *(block.values for block in blocks)]),
            len(self),
        )

    def _rows(self, texts: Sequence[str] | Sequence[Sequence[str]]) -> SparseRows:
        flat, row = _numbered(texts, self._numbers)
        at = np.flatnonzero(flat != _NONE)
        nodes = np.zeros(len(at), np.int32)
        cells = []
        for length, (start, stop) in enumerate(itertools.pairwise(self._bounds)):
            at, nodes, following = _continued(at, nodes, flat, length)
            keys = nodes.astype(np.int64) * self._width + following
            at, nodes = _descended(self._keys[start:stop], keys, at, start)
            if length + 1 >= self.settings.low:
                cells.append(row[at].astype(np.int64) * max(len(self), 1) + (nodes - 1 - self._skipped))
        found, counts = np.unique(np.concatenate(cells), return_counts=True)
        rows, columns = np.divmod(found, max(len(self), 1))
        weights = (1 + np.log(counts) if self.settings.sublinear else counts) * self.idf[columns].astype(np.float64)
        lengths = np.sqrt(np.bincount(rows, weights=weights * weights, minlength=len(texts)))
        ends = np.cumsum(np.bincount(rows, minlength=len(texts)))
        values = (weights / lengths[rows]).astype(np.float32)
        return SparseRows(np.concatenate([[0], ends]), columns.astype(np.int32), values, len(self))

    @cached_property
    def terms(self) -> tuple[str, ...]:
        """The terms, index = column; words are joined by a space."""
        joint = " " if self.settings.unit == "word" else ""
        written = [""]
        for parent, symbol in zip(self.parents.tolist(), self.last.tolist(), strict=True):
            written.append(f"{written[parent]}{joint}{self.symbols[symbol]}" if parent else self.symbols[symbol])
        return tuple(written[1 + self._skipped :])

    def document(self) -> dict[str, Any]:
        """All but the arrays, as plain JSON."""
        symbols = "".join(self.symbols) if self.settings.unit == "char" else list(self.symbols)
        return {**asdict(self.settings), "texts": self.texts, "symbols": symbols}

    def tensors(self) -> dict[str, np.ndarray]:
        """The arrays."""
        return {"parents": self.parents, "last": self.last, "df": self.df}

    @classmethod
    def load(cls, tensors: Mapping[str, np.ndarray], document: Mapping[str, Any]) -> Tfidf:
        """What ``tensors`` and ``document`` gave.

        Raises:
            ModelError: they do not belong together.
        """
        try:
            settings = TfidfSettings(**{name: document[name] for name in TfidfSettings.__dataclass_fields__})
            most = 0 if settings.most is None else settings.most
            if not all(isinstance(value, int) for value in (settings.low, settings.high, most)):
                raise TypeError("lengths and counts are whole numbers")
            parents, last, df = (tensors[name] for name in ("parents", "last", "df"))
            symbols, texts = list(document["symbols"]), int(document["texts"])
        except (KeyError, TypeError, ValueError, UsageError) as problem:
            raise ModelError("tfidf", f"its settings cannot be read: {problem}") from None
        if any(values.dtype != np.int32 or values.shape != df.shape or df.ndim != 1 for values in (parents, last, df)):
            raise ModelError("tfidf", "its arrays are not whole numbers of one length")
        if not all(isinstance(symbol, str) for symbol in symbols):
            raise ModelError("tfidf", "its symbols are not text")
        return cls(settings, symbols, parents=parents, last=last, df=df, texts=texts)

    def _check(self) -> None:
        nodes, symbols = len(self.parents), len(self.symbols)
        if self._bounds[-1] != nodes or np.any(np.diff(self._keys) <= 0) or np.any(self.parents < 0):
            raise ModelError("tfidf", "its terms are not a tree in order")
        if np.any(self.last < 0) or np.any(self.last >= symbols):
            raise ModelError("tfidf", f"a term has a symbol that is none of the {symbols}")
        if np.any(self.df < 1) or np.any(self.df > self.texts):
            raise ModelError("tfidf", f"a term stands in fewer than 1 or more than {self.texts} texts")


def _levels(parents: Ids, high: int) -> list[int]:
    """Where the nodes of 0, 1, 2 … symbols end: those of one more have their parents among those before."""
    bounds = [0]
    for _ in range(high):
        bounds.append(int(np.searchsorted(parents, bounds[-1], "right")))
    return bounds


def _continued(at: Longs, nodes: Ids, flat: Ids, length: int) -> tuple[Longs, Ids, Ids]:
    """Of terms of ``length`` symbols that begin at ``at``, those that a symbol follows, and that symbol."""
    following = flat[at + length]  # every text ends with _NONE, and no term goes beyond it
    more = following != _NONE
    return at[more], nodes[more], following[more]


def _descended(level: Longs, keys: Longs, at: Longs, first: int) -> tuple[Longs, Ids]:
    """The positions whose key is in the sorted ``level``, and their nodes; ``first`` nodes come before the level."""
    if not len(level):
        return at[:0], np.zeros(0, np.int32)
    place = np.searchsorted(level, keys)
    hit = level[np.minimum(place, len(level) - 1)] == keys
    return at[hit], (place[hit] + (first + 1)).astype(np.int32)


def _document_frequencies(keys: Longs, row: Ids, min_count: int) -> tuple[Longs, Longs]:
    """Keys that occur in at least ``min_count`` texts, ascending, and in how many; ``row`` (of each key) ascends."""
    kept, df = np.zeros(0, np.int64), np.zeros(0, np.int64)
    per_text = np.bincount(row).tolist() if len(row) else []
    place = np.concatenate([[0], np.cumsum(per_text, dtype=np.int64)])
    for start, stop in _blocks(per_text, _CHUNK):
        part = slice(int(place[start]), int(place[stop]))
        order = np.argsort(keys[part], kind="stable")  # within a key the texts stay in order
        key, text = keys[part][order], row[part][order]
        new = np.concatenate([[True], (key[1:] != key[:-1]) | (text[1:] != text[:-1])]) if len(key) else key > 0
        kept, inverse = np.unique(np.concatenate([kept, key[new]]), return_inverse=True)
        df = np.bincount(inverse, weights=np.concatenate([df, np.ones(int(new.sum()))]), minlength=len(kept))
    enough = df >= min_count
    return kept[enough], df[enough].astype(np.int64)


def _frequent(df: Longs, most: int | None) -> NDArray[np.bool_]:
    """The ``most`` terms that stand in the most texts; of equals the first, so that no parent goes before its child."""
    kept = np.zeros(len(df), bool)
    kept[np.argsort(-df, kind="stable")[:most]] = True
    return kept


def _symbols(texts: Sequence[str] | Sequence[Sequence[str]]) -> tuple[list[str], Ids, Ids]:
    """All characters or words of texts, and what ``_numbered`` gives with them."""
    found: set[str] = set()
    for text in texts:
        found.update(folded(text) if isinstance(text, str) else text)
    symbols = sorted(found)
    return symbols, *_numbered(texts, {symbol: number for number, symbol in enumerate(symbols)})


def _numbered(texts: Sequence[str] | Sequence[Sequence[str]], numbers: Mapping[str, int]) -> tuple[Ids, Ids]:
    """The symbols of all texts as numbers in one array, with ``_NONE`` behind each text; and the text of each."""
    flat = array("i")
    lengths = []
    for text in texts:
        symbols = folded(text) if isinstance(text, str) else text
        flat.extend(map(numbers.get, symbols, itertools.repeat(_NONE)))
        flat.append(_NONE)
        lengths.append(len(symbols) + 1)
    return np.array(flat, np.int32), np.repeat(np.arange(len(texts), dtype=np.int32), lengths)


def folded(text: str) -> str:
    """A text as its characters are counted: in lower case, a run of whitespace as one space."""
    return _SPACES.sub(" ", text.lower())


def _blocks(sizes: Sequence[int], limit: int) -> Iterator[tuple[int, int]]:
    """Neighbours that together stay within ``limit``, as ``start, stop``; one that does not fit stands alone."""
    start = total = 0
    for number, size in enumerate(sizes):
        if number > start and total + size > limit:
            yield start, number
            start, total = number, 0
        total += size
    if len(sizes) > start:
        yield start, len(sizes)
