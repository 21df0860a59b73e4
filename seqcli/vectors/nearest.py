"""The nearest words, characters or lines: exact cosines over a matrix that is read block by block, in plain NumPy."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from seqcli.core.word_vectors import Lookup, is_chinese, postprocess, spellings
from seqcli.errors import InputError
from seqcli.vectors.texts import unit

_SAID = 20  # notes and failures kept of many queries
_SPELT = 3  # unknown words that are compared with all keys, which takes tenths of a second each
_DRAWN = 50  # queries kept for a picture; nobody could read more
_NOTHING = 1e-5  # a sum of unit vectors that is shorter is what rounding left: it points nowhere

Neighbours = list[tuple[int, float]]
"""Rows with their cosines, the nearest first."""

Process = Callable[[np.ndarray], np.ndarray]


def search(
    blocks: Iterable[np.ndarray],
    norms: np.ndarray,
    queries: np.ndarray,
    count: int,
    *,
    without: Sequence[frozenset[int]] = (),
    process: Process | None = None,
) -> list[Neighbours]:
    """The rows with the largest cosine to each query, of equal ones the first; a row of length 0 is near to nothing.

    Arguments:
        blocks: the rows in order, ``(some, dim)`` at a time, so that they may be more than the memory holds.
        norms: ``(rows,)``, their lengths.
        queries: ``(queries, dim)``, post-processed like the rows are to be.
        count: neighbours of each.
        without: for each query the rows that are no answer, such as its own.
        process: what is done to the rows before they are compared; None: nothing.
    """
    without = without or [frozenset()] * len(queries)
    wanted = min(count + max(map(len, without), default=0), len(norms))
    directions = np.array([unit(query) for query in queries], dtype=np.float32)
    best = [_Nearest(wanted) for _ in queries]
    start = 0
    for block in blocks:
        rows, lengths = block, norms[start : start + len(block)]
        if process is not None:
            rows = process(block)
            lengths = np.linalg.norm(rows, axis=1)
        # One query is a matrix times a vector: BLAS reads the rows once and copies nothing.
        dots = (rows @ directions[0])[None] if len(directions) == 1 else directions @ rows.T
        cosines = np.divide(dots, lengths, out=np.full_like(dots, -np.inf), where=lengths > 0)
        for near, scores in zip(best, cosines, strict=True):
            near.offer(scores, start)
        start += len(block)
    return [
        [(row, score) for row, score in near.items() if row not in skipped][:count]
        for near, skipped in zip(best, without, strict=True)
    ]


class _Nearest:
    """The rows with the highest scores so far."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._scores = np.empty(0, dtype=np.float32)
        self._rows = np.empty(0, dtype=np.int64)
        self._least = -np.inf  # a later row that only equals the last one is no better

    def offer(self, scores: np.ndarray, start: int) -> None:
        """Scores of the rows from ``start`` on."""
        better = np.flatnonzero(scores > self._least)
        if not len(better):
            return
        found, rows = np.append(self._scores, scores[better]), np.append(self._rows, start + better)
        kept = np.argsort(-found, kind="stable")[: self._count]
        self._scores, self._rows = found[kept], rows[kept]
        if len(kept) == self._count:
            self._least = self._scores[-1]

    def items(self) -> Neighbours:
        """Best first."""
        return list(zip(self._rows.tolist(), self._scores.tolist(), strict=True))


class Query(NamedTuple):
    """One question: the sum of some words, less others.

    Arguments:
        plus: words to be near to.
        minus: words to be far from, in an analogy.
    """

    plus: tuple[str, ...]
    minus: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " - ".join([" + ".join(self.plus), *self.minus])


class Asked(NamedTuple):
    """A query with its vector and what is to be said about it."""

    query: Query
    vector: np.ndarray
    without: frozenset[int]


@dataclass
class Answers:
    """What has been answered so far, and why the rest could not be; filled while records are read.

    Of many queries only the first notes and failures are kept.

    Arguments:
        notes: how a query was answered where that is not by itself.
        failures: an error for each query without an answer.
        answered: number of queries that had one.
        failed: number of those without.
        unsaid: number of notes that were not kept.
    """

    notes: list[str] = field(default_factory=list)
    failures: list[InputError] = field(default_factory=list)
    answered: int = 0
    failed: int = 0
    unsaid: int = 0

    def note(self, text: str) -> None:
        """Says how a query was answered."""
        if len(self.notes) < _SAID:
            self.notes.append(text)
        else:
            self.unsaid += 1

    def fail(self, failure: InputError) -> None:
        """Says why a query was not answered."""
        self.failed += 1
        if len(self.failures) < _SAID:
            self.failures.append(failure)

    def check(self) -> None:
        """Raises the first failure if nothing was answered."""
        if self.failures and not self.answered:
            raise self.failures[0]

    def rest(self) -> str:
        """A sentence about what was not kept; empty if all was."""
        more = {"notes": self.unsaid, "queries without an answer": self.failed - len(self.failures)}
        said = " and ".join(f"{count:,} more {what}" for what, count in more.items() if count)
        return f"… {said}" if said else ""


class Words:
    """Neighbours among the words of a table: the owners of its rows.

    Arguments:
        lookup: the table, and how words are found in it.
        post: what is done to all vectors first: ``none`` is the plain cosine.
    """

    def __init__(self, lookup: Lookup, post: str = "none") -> None:
        self.lookup = lookup
        self.store = lookup.store
        self._post = post
        self._process = postprocess(self.store, post)
        self._asked: dict[str, Asked] = {}

    def ask(self, query: Query, answers: Answers) -> Asked | None:
        """The query as a vector; None, and a failure noted, if a word of it is unknown, or nothing is left of it."""
        sum_, without = np.zeros(self.store.about.dim, dtype=np.float32), set()
        for sign, word in itertools.chain(((1, word) for word in query.plus), ((-1, word) for word in query.minus)):
            found = self._vector(word, answers)
            if found is None:
                return None
            vector, rows = found
            sum_ += sign * unit(vector)
            without |= rows
        if np.linalg.norm(sum_) < _NOTHING:
            answers.fail(InputError(f"query {query}", "nothing is left of it", "take away less than you add"))
            return None
        asked = Asked(query, sum_, frozenset(without))
        if len(self._asked) < _DRAWN:
            self._asked[str(query)] = asked
        return asked

    def neighbours(self, asked: Sequence[Asked], count: int) -> list[list[tuple[str, float]]]:
        """For each query the nearest words with their cosines."""
        queries = np.array([one.vector for one in asked])
        found = search(
            self.store.blocks(),
            self.store.norms,
            queries,
            count,
            without=[one.without for one in asked],
            process=None if self._post == "none" else self._process,
        )
        return [[(self.store.owner(row), score) for row, score in one] for one in found]

    def can_draw(self, query: str) -> bool:
        """Whether the query is among those that were kept for a picture."""
        return query in self._asked

    def drawn(self, queries: Sequence[str], items: Sequence[str]) -> np.ndarray:
        """The vectors of some of the first queries and of their neighbours, ``(points, dim)``, for a picture."""
        asked = [self._asked[query].vector for query in queries]
        rows = [row for item in items if (row := self.store.row(item)) is not None]
        return np.array([*asked, *self._process(self.store.vectors[rows])])

    def _vector(self, word: str, answers: Answers) -> tuple[np.ndarray, set[int]] | None:
        if not word.strip():
            answers.fail(InputError("query", "is empty", "seqcli similar テスト"))
            return None
        found = self.lookup.query(word.strip())
        if found.how == "none":
            answers.fail(self._unknown(word, spelt=answers.failed < _SPELT))
            return None
        if found.how == "subwords":
            answers.note(f"{word} has no vector of its own: made of its character n-grams, as fastText does")
            return self._process(found.vector), set()
        if found.row is None:
            answers.note(f"{word} has no vector of its own: composed from {' '.join(found.keys)}")
            return self._process(found.vector), {row for key in found.keys if (row := self._own(key)) is not None}
        owner = self.store.owner(found.row)
        if found.keys[0] != word:
            answers.note(f"{word} answers as {found.keys[0]}, its {found.how} form")
        if owner != found.keys[0]:
            answers.note(f"{found.keys[0]} shares its vector with the more frequent word {owner}")
        return self._process(found.vector), {found.row}

    def _own(self, key: str) -> int | None:
        row = self.store.row(key)
        return row if row is not None and self.store.owner(row) == key else None

    def _unknown(self, word: str, *, spelt: bool) -> InputError:
        tried = [word]
        for token in self.lookup.tokens.tokens(word):
            tried += [token.normalized, token.dictionary, token.surface]
        close = spellings(word, self.store) if spelt else []
        hint = f"did you mean {', '.join(close)}?" if close else "try another word, or --model with other vectors"
        return InputError(f"query {word}", f"no vector; tried {', '.join(dict.fromkeys(tried))} and their parts", hint)


class Characters(Words):
    """Neighbours among characters: the rows whose owner is one character.

    A character that owns no row is composed from the words that it stands in, and compared with all Chinese characters
    composed in the same way: a mean of words is nearer to any other mean than to a single word.
    """

    def neighbours(self, asked: Sequence[Asked], count: int) -> list[list[tuple[str, float]]]:
        """For each query the nearest characters with their cosines."""
        return [self._nearest(one, count) for one in asked]

    def _nearest(self, asked: Asked, count: int) -> list[tuple[str, float]]:
        names, vectors = self._owned if asked.without else self._composed
        own = {*asked.query.plus, *asked.query.minus}
        without = frozenset(place for place, name in enumerate(names) if name in own)
        lengths = np.linalg.norm(vectors, axis=1)
        found = search([vectors], lengths, asked.vector[None], count, without=[without])
        return [(names[place], score) for place, score in found[0]]

    @cached_property
    def _owned(self) -> tuple[list[str], np.ndarray]:
        rows = [row for row in range(len(self.store)) if len(self.store.owner(row)) == 1]
        return [self.store.owner(row) for row in rows], self._process(self.store.vectors[rows])

    @cached_property
    def _composed(self) -> tuple[list[str], np.ndarray]:
        words = {char: rows for char, rows in self.lookup.words_with.items() if is_chinese(char)}
        return list(words), self._process(np.array([self.store.vectors[rows].mean(axis=0) for rows in words.values()]))

    def _vector(self, word: str, answers: Answers) -> tuple[np.ndarray, set[int]] | None:
        if len(word) != 1:
            what = "is empty" if not word else f"is {len(word)} characters, not one"
            answers.fail(InputError(f"query {word}".strip(), what, "seqcli similar 薬 --unit char"))
            return None
        found = self.lookup.character(word)
        if not found.keys:
            answers.fail(InputError(f"query {word}", "no word of the table contains this character"))
            return None
        if found.row is not None and self.store.owner(found.row) == word:
            return self._process(found.vector), {found.row}
        shown = " ".join(found.keys[:5]) + (" …" if len(found.keys) > 5 else "")
        answers.note(f"{word} has no vector of its own: composed from the words it stands in: {shown}")
        return self._process(found.vector), set()
