"""The classifier at prediction time, in NumPy: ``model.py`` holds the equations and trains them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqcli.classification.config import PADDING, ClassifierConfig, prefix
from seqcli.classification.encoding import Batch, Floats, Ints
from seqcli.core.encoder import Encoder
from seqcli.core.equations import LSTM, Array, Cell, sigmoid_

Bools = NDArray[np.bool_]

_TOKENS, _TEXTS = 4096, 256  # of texts that are read side by side, so that what is worked on stays in the cache


@dataclass(frozen=True, eq=False)
class _Spelling:
    """The convolution over the characters of a word.

    Arguments:
        before, at, after: what a character adds as the one before, at and after a place, ``(C, s)``.
        bias: ``(s,)``.
    """

    before: Floats
    at: Floats
    after: Floats
    bias: Floats

    @classmethod
    def of(cls, tensors: Mapping[str, Floats]) -> _Spelling:
        """From the tensors of a member."""
        characters = tensors["characters.weight"]
        before, at, after = (characters @ part.T for part in np.split(tensors["convolution.weight"], 3, axis=1))
        return cls(before, at, after, tensors["convolution.bias"])

    def of_words(self, characters: Ints) -> Floats:
        """How words are spelt, ``(u, s)``, from ``(u, L)`` character ids."""
        found = np.full((len(characters), len(self.bias)), -np.inf, np.float32)
        around = np.pad(characters.T, ((1, 1), (0, 0)), constant_values=PADDING)
        for before, at, after in zip(around, around[1:], around[2:], strict=False):
            real = np.flatnonzero(at != PADDING)
            sums = self.at[at[real]] + self.before[before[real]] + self.after[after[real]]
            found[real] = np.maximum(found[real], sums)
        found += self.bias
        return np.maximum(found, 0, out=found)


@dataclass(frozen=True, eq=False)
class Member:
    """One network; the tensors are called as in ``model.Classifier``."""

    config: ClassifierConfig
    words: Floats
    projection: tuple[Floats, Floats] | None
    spelling: _Spelling | None
    encoder: Encoder
    encoder_reverse: Encoder | None
    attention: tuple[Floats, Floats]
    query: Floats
    output: tuple[Floats, Floats]
    prior: Floats

    @classmethod
    def from_tensors(cls, config: ClassifierConfig, tensors: Mapping[str, Floats], start: str) -> Member:
        """Reads a member whose tensors' names begin with ``start``."""
        own = {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
        return cls(
            config, own["words.weight"],
            (own["projection.weight"], own["projection.bias"]) if config.vector_size else None,
            _Spelling.of(own) if config.character_size else None,
            Encoder.from_tensors(own, "encoder.", config.cell),
            Encoder.from_tensors(own, "encoder_reverse.", config.cell) if config.bidirectional else None,
            (own["attention.weight"], own["attention.bias"]), own["query"],
            (own["output.weight"], own["output.bias"]), own["prior"],
        )  # fmt: skip

    def forward(self, batch: Batch) -> tuple[Floats, Floats]:
        """Logits ``(b, c)`` and attention ``(b, t)``, which is 0 at the padding."""
        encoders = [self.encoder] if self.encoder_reverse is None else [self.encoder, self.encoder_reverse]
        known = self._known(batch)  # (u, f)
        tables = [_table(encoder.layers[0][0], known) for encoder in encoders]
        logits = np.tile(np.log(self.prior), (len(batch), 1))
        attention = np.zeros(batch.tokens.shape, np.float32)
        order = np.argsort(-batch.lengths, kind="stable")  # the longest first, so that those still read are the first
        order = order[: np.count_nonzero(batch.lengths)]
        start = 0
        while start < len(order):
            longest = int(batch.lengths[order[start]])
            rows = order[start : start + max(1, min(_TEXTS, _TOKENS // longest))]
            tokens = batch.tokens[rows, :longest]
            logits[rows], attention[rows, :longest] = self._block(encoders, tables, tokens, batch.lengths[rows])
            start += len(rows)
        return logits, attention

    def _block(
        self, encoders: Sequence[Encoder], tables: Sequence[Array], tokens: Ints, lengths: Ints
    ) -> tuple[Array, Array]:
        """The same of texts ``(b, t)`` without an empty one, the longest first."""
        size = self.config.hidden
        steps = np.arange(tokens.shape[1])
        mask = steps < lengths[:, None]  # (b, t)
        active, rows = mask.sum(axis=0).tolist(), np.arange(len(tokens))
        onwards = np.tile(steps, (len(tokens), 1))  # (b, t): the places of each text as they are read
        back = np.where(mask, lengths[:, None] - 1 - steps, 0)
        # At the padding -1, which is never larger than what is read, and counts for nothing in the mean.
        read = np.full((*tokens.shape, len(encoders) * size), -1, np.float32)
        for k, (encoder, table, places) in enumerate(zip(encoders, tables, (onwards, back), strict=False)):
            turned = np.take_along_axis(tokens, places, axis=1)
            for t, h in enumerate(_steps(encoder, table, turned, active)):
                read[rows[: len(h)], places[: len(h), t], k * size : (k + 1) * size] = h
        weight, bias = self.attention
        sums = read.reshape(-1, read.shape[2]) @ weight.T
        sums += bias
        scores = (np.tanh(sums, out=sums) @ self.query).reshape(mask.shape)
        scores[~mask] = -1e30
        attention = np.exp(scores - scores.max(axis=1, keepdims=True))
        attention /= attention.sum(axis=1, keepdims=True)
        pooled = [(attention[:, None] @ read)[:, 0], read.max(axis=1)]  # (b, hidden) of both directions
        if self.config.unit != "token":
            pooled.append(read[np.arange(len(lengths)), lengths - 1, :size])
        weight, bias = self.output
        return np.concatenate(pooled, axis=1) @ weight.T + bias, attention

    def _known(self, batch: Batch) -> Floats:
        """What is known of each distinct token, ``(u, f)``."""
        parts = [] if self.spelling is None else [self.spelling.of_words(batch.characters)]
        parts.append(self.words[batch.words])
        if self.projection is not None:
            weight, bias = self.projection
            parts.insert(0, batch.vectors @ weight.T + bias)
        return np.concatenate(parts, axis=1)


def _table(cell: Cell, known: Floats) -> Array:
    """W x + b of each distinct token, ``(gates, u, h)``, wherever it stands: most of what a large batch would cost."""
    table = known @ cell.W.reshape(cell.gates, cell.hidden_size, -1).transpose(0, 2, 1)
    table += cell.b.reshape(cell.gates, 1, -1)
    return table


def _steps(encoder: Encoder, table: Array, tokens: Ints, active: Sequence[int]) -> Iterator[Array]:
    """What an encoder makes of each token, ``(n, hidden)`` after each step; to be used before the next.

    Arguments:
        encoder: of one direction.
        table: of its first layer.
        tokens: ``(b, t)`` in the order in which they are read, the longest texts first.
        active: how many texts still have a token, n of each step.
    """
    (cell,), *above = encoder.layers
    read = _lstm(cell, table, tokens, active) if isinstance(cell, LSTM) else _cell(cell, table, tokens, active)
    if not above:
        yield from read
        return
    columns = np.zeros((len(active), cell.hidden_size, len(tokens)), np.float32)
    for t, h in enumerate(read):
        columns[t, :, : len(h)] = h.T
    for (cell,) in above:
        columns, _ = cell.forward(columns, None, active)
    for t, n in enumerate(active):
        yield columns[t, :, :n].T


def _cell(cell: Cell, table: Array, tokens: Ints, active: Sequence[int]) -> Iterator[Array]:
    """The h of any cell after each step."""
    state = cell.zero_state(len(tokens))
    for t, n in enumerate(active):
        projected = table[:, tokens[:n, t]].transpose(0, 2, 1).reshape(-1, n)
        state = cell.step(projected, tuple(s[:, :n] for s in state))
        yield state[0].T


def _lstm(cell: LSTM, table: Array, tokens: Ints, active: Sequence[int]) -> Iterator[Array]:
    """The same of an LSTM, a text as a row, as the table has it: to turn them costs a third.

    A gate is a matrix of its own, so that whatever is done to it runs through memory from end to end.
    """
    size = cell.hidden_size
    U = np.ascontiguousarray(cell.U.reshape(4, size, size).transpose(0, 2, 1))  # as a view, the product takes longer
    room, more = np.empty((2, 4 * size * len(tokens)), np.float32)
    h, c = np.zeros((2, len(tokens), size), np.float32)
    for t, n in enumerate(active):
        h, c = h[:n], c[:n]
        a, x = room[: 4 * size * n].reshape(4, n, size), more[: 4 * size * n].reshape(4, n, size)
        np.take(table, tokens[:n, t], axis=1, out=x, mode="clip")
        if t:
            x += np.matmul(h, U, out=a)
        i, f, o, g = x
        sigmoid_(x[:3])
        np.tanh(g, out=g)
        c *= f
        c += np.multiply(g, i, out=g)
        np.tanh(c, out=h)
        h *= o
        yield h


@dataclass(frozen=True, eq=False)
class Network:
    """All members together."""

    members: tuple[Member, ...]

    @classmethod
    def from_tensors(cls, config: ClassifierConfig, tensors: Mapping[str, Floats]) -> Network:
        """Reads the members from a checkpoint's tensors."""
        own = {name: value for name, value in tensors.items() if not name.startswith("member.")}
        rest = [Member.from_tensors(config, tensors, prefix(k)) for k in range(1, config.members)]
        return cls((Member.from_tensors(config, own, ""), *rest))

    def log_probabilities(self, batch: Batch) -> Floats:
        """Natural logarithms of the labels' probabilities, ``(b, c)``: the mean of the members', made to sum to 1."""
        return self.forward(batch)[0]

    def forward(self, batch: Batch) -> tuple[Floats, Floats]:
        """Log probabilities ``(b, c)``, and the members' mean attention ``(b, t)``."""
        pairs = [member.forward(batch) for member in self.members]
        mean = np.mean([log_softmax(logits) for logits, _ in pairs], axis=0)
        return log_softmax(mean), np.mean([attention for _, attention in pairs], axis=0)


def log_softmax(logits: Floats) -> Floats:
    """log(exp(logits) / Σ exp(logits)) over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    out: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return out
