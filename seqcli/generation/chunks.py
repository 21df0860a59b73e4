"""How a text is cut for training: rows that are read side by side, a chunk of each at a time, state carried on."""

from __future__ import annotations

# ruff: noqa: TID253 - a PyTorch file by design; only training reads it
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqcli.core import device as devices
from seqcli.generation.model import LanguageModel
from seqcli.generation.teacher import Teacher

Ids = NDArray[np.integer[Any]]

_READ: Final = 512  # units of each row that are scored at once


@dataclass(frozen=True, eq=False)
class Streams:
    """A training text as rows of equal length, read side by side; only what a batch needs is read from the disk.

    Truncated backpropagation through time (Williams & Peng 1990): the state is carried from a chunk into the next one
    of the same row, and gradients end between them. Every epoch cuts the text, taken as a ring, at other places.

    Arguments:
        tokens: ``(t,)`` ids, mapped from the disk or not.
        rows: of a batch; fewer where the text is too short for so many.
        bptt: steps of a chunk.
        seed: of where the text is cut.
        teacher: says what else could stand at each place; absent: only what does.
    """

    tokens: Ids
    rows: int
    bptt: int
    seed: int
    teacher: Teacher | None = None

    @classmethod
    def of(cls, tokens: Ids, rows: int, bptt: int, seed: int, teacher: Teacher | None = None) -> Streams:
        """As many rows of so many steps as the text is long enough for."""
        bptt = max(1, min(bptt, len(tokens) - 1))
        return cls(tokens, max(1, min(rows, len(tokens) // (bptt + 1))), bptt, seed, teacher)

    def batches(self, epoch: int) -> Batches:
        """For ``training.fit``: the batches of an epoch, which depend on nothing but its number."""
        start = int(np.random.default_rng([self.seed, epoch]).integers(len(self.tokens)))
        return Batches(self, epoch, start)

    def step(
        self, model: LanguageModel, strength: Callable[[], float], taught: float = 0.0
    ) -> Callable[[Batch, Any], tuple[Tensor, Any]]:
        """For ``training.fit``: the mean loss of a batch, and the state at its end.

        Arguments:
            model: the net.
            strength: gives the share of the dropout rates that is in use, 0 to 1.
            taught: share of the loss that is the teacher's, where there is one.
        """
        where = model.embedding.weight.device

        def step(batch: Batch, carried: Any) -> tuple[Tensor, Any]:
            tokens = torch.from_numpy(batch.tokens).to(where)  # (rows, steps + 1)
            model.strength = strength()
            known, state = model(tokens[:, :-1], carried)
            if batch.taught is None or not taught:
                return model.loss(known, tokens[:, 1:]), state
            both = torch.stack([tokens[:, 1:], torch.from_numpy(batch.taught).to(where)], dim=2)
            text, teacher = model.log_probabilities(known, both).flatten(0, 1).mean(0)
            return -(1 - taught) * text - taught * teacher, state

        return step


class Batch(NamedTuple):
    """What is read at once.

    Arguments:
        tokens: ``(rows, steps + 1)`` ids: what is read, and behind it what comes next.
        taught: ``(rows, steps)`` what the teacher says could come next instead.
    """

    tokens: NDArray[np.int64]
    taught: NDArray[np.int64] | None

    @property
    def size(self) -> int:
        """Units that are predicted."""
        return self.tokens.size - len(self.tokens)


class Batches:
    """The batches of one epoch."""

    def __init__(self, streams: Streams, epoch: int, start: int) -> None:
        self.streams, self.epoch, self.start = streams, epoch, start
        self.length = len(streams.tokens) // streams.rows - 1  # steps of a row

    def __len__(self) -> int:
        return max(1, -(-self.length // self.streams.bptt))

    def __iter__(self) -> Iterator[Batch]:
        tokens, rows, teacher = self.streams.tokens, self.streams.rows, self.streams.teacher
        begins = self.start + np.arange(rows)[:, None] * (len(tokens) // rows)  # (rows, 1)
        for position in range(0, self.length, self.streams.bptt):
            steps = min(self.streams.bptt, self.length - position)
            places = (begins + np.arange(position, position + steps + 1)) % len(tokens)
            taught = None if teacher is None else teacher.at(self.epoch, places[:, 1:])
            yield Batch(np.asarray(tokens[places], np.int64), taught)


def log_probabilities(model: LanguageModel, tokens: Ids, rows: int = 1) -> NDArray[np.float32]:
    """Natural log-probabilities of each unit after the first, ``(t - 1,)``. Arguments as of ``scored``."""
    found = np.concatenate(list(scored(model, tokens, rows)), axis=1)  # (rows, length)
    logs: NDArray[np.float32] = found.ravel()[: len(tokens) - 1]
    return logs


def scored(model: LanguageModel, tokens: Ids, rows: int = 1) -> Iterator[NDArray[np.float32]]:
    """The same piece by piece, ``(rows, steps)`` each: in eval mode while one is computed.

    Arguments:
        model: left in the mode that it is in.
        tokens: ``(t,)`` ids.
        rows: the text is cut into so many, read side by side: faster, but each begins knowing nothing.
    """
    count = len(tokens) - 1
    rows = max(1, min(rows, count // _READ))
    length = -(-count // rows)
    where = model.embedding.weight.device
    state: Any = None
    for start in range(0, length, _READ):
        steps = min(_READ, length - start)
        cut = np.zeros((rows, steps + 1), np.int64)  # what stands behind the end of the text is dropped again
        for row in range(rows):
            ids = tokens[row * length + start :][: steps + 1]
            cut[row, : len(ids)] = ids
        chunk = torch.from_numpy(cut).to(where)
        training = model.training
        model.eval()
        with torch.no_grad(), devices.autocast(where, bf16=False):
            known, state = model(chunk[:, :-1], state)
            logs = model.log_probabilities(known, chunk[:, 1:])
        model.train(training)
        yield logs.cpu().numpy()
