"""``run("forecast", model, fails_with=4)`` reads like the terminal; tiny models are trained once a test run."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).parent.parent / "sample_data"


@dataclass(frozen=True)
class Ran:
    """What a command left: its exit code, its two streams, and the records of the first."""

    code: int
    stdout: str
    stderr: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Stdout as records, from JSON lines, a JSON array or CSV."""
        if self.stdout.startswith("["):
            return list(json.loads(self.stdout))
        if self.stdout.startswith("{"):
            return [json.loads(line) for line in self.stdout.splitlines()]
        return list(csv.DictReader(io.StringIO(self.stdout)))


Run = Callable[..., Ran]


def environment(**changes: str) -> dict[str, str]:
    """The environment of a command under test: nothing of the developer's settings, two folders of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SEQCLI_", "FORCE_COLOR", "NO_COLOR"))}
    return kept | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error", "SEQCLI_OFFLINE": "1"} | changes


def seqcli(
    *words: Any, fails_with: int = 0, stdin: str | bytes | None = None, folder: Path | None = None, **env: str
) -> Ran:
    """Runs ``python -m seqcli WORDS`` in a process of its own and checks its exit code."""
    command = [sys.executable, "-m", "seqcli", *map(str, words)]
    given = stdin.encode() if isinstance(stdin, str) else stdin
    stream = {"input": given} if given is not None else {"stdin": subprocess.DEVNULL}
    done = subprocess.run(
        command, capture_output=True, env=environment(**env), cwd=folder, timeout=300, check=False, **stream
    )
    ran = Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert ran.code == fails_with, (
        f"exit {ran.code}, not {fails_with}: seqcli {' '.join(map(str, words))}\n{ran.stderr}\n{ran.stdout[:2000]}"
    )
    if fails_with:
        assert "Traceback" not in ran.stderr, ran.stderr
    return ran


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c() -> Iterator[None]:
    """Ctrl-C reaches the tests and the commands that they start: a job in the background begins with it ignored."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Data and cache folders that no test shares with the developer."""
    base = tmp_path_factory.mktemp("seqcli")
    yield {"SEQCLI_DATA_DIR": str(base / "data"), "SEQCLI_CACHE_DIR": str(base / "cache")}


@pytest.fixture
def run(folders: dict[str, str], tmp_path: Path) -> Run:
    """Runs a command in an empty folder: ``run("rates", "USD/JPY").rows``."""

    def call(*words: Any, **options: Any) -> Ran:
        return seqcli(*words, **({"folder": tmp_path} | folders | options))

    return call


@pytest.fixture(scope="session")
def fx(tmp_path_factory: pytest.TempPathFactory, folders: dict[str, str]) -> Path:
    """A tiny forecaster of two pairs, its report and its record of training, made by the command itself."""
    model = tmp_path_factory.mktemp("models") / "fx"
    small = ("--quick", "--members", 1, "--epochs", 2, "--hidden", 4, "--threads", 1)
    data = ("--pair", "USD/JPY", "--pair", "EUR/USD", "--since", "2019-01-01", "--until", "2026-06-30")
    seqcli("train-forecast", *small, *data, "--out", model, **folders)
    return model


@pytest.fixture(scope="session")
def topics(tmp_path_factory: pytest.TempPathFactory, folders: dict[str, str]) -> Path:
    """A tiny classifier of the sample posts, made by the command itself."""
    model = tmp_path_factory.mktemp("models") / "topics"
    small = ("--members", 1, "--epochs", 2, "--hidden", 6, "--threads", 1)
    seqcli("train-classifier", SAMPLES / "posts.csv", *small, "--out", model, **folders)
    return model


@pytest.fixture(scope="session")
def writer(tmp_path_factory: pytest.TempPathFactory, folders: dict[str, str]) -> Path:
    """A tiny generator of the sample letters, made by the command itself."""
    model = tmp_path_factory.mktemp("models") / "writer"
    small = ("--epochs", 1, "--hidden", 8, "--batch-size", 4, "--bptt", 16, "--threads", 1)
    seqcli("train-generator", SAMPLES / "letters.txt", *small, "--out", model, **folders)
    return model


@pytest.fixture(scope="session")
def wide(tmp_path_factory: pytest.TempPathFactory, folders: dict[str, str]) -> Path:
    """A tiny forecaster of the wide sample table."""
    from tables import TINY  # which reads this file

    model = tmp_path_factory.mktemp("models") / "wide"
    seqcli("train-forecast", SAMPLES / "rates-wide.csv", *TINY, "--holdout", 100, "--out", model, **folders)
    return model


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory, folders: dict[str, str]) -> Path:
    """A tiny forecaster of one positive series called x."""
    from tables import TINY, days, table, walk

    folder = tmp_path_factory.mktemp("models")
    table(folder / "x.csv", days(), x=walk())
    seqcli("train-forecast", folder / "x.csv", *TINY, "--holdout", 0, "--out", folder / "model", **folders)
    return folder / "model"


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A table, the same with other values after day 120, the same without them, and one whose day 120 differs."""
    from tables import days, table, walk

    folder, dates, values = tmp_path_factory.mktemp("history"), days(), walk()
    strange = [*values[:121], *(round(v * (3 if i % 2 else 0.2), 4) for i, v in enumerate(values[121:]))]
    return {
        "as it was": table(folder / "rates.csv", dates, x=values),
        "other future": table(folder / "other.csv", dates, x=strange),
        "no future": table(folder / "short.csv", dates[:121], x=values[:121]),
        "negative future": table(folder / "negative.csv", dates, x=[*values[:121], *(-v for v in values[121:])]),
        "other last day": table(folder / "last.csv", dates, x=[*values[:120], values[120] * 1.03, *values[121:]]),
    }


@pytest.fixture(scope="session")
def known(history: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, folders: dict[str, str]) -> Path:
    """A model that has seen the table until day 120."""
    from tables import TINY, days

    model = tmp_path_factory.mktemp("models") / "known"
    seqcli("train-forecast", history["as it was"], *TINY, "--until", days()[120], "--out", model, **folders)
    return model
