"""The language model: a recurrent network that says how likely each unit is to come next.

With x_t the unit at place t of the text, E the embedding and s_{t-1} the state after all units before::

    v_t       = E[x_t]                                   (e,)
    o_t, s_t  = encoder(v_t, s_{t-1})                    (h,), see ``core/cells.py``
    u_t       = P o_t + p                                (e,), where the output weights are tied and e ≠ h; else o_t
    z_t       = E u_t + b                                (V,), or W u_t + b where they are not tied
    p(x_{t+1} = i | x_1 … x_t) = softmax(z_t)_i

Tied weights halve the parameters of a large vocabulary, and a projection P may stand before them (Press & Wolf 2017,
arXiv:1608.05859); here it keeps the embedding, which is what a softmax costs, smaller than the state.

With ``cutoffs`` c_1 < … < c_k the vocabulary, frequent units first, falls into a head [0, c_1) and k clusters, and
with C the weights of the clusters (Goodman 2001; without the smaller inner sizes of Grave et al. 2017,
arXiv:1609.04309)::

    p(i)      = softmax([z_head, C u + c])_i                                        i in the head
    p(i)      = softmax([z_head, C u + c])_{c_1 + j} · softmax(z_cluster j)_{i}     i in cluster j

so that the rare units, most of the vocabulary, cost something only where one of them stands. The regularization is that
of AWD-LSTM (Merity et al. 2018, arXiv:1708.02182): the same values are dropped at every step of a chunk, whole units
are left out of the input, and recurrent weights are dropped. ``network.py`` computes the same in NumPy.
"""

from __future__ import annotations

# ruff: noqa: TID253 - a PyTorch file by design; who must not load PyTorch uses network.py
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqcli.core.cells import RecurrentEncoder, State
from seqcli.core.encoder import EncoderConfig
from seqcli.generation.config import GeneratorConfig

_EMBEDDING_SPREAD = 0.1
_KNOWN_SPREAD = 0.12  # standard deviation of embeddings that mean something


class LanguageModel(nn.Module):
    """Reads units and says how likely each unit is to be the next; the equations stand at the top of the file.

    Arguments:
        config: its shape. ``EncoderConfig`` checks cell, hidden and layers.

    Tensors: ``embedding.weight`` E ``(V, e)``; ``encoder.layers.…`` as ``cells.RecurrentEncoder`` lists them;
    ``projection.weight`` P ``(e, h)`` and ``projection.bias`` ``(e,)`` only where the weights are tied and e ≠ h;
    ``decoder.weight`` W ``(V, h)`` only where they are not tied; ``decoder.bias`` b ``(V,)``; ``clusters.weight`` C
    ``(k, e or h)`` and ``clusters.bias`` ``(k,)`` only with cutoffs.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.embedding)
        self.encoder = RecurrentEncoder(EncoderConfig(config.cell, config.embedding, config.hidden, config.layers))
        self.projection: nn.Linear | None = None
        if config.tied and config.embedding != config.hidden:
            self.projection = nn.Linear(config.hidden, config.embedding)
        self.decoder = _Decoder(config)
        self.clusters = nn.Linear(config.output, len(config.cutoffs)) if config.cutoffs else None
        self.strength = 1.0  # share of the dropout rates that is in use; training lets it grow
        nn.init.uniform_(self.embedding.weight, -_EMBEDDING_SPREAD, _EMBEDDING_SPREAD)

    def begin(self, embeddings: Tensor) -> None:
        """Lets a new model begin with embeddings that know something of the text, instead of random ones.

        Arguments:
            embeddings: ``(V, e)`` with a standard deviation of 1, from ``beginning.embeddings``.
        """
        with torch.no_grad():
            self.embedding.weight.copy_(_KNOWN_SPREAD * embeddings)

    def expect(self, counts: Tensor) -> None:
        """Lets a new model begin with how often each unit stands in the training text, instead of learning that first.

        Arguments:
            counts: ``(V,)`` of the units.
        """
        shares = torch.log((counts.double() + 1) / (counts.sum() + len(counts)))  # (V,)
        with torch.no_grad():
            self.decoder.bias.copy_(shares)
            if self.clusters is not None:
                sums = [shares[start:end].logsumexp(0) for start, end in self.config.bounds[1:]]
                self.clusters.bias.copy_(torch.stack(sums))

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """What is known after each unit, from which the next one is predicted.

        Arguments:
            tokens: ``(b, t)`` ids.
            state: after the units before, as an earlier call returned it; zeros if absent.

        Returns:
            u ``(b, t, e)``, or ``(b, t, h)`` without a projection; and the state, each ``(layers, b, h)``.
        """
        rates = self.config
        x = self._locked(self._embed(tokens), rates.input_dropout)  # (b, t, e)
        ends: list[State] = []
        for k, layer in enumerate(self.encoder.layers):
            if k > 0:
                x = self._locked(x, rates.hidden_dropout)
            begin = None if state is None else tuple(part[k : k + 1].contiguous() for part in state)
            x, end = self._read(layer, x, begin)  # (b, t, h)
            ends.append(end)
        x = self._locked(x, rates.output_dropout)
        if self.projection is not None:
            x = self.projection(x)  # (b, t, e)
        return x, tuple(torch.cat(parts) for parts in zip(*ends, strict=True))

    def loss(self, known: Tensor, targets: Tensor) -> Tensor:
        """Mean of -ln p of the units that came next (a scalar).

        Arguments:
            known: u, ``(b, t, e or h)``, from ``forward``.
            targets: ``(b, t)`` ids.
        """
        return -self.log_probabilities(known, targets).mean()

    def log_probabilities(self, known: Tensor, targets: Tensor) -> Tensor:
        """Log probabilities (natural) of the units that came next, float32 in the shape of ``targets``.

        Arguments:
            known: as for ``loss``.
            targets: ``(b, t)`` ids; or ``(b, t, k)``, so many units at each place.
        """
        u = known.flatten(0, 1)  # (n, e or h)
        y = targets.reshape(len(u), -1)  # (n, k)
        _, *clusters = self.config.bounds
        outputs = self._outputs()
        logits = _logits(u, outputs[0])  # (n, c_1)
        choice = y
        if self.clusters is not None:
            logits = torch.cat([logits, self.clusters(u).float()], dim=1)  # (n, c_1 + clusters)
            choice = y.clone()
            for j, (start, end) in enumerate(clusters):
                choice[(y >= start) & (y < end)] = clusters[0][0] + j
        found = functional.log_softmax(logits, dim=1).gather(1, choice)  # (n, k)
        for (start, end), output in zip(clusters, outputs[1:], strict=True):
            places = ((y >= start) & (y < end)).nonzero(as_tuple=True)  # (m,), (m,)
            if len(places[0]):
                of_cluster = functional.cross_entropy(
                    _logits(u[places[0]], output), y[places] - start, reduction="none"
                )
                found = found.index_put(places, -of_cluster, accumulate=True)
        return found.view_as(targets)

    def _outputs(self) -> list[tuple[Tensor, Tensor]]:
        """Output weights and biases of the head and of each cluster.

        Split and not cut out: each cut would get a gradient as large as the whole, a fifth of the output's time.
        """
        sizes = [end - start for start, end in self.config.bounds]
        weight = self.embedding.weight if self.decoder.weight is None else self.decoder.weight
        return list(zip(torch.split(weight, sizes), torch.split(self.decoder.bias, sizes), strict=True))

    def _embed(self, tokens: Tensor) -> Tensor:
        """E of the tokens, ``(b, t, e)``; a unit that is left out is zero wherever it stands in the chunk."""
        found: Tensor = self.embedding(tokens)
        rate = self._rate(self.config.word_dropout)
        if not rate:
            return found
        return found * functional.embedding(tokens, _kept((self.config.vocabulary, 1), rate, found.device))

    def _read(self, layer: nn.Module, x: Tensor, begin: State | None) -> tuple[Tensor, State]:
        """One layer over a chunk, with some of its recurrent weights dropped in training."""
        state = begin[0] if begin is not None and len(begin) == 1 else begin  # PyTorch wants a bare h without a cell
        rate = self._rate(self.config.weight_dropout)
        if rate:
            weight = layer.get_parameter("weight_hh_l0")
            dropped = weight * _kept(weight.shape, rate, weight.device)
            x, end = torch.func.functional_call(layer, {"weight_hh_l0": dropped}, (x, state))
        else:
            x, end = layer(x, state)
        return x, end if isinstance(end, tuple) else (end,)

    def _locked(self, x: Tensor, rate: float) -> Tensor:
        """Dropout of ``(b, t, f)`` that drops the same features at every step of a row."""
        rate = self._rate(rate)
        return x * _kept((x.shape[0], 1, x.shape[2]), rate, x.device).to(x.dtype) if rate else x

    def _rate(self, rate: float) -> float:
        """What is in use of a rate of dropout, in steps of 1/256."""
        return round(self.strength * rate * 256) / 256 if self.training else 0.0


def _logits(u: Tensor, output: tuple[Tensor, Tensor]) -> Tensor:
    """The logits z of the head or of a cluster, ``(n, ids)``; a softmax needs float32."""
    return functional.linear(u, *output).float()


class _Decoder(nn.Module):
    """What the output has for itself: a bias for each unit, and weights where they are not the embedding's."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(config.vocabulary))
        self.weight: nn.Parameter | None = None
        if not config.tied:
            self.weight = nn.Parameter(torch.empty(config.vocabulary, config.hidden))
            nn.init.uniform_(self.weight, -_EMBEDDING_SPREAD, _EMBEDDING_SPREAD)


def _kept(shape: Sequence[int], rate: float, device: torch.device) -> Tensor:
    """A mask of dropout: 0 with the probability ``rate`` (a multiple of 1/256), or else what keeps the mean.

    Drawn as whole bytes: PyTorch's own dropout of a large recurrent weight takes a tenth of a training step on a CPU.
    """
    count, threshold = math.prod(shape), round(rate * 256)
    drawn = torch.randint(-(2**63), 2**63 - 1, (-(-count // 8),), device=device).view(torch.uint8)[:count]
    return (drawn >= threshold).view(shape).float().mul_(256 / (256 - threshold))
