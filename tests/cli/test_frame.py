"""What every command has in common: formats, settings, errors and exit codes, the log, completion."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Run, environment
from tables import quick

import seqcli
from seqcli import __main__
from seqcli.__main__ import GROUPS, load
from seqcli.cli.output import Output
from seqcli.core import describe

RATES = ("rates", "USD/JPY", "EUR/USD", "--since", "2026-10-01", "--until", "2026-10-09")
LAST = ("rates", "USD/JPY", "--since", "2026-10-30", "--until", "2026-10-30")
TINY = ("--quick", "--members", 1, "--hidden", 4, "--threads", 1, "--pair", "USD/JPY", "--since", "2019-01-01")

__all__ = ["quick"]  # the fixture


@pytest.fixture
def model(fx: Path, tmp_path: Path) -> Path:
    """A copy of the tiny forecaster that a test may spoil."""
    return shutil.copytree(fx, tmp_path / "fx")


# Formats


def test_jsonl_json_and_csv_are_the_same_records(quick: Run) -> None:
    jsonl, array, table = (quick(*RATES, "--format", name).rows for name in ("jsonl", "json", "csv"))
    assert len(jsonl) == 14
    assert jsonl == array
    assert [{**row, "rate": float(row["rate"])} for row in table] == jsonl  # every digit


def test_a_table_shows_the_same_records_to_a_person(quick: Run) -> None:
    header, *lines = quick(*RATES, "--format", "table").stdout.splitlines()
    assert header.split() == ["date", "pair", "rate"]
    assert [line.split() for line in lines] == [
        [row["date"], row["pair"], f"{row['rate']:.4f}"] for row in quick(*RATES).rows
    ]


ODD = {
    "名前": '焼肉,「円」\n"x"',
    "nan": float("nan"),
    "inf": -float("inf"),
    "none": None,
    "yes": True,
    "list": [1.5, "ぬ"],
}


def emitted(capsys: pytest.CaptureFixture[str], name: str) -> str:
    Output(name).emit([ODD])
    return capsys.readouterr().out


@pytest.mark.parametrize("name", ["json", "jsonl"])
def test_json_has_real_japanese_and_null_for_what_is_no_number(capsys: pytest.CaptureFixture[str], name: str) -> None:
    text = emitted(capsys, name)
    assert "焼肉,「円」" in text
    (found,) = json.loads(text if name == "json" else f"[{text}]")
    assert found == ODD | {"nan": None, "inf": None}


def test_a_table_shows_what_a_record_holds_and_no_python(capsys: pytest.CaptureFixture[str]) -> None:
    Output("table").emit([{"top": [{"label": "グルメ", "probability": 0.92}, {"label": "旅", "probability": 0.08}]}])
    assert capsys.readouterr().out.splitlines() == ["top", "グルメ 0.9200, 旅 0.0800"]


def test_on_a_narrow_terminal_a_heading_keeps_the_part_that_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("NO_COLOR", "1")
    record = {f"probability.{name}": 0.5 for name in ("グルメ", "旅", "電話")}
    for columns, heading in ((80, "probability.グルメ"), (30, "グルメ")):
        monkeypatch.setenv("COLUMNS", str(columns))
        out = Output("table")
        out.out = Terminal()
        out.emit([record])
        assert out.out.getvalue().startswith(heading)


def test_csv_quotes_what_needs_it_and_leaves_unknowns_empty(capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = csv.DictReader(io.StringIO(emitted(capsys, "csv")))
    assert found == {"名前": ODD["名前"], "nan": "", "inf": "", "none": "", "yes": "true", "list": '[1.5, "ぬ"]'}


# Settings


@pytest.mark.parametrize(
    ("toml", "variable", "flag", "first"),
    [
        ("", "", "", "{"),
        ('format = "json"', "", "", "["),
        ('[rates]\nformat = "json"', "", "", "["),
        ('[info]\nformat = "json"', "", "", "{"),
        ('format = "json"', "csv", "", "d"),
        ('format = "json"', "csv", "jsonl", "{"),
        ("", "csv", "", "d"),
    ],
)
def test_a_flag_beats_a_variable_beats_the_file(
    quick: Run, tmp_path: Path, toml: str, variable: str, flag: str, first: str
) -> None:
    (tmp_path / "seqcli.toml").write_text(toml)
    env = {"SEQCLI_FORMAT": variable} if variable else {}
    assert quick(*LAST, *(["--format", flag] if flag else []), **env).stdout[0] == first


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('formt = "json"', "error: seqcli.toml: formt: no such option\nhint: did you mean format?\n"),
        (
            "[rates]\nquit = true",
            "error: seqcli.toml: [rates] quit: no such option of rates\nhint: did you mean quiet?\n",
        ),
        ('[rate]\nformat = "json"', "error: seqcli.toml: [rate]: no such command\nhint: did you mean rates?\n"),
        ('format = "xml"', "error: seqcli.toml: format: 'xml' is not one of "),
        ("format = ", "error: seqcli.toml: not TOML: "),
    ],
)
def test_a_slip_in_the_file_is_said(quick: Run, tmp_path: Path, toml: str, said: str) -> None:
    (tmp_path / "seqcli.toml").write_text(toml)
    assert quick(*LAST, fails_with=2).stderr.startswith(said)


def test_quiet_leaves_records_and_verbose_adds_lines(quick: Run, model: Path) -> None:
    words = ("backtest", model, "--pair", "USD/JPY", "--since", "2026-10-01", "--baselines", "fast")
    quiet, normal, verbose = (quick(*words, *flag) for flag in (("-q",), (), ("-v",)))
    assert quiet.stdout == normal.stdout == verbose.stdout
    assert quiet.stderr == ""
    assert "random walk" in normal.stderr
    assert verbose.stderr.endswith(normal.stderr)


def test_the_version_is_printed(quick: Run) -> None:
    assert quick("--version").stdout == f"seqcli {seqcli.__version__}\n"


# Errors


@pytest.mark.parametrize(
    ("code", "words", "env", "where"),
    [
        (2, ("rates", "USD/JPY", "--since", "yesterday"), {}, "--since yesterday"),
        (3, ("rates", "USD/XXX"), {}, "--pair USD/XXX"),
        (4, ("forecast", "nothing"), {}, "nothing"),
        (5, ("rates", "USD/JPY", "--log-file", "no/such.log"), {}, "--log-file no/such.log"),
        (6, ("train-forecast", *TINY, "--learning-rate", "1e30", "--epochs", 9, "--out", "new"), {}, "training"),
        (75, ("forecast", "fx", "--max-age", "4d"), {"SEQCLI_NOW": "2026-11-16"}, "forecast"),
    ],
)
def test_an_error_is_its_exit_code_one_line_and_the_next_command(
    quick: Run, model: Path, code: int, words: tuple[Any, ...], env: dict[str, str], where: str
) -> None:
    ran = quick(*words, fails_with=code, **env)
    error, hint = ran.stderr.splitlines()
    assert error.startswith(f"error: {where}: ")
    assert hint.startswith("hint: ")
    assert ran.stdout == ""


def test_nothing_but_the_name_shows_the_help(quick: Run) -> None:
    assert "Usage: seqcli" in quick(fails_with=2).stdout


def test_a_gate_fails_after_everything_was_printed(quick: Run, model: Path) -> None:
    words = ("backtest", model, "--since", "2026-10-19", "--until", "2026-10-21", "--baselines", "fast")
    ran = quick(*words, "--require-skill", fails_with=7)  # three days show nothing
    assert ran.rows == quick(*words).rows
    assert ran.stderr.splitlines()[-1].startswith(f"error: {model}: ")


def fail(*_: object) -> None:
    raise ZeroDivisionError("odd\nthings")


def test_a_bug_is_one_line_that_says_how_to_report_it(quick: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(describe, "describe", fail)
    error, hint = quick("info", "fx", fails_with=1).stderr.splitlines()
    assert error == "error: bug: ZeroDivisionError: odd things"
    assert "--debug" in hint


@pytest.mark.parametrize(
    "problem",
    [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 256 bytes")],
)
def test_too_little_memory_is_the_machines_not_our_fault(
    quick: Run, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    def exhaust(*_: object) -> None:
        raise problem

    monkeypatch.setattr(describe, "describe", exhaust)
    error, hint = quick("info", "fx", fails_with=5).stderr.splitlines()
    assert error.startswith("error: memory: there is not enough of it")
    assert "--hidden" in hint


def test_ctrl_c_before_the_command_is_there_ends_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(__main__, "load", interrupted)
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("flag", "env", "toml"), [("--debug", {}, ""), ("-q", {"SEQCLI_DEBUG": "1"}, ""), ("-q", {}, "debug = true")]
)
def test_a_traceback_is_shown_to_who_asks_for_it(
    run: Run, tmp_path: Path, flag: str, env: dict[str, str], toml: str
) -> None:
    (tmp_path / "seqcli.toml").write_text(toml)
    with pytest.raises(AssertionError, match="Traceback"):  # what ``run`` says of one
        run("info", "nothing", flag, fails_with=4, **env)


def test_no_traceback_is_shown_to_who_switched_it_off(run: Run) -> None:
    assert run("info", "nothing", fails_with=4, SEQCLI_DEBUG="0").stderr.startswith("error: nothing: ")


# The log


def test_the_log_tells_of_each_command_how_it_ended(quick: Run, model: Path, tmp_path: Path) -> None:
    log = ("--log-file", tmp_path / "fx.log")
    said = quick("info", model, "-q", *log).stderr + quick("info", model, *log).stderr
    quick("forecast", "nothing", *log, fails_with=4, SEQCLI_NOW="2026-11-02T06:00:00+00:00")
    lines = (tmp_path / "fx.log").read_text().splitlines()
    *infos, (_, error), (_, hint), (_, ended) = (line.split("]: ", 1) for line in lines)
    told = [text for head, text in infos if head.split()[1:] == ["info", f"info[{os.getpid()}"]]
    assert told == said.splitlines() * 2  # as much with --quiet as without
    assert error == "nothing: no such model folder (exit 4)"
    assert (hint, ended) == ("train one, or check the path", "exit 4")
    assert lines[-1].startswith("2026-11-02T06:00:00+00:00 ended forecast[")


def test_the_log_is_also_json(quick: Run, tmp_path: Path) -> None:
    quick("forecast", "為替", "--log-file", "fx.log", "--log-format", "json", fails_with=4)
    text = (tmp_path / "fx.log").read_text(encoding="utf-8")
    events = [json.loads(line) for line in text.splitlines()]
    assert [event["level"] for event in events] == ["started", "error", "hint", "ended"]
    assert {event["command"] for event in events} == {"forecast"}
    assert "為替: no such model folder" in text


# Start-up


def test_each_command_is_listed_with_the_module_that_has_it() -> None:
    has = {command.name: command.callback.__module__ for command in load().registered_commands}
    assert has == {name: f"seqcli.cli.{group}" for group, names in GROUPS.items() for name in names}


@pytest.mark.parametrize(("toml", "loaded"), [(None, {"text"}), ("quiet = false", set(GROUPS))])
def test_the_commands_that_are_not_asked_for_are_left_alone(
    folders: dict[str, str], tmp_path: Path, toml: str | None, loaded: set[str]
) -> None:
    if toml:  # its keys are checked against the options of all commands
        (tmp_path / "seqcli.toml").write_text(toml)
    script = (
        "import sys\nfrom seqcli.__main__ import main\nsys.argv = ['seqcli', 'tokenize', '猫です']\n"
        "try:\n    main()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=tmp_path, env=environment(**folders), capture_output=True, text=True, check=True)
    assert {name for name in GROUPS if f"seqcli.cli.{name}" in done.stderr.split()} == loaded


# Models


def test_a_hostile_model_cannot_steer_the_terminal(quick: Run, model: Path) -> None:
    manifest = json.loads((model / "seqcli.json").read_text())
    manifest["command"] = "\x1b]0;title\x07 \x9b31m \u202e為替\u3000円\x7f\nnew line"
    (model / "seqcli.json").write_text(json.dumps(manifest))
    (model / "README.md").write_text("- card \x1b[2J\u2028\x9b\n")
    ran = quick("info", model, "--format", "table")
    assert r"\x1b]0;title\x07 \x9b31m \u202e為替　円\x7f\nnew line" in ran.stdout
    assert r"card \x1b[2J" in ran.stderr
    assert not set(ran.stdout + ran.stderr) & set("\x1b\x07\x7f\x9b\u202e\u2028")


@pytest.mark.parametrize("spoiled", ["seqcli.json", "config.json", "model.safetensors"])
def test_the_doctor_finds_a_damaged_model(quick: Run, model: Path, spoiled: str) -> None:
    healthy = quick("doctor", model, SEQCLI_NOW="2026-11-02").rows
    assert {row["status"] for row in healthy if row["check"] not in ("pyarrow", "transformers")} == {"ok"}
    file = model / spoiled
    file.write_bytes(file.read_bytes()[:-40])
    ran = quick("doctor", model, SEQCLI_NOW="2026-11-02", fails_with=5)
    assert [row["check"] for row in ran.rows if row["status"] == "fail"] == ["model"]
    assert [row["check"] for row in ran.rows] == [row["check"] for row in healthy]


# Completion


@pytest.mark.parametrize(
    ("shell", "marks"),
    [
        ("bash", "complete -o default -F _seqcli_completion seqcli"),
        ("zsh", "#compdef seqcli"),
        ("fish", "complete --command seqcli"),
    ],
)
def test_completion_is_there_for(run: Run, shell: str, marks: str) -> None:
    assert marks in run(_SEQCLI_COMPLETE=f"source_{shell}").stdout


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("seqcli fore", ["forecast"]),
        ("seqcli forecast fx --jou", ["--journal"]),
        ("seqcli info fx --format j", ["jsonl", "json"]),
    ],
)
def test_bash_completes(run: Run, typed: str, offered: list[str]) -> None:
    env = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    assert run(_SEQCLI_COMPLETE="complete_bash", **env).stdout.split() == offered
