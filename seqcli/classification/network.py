"""The classifier at prediction time, in NumPy: ``model.py`` holds the equations and trains them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqcli.classification.config import PADDING, ClassifierConfig, prefix
from seqcli.classification.encoding import Batch, Floats, Ints
from seqcli.core.encoder import Encoder

Bools = NDArray[np.bool_]


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
        sums = self.at[characters] + self.bias  # (u, L, s)
        sums[:, 1:] += self.before[characters[:, :-1]]
        sums[:, :-1] += self.after[characters[:, 1:]]
        found: Floats = (np.maximum(sums, 0) * (characters != PADDING)[..., None]).max(axis=1)
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
        h, mask = self._read(batch)  # (b, t, h), (b, t)
        weight, bias = self.attention
        scores = np.where(mask, np.tanh(h @ weight.T + bias) @ self.query, np.float32(-1e30))  # (b, t)
        attention = np.exp(scores - scores.max(axis=1, keepdims=True)) * mask
        attention /= np.maximum(attention.sum(axis=1, keepdims=True), np.float32(1e-30))
        context = (attention[:, None] @ h)[:, 0]  # (b, h)
        highest = np.where(mask[..., None], h, np.float32(-1)).max(axis=1)
        weight, bias = self.output
        pooled = [context, highest]
        if self.config.unit != "token":
            pooled.append(h[np.arange(len(h)), np.maximum(batch.lengths - 1, 0)])
        logits = np.concatenate(pooled, axis=1) @ weight.T + bias  # (b, c)
        return np.where(batch.lengths[:, None] > 0, logits, np.log(self.prior)), attention

    def _read(self, batch: Batch) -> tuple[Floats, Bools]:
        steps = np.arange(batch.tokens.shape[1])
        mask = steps < batch.lengths[:, None]
        parts = [] if self.spelling is None else [self.spelling.of_words(batch.characters)]
        parts.append(self.words[batch.words])
        if self.projection is not None:
            weight, bias = self.projection
            parts.insert(0, batch.vectors @ weight.T + bias)
        x = np.concatenate(parts, axis=1)[batch.tokens]  # (b, t, f)
        lengths = np.maximum(batch.lengths, 1)
        forwards, _ = self.encoder.forward(x, lengths=lengths)
        if self.encoder_reverse is None:
            return forwards, mask
        turned = np.where(mask, batch.lengths[:, None] - 1 - steps, steps)[..., None]  # (b, t, 1)
        backwards, _ = self.encoder_reverse.forward(np.take_along_axis(x, turned, axis=1), lengths=lengths)
        return np.concatenate([forwards, np.take_along_axis(backwards, turned, axis=1)], axis=2), mask


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
