"""The classifier: a recurrent network that reads a text from both ends and says how probable each label is.

A token enters as three things side by side: a frozen vector (ja_ginza's, found by normalized form), a convolution over
its characters (Kim et al. 2016, arXiv:1508.06615, with one width), and a trained vector of the word as it is written:

    c      = max over i of relu(W [k_{i-1}; k_i; k_{i+1}] + b)        how it is spelt, k: vectors of characters
    x_t    = [P frozen_t + p; c_t; word_t]
    h_t    = [encoder(x_1 … x_t); encoder_reverse(x_T … x_t)]         what was read up to here, from both sides
    e_t    = query · tanh(A h_t + a),   α = softmax(e)                attention (Yang et al. 2016)
    logits = O [Σ α_t h_t; max over t of h_t] + o

One that starts from a generator (``pretrained.py``) reads the generator's units, with nothing but their vectors, in one
direction; the state after the last of them stands beside the other two in the last line. Attention begins as the mean,
so this begins as the concat pooling of Howard & Ruder (2018, arXiv:1801.06146).

Dropout leaves the same numbers of x out at every token of a text (Gal & Ghahramani 2016, arXiv:1512.05287). What was
made of a text is dropped out in several ways at once, and the loss is the mean over them (multi-sample dropout, Inoue
2019, arXiv:1905.09788): in six epochs that is worth about as much as one or two more, and costs next to nothing.

Padding changes nothing: the second encoder reads each row turned round at its own length, so that both meet the padding
only behind the last real token. A text without tokens gets the shares of the labels in training. ``network.py``
computes the same in NumPy.
"""

from __future__ import annotations

# ruff: noqa: TID253 - a PyTorch file by design; who must not load PyTorch uses network.py
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqcli.classification.config import PADDING, UNKNOWN, ClassifierConfig
from seqcli.classification.encoding import Batch
from seqcli.core.cells import RecurrentEncoder
from seqcli.core.encoder import EncoderConfig

SAMPLES: Final = 4  # of the dropout of a text, in training


@dataclass(frozen=True, eq=False)
class TensorBatch:
    """A ``Batch`` as tensors on a device; the same fields."""

    vectors: Tensor
    words: Tensor
    characters: Tensor
    tokens: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, batch: Batch, device: torch.device | str = "cpu") -> TensorBatch:
        """Moves a batch to a device."""
        arrays = (batch.vectors, batch.words, batch.characters, batch.tokens, batch.lengths)
        return cls(*(torch.from_numpy(array).to(device) for array in arrays))


class Classifier(nn.Module):
    """One member of the ensemble.

    Arguments:
        config: its shape. ``EncoderConfig`` checks cell, hidden, layers and dropout.
        words: entries of the vocabulary.
        characters: the same of characters.
        prior: the shares of the labels in training, ``(c,)``.
        bf16: whether training computes the recurrent layers in bfloat16; answers are always computed in float32.
    """

    prior: Tensor

    def __init__(
        self, config: ClassifierConfig, words: int, characters: int, prior: Tensor, *, bf16: bool = False
    ) -> None:
        super().__init__()
        self.config, self.bf16 = config, bf16
        self.words = nn.Embedding(words, config.word_size)
        self.characters: nn.Embedding | None = None
        self.convolution: nn.Linear | None = None
        if config.character_size:
            self.characters = nn.Embedding(characters, config.character_embedding, padding_idx=PADDING)
            self.convolution = nn.Linear(3 * config.character_embedding, config.character_size)
        self.projection = nn.Linear(config.vector_size, config.projection) if config.vector_size else None
        shape = EncoderConfig(config.cell, config.input_size, config.hidden, config.layers, config.dropout)
        self.encoder = RecurrentEncoder(shape)
        self.encoder_reverse = RecurrentEncoder(shape) if config.bidirectional else None
        self.attention = nn.Linear(config.output_size, config.attention)
        self.query = nn.Parameter(torch.zeros(config.attention))
        self.output = nn.Linear(config.pooled_size, len(prior))
        self.dropout = nn.Dropout(config.dropout)
        self.register_buffer("prior", prior)
        nn.init.normal_(self.words.weight, std=0.1)
        nn.init.zeros_(self.output.bias)

    def forward(self, batch: TensorBatch) -> tuple[Tensor, Tensor]:
        """Logits ``(b, c)``, in training ``(samples · b, c)``, and attention ``(b, t)``, which is 0 at the padding."""
        h, mask = self.read(batch)  # (b, t, h), (b, t)
        scores = torch.tanh(self.attention(h)) @ self.query  # (b, t)
        attention = torch.softmax(scores.masked_fill(~mask, -1e30), dim=1) * mask
        context = (attention[:, None] @ h)[:, 0]  # (b, h)
        highest = h.masked_fill(~mask[..., None], -1.0).amax(dim=1)  # h lies between -1 and 1
        pooled = [context, highest]
        if self.config.unit != "token":
            pooled.append(h[torch.arange(len(h), device=h.device), (batch.lengths - 1).clamp(min=0)])
        samples = SAMPLES if self.training else 1
        logits = self.output(self.dropout(torch.cat(pooled, dim=1).repeat(samples, 1)))  # (samples · b, c)
        return torch.where(batch.lengths.repeat(samples)[:, None] > 0, logits, self.prior.log()), attention

    def read(self, batch: TensorBatch) -> tuple[Tensor, Tensor]:
        """What the encoders make of each token, ``(b, t, h)``, and which are real, ``(b, t)``."""
        steps = torch.arange(batch.tokens.shape[1], device=batch.tokens.device)
        mask = steps < batch.lengths[:, None]  # (b, t)
        x = self.inputs(batch)  # (b, t, f)
        precise = x.dtype
        if self.training and self.bf16:
            x = x.bfloat16()
        forwards = self._encoded(self.encoder, x)  # (b, t, hidden)
        if self.encoder_reverse is None:
            return forwards.to(precise), mask
        turned = torch.where(mask, batch.lengths[:, None] - 1 - steps, steps)  # (b, t)
        rows = (turned + steps.shape[0] * torch.arange(len(turned), device=turned.device)[:, None]).flatten()
        backwards = self._encoded(self.encoder_reverse, _reordered(x, rows))
        return torch.cat([forwards, _reordered(backwards, rows)], dim=2).to(precise), mask

    def _encoded(self, encoder: RecurrentEncoder, x: Tensor) -> Tensor:
        """What an encoder makes of ``(b, t, f)``, computed in the precision of x; its weights stay what they are."""
        weights = {name: weight.to(x.dtype) for name, weight in encoder.named_parameters()}
        found: Tensor = torch.func.functional_call(encoder, weights, (x,))[0]
        return found

    def inputs(self, batch: TensorBatch) -> Tensor:
        """What is known of each token, ``(b, t, f)``."""
        known = [] if self.projection is None else [self.projection(batch.vectors)]  # (u, projection)
        if self.characters is not None and self.convolution is not None:
            known.append(self._spelling(batch.characters, self.characters, self.convolution))  # (u, s)
        words = batch.words[batch.tokens]  # (b, t)
        if self.training and self.config.word_dropout:
            words = words.masked_fill(torch.rand(words.shape, device=words.device) < self.config.word_dropout, UNKNOWN)
        x: Tensor = self.words(words)  # (b, t, word_size)
        if known:
            x = torch.cat([torch.cat(known, dim=1)[batch.tokens], x], dim=2)  # (b, t, f)
        kept = functional.dropout(x.new_ones(len(x), 1, x.shape[2]), self.config.input_dropout, self.training)
        return x * kept

    def _spelling(self, characters: Tensor, embedding: nn.Embedding, convolution: nn.Linear) -> Tensor:
        """How words are spelt, ``(u, character_size)``, from ``(u, L)`` character ids."""
        real = characters != PADDING  # most words are short: only where a character stands is anything worked out
        beside = functional.pad(characters, (1, 1), value=PADDING)
        windows = torch.stack([beside[:, :-2], characters, beside[:, 2:]], dim=2)[real]  # (n, 3)
        found = torch.relu(convolution(embedding(windows).flatten(1)))  # (n, character_size)
        return torch.segment_reduce(found, "max", lengths=real.sum(dim=1), initial=0.0)


def _reordered(x: Tensor, rows: Tensor) -> Tensor:
    """The rows of ``(b, t, f)`` in another order, which taken twice is the first again."""
    changed: Tensor = _Reordered.apply(x, rows)  # type: ignore[no-untyped-call]  # so in PyTorch
    return changed


class _Reordered(torch.autograd.Function):
    """Since the order is its own inverse, the gradient is only reordered too, where PyTorch would add up row by row."""

    @staticmethod
    def forward(context: Any, x: Tensor, rows: Tensor) -> Tensor:
        context.save_for_backward(rows)
        return x.flatten(0, 1).index_select(0, rows).view_as(x)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (rows,) = context.saved_tensors
        return gradient.flatten(0, 1).index_select(0, rows).view_as(gradient), None
