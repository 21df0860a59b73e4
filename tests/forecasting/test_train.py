"""What a training may look at, what it may be compared with, and what it may be gone on with."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from panels import plain_panel

from seqcli.core import files
from seqcli.errors import TryLaterError
from seqcli.forecasting import plan, train
from seqcli.forecasting.data import Panel
from seqcli.forecasting.plan import Plan
from seqcli.results import Result

DAYS = 160


def walk(days: int = DAYS, seed: int = 0) -> Panel:
    """A positive series with ordinary moves."""
    moves = np.random.default_rng(seed).normal(0.0, 0.01, (days, 1))
    return plain_panel(100 * np.exp(moves.cumsum(axis=0)), log=True)


def tiny(**changes: Any) -> Plan:
    """The smallest training; what is no field of ``Plan`` is a flag."""
    flags = {"cell": "lstm", "layers": 1, "hidden": 4, "epochs": 1, "seed": 1, "threads": 1}
    rest: dict[str, Any] = {"holdout": 30, "refit": True, "baselines": "none", "horizon": 5}
    for name, value in changes.items():
        (flags if name in (*flags, "max_minutes", "learning_rate", "steps") else rest)[name] = value
    return plan.make(flags, quick=True, members=1, **rest)


def trained(panel: Panel, out: Path, how: Plan, **options: Any) -> Result:
    """Trains to the end, into a folder that may be replaced."""
    work = train.train(panel, train.Place(out, **({"overwrite": True} | options)), how)
    while True:
        try:
            next(work)
        except StopIteration as done:
            assert isinstance(done.value, Result)
            return done.value


def weights(model: Path) -> bytes:
    return (model / "model.safetensors").read_bytes()


# One at a time


@pytest.mark.parametrize(("seconds", "lets_in"), [(0.2, True), (5.0, False)])
def test_a_folder_in_use_is_waited_for_but_not_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, lets_in: bool
) -> None:
    monkeypatch.setattr(train, "LOCK_SECONDS", 1.0)
    out, held, done = tmp_path / "fx", threading.Event(), threading.Event()

    def hold() -> None:
        with files.lock(out):
            held.set()
            done.wait(seconds)

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(5)
    try:
        if lets_in:
            trained(walk(), out, tiny(holdout=0))
        else:
            with pytest.raises(TryLaterError, match=r"in use by another process \(waited 1 s\)"):
                trained(walk(), out, tiny(holdout=0))
    finally:
        done.set()
        other.join()
    assert out.exists() == lets_in
