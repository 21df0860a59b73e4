"""Trainings that are interrupted, gone on with, started twice, or begun where something is already."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import SAMPLES, Run, environment, seqcli
from tables import TINY, quick

from seqcli.forecasting import baselines

__all__ = ["quick"]  # the fixture

PAIR = ("--pair", "USD/JPY", "--since", "2019-01-01", "--until", "2026-10-30", "--threads", "1")
SMALL = ("train-forecast", *PAIR, "--quick", "--members", "1", "--hidden", "4")
LONG = (*SMALL, "--batch-size", "2", "--epochs", "9", "-v")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to be noticed")


@contextmanager
def under_way(*words: Any, until: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    """A command that has just written a line that begins with ``until`` to stderr; killed if it is left running."""
    command = [sys.executable, "-m", "seqcli", *map(str, words)]
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=environment(**env), **streams) as process:
        assert process.stderr is not None
        try:
            seen = []
            for line in process.stderr:
                seen.append(line)
                if line.startswith(until):
                    break
            else:
                pytest.fail("".join(seen))
            yield process
        finally:
            process.kill()


def interrupted(*words: Any, until: str, by: signal.Signals, **env: str) -> str:
    """Stops a command at a line of stderr; what it says from then on. The exit code must be the signal's."""
    with under_way(*words, until=until, **env) as process:
        process.send_signal(by)
        _, said = process.communicate(timeout=60)
    # Where the signal strikes while a string of code is run (a dataclass is made so, at an import), Python forgets that
    # it was dealt with and ends itself by the signal: to a shell that is the same code.
    assert process.returncode in (128 + by, -by), said
    return said


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, folders: dict[str, str]) -> Path:
    """The model of a training that nobody disturbed."""
    model = tmp_path_factory.mktemp("interrupt") / "whole"
    seqcli(*LONG, "--baselines", "none", "--out", model, **folders)
    return model


def test_a_training_that_is_stopped_again_and_again_ends_with_the_same_weights(
    run: Run, uninterrupted: Path, folders: dict[str, str], tmp_path: Path
) -> None:
    model = tmp_path / "fx"
    words = (*LONG, "--out", model)

    said = interrupted(*words, until="training ", by=signal.SIGINT, **folders)  # in the first fit
    assert "error: training: interrupted" in said
    assert "--resume" in said
    assert [child.name for child in model.iterdir()] == ["resume"]
    assert "--resume" in run("forecast", model, fails_with=4).stderr

    goes_on = (*words, "--resume", "--baselines", "all")  # GARCH takes long enough to be stopped, too
    interrupted(*goes_on, until="fitting through the end ", by=signal.SIGTERM, **folders)
    last = json.loads(contents(uninterrupted)["seqcli.json"])["data"]["steps"]
    said = interrupted(*goes_on, until=f"fitting through the end {last}/", by=signal.SIGINT, **folders)
    assert "--resume goes on from" in said  # at the very end of the fit, or in the report after it
    assert [child.name for child in model.iterdir()] == ["resume"]

    finished = run(*words, "--resume", "--baselines", "none")
    assert "epoch" not in finished.stderr  # both fits had been saved
    assert contents(model)["model.safetensors"] == contents(uninterrupted)["model.safetensors"]
    assert contents(model).keys() == contents(uninterrupted).keys()


@pytest.mark.parametrize(("by", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_a_signal_during_the_report_loses_no_fit(
    quick: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: signal.Signals, word: str
) -> None:
    train = ("train-forecast", SAMPLES / "spread.csv", *TINY, "--holdout", 30)
    with monkeypatch.context() as patch:
        patch.setattr(baselines, "run", lambda *_: signal.raise_signal(by))
        said = quick(*train, "--out", "parts", fails_with=128 + by)
    assert said.stdout == ""
    assert said.stderr.splitlines()[-1] == f"warning: {word}; the fits are saved, and --resume goes on from them"
    finished = quick(*train, "--out", "parts", "--resume", "-v")
    assert "epoch" not in finished.stderr
    assert finished.rows == quick(*train, "--out", "whole").rows
    parts, whole = (contents(tmp_path / name)["model.safetensors"] for name in ("parts", "whole"))
    assert parts == whole


def test_sigterm_during_the_start_leaves_nothing(tmp_path: Path, folders: dict[str, str]) -> None:
    words = (*SMALL, "--log-file", "/dev/stderr", "--out", tmp_path / "fx")
    said = interrupted(*words, until="20", by=signal.SIGTERM, **folders)  # the log's first line: started
    assert "Traceback" not in said
    assert not (tmp_path / "fx" / "seqcli.json").exists()


def test_two_trainings_do_not_share_a_folder(run: Run, folders: dict[str, str], tmp_path: Path) -> None:
    words = (*LONG, "--out", tmp_path / "fx")
    with under_way(*words, "--epochs", 9999, until="training ", **folders) as first:
        second = run(*words, "--overwrite", fails_with=75)
        assert second.stderr.startswith(f"error: {tmp_path / 'fx'}: in use by another process")
        assert first.poll() is None


def test_there_must_be_something_to_resume(quick: Run, fx: Path, tmp_path: Path) -> None:
    shutil.copytree(fx, tmp_path / "fx")
    for out, what in (
        ("fx", "holds a finished model: nothing to resume"),
        ("new", "no such folder: nothing to resume"),
    ):
        ran = quick(*SMALL, "--resume", "--out", out, fails_with=4)
        assert ran.stderr == f"error: {out}: {what}\nhint: start it without --resume\n"
    assert contents(tmp_path / "fx") == contents(fx)
    assert not (tmp_path / "new").exists()


def test_a_better_model_replaces_the_old_one(quick: Run, tmp_path: Path) -> None:
    one = (*SMALL, "--epochs", 1, "--baselines", "none", "--out", "fx")
    quick(*one, "--learning-rate", 1)  # ruined
    ruined = contents(tmp_path / "fx")
    quick(*one, "--learning-rate", "1e-9", "--overwrite", "--promote-if-better")  # as it began
    assert contents(tmp_path / "fx")["model.safetensors"] != ruined["model.safetensors"]


def test_a_training_is_not_gone_on_with_as_another_one(
    quick: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = ("train-forecast", SAMPLES / "rates-wide.csv", *TINY, "--holdout", 30, "--out", "fx")
    with monkeypatch.context() as patch:
        patch.setattr(baselines, "run", lambda *_: signal.raise_signal(signal.SIGTERM))
        quick(*train, fails_with=143)
    for other, what in ((("--transform", "difference"), "'log'"), (("--threads", 2), "'threads'")):
        said = quick(*train, "--resume", *other, fails_with=4)
        assert f"{what} was " in said.stderr and "when the training began" in said.stderr
    assert [child.name for child in (tmp_path / "fx").iterdir()] == ["resume"]
    quick(*train, "--resume")
