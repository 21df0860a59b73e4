"""Made-up dated tables, the smallest training, and a way to run a command without a process of its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Ran, Run, environment
from typer.testing import CliRunner

from seqcli.__main__ import load
from seqcli.forecasting.calendar import between

TINY = ("--quick", "--members", 1, "--epochs", 1, "--hidden", 4, "--threads", 1, "--baselines", "none")
DAYS = 160


def days(calendar: str = "target", n: int = DAYS, start: str = "2024-01-02") -> list[str]:
    """The first ``n`` dates of a calendar, as text."""
    return [str(day) for day in between(calendar, np.datetime64(start), np.datetime64("2060-01-01"))[:n]]


def walk(n: int = DAYS, seed: int = 0, start: float = 100.0) -> list[float]:
    """A positive random walk."""
    moves = np.random.default_rng(seed).normal(0.0, 0.01, n)
    return [round(float(value), 4) for value in start * np.exp(np.cumsum(moves))]


def table(path: Path, dates: Sequence[str], /, **columns: Sequence[Any]) -> Path:
    """Writes a wide table with a column ``date``."""
    rows = zip(dates, *columns.values(), strict=True)
    lines = [",".join(["date", *columns]), *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def quick(folders: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``run`` in the process of the tests, for the many cases: PyTorch need not be imported for each."""

    def call(*words: Any, fails_with: int = 0, stdin: str | bytes | None = None, **env: str) -> Ran:
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            for name in set(os.environ) - set(wanted := environment(**folders, **env)):
                patch.delenv(name)
            for name, value in wanted.items():
                patch.setenv(name, value)
            done = CliRunner().invoke(load(), [str(word) for word in words], input=stdin, prog_name="seqcli")
        ran = Ran(done.exit_code, done.stdout, done.stderr)
        assert ran.code == fails_with, f"exit {ran.code}, not {fails_with}: {words}\n{ran.stderr}\n{ran.stdout[:2000]}"
        return ran

    return call
