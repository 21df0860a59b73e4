"""How a command talks to a terminal, to a pipe, to a full disk, and to a caller that has almost no environment."""

from __future__ import annotations

import errno
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Run, environment
from rich.cells import cell_len

pty = pytest.importorskip("pty", reason="only Unix has pseudo-terminals")

LAST = ("rates", "USD/JPY", "--since", "2026-10-30", "--until", "2026-10-30")
RECORD = '{"date": "2026-10-30", "pair": "USD/JPY", "rate": 157.25026852846403}\n'
BACKTEST = ("backtest", "fx", "--pair", "USD/JPY", "--since", "2026-10-01", "--baselines", "fast")
COLOUR = "\x1b[1;31m"
HIDDEN_CURSOR = "\x1b[?25l"  # while a bar is drawn


@pytest.fixture
def place(fx: Path, tmp_path: Path) -> Path:
    """A folder with a model ``fx``."""
    shutil.copytree(fx, tmp_path / "fx")
    return tmp_path


def on_terminal(words: tuple[str, ...], folder: Path, **env: str) -> str:
    """What a command writes, both streams, when they are a terminal of 200 columns."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "seqcli", *words]
    settings = environment(TERM="xterm", COLUMNS="200") | env
    with subprocess.Popen(command, cwd=folder, env=settings, stdin=slave, stdout=slave, stderr=slave) as process:
        os.close(slave)
        written = b""
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError as error:  # how Linux says that the other side is closed
                assert error.errno == errno.EIO
                break
            if not chunk:
                break
            written += chunk
    os.close(master)
    assert process.returncode in (0, 4)
    return written.decode().replace("\r\n", "\n")


def shell(line: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """A line of bash with ``seqcli`` in it; it fails if any part of a pipe does."""
    script = f'seqcli() {{ {shlex.quote(sys.executable)} -m seqcli "$@"; }}; set -o pipefail; {line}'
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment(**env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


# A terminal


def test_records_are_a_table_on_a_terminal_and_lines_in_a_pipe(run: Run, place: Path, folders: dict[str, str]) -> None:
    shown = on_terminal(LAST, place, NO_COLOR="1", **folders)
    assert shown == "date        pair         rate\n2026-10-30  USD/JPY  157.2503\n"
    assert run(*LAST).stdout == RECORD


def test_a_table_that_is_wider_than_the_terminal_loses_from_its_widest_columns(
    place: Path, folders: dict[str, str]
) -> None:
    long = "為替" * 20
    (place / "fx").rename(place / long)
    shown = on_terminal(("info", long), place, COLUMNS="50", NO_COLOR="1", **folders)
    path, kind = shown.splitlines()[1:3]
    assert kind.split() == ["kind", "forecaster"]
    assert path.startswith("path  ")
    assert path.endswith("…")
    assert cell_len(path) in (49, 50)  # a character of the path takes two


@pytest.mark.parametrize(
    ("words", "term", "drawn"), [((), "xterm", True), (("-q",), "xterm", False), ((), "dumb", False)]
)
def test_a_bar_is_drawn_on_a_terminal_that_can(
    place: Path, folders: dict[str, str], words: tuple[str, ...], term: str, drawn: bool
) -> None:
    seen = on_terminal((*BACKTEST, *words), place, TERM=term, **folders)
    assert (HIDDEN_CURSOR in seen) == drawn
    assert "ewma-normal" in seen


@pytest.mark.parametrize("words", [(), ("-v",)])
def test_no_bar_is_drawn_off_a_terminal(run: Run, place: Path, words: tuple[str, ...]) -> None:
    assert not set(run(*BACKTEST, *words).stderr) & set("\x1b\r")


@pytest.mark.parametrize(
    ("env", "coloured"),
    [
        ({}, True),
        ({"TERM": "dumb"}, False),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": "", "TERM": "dumb", "FORCE_COLOR": "1"}, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_a_terminal_is_coloured_unless_told_otherwise(place: Path, env: dict[str, str], coloured: bool) -> None:
    assert (COLOUR in on_terminal(("info", "nothing"), place, **env)) == coloured


@pytest.mark.parametrize(
    ("env", "coloured"), [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)]
)
def test_a_pipe_is_coloured_only_by_force(run: Run, env: dict[str, str], coloured: bool) -> None:
    assert (COLOUR in run("info", "nothing", fails_with=4, **env).stderr) == coloured


# Pipes and closed streams


@pytest.mark.parametrize("form", ["jsonl", "json", "csv", "table"])
def test_a_reader_that_has_seen_enough_is_no_error(place: Path, folders: dict[str, str], form: str) -> None:
    done = shell(f"seqcli rates --since 2020-01-01 --format {form} | head -1", place, **folders)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("words", ["--help", "forecast --help", "--version", shlex.join(LAST)])
def test_a_reader_that_wants_nothing_is_no_error(place: Path, folders: dict[str, str], words: str) -> None:
    done = shell(f"seqcli {words} | true", place, **folders)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (f"seqcli {shlex.join(LAST)} >&-", 0, ""),
        ("seqcli info nothing 2>&-", 4, ""),
        ("seqcli info nothing 2>/dev/full", 4, ""),
        ("seqcli info nothing 2> >(true)", 4, ""),
        (f"seqcli {shlex.join(LAST)} >/dev/full", 5, "stdout: the disk is full; what stands there is cut off"),
        ("seqcli --help >/dev/full", 5, "stdout: the disk is full"),
    ],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])  # in one of the two Python writes again at its end
def test_a_stream_that_is_closed_or_full_does_not_hide_the_exit_code(
    place: Path, folders: dict[str, str], line: str, code: int, said: str, unbuffered: str
) -> None:
    done = shell(line, place, PYTHONUNBUFFERED=unbuffered, **folders)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "No space left" not in done.stderr


@pytest.mark.parametrize("words", [LAST, ("forecast", "fx"), ("info", "fx"), ("--help",)])
def test_stdin_is_not_read_unless_it_was_asked_for(
    place: Path, folders: dict[str, str], words: tuple[str, ...]
) -> None:
    silent, never_closed = os.pipe()
    try:
        command = [sys.executable, "-m", "seqcli", *words]
        done = subprocess.run(
            command, cwd=place, env=environment(**folders), stdin=silent, capture_output=True, check=False, timeout=30
        )
    finally:
        os.close(silent)
        os.close(never_closed)
    assert done.returncode == 0


# An environment as cron's


@pytest.mark.parametrize(
    "locale",
    [
        {},
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "cp932"},
    ],
    ids=str,
)
def test_japanese_is_utf8_in_a_pipe_whatever_the_locale(place: Path, locale: dict[str, Any]) -> None:
    (place / "fx").rename(place / "為替")
    bare = {"PATH": "/usr/bin:/bin", "HOME": str(place)} | locale
    bare |= {"PYTHONPATH": path} if (path := os.environ.get("PYTHONPATH")) else {}
    command = [sys.executable, "-m", "seqcli", "info", "為替"]
    done = subprocess.run(command, cwd=place, env=bare, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.match(r'{"path": "為替"', done.stdout.decode("utf-8"))
    assert "×" in done.stderr.decode("utf-8")
