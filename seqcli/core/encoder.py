"""The recurrent encoder at prediction time: layers of ``equations.py``'s cells, and their configuration. No PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import DTypeLike

from seqcli.core.equations import CELLS, GRU, LSTM, Array, Cell, State
from seqcli.errors import ModelError, UsageError

CellName = Literal["rnn", "gru", "lstm"]


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
        for below, above in pairwise(layers):
            if above[0].W.shape[1] != sum(part.hidden_size for part in below):
                raise ModelError(f"{prefix}layers", "one layer's output has not the size of the next one's input")
        return cls(tuple(layers))

    @property
    def output_size(self) -> int:
        """Features of one output step: the hidden units of both directions."""
        return sum(cell.hidden_size for cell in self.layers[-1])

    def forward(self, x: Array, state: State | None = None, lengths: Array | None = None) -> tuple[Array, State]:
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
        first = self.layers[0][0]
        order, active = None, None
        if lengths is not None:
            if lengths.shape != (batch,) or lengths.min() < 1 or lengths.max() > steps:
                raise ValueError(f"lengths must be {batch} numbers from 1 to {steps}, not {lengths}")
            order = np.argsort(-lengths, kind="stable")
            x = x[order]
            active = (lengths[:, None] > np.arange(steps)).sum(axis=0).tolist()
        columns = x.astype(first.W.dtype, copy=False).transpose(1, 2, 0)  # (t, f, b)
        ends: list[State] = []
        for layer in self.layers:
            parts = []
            for cell, reverse in zip(layer, (False, True), strict=False):
                begin = None
                if state is not None:
                    begin = tuple((s[len(ends)] if order is None else s[len(ends)][order]).T for s in state)
                outputs, end = cell.forward(columns, begin, active, reverse)
                parts.append(outputs)
                ends.append(end)
            columns = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)  # (t, directions·h, b)
        outputs = np.ascontiguousarray(columns.transpose(2, 0, 1))  # (b, t, directions·h)
        final = tuple(np.stack([end[k].T for end in ends]) for k in range(first.states))
        if order is not None:
            back = np.argsort(order)
            outputs, final = outputs[back], tuple(s[:, back] for s in final)
        return outputs, final


def _read_cell(tensors: Mapping[str, Array], start: str, ending: str, kind: type[Cell], dtype: DTypeLike) -> Cell:
    """One layer in one direction, from PyTorch's names and order of gates to ours."""

    def read(name: str, *shape: int) -> Array:
        tensor = tensors.get(f"{start}{name}{ending}")
        if tensor is None:
            raise ModelError(f"{start}{name}{ending}", "this tensor is missing from the model")
        if (shape and tensor.shape != shape) or not tensor.ndim:
            raise ModelError(f"{start}{name}{ending}", f"has shape {tensor.shape}, not {shape}")
        return tensor.astype(dtype)

    W = read("weight_ih")
    rows, size = W.shape[0], W.shape[0] // kind.gates
    U = read("weight_hh", kind.gates * size, size)
    b_ih, b_hh = read("bias_ih", rows), read("bias_hh", rows)
    if kind is GRU:  # the bias inside the reset gate stays apart
        b_ih[: 2 * size] += b_hh[: 2 * size]
        return GRU(W, U, b_ih, b_hh[2 * size :])
    b = b_ih + b_hh
    if kind is LSTM:  # PyTorch's order is i, f, g, o; ours puts the three sigmoids side by side
        order = np.concatenate([np.arange(2 * size), np.arange(3 * size, 4 * size), np.arange(2 * size, 3 * size)])
        W, U, b = W[order], U[order], b[order]
    return kind(W, U, b)
