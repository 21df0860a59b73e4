"""Counting: the interpolated, modified Kneser–Ney n-gram model, part of every generator and its yardstick.

Chen and Goodman, An Empirical Study of Smoothing Techniques for Language Modeling, Computer Speech and Language 13
(1999), section 3. The n-grams form a trie: an n-gram is numbered among those of its order, which are sorted by the
number of their first n−1 tokens and then by the last one. Nothing is hashed, so that no two n-grams can be mixed up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seqcli.core.safe_formats import HINT
from seqcli.core.units import DOCUMENT, Ids
from seqcli.errors import InputError, ModelError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ORDER: Final = 5

MOST: Final = 20_000_000
"""Tokens that are counted of a text; what more of it would add is left to the network. They take 3 GB and a minute."""

_CHUNK: Final = 1 << 20  # tokens that are looked up together
_NONE: Final = -1  # the number of an n-gram that was never seen
# Discounts where the counts of counts do not give any, as with a few lines of text; those of KenLM.
_FALLBACK: Final = (0.5, 1.0, 1.5)
FILE: Final = "ngram.safetensors"


@dataclass(frozen=True, eq=False)
class Level:
    """The n-grams of one order, sorted by context and then by token. Of order 1, every id is one, seen or not.

    Arguments:
        tokens: ``(n,)`` the last token of each.
        counts: ``(n,)`` how often it was seen; below the highest order, behind how many different tokens.
        starts: ``(contexts + 1,)`` where the n-grams of each context begin; a context is an n-gram of the order below.
    """

    tokens: Ints
    counts: Ints
    starts: Ints

    @cached_property
    def discounts(self) -> Floats:
        """``(4,)`` what is taken from a count of 0, 1, 2, and 3 or more (Chen and Goodman's equation 26)."""
        ones, twos, threes, fours = (int(np.count_nonzero(self.counts == count)) for count in (1, 2, 3, 4))
        discounts = [0.0]
        for count, (fewer, more) in enumerate(((ones, twos), (twos, threes), (threes, fours)), 1):
            share = ones / (ones + 2 * twos) if ones else 0.0
            taken = count - (count + 1) * share * more / fewer if fewer else 0.0
            discounts.append(taken if 0.0 < taken < count else _FALLBACK[count - 1])
        return np.array(discounts)

    @cached_property
    def totals(self) -> Floats:
        """``(contexts,)`` the sum of the counts behind each context."""
        return _summed(self.counts, self.starts)

    @cached_property
    def kept(self) -> Floats:
        """``(n,)`` the probability of each, before that of the order below is added."""
        left: Floats = self.counts - self.discounts[np.minimum(self.counts, 3)]
        return left / np.repeat(self.totals, np.diff(self.starts))

    @cached_property
    def passed(self) -> Floats:
        """``(contexts,)`` the share that goes to the order below; all of it where nothing was seen behind a context."""
        taken = _summed(self.discounts[np.minimum(self.counts, 3)], self.starts)
        return np.divide(taken, self.totals, out=np.ones_like(taken), where=self.totals > 0)


@dataclass(frozen=True, eq=False)
class KneserNey:
    """An n-gram model over the ids ``0 … vocabulary − 1``, each of which has a probability, seen or not.

    A context never reaches back over ``<doc>``, the beginning of a document. Where many texts are continued at once,
    a *state* ``(b, order − 1)`` holds the numbers of the last one, two, … tokens among the n-grams, −1 for those
    that were never seen.

    Arguments:
        vocabulary: number of ids V.
        levels: of order 1, 2, …
    """

    vocabulary: int
    levels: tuple[Level, ...]

    @classmethod
    def fit(cls, tokens: Ids | Sequence[int], vocabulary: int, order: int = ORDER) -> KneserNey:
        """Counts the n-grams of a text, of its first ``MOST`` tokens.

        Arguments:
            tokens: ``(t,)`` ids of the training text, ``<doc>`` before every document.
            vocabulary: number of ids.
            order: the longest n-gram; fewer if no document is so long.

        Raises:
            InputError: nothing to count.
        """
        x = np.asarray(tokens[:MOST], np.int64)
        first = int(len(x) > 0 and x[0] == DOCUMENT)  # nothing predicts the beginning
        if len(x) - first < 1:
            raise InputError("corpus", "holds no text", "give files with text in them")
        reach = _reach(x)
        counts = np.bincount(x[first:], minlength=vocabulary)
        levels = [Level(np.arange(vocabulary), counts, np.array([0, vocabulary]))]
        numbers = x  # of the n-gram that ends at each position
        for n in range(2, order + 1):
            here = np.flatnonzero(reach >= n - 1)
            if not len(here):
                break
            keys, inverse, counts = np.unique(
                numbers[here - 1] * vocabulary + x[here], return_inverse=True, return_counts=True
            )
            below = levels[-1]
            # Below the highest order what counts is how many different tokens an n-gram was seen behind; one at the
            # beginning of a document is behind none, and counts as often as it stands there.
            suffixes = np.empty(len(keys), np.int64)
            suffixes[inverse] = numbers[here]
            beginnings = numbers[first:][reach[first:] == n - 2]
            levels[-1] = Level(
                below.tokens,
                np.bincount(np.concatenate([suffixes, beginnings]), minlength=len(below.tokens)),
                below.starts,
            )
            starts = np.searchsorted(keys, np.arange(len(below.tokens) + 1) * vocabulary)
            levels.append(Level(keys % vocabulary, counts, starts))
            numbers = np.full(len(x), _NONE)
            numbers[here] = inverse
        return cls(vocabulary, tuple(levels))

    @property
    def order(self) -> int:
        """The longest n-gram."""
        return len(self.levels)

    def log_probabilities(self, tokens: ArrayLike, prefix: ArrayLike = (DOCUMENT,)) -> Floats:
        """The natural logarithm of each token's probability, ``(t,)``.

        Arguments:
            tokens: ``(t,)`` ids.
            prefix: ids that stand before them.
        """
        logs = [np.zeros(0)]
        for x, given in self._chunks(tokens, prefix):
            probabilities = self._unigrams[x[given:]]
            for level, contexts, numbers in self._followed(x):
                before, found = contexts[given:], numbers[given:]
                passed = np.where(before >= 0, level.passed[before], 1.0)
                probabilities = passed * probabilities + np.where(found >= 0, level.kept[found], 0.0)
            logs.append(np.log(probabilities))
        return np.concatenate(logs)

    def drawn(self, tokens: ArrayLike, count: int, random: np.random.Generator) -> Ints:
        """What the model would write at each place, behind the tokens before it there: ``count`` draws, ``(count, t)``.

        Arguments:
            tokens: ``(t,)`` ids.
            count: of the draws.
            random: draws.
        """
        x = np.asarray(tokens, np.int64)
        found = np.full((count, len(x)), _NONE)
        followed = [(level, contexts) for level, contexts, _ in self._followed(x)]
        for level, contexts in reversed(followed):
            sums = np.concatenate([[0.0], np.cumsum(level.kept)])
            # What a context keeps for its own n-grams is less than 1: the rest of the draws goes to the order below.
            draws, places = np.nonzero((found == _NONE) & (contexts >= 0))
            first, end = level.starts[contexts[places]], level.starts[contexts[places] + 1]
            wanted = sums[first] + random.random(len(places))
            inside = wanted < sums[end]
            numbers = np.searchsorted(sums, wanted[inside], side="right") - 1
            found[draws[inside], places[inside]] = level.tokens[numbers.clip(first[inside], end[inside] - 1)]
        sums = np.cumsum(self._unigrams)
        draws, places = np.nonzero(found == _NONE)
        numbers = np.searchsorted(sums, random.random(len(places)) * sums[-1], side="right")
        found[draws, places] = numbers.clip(max=self.vocabulary - 1)
        return found

    def order_matched(self, tokens: ArrayLike, prefix: ArrayLike = (DOCUMENT,)) -> Ints:
        """How many tokens before each one, 0 … order − 1, were seen together in the training text, ``(t,)``.

        Arguments are those of ``log_probabilities``.
        """
        orders = [np.zeros(0, np.int64)]
        for x, given in self._chunks(tokens, prefix):
            longest = np.zeros(len(x), np.int64)
            for n, (level, contexts, _) in enumerate(self._followed(x), 1):
                longest[(contexts >= 0) & (level.totals[contexts] > 0)] = n
            orders.append(longest[given:])
        return np.concatenate(orders)

    def nothing(self, batch: int = 1) -> Ints:
        """The state behind no token at all, ``(batch, order − 1)``; a document begins with ``<doc>``."""
        return np.full((batch, self.order - 1), _NONE)

    def advance(self, state: Ints, ids: ArrayLike) -> Ints:
        """The state after one more token of each text.

        Arguments:
            state: ``(b, order − 1)``; it stays as it is.
            ids: ``(b,)``.
        """
        x = np.asarray(ids, np.int64)
        after = np.full_like(state, _NONE)
        after[:, :1] = x[:, None]
        inside = x != DOCUMENT
        for n in range(1, self.order - 1):
            if not (state[:, n - 1] >= 0).any():
                break
            after[:, n] = np.where(inside, self._found(n, state[:, n - 1], x), _NONE)
        return after

    def distributions(self, state: Ints) -> Floats:
        """The probability of every id to be the next, ``(b, V)``; each row adds up to 1."""
        probabilities = np.repeat(self._unigrams[None], len(state), axis=0)
        for n, level in enumerate(self.levels[1:]):
            rows = np.flatnonzero(state[:, n] >= 0)
            if not len(rows):
                break
            contexts = state[rows, n]
            probabilities[rows] *= level.passed[contexts, None]
            starts, ends = level.starts[contexts], level.starts[contexts + 1]
            if len(rows) == 1:
                children = np.arange(starts[0], ends[0])
            else:
                sizes = ends - starts
                children = np.arange(sizes.sum()) + np.repeat(starts - np.cumsum(sizes) + sizes, sizes)
                rows = np.repeat(rows, sizes)
            probabilities[rows, level.tokens[children]] += level.kept[children]
        return probabilities

    def matched(self, state: Ints) -> Ints:
        """What ``order_matched`` gives for the next token of each text, ``(b,)``."""
        longest = np.zeros(len(state), np.int64)
        for n, level in enumerate(self.levels[1:]):
            longest[(state[:, n] >= 0) & (level.totals[state[:, n]] > 0)] = n + 1
        return longest

    def distribution(self, context: ArrayLike) -> Floats:
        """The probability of every id behind a context, ``(V,)``.

        Arguments:
            context: ``(t,)`` ids, the latest last.
        """
        state = self.nothing()
        for one in np.asarray(context, np.int64)[max(0, len(np.asarray(context)) - self.order + 1) :]:
            state = self.advance(state, [one])
        probabilities: Floats = self.distributions(state)[0]
        return probabilities

    def tensors(self) -> dict[str, NDArray[Any]]:
        """All of it as small arrays of integers, for a safetensors file; ``from_tensors`` is the way back."""
        arrays: dict[str, NDArray[Any]] = {}
        for n, level in enumerate(self.levels, 1):
            arrays[f"{n}.counts"] = _small(level.counts)
            if n > 1:
                arrays[f"{n}.tokens"] = _small(level.tokens)
                arrays[f"{n}.sizes"] = _small(np.diff(level.starts))
        return arrays

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]], vocabulary: int) -> KneserNey:
        """The model that ``tensors`` describes.

        Arguments:
            tensors: as ``tensors()`` gave them.
            vocabulary: number of ids of the model that it belongs to.

        Raises:
            ModelError: they are not of such a model.
        """
        try:
            given = {name: array.astype(np.int64) for name, array in tensors.items() if array.ndim == 1}
            counts = given["1.counts"]
            _check(vocabulary == len(counts) and (counts >= 0).all() and counts.any(), "1.counts")
            levels = [Level(np.arange(vocabulary), counts, np.array([0, vocabulary]))]
            longer = len(tensors.keys() - {"1.counts", "trained_on"})  # older folders say how many tokens were counted
            for n in range(2, -(-longer // 3) + 2):
                ends = given[f"{n}.sizes"]
                _check(len(ends) == len(levels[-1].tokens), f"{n}.sizes")
                _check(((ends >= 0) & (ends <= vocabulary)).all(), f"{n}.sizes")  # also, no sum of them overflows
                level = Level(given[f"{n}.tokens"], given[f"{n}.counts"], np.concatenate([[0], np.cumsum(ends)]))
                tokens = level.tokens
                _check(len(tokens) == len(level.counts) == level.starts[-1], f"{n}.tokens")
                _check(((tokens >= 0) & (tokens < vocabulary)).all(), f"{n}.tokens")
                _check((np.diff(_keys(level, vocabulary)) > 0).all(), f"{n}.tokens")
                _check((level.counts > 0).all(), f"{n}.counts")
                levels.append(level)
        except (KeyError, ValueError) as problem:
            raise ModelError(FILE, f"is not an n-gram model: {problem}", HINT) from None
        return cls(vocabulary, tuple(levels))

    @cached_property
    def _unigrams(self) -> Floats:
        """Behind nothing, ``(V,)``: the lowest order, mixed with one probability for all."""
        level = self.levels[0]
        lowest: Floats = level.kept + level.passed[0] / self.vocabulary
        return lowest

    @cached_property
    def _sorted(self) -> list[Ints]:
        """Of each order above 1, the number of the context and the token as one integer, rising."""
        return [_keys(level, self.vocabulary) for level in self.levels[1:]]

    def _found(self, n: int, contexts: Ints, tokens: Ints) -> Ints:
        """The numbers of the n+1-grams of some contexts of n tokens and the tokens behind them; −1 if never seen."""
        keys = self._sorted[n - 1]
        wanted = contexts * self.vocabulary + tokens
        places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where((contexts >= 0) & (keys[places] == wanted), places, _NONE)

    def _chunks(self, tokens: ArrayLike, prefix: ArrayLike) -> Iterator[tuple[Ints, int]]:
        """The tokens in pieces, each behind as many of those before it as count, and how many these are."""
        rest, before = np.asarray(tokens), np.asarray(prefix, np.int64)
        for start in range(0, len(rest), _CHUNK):
            before = before[max(0, len(before) - self.order + 1) :]
            x = np.concatenate([before, rest[start : start + _CHUNK].astype(np.int64)])
            yield x, len(before)
            before = x

    def _followed(self, x: Ints) -> Iterator[tuple[Level, Ints, Ints]]:
        """Of each order from 2, at each position: the number of the context, and of the n-gram that ends there."""
        contexts = x
        for n, level in enumerate(self.levels[1:], 1):
            before = np.concatenate([[_NONE], contexts[:-1]])
            numbers = self._found(n, before, x)
            yield level, before, numbers
            contexts = np.where(x == DOCUMENT, _NONE, numbers)


def _reach(x: Ints) -> Ints:
    """How many tokens before each one belong to its document, the ``<doc>`` in front included."""
    positions = np.arange(len(x))
    last = np.maximum.accumulate(np.where(x == DOCUMENT, positions, 0))
    reach: Ints = positions - np.concatenate([[0], last[:-1]])
    return reach


def _summed(values: NDArray[Any], starts: Ints) -> Floats:
    """The sum of each stretch between two starts; 0 of an empty one."""
    totals = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    sums: Floats = totals[starts[1:]] - totals[starts[:-1]]
    return sums


def _keys(level: Level, vocabulary: int) -> Ints:
    keys: Ints = np.repeat(np.arange(len(level.starts) - 1), np.diff(level.starts)) * vocabulary + level.tokens
    return keys


def _small(values: Ints) -> NDArray[Any]:
    """The same numbers in the smallest unsigned type that holds them."""
    return values.astype(np.min_scalar_type(int(values.max(initial=0))))


def _check(condition: Any, name: str) -> None:
    if not condition:
        raise ValueError(f"{name} does not fit the rest")
