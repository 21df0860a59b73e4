"""A task so small that it can be trained many times: the running sum of noise."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch  # noqa: TID253 - these tests train

from seqcli.core.training import Epoch, FitSettings, Signals, TrainingState, fit, seed_everything

SETTINGS = FitSettings(
    epochs=3, accumulate=2, learning_rate=0.02, schedule="cosine", warmup=0.2, weight_decay=0.1, average=0.9, seed=3
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Net(torch.nn.Module):
    """A small recurrent net with dropout, so that the random numbers matter."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = torch.nn.LSTM(3, 4, batch_first=True)
        self.drop = torch.nn.Dropout(0.3)
        self.out = torch.nn.Linear(4, 1)

    def forward(self, x: torch.Tensor, carried: Any) -> tuple[torch.Tensor, Any]:
        hidden, carried = self.cell(x, carried)
        return self.out(self.drop(hidden)), carried


class Task:
    """Predict the running sum of noise: five chunks of two sequences, in a new order each epoch."""

    def __init__(self, settings: FitSettings, folder: Path | None = None, data: str = "abc") -> None:
        numbers = np.random.default_rng(0)
        self.x = torch.tensor(numbers.normal(size=(5, 2, 6, 3)), dtype=torch.float32)
        self.y = self.x.cumsum(2)[..., :1]
        self.settings = settings
        seed_everything(settings.seed)
        self.net = Net()
        self.signals = Signals()
        self.interrupt_at: int | None = None
        self.records: list[Epoch] = []
        fingerprint = {"data": data, "hidden": 4}
        self.state = (
            TrainingState(self.net, settings, fingerprint)
            if folder is None
            else TrainingState.load(folder, self.net, settings, fingerprint)
        )

    def batches(self, epoch: int) -> list[int]:
        return [int(i) for i in np.random.default_rng([self.settings.seed, epoch]).permutation(len(self.x))]

    def step(self, index: int, carried: Any) -> tuple[torch.Tensor, Any]:
        if self.state.step == self.interrupt_at:
            self.signals.received = signal.SIGTERM
        prediction, carried = self.net(self.x[index], carried)
        return ((prediction - self.y[index]) ** 2).mean(), carried

    def validate(self) -> float:
        return sum(self.step(index, None)[0].item() for index in (0, 1))

    def run(self, **options: Any) -> Task:
        options = {"validate": self.validate, "signals": self.signals} | options
        for record in fit(self.state, self.batches, self.step, **options):
            self.records.append(record)
        return self


def same_weights(one: Task, other: Task) -> bool:
    ours, theirs = one.state.weights(), other.state.weights()
    return all(np.array_equal(ours[name], theirs[name]) for name in ours)


def timeless(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key not in ("seconds", "per_second")} for row in history]


def cell_later(name: str, progress: float) -> float:
    """The output layer from the beginning; the cell more slowly, and from the middle on."""
    return 1.0 if name.startswith("out") else 0.5 if progress >= 0.5 else 0.0
