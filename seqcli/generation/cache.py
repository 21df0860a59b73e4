"""A continuous cache: what was written a while ago is likely to be written again, most of all in a similar place.

Grave, Joulin and Usunier 2017, Improving Neural Language Models with a Continuous Cache (arXiv:1612.04426): the cache
holds pairs of a hidden state h_i and the unit x_i that came next, and says p_cache(w | h) ∝ Σ_i [x_i = w] exp(θ h·h_i).
It is mixed with the model: p = (1 - λ) p_model + λ p_cache. Nothing is trained; θ and λ are chosen on validation text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from seqcli.core.units import DOCUMENT

Floats = NDArray[np.floating[Any]]
Ids = NDArray[np.integer[Any]]

SIZE: Final = 2000
THETAS: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.8)
WEIGHTS: Final = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)

_BLOCK: Final = 256  # places that look back together


@dataclass(frozen=True)
class Settings:
    """How a cache is used.

    Arguments:
        size: pairs that are remembered; the oldest is forgotten.
        theta: θ, from 0 (all pairs count alike) on: how much more a similar state counts.
        weight: λ, the share of the cache in the probability; 0: no cache.
    """

    size: int
    theta: float
    weight: float


def mixed(log_probabilities: Floats, hidden: Floats, tokens: Ids, settings: Settings) -> NDArray[np.float64]:
    """The natural logarithm of each unit's probability by a model and its cache, ``(t,)``.

    Arguments:
        log_probabilities: ``(t,)`` by the model alone.
        hidden: ``(t, h)`` the state that each unit is predicted from.
        tokens: ``(t,)`` the units. The cache is empty behind a ``<doc>``.
        settings: of the cache.
    """
    found, known = _recalled(hidden, tokens, settings.size, [settings.theta])
    return _mixed(np.asarray(log_probabilities, np.float64), found[0], known, settings.weight)


def choose(
    log_probabilities: Floats,
    hidden: Floats,
    tokens: Ids,
    *,
    size: int = SIZE,
    thetas: Sequence[float] = THETAS,
    weights: Sequence[float] = WEIGHTS,
) -> tuple[Settings, float]:
    """The settings under which a validation text is most likely, and its mean natural log-probability under them.

    Arguments:
        log_probabilities: ``(t,)`` by the model alone.
        hidden: ``(t, h)``.
        tokens: ``(t,)``.
        size: pairs that are remembered.
        thetas: values of θ to try.
        weights: values of λ to try. If none is better than no cache, size and weight come back as 0.
    """
    alone = np.asarray(log_probabilities, np.float64)
    best = Settings(0, 0.0, 0.0), float(alone.mean())
    found, known = _recalled(hidden, tokens, size, thetas)
    for theta, row in zip(thetas, found, strict=True):
        for weight in weights:
            reached = float(_mixed(alone, row, known, weight).mean())
            if reached > best[1]:
                best = Settings(size, theta, weight), reached
    return best


@dataclass(frozen=True, eq=False)
class Memory:
    """The caches of b texts that are being read or written.

    Arguments:
        hidden: ``(b, n, h)`` the states, the latest last.
        tokens: ``(b, n)`` the unit behind each; ``<doc>`` where there is none yet.
        settings: of the cache.
    """

    hidden: Floats
    tokens: Ids
    settings: Settings

    @classmethod
    def empty(cls, settings: Settings, hidden: int, batch: int = 1) -> Memory:
        """Caches of h numbers a state that hold nothing."""
        return cls(np.zeros((batch, 0, hidden), np.float32), np.zeros((batch, 0), np.int64), settings)

    def remember(self, hidden: Floats, ids: Ids) -> Memory:
        """With more pairs each; a ``<doc>`` empties its cache.

        Arguments:
            hidden: ``(b, t, h)`` the states that the units were predicted from.
            ids: ``(b, t)`` the units.
        """
        kept = slice(max(0, self.tokens.shape[1] + ids.shape[1] - self.settings.size), None)
        states = np.concatenate([self.hidden, hidden], axis=1)[:, kept]
        tokens = np.concatenate([self.tokens, ids], axis=1)[:, kept]
        ended = np.maximum.accumulate((tokens == DOCUMENT)[:, ::-1], axis=1)[:, ::-1]  # by a <doc> here or later
        return Memory(states, np.where(ended, DOCUMENT, tokens), self.settings)

    def select(self, rows: Ids) -> Memory:
        """Those of some texts, in their order; a text may be taken several times."""
        return Memory(self.hidden[rows], self.tokens[rows], self.settings)

    @classmethod
    def join(cls, memories: Sequence[Memory]) -> Memory:
        """Those of several batches as one."""
        longest = max(one.tokens.shape[1] for one in memories)
        missing = [longest - one.tokens.shape[1] for one in memories]
        states = [np.pad(one.hidden, ((0, 0), (n, 0), (0, 0))) for one, n in zip(memories, missing, strict=True)]
        tokens = [
            np.pad(one.tokens, ((0, 0), (n, 0)), constant_values=DOCUMENT)
            for one, n in zip(memories, missing, strict=True)
        ]
        return cls(np.concatenate(states), np.concatenate(tokens), memories[0].settings)

    def scored(self, log_probabilities: Floats, hidden: Floats, tokens: Ids) -> NDArray[np.float64]:
        """What the function ``mixed`` gives for texts that go on, ``(b, t)``.

        Arguments:
            log_probabilities: ``(b, t)`` by the model alone.
            hidden: ``(b, t, h)`` the states that the units are predicted from.
            tokens: ``(b, t)`` the units.
        """
        before = self.tokens.shape[1]
        logs = np.pad(np.asarray(log_probabilities, np.float64), ((0, 0), (before, 0)))
        states = np.concatenate([self.hidden, hidden], axis=1)
        ids = np.concatenate([self.tokens, tokens], axis=1)
        rows = zip(logs, states, ids, strict=True)
        return np.stack([mixed(*row, self.settings)[before:] for row in rows])

    def mixed(self, probabilities: Floats, hidden: Floats) -> Floats:
        """The probabilities of every next unit by the model and the cache, ``(b, V)``; a new array.

        Arguments:
            probabilities: ``(b, V)`` by the model alone.
            hidden: ``(b, h)`` the states that they come from.
        """
        result: Floats = probabilities.astype(np.float64)
        shares = _softmax(self.settings.theta * np.einsum("bnh,bh->bn", self.hidden, hidden), self.tokens != DOCUMENT)
        rows = np.flatnonzero(shares.any(axis=1))
        result[rows] *= 1 - self.settings.weight
        for row in rows:
            np.add.at(result[row], self.tokens[row], self.settings.weight * shares[row])
        return result


def _recalled(
    hidden: Floats, tokens: Ids, size: int, thetas: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What the cache alone gives each unit under each θ, ``(k, t)``, and whether it held anything, ``(t,)``."""
    places = np.arange(len(tokens))
    # The first pair that each place may look at: behind the last <doc> before it.
    after = np.maximum.accumulate(np.where(tokens == DOCUMENT, places + 1, 0))
    first = np.maximum(np.concatenate([[0], after[:-1]]), places - size)
    found = np.zeros((len(thetas), len(tokens)))
    for start in range(0, len(tokens), _BLOCK):
        here = places[start : start + _BLOCK]
        back = places[first[here].min() : here[-1] + 1]
        looked = (back >= first[here, None]) & (back < here[:, None])
        same = tokens[back] == tokens[here, None]
        likeness = hidden[here] @ hidden[back].T
        for row, theta in zip(found, thetas, strict=True):
            row[here] = _softmax(theta * likeness, looked).sum(axis=1, where=same)
    return found, first < places


def _softmax(scores: Floats, chosen: NDArray[np.bool_]) -> Floats:
    """Shares of the chosen ones of each row; zeros where none is."""
    chosen_only = np.where(chosen, scores, -np.inf)
    highest = chosen_only.max(axis=1, initial=-np.inf, keepdims=True)
    shares: Floats = np.exp(chosen_only - np.where(np.isfinite(highest), highest, 0.0))
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1.0)  # the highest alone is 1
    return shares


def _mixed(
    alone: NDArray[np.float64], found: NDArray[np.float64], known: NDArray[np.bool_], weight: float
) -> NDArray[np.float64]:
    logs: NDArray[np.float64] = np.log((1 - weight) * np.exp(alone) + weight * found)
    return np.where(known, logs, alone)
