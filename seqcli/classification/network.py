"""The classifier at prediction time, in NumPy: ``model.py`` holds the equations and trains them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqcli.classification.config import PADDING, ClassifierConfig, prefix
from seqcli.classification.encoding import Batch, Floats, Ints
from seqcli.core.encoder import Encoder
from seqcli.core.equations import LSTM, Array, sigmoid_

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
        real = characters != PADDING
        found = np.zeros((len(characters), len(self.bias)), np.float32)
        spelt = real.any(axis=1)
        if not spelt.any():
            return found
        around = np.pad(characters, ((0, 0), (1, 1)), constant_values=PADDING)
        # Only where a character stands; a word is a run of such places.
        sums = self.at[characters[real]] + self.before[around[:, :-2][real]] + self.after[around[:, 2:][real]]
        starts = np.concatenate([[0], np.cumsum(real.sum(axis=1)[spelt])[:-1]])
        found[spelt] = np.maximum(np.maximum.reduceat(sums, starts, axis=0) + self.bias, 0)
        return found


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
        known = self._known(batch)  # (u, f)
        encoders = [self.encoder] if self.encoder_reverse is None else [self.encoder, self.encoder_reverse]
        # W x is worked out once for a distinct token, wherever it stands: most of what a large batch would cost.
        tables = [known @ encoder.layers[0][0].W.T + encoder.layers[0][0].b for encoder in encoders]  # (u, gates·h)
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
        steps = np.arange(tokens.shape[1])[:, None]
        mask = steps < lengths  # (t, b)
        turned = np.where(mask, lengths - 1 - steps, steps)  # (t, b): each text from its end, and back again
        orders = (tokens, np.take_along_axis(tokens, turned.T, axis=1))
        read = [_walk(*one, mask) for one in zip(encoders, tables, orders, strict=False)]  # (t, b, hidden) each
        weight, bias = self.attention
        size = self.config.hidden
        sums = read[0] @ weight[:, :size].T  # (t, b, a)
        if len(read) > 1:
            sums += np.take_along_axis(read[1] @ weight[:, size:].T, turned[..., None], axis=0)
        sums += bias
        scores = np.where(mask, np.tanh(sums, out=sums) @ self.query, np.float32(-1e30))  # (t, b)
        attention = np.exp(scores - scores.max(axis=0)) * mask
        attention /= attention.sum(axis=0)
        weights = (attention, np.take_along_axis(attention, turned, axis=0))
        pooled = [(w[..., None] * h).sum(axis=0) for w, h in zip(weights, read, strict=False)]  # (b, hidden) each
        pooled += [np.where(mask[..., None], h, np.float32(-1)).max(axis=0) for h in read]
        if self.config.unit != "token":
            pooled.append(read[0][lengths - 1, np.arange(len(lengths))])
        weight, bias = self.output
        return np.concatenate(pooled, axis=1) @ weight.T + bias, attention.T

    def _known(self, batch: Batch) -> Floats:
        """What is known of each distinct token, ``(u, f)``."""
        parts = [] if self.spelling is None else [self.spelling.of_words(batch.characters)]
        parts.append(self.words[batch.words])
        if self.projection is not None:
            weight, bias = self.projection
            parts.insert(0, batch.vectors @ weight.T + bias)
        return np.concatenate(parts, axis=1)


def _walk(encoder: Encoder, table: Array, tokens: Ints, mask: Bools) -> Array:
    """What an encoder makes of each token, ``(t, b, hidden)``; anything at the padding.

    Arguments:
        encoder: reads in one direction.
        table: W x + b of its first layer for each distinct token, ``(u, gates·h)``.
        tokens: ``(b, t)``, the longest texts first.
        mask: ``(t, b)``, where a token stands.
    """
    active = mask.sum(axis=1).tolist()
    (cell,), *above = encoder.layers
    rows = np.zeros((*mask.shape, cell.hidden_size), np.float32)  # (t, b, hidden)
    if isinstance(cell, LSTM):
        _walk_lstm(cell, table, tokens, active, rows)
    else:
        state = cell.zero_state(len(tokens))
        for t, n in enumerate(active):
            state = cell.step(table[tokens[:n, t]].T, tuple(s[:, :n] for s in state))
            rows[t, :n] = state[0].T
    columns = rows.transpose(0, 2, 1)
    for (cell,) in above:
        columns, _ = cell.forward(columns, None, active)
    return columns.transpose(0, 2, 1)


def _walk_lstm(cell: LSTM, table: Array, tokens: Ints, active: Sequence[int], rows: Array) -> None:
    """``LSTM.step`` with a text as a row, as the table has it: turning each step's rows into columns costs a third."""
    size = cell.hidden_size
    U = np.ascontiguousarray(cell.U.T)  # (h, 4h)
    h, c = np.zeros((2, len(tokens), size), np.float32)
    for t, n in enumerate(active):
        a = h[:n] @ U
        a += table[tokens[:n, t]]
        gates, g = sigmoid_(a[:, : 3 * size]), np.tanh(a[:, 3 * size :])
        c = gates[:, size : 2 * size] * c[:n]
        g *= gates[:, :size]
        c += g
        h = np.tanh(c, out=rows[t, :n])
        h *= gates[:, 2 * size :]


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
