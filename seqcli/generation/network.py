"""A language model's tensors at work in NumPy: the same numbers as ``model.py``, without importing PyTorch.

A unit of text is a number, so what it does to the gates of the first layer, W x + b, is one row of a table: it is
worked out when the unit is met for the first time and looked up ever after. What is left of a step is two products of
a matrix and a vector, and the memory that these matrices are read from decides how fast text is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.core.encoder import Encoder
from seqcli.core.equations import Array, Cell
from seqcli.core.equations import State as CellState
from seqcli.errors import ModelError
from seqcli.generation.config import GeneratorConfig

Ids = NDArray[np.integer[Any]]
State = tuple[CellState, ...]
"""Of each layer its h, and c for the LSTM, as columns ``(h, b)``: all that the network knows of what it has read."""

_TABLE_BYTES = 1 << 29  # of the table of the first layer; a larger one is not kept
_LOGIT_BYTES = 1 << 25  # of the scores that are held at once


@dataclass(frozen=True, eq=False)
class Network:
    """A recurrent language model at prediction time.

    Arguments:
        cells: the layers, the lowest first.
        table: what each unit does to the first layer.
        weight: ``(V, o)``, a row for each unit that may follow.
        bias: ``(V,)``.
        projection: from the h units of the last layer to the o numbers that ``weight`` reads, if they differ:
            ``(o, h)`` and ``(o,)``.
        clusters: of a class-based softmax (Grave et al. 2017, arXiv:1609.04309), a row for each cluster of rarer
            units: ``(k, o)`` and ``(k,)``.
        bounds: first id and end of the head and of each cluster.
    """

    cells: tuple[Cell, ...]
    table: Table
    weight: Array
    bias: Array
    projection: tuple[Array, Array] | None
    clusters: tuple[Array, Array] | None
    bounds: tuple[tuple[int, int], ...]

    @classmethod
    def from_tensors(cls, config: GeneratorConfig, tensors: Mapping[str, Array]) -> Network:
        """The network that ``config`` describes, with the tensors of its model folder.

        Raises:
            ModelError: a tensor is missing; names it.
        """

        def get(name: str) -> Array:
            if name not in tensors:
                raise ModelError(name, "this tensor is missing from the model")
            return tensors[name].astype(np.float32, copy=False)

        def pair(name: str) -> tuple[Array, Array]:
            return get(f"{name}.weight"), get(f"{name}.bias")

        cells = tuple(layer[0] for layer in Encoder.from_tensors(tensors, "encoder.", config.cell).layers)
        embedding = get("embedding.weight")
        return cls(
            cells,
            Table(embedding, cells[0]),
            embedding if config.tied else get("decoder.weight"),
            get("decoder.bias"),
            pair("projection") if config.tied and config.embedding != config.hidden else None,
            pair("clusters") if config.cutoffs else None,
            config.bounds,
        )

    def start(self, batch: int = 1) -> State:
        """The state of ``batch`` texts before anything was read."""
        return tuple(cell.zero_state(batch) for cell in self.cells)

    def advance(self, ids: Ids, state: State) -> State:
        """The state after each text's next unit, ``(b,)``."""
        p = self.table.rows(ids).T  # (gates·h, b)
        after: list[CellState] = []
        for cell, own in zip(self.cells, state, strict=True):
            if after:
                p = cell.W @ after[-1][0]
                p += cell.b[:, None]
            after.append(cell.step(p, own))
        return tuple(after)

    def next(self, state: State) -> Array:
        """The natural logarithm of every unit's probability to be the next one, ``(b, V)``."""
        return self._log_softmax(self._outputs(state[-1][0].T))

    def before(self, ids: Ids, state: State) -> tuple[Array, State]:
        """Reads many units: the last layer that each one is predicted from, ``(b, t, h)``, and the state behind them.

        Arguments:
            ids: ``(b, t)``, t at least 1; padding behind a text costs time and changes nothing before it.
            state: after what stands before them: ``start()``, then ``advance`` with the boundary of documents.
        """
        hidden, after = self._read(ids, state)
        return np.concatenate([state[-1][0].T[:, None], hidden[:, :-1]], axis=1), after

    def chosen(self, hidden: Array, targets: Ids) -> Array:
        """The log-probability of one unit after each of n states of the last layer, ``(n, h)`` and ``(n,)`` → ``(n,)``.

        With clusters, only those are computed that hold a target.
        """
        found = np.empty(len(targets), np.float32)
        size = max(1, _LOGIT_BYTES // self.bias.nbytes)
        for start in range(0, len(targets), size):
            outputs, some = self._outputs(hidden[start : start + size]), targets[start : start + size]
            found[start : start + size] = self._chosen(outputs, some)
        return found

    def _read(self, ids: Ids, state: State) -> tuple[Array, State]:
        """The last layer after each unit, ``(b, t, h)``, and the state behind the last one."""
        batch, steps = ids.shape
        lowest = self.cells[0]
        columns = np.empty((steps, lowest.hidden_size, batch), lowest.U.dtype)
        own = state[0]
        size = max(1, (1 << 20) // (lowest.b.nbytes * max(1, batch)))  # projections that stay in the cache
        for start in range(0, steps, size):
            some = ids[:, start : start + size]
            p = self.table.rows(some.T.ravel()).reshape(some.shape[1], batch, -1)
            for i in range(some.shape[1]):
                own = lowest.step(p[i].T, own)
                columns[start + i] = own[0]
        after = [own]
        for cell, begin in zip(self.cells[1:], state[1:], strict=True):
            columns, own = cell.forward(columns, begin)
            after.append(own)
        return columns.transpose(2, 0, 1), tuple(after)  # (b, t, h)

    def _outputs(self, hidden: Array) -> Array:
        """``(n, h)`` → ``(n, o)``, what the softmax reads."""
        if self.projection is None:
            return hidden
        weight, bias = self.projection
        out: Array = hidden @ weight.T
        out += bias
        return out

    def _scores(self, outputs: Array, part: int) -> Array:
        """The scores of the head (0), clusters behind its units, or of the units of a cluster, ``(n, units)``."""
        low, high = self.bounds[part]
        scores: Array = outputs @ self.weight[low:high].T
        scores += self.bias[low:high]
        if part or self.clusters is None:
            return scores
        weight, bias = self.clusters
        return np.concatenate([scores, outputs @ weight.T + bias], axis=1)

    def _chosen(self, outputs: Array, targets: Ids) -> Array:
        scores, size = self._scores(outputs, 0), self.bounds[0][1]
        part = np.searchsorted([end for _, end in self.bounds], targets, side="right")
        place = np.where(part == 0, targets, size + part - 1)  # in the head: a unit, or the cluster that holds it
        found = np.take_along_axis(scores, place[:, None], axis=1)[:, 0] - log_sum(scores)
        for k in range(1, len(self.bounds)):
            held = part == k
            if held.any():
                scores = self._scores(outputs[held], k)
                own = targets[held] - self.bounds[k][0]
                found[held] += np.take_along_axis(scores, own[:, None], axis=1)[:, 0] - log_sum(scores)
        return found

    def _log_softmax(self, outputs: Array) -> Array:
        head = self._scores(outputs, 0)
        head -= log_sum(head)[:, None]
        if self.clusters is None:
            return head
        size = self.bounds[0][1]
        parts = [head[:, :size]]
        for k in range(1, len(self.bounds)):
            scores = self._scores(outputs, k)
            parts.append(scores + (head[:, size + k - 1] - log_sum(scores))[:, None])
        return np.concatenate(parts, axis=1)


class Table:
    """W x + b of the first layer for every unit, ``(V, gates·h)``, each row worked out when it is first asked for.

    Arguments:
        embedding: ``(V, e)``, the vector x of each unit.
        cell: the first layer.
    """

    def __init__(self, embedding: Array, cell: Cell) -> None:
        self._embedding, self._cell = embedding, cell
        shape = (len(embedding), len(cell.b))
        # The system gives memory to the pages that are written, so a table of which little is used costs little.
        fits = shape[0] * shape[1] * cell.b.itemsize <= _TABLE_BYTES
        self._rows = np.empty(shape, cell.b.dtype) if fits else None
        self._known = np.zeros(len(embedding), bool)

    def rows(self, ids: Ids) -> Array:
        """The rows of these units, ``(n,)`` → ``(n, gates·h)``."""
        if self._rows is None:
            return self._project(ids)
        known = self._known[ids]
        if not known.all():
            new = np.unique(ids[~known])
            self._rows[new] = self._project(new)
            self._known[new] = True
        return self._rows[ids]

    def _project(self, ids: Ids) -> Array:
        rows: Array = self._embedding[ids] @ self._cell.W.T
        rows += self._cell.b
        return rows


def log_sum(scores: Array) -> Array:
    """The logarithm of Σ exp over the last axis, of scores of any size."""
    highest = scores.max(axis=-1)
    total: Array = np.log(np.exp(scores - highest[..., None]).sum(axis=-1)) + highest
    return total
