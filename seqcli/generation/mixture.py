"""What a language model knows at a place of a text, and what it expects next: network, n-grams, and both mixed.

At each place p(unit) = λ_m p_network(unit) + (1 - λ_m) p_ngram(unit), where m is how many of the units before it the
n-gram model has seen together in the training text: the further back it can see, the more it is to be trusted. The
weights λ were chosen on the validation text (Jelinek & Mercer 1980; by matched order as in Chen & Goodman 1999). With
a cache (``cache.py``), what was read of the same text has its share in that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from seqcli.core.units import DOCUMENT
from seqcli.errors import UsageError
from seqcli.generation import network as networks
from seqcli.generation.cache import Memory, Settings
from seqcli.generation.mixing import mixed
from seqcli.generation.network import Ids, Network
from seqcli.generation.ngram import Ints, KneserNey

Floats = NDArray[np.floating[Any]]
Part = Literal["mixture", "network", "kneser-ney"]

CHUNK = 4096  # units that are read at once; of a longer text only the state is kept


@dataclass(frozen=True, eq=False)
class Reading:
    """What is known of b texts as far as they have been read.

    Arguments:
        layers: the network's state; empty without a network.
        tail: ``(b, n)`` the last units; what lies before a text is ``<doc>``.
        matched: ``(b, n)`` the numbers of its last one, two, … units among the n-grams, −1 for those never seen.
        memory: what the cache remembers, if there is one.
    """

    layers: networks.State
    tail: Ids
    matched: Ints
    memory: Memory | None = None

    def select(self, rows: Ids) -> Reading:
        """The texts of these rows, in their order; a row may be taken several times."""
        layers = tuple(tuple(part[:, rows] for part in layer) for layer in self.layers)
        memory = None if self.memory is None else self.memory.select(rows)
        return Reading(layers, self.tail[rows], self.matched[rows], memory)

    @classmethod
    def join(cls, readings: list[Reading]) -> Reading:
        """Several texts as one batch."""
        layers = tuple(
            tuple(np.concatenate(parts, axis=1) for parts in zip(*layer, strict=True))
            for layer in zip(*(one.layers for one in readings), strict=True)
        )
        memories = [one.memory for one in readings if one.memory is not None]
        return cls(
            layers,
            np.concatenate([one.tail for one in readings]),
            np.concatenate([one.matched for one in readings]),
            Memory.join(memories) if memories else None,
        )


@dataclass(frozen=True, eq=False)
class Mixture:
    """A network and an n-gram model of the same units.

    Arguments:
        network: None: the n-grams alone.
        ngram: None: the network alone.
        weights: λ_0, λ_1, …; of no meaning where one of the two is missing.
        cache: of what the network has read in the same text, mixed with all of it.
    """

    network: Network | None
    ngram: KneserNey | None
    weights: tuple[float, ...] = ()
    cache: Settings | None = None

    def only(self, part: Part) -> Mixture:
        """One of the two, without the cache, or all that there is.

        Raises:
            UsageError: the model has no such part.
        """
        if part not in get_args(Part):
            raise UsageError("--part", f"there is no {part!r}", f"choose one of {', '.join(get_args(Part))}")
        if part == "mixture":
            return self
        if part == "network":
            return Mixture(self.network, None)
        if self.ngram is None:
            raise UsageError("--part", "the model was trained without n-grams", "leave it out, or train it again")
        return Mixture(None, self.ngram)

    def start(self) -> Reading:
        """Before the first unit of a document."""
        layers: networks.State = ()
        memory = None
        if self.network is not None:
            layers = self.network.start()
            if self.cache is not None:
                memory = Memory.empty(self.cache, len(layers[-1][0]))
        matched = np.zeros((1, 0), np.int64) if self.ngram is None else self.ngram.nothing()
        nothing = Reading(layers, np.full_like(matched, DOCUMENT), matched, memory)
        return self.advance(nothing, np.array([DOCUMENT]))

    def advance(self, reading: Reading, ids: Ids, *, own: bool = False) -> Reading:
        """What is known after each text's next unit, ``(b,)``.

        With ``own`` the model wrote it itself: the cache remembers what it was given to read, and no echo of its own.
        """
        layers = () if self.network is None else self.network.advance(ids, reading.layers)
        memory = reading.memory
        if memory is not None and not own:
            memory = memory.remember(reading.layers[-1][0].T[:, None], ids[:, None])
        if self.ngram is None:
            return Reading(layers, reading.tail, reading.matched, memory)
        tail = np.concatenate([reading.tail, ids[:, None]], axis=1)[:, 1:]
        return Reading(layers, tail, self.ngram.advance(reading.matched, ids), memory)

    def read(self, reading: Reading, ids: Ids) -> Reading:
        """What is known of one text after many more units, ``(t,)``; memory does not grow with their number."""
        for start in range(0, len(ids), CHUNK):
            some = ids[None, start : start + CHUNK]
            layers, memory = reading.layers, reading.memory
            if self.network is not None:
                before, layers = self.network.before(some, layers)
                memory = memory and memory.remember(before, some)
            reading = Reading(layers, _tail(reading.tail, some), reading.matched, memory)
        matched = reading.matched
        if self.ngram is not None:
            for one in ids[-matched.shape[1] :] if matched.shape[1] else ():
                matched = self.ngram.advance(matched, [one])
        return replace(reading, matched=matched)

    def probabilities(self, reading: Reading) -> Floats:
        """The probability of every unit to be the next one of each text, ``(b, V)``."""
        if self.network is None:
            return self._counted(reading)
        likely: Floats = np.exp(self.network.next(reading.layers))
        if self.ngram is not None:
            weight = np.array(self.weights)[self.ngram.matched(reading.matched)][:, None]
            both = self._counted(reading)
            both *= 1 - weight
            both += weight * likely
            likely = both
        return likely if reading.memory is None else reading.memory.mixed(likely, reading.layers[-1][0].T)

    def scores(self, reading: Reading, tokens: Ids) -> tuple[Scores, Reading]:
        """How likely each unit of some texts was, after all before it.

        Arguments:
            reading: of b texts.
            tokens: ``(b, t)`` what follows in each, t at least 1.

        Returns:
            The scores, and what is known afterwards.
        """
        layers, memory, matched = reading.layers, reading.memory, reading.matched
        hidden = network = ngram = both = None
        if self.network is not None:
            hidden, layers = self.network.before(tokens, layers)
            network = self.network.chosen(hidden.reshape(tokens.size, -1), tokens.ravel()).reshape(tokens.shape)
        if self.ngram is not None:
            # In one long row: a unit is only looked at together with as many before it as the tail has.
            before = reading.tail.shape[1]
            row = np.concatenate([reading.tail, tokens], axis=1).ravel()
            ngram = self.ngram.log_probabilities(row, ()).reshape(len(tokens), -1)[:, before:]
            if network is not None:
                orders = self.ngram.order_matched(row, ()).reshape(len(tokens), -1)[:, before:]
                both = mixed(network, ngram, orders, self.weights)
            for ids in tokens[:, max(0, tokens.shape[1] - before) :].T:
                matched = self.ngram.advance(matched, ids)
        known = both if both is not None else network if network is not None else ngram
        assert known is not None
        scores = Scores(network, ngram, known)
        if memory is not None and hidden is not None:
            scores = replace(scores, mixture=memory.scored(scores.mixture, hidden, tokens))
            memory = memory.remember(hidden, tokens)
        return scores, Reading(layers, _tail(reading.tail, tokens), matched, memory)

    def _counted(self, reading: Reading) -> Floats:
        assert self.ngram is not None
        return self.ngram.distributions(reading.matched)


@dataclass(frozen=True, eq=False)
class Scores:
    """Natural log-probabilities of the units of b texts, ``(b, t)``.

    Arguments:
        network: by the network alone; None without one.
        ngram: by the n-grams alone; None without them.
        mixture: by all that there is.
    """

    network: Floats | None
    ngram: Floats | None
    mixture: Floats


def _tail(before: Ids, tokens: Ids) -> Ids:
    """The last units after more of them, as many as before."""
    count = before.shape[1]
    joined = np.concatenate([before, tokens[:, max(0, tokens.shape[1] - count) :]], axis=1)
    return joined[:, joined.shape[1] - count :]
