"""The recurrent encoder at prediction time: layers of ``equations.py``'s cells, and their configuration. No PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from seqcli.core.equations import CELLS, GRU, LSTM, Array, Cell, State
from seqcli.errors import ModelError, UsageError

CellName = Literal["rnn", "gru", "lstm"]
Lengths = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class EncoderConfig:
    """The shape of a recurrent encoder: all that is needed to build it again.

    Arguments:
        cell: ``rnn``, ``gru`` or ``lstm``.
        input_size: features of one time step, at least 1.
        hidden_size: units of one layer and direction, at least 1.
        layers: layers on top of each other, at least 1.
        dropout: probability in [0, 1) that a value passed between two layers is dropped in training.
        bidirectional: whether a second set of layers reads the sequence from its end.

    Raises:
        UsageError: a value outside its range; names the option and the value.
    """

    cell: CellName
    input_size: int
    hidden_size: int
    layers: int = 1
    dropout: float = 0.0
    bidirectional: bool = False

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise UsageError("--cell", f"there is no cell {self.cell!r}", f"choose one of {', '.join(CELLS)}")
        for option, value in (
            ("input size", self.input_size),
            ("--hidden", self.hidden_size),
            ("--layers", self.layers),
        ):
            if value < 1:
                raise UsageError(option, f"must be at least 1, not {value}")
        if not 0.0 <= self.dropout < 1.0:
            raise UsageError("--dropout", f"must be at least 0 and below 1, not {self.dropout}")

    @property
    def output_size(self) -> int:
        """Features of one output step: the hidden units of both directions."""
        return self.hidden_size * (2 if self.bidirectional else 1)


@dataclass(frozen=True, eq=False)
class Encoder:
    """Layers of one cell, optionally in both directions: ``cells.RecurrentEncoder`` at prediction time.

    Arguments:
        layers: for each layer one cell, or two where the second reads from the end.
    """

    layers: tuple[tuple[Cell, ...], ...]

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, Array], prefix: str, cell: str, dtype: DTypeLike = np.float32
    ) -> Encoder:
        """Reads the layers from a checkpoint's tensors; ``cells.RecurrentEncoder`` lists their names.

        Arguments:
            tensors: name → array, as ``safetensors.numpy`` reads them; others may be among them.
            prefix: what stands before the encoder's own names, such as ``encoder.``.
            cell: ``rnn``, ``gru`` or ``lstm``.
            dtype: float32, as trained; or float64.

        Raises:
            ModelError: a tensor is missing or has the wrong shape; names it.
            UsageError: there is no such cell.
        """
        if cell not in CELLS:
            raise UsageError("--cell", f"there is no cell {cell!r}", f"choose one of {', '.join(CELLS)}")
        layers: list[tuple[Cell, ...]] = []
        while not layers or f"{prefix}layers.{len(layers)}.weight_ih_l0" in tensors:
            start = f"{prefix}layers.{len(layers)}."
            endings = ["_l0", "_l0_reverse"] if f"{start}weight_ih_l0_reverse" in tensors else ["_l0"]
            layers.append(tuple(_read_cell(tensors, start, ending, CELLS[cell], dtype) for ending in endings))
        first = layers[0][0]
        for k, layer in enumerate(layers):
            inputs = first.W.shape[1] if k == 0 else len(layers[0]) * first.hidden_size
            if len(layer) != len(layers[0]) or any(cell.W.shape != (len(first.W), inputs) for cell in layer):
                raise ModelError(f"{prefix}layers.{k}", "this layer does not fit the ones below it")
        return cls(tuple(layers))

    @property
    def output_size(self) -> int:
        """Features of one output step: the hidden units of both directions."""
        return sum(cell.hidden_size for cell in self.layers[-1])

    def forward(self, x: Array, state: State | None = None, lengths: Lengths | None = None) -> tuple[Array, State]:
        """Encodes a batch of sequences.

        Arguments:
            x: ``(b, t, f)``, at least one step.
            state: the state an earlier call returned: h, and c for the LSTM, each ``(layers·directions, b, h)``; zeros
                if absent.
            lengths: ``(b,)``, the number of real steps of each row, 1 to t; what comes after is padding, does not
                influence anything, and has outputs of zero. Absent: every row is full.

        Returns:
            ``(b, t, directions·h)``, and the state after each row's last real step.
        """
        batch, steps, _ = x.shape
        kind = self.layers[0][0]
        x = x.astype(kind.W.dtype, copy=False)
        begins = None if state is None else tuple(s.astype(kind.W.dtype, copy=False) for s in state)
        order, active = None, None
        if lengths is not None:  # the longest first, so that the rows still running are always the first ones
            if lengths.shape != (batch,) or lengths.min() < 1 or lengths.max() > steps:
                raise ValueError(f"lengths must be {batch} numbers from 1 to {steps}, not {lengths}")
            order = np.argsort(lengths)[::-1]
            x, begins = x[order], begins and tuple(s[:, order] for s in begins)
            active = (lengths[:, None] > np.arange(steps)).sum(axis=0).tolist()
        columns = x.transpose(1, 2, 0)  # (t, f, b)
        ends: list[State] = []
        for layer in self.layers:
            parts = []
            for cell, reverse in zip(layer, (False, True), strict=False):
                begin = begins and tuple(s[len(ends)].T for s in begins)  # each (h, b)
                part, end = cell.forward(columns, begin, active, reverse)
                parts.append(part)
                ends.append(end)
            columns = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)  # (t, directions·h, b)
        outputs = _to_rows(columns)  # (b, t, directions·h)
        final = tuple(np.stack([end[k].T for end in ends]) for k in range(kind.states))
        if order is not None:
            back = np.argsort(order)
            outputs, final = outputs[back], tuple(s[:, back] for s in final)
        return outputs, final


def _to_rows(columns: Array) -> Array:
    """``(t, h, b)`` → ``(b, t, h)`` in memory, not only as a view: whatever comes next multiplies rows by matrices."""
    steps, size, batch = columns.shape
    flat = columns.reshape(steps * size, batch)
    rows = np.empty((batch, steps * size), columns.dtype)
    for start in range(0, len(flat), 256):  # a block at a time stays in the cache: over twice as fast as all at once
        rows[:, start : start + 256] = flat[start : start + 256].T
    return rows.reshape(batch, steps, size)


def _read_cell(tensors: Mapping[str, Array], start: str, ending: str, kind: type[Cell], dtype: DTypeLike) -> Cell:
    """One layer in one direction, from PyTorch's names and order of gates to ours."""

    def read(name: str, *shape: int | None) -> Array:
        name = f"{start}{name}{ending}"
        tensor = tensors.get(name)
        if tensor is None:
            raise ModelError(name, "this tensor is missing from the model")
        if tensor.ndim != len(shape) or any(w not in (None, n) for w, n in zip(shape, tensor.shape, strict=True)):
            wanted = " × ".join("any" if w is None else str(w) for w in shape)
            raise ModelError(name, f"this tensor has the shape {tensor.shape}, not {wanted}")
        return tensor.astype(dtype, copy=False)

    size = len(read("weight_hh", None, None)) // kind.gates
    rows = kind.gates * size
    W, U = read("weight_ih", rows, None), read("weight_hh", rows, size)
    b_ih, b_hh = read("bias_ih", rows), read("bias_hh", rows)
    if kind is GRU:  # the bias inside the reset gate stays apart
        r_and_z, n = slice(2 * size), slice(2 * size, None)
        return GRU(W, U, np.concatenate([b_ih[r_and_z] + b_hh[r_and_z], b_ih[n]]), b_hh[n])
    b = b_ih + b_hh
    if kind is LSTM:  # PyTorch's order is i, f, g, o; ours puts the three sigmoids side by side
        i, f, g, o = np.split(np.arange(4 * size), 4)
        order = np.concatenate([i, f, o, g])
        W, U, b = W[order], U[order], b[order]
    return kind(W, U, b)
