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
"""Pairs that are remembered: on a novel's validation text, 1,000 to 4,000 gave the same to 0.01 bits per character."""

SHARPNESS: Final = (4.0, 8.0, 12.0, 16.0, 24.0)
"""Values of θ to try, times |h|²: by how much, as a logarithm, the same state counts more than a strange one."""

WEIGHTS: Final = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4)

_BLOCK: Final = 256  # places that look back together
_TAIL: Final = 64  # pairs that are copied when one is added; the others wait until there are so many


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


def choose(log_probabilities: Floats, hidden: Floats, tokens: Ids, *, size: int = SIZE) -> tuple[Settings, float]:
    """The settings under which a validation text is most likely, and its mean natural log-probability under them.

    Arguments:
        log_probabilities: ``(t,)`` by the model alone.
        hidden: ``(t, h)`` the state that each unit is predicted from.
        tokens: ``(t,)`` the units.
        size: pairs that are remembered.

    Returns:
        Where no cache is better than any of them, settings of size and weight 0.
    """
    alone = np.asarray(log_probabilities, np.float64)
    best = Settings(0, 0.0, 0.0), float(alone.mean())
    square = float(np.square(hidden, dtype=np.float64).sum(axis=1).mean())
    thetas = [sharpness / max(square, 1e-9) for sharpness in SHARPNESS]
    found, known = _recalled(hidden, tokens, size, thetas)
    for theta, row in zip(thetas, found, strict=True):
        for weight in WEIGHTS:
            reached = float(_mixed(alone, row, known, weight).mean())
            if reached > best[1]:
                best = Settings(size, theta, weight), reached
    return best


@dataclass(frozen=True, eq=False)
class Memory:
    """The caches of b texts that are being read or written. What is added makes a new one; the old one stays good.

    Arguments:
        settings: of the cache.
        hidden: ``(b, n, h)`` the states, the latest last.
        tokens: ``(b, n)`` the unit behind each; ``<doc>`` where there is none any more.
        latest: ``(b, m, h)`` the states behind those, few enough to be copied with every new one.
        following: ``(b, m)`` the units behind them.
    """

    settings: Settings
    hidden: Floats
    tokens: Ids
    latest: Floats
    following: Ids

    @classmethod
    def empty(cls, settings: Settings, hidden: int, batch: int = 1) -> Memory:
        """Caches of h numbers a state that hold nothing."""
        states, tokens = np.zeros((batch, 0, hidden), np.float32), np.zeros((batch, 0), np.int64)
        return cls(settings, states, tokens, states, tokens)

    def remember(self, hidden: Floats, ids: Ids) -> Memory:
        """With more pairs each; a ``<doc>`` empties its cache.

        Arguments:
            hidden: ``(b, t, h)`` the states that the units were predicted from.
            ids: ``(b, t)`` the units.
        """
        latest = np.concatenate([self.latest, hidden], axis=1)
        following = np.concatenate([self.following, ids], axis=1)
        if following.shape[1] < _TAIL:
            return Memory(self.settings, self.hidden, self.tokens, latest, following)
        kept = slice(max(0, self.tokens.shape[1] + following.shape[1] - self.settings.size), None)
        states = np.concatenate([self.hidden, latest], axis=1)[:, kept]
        units = np.concatenate([self.tokens, following], axis=1)[:, kept]
        return Memory(self.settings, states, units, latest[:, :0].copy(), following[:, :0].copy())

    def select(self, rows: Ids) -> Memory:
        """Those of some texts, in their order; a text may be taken several times."""
        return Memory(self.settings, self.hidden[rows], self.tokens[rows], self.latest[rows], self.following[rows])

    @classmethod
    def join(cls, memories: Sequence[Memory]) -> Memory:
        """Those of several batches as one."""
        held = [(np.concatenate([one.hidden, one.latest], axis=1), one.units) for one in memories]
        longest = max(units.shape[1] for _, units in held)
        states = [np.pad(one, ((0, 0), (longest - one.shape[1], 0), (0, 0))) for one, _ in held]
        units = [np.pad(one, ((0, 0), (longest - one.shape[1], 0)), constant_values=DOCUMENT) for _, one in held]
        empty = cls.empty(memories[0].settings, states[0].shape[2], sum(map(len, units)))
        return empty.remember(np.concatenate(states), np.concatenate(units))

    def mixed(self, probabilities: Floats, hidden: Floats) -> Floats:
        """The probabilities of every next unit by the model and the cache, ``(b, V)``; a new array.

        Arguments:
            probabilities: ``(b, V)`` by the model alone.
            hidden: ``(b, h)`` the states that they come from.
        """
        result: Floats = probabilities.astype(np.float64)
        for row, given in enumerate(self.units):
            ended = np.flatnonzero(given == DOCUMENT)
            first = max(len(given) - self.settings.size, int(ended[-1]) + 1 if len(ended) else 0)
            if first == len(given):
                continue
            likeness = np.concatenate([part[row] @ hidden[row] for part in (self.hidden, self.latest)])[first:]
            shares = np.exp(self.settings.theta * (likeness - likeness.max()))
            result[row] *= 1 - self.settings.weight
            np.add.at(result[row], given[first:], self.settings.weight / shares.sum() * shares)
        return result

    def scored(self, log_probabilities: Floats, hidden: Floats, tokens: Ids) -> NDArray[np.float64]:
        """What the function ``mixed`` gives for texts that go on, ``(b, t)``.

        Arguments:
            log_probabilities: ``(b, t)`` by the model alone.
            hidden: ``(b, t, h)`` the states that the units are predicted from.
            tokens: ``(b, t)`` the units.
        """
        before = self.units.shape[1]
        logs = np.pad(np.asarray(log_probabilities, np.float64), ((0, 0), (before, 0)))
        states = np.concatenate([self.hidden, self.latest, hidden], axis=1)
        units = np.concatenate([self.units, tokens], axis=1)
        return np.stack([mixed(*row, self.settings)[before:] for row in zip(logs, states, units, strict=True)])

    @property
    def units(self) -> Ids:
        """``(b, n + m)`` the units behind all states that are held."""
        return np.concatenate([self.tokens, self.following], axis=1)


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
