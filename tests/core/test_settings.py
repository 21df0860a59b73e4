"""seqcli.toml: what holds for which command, what is refused, and that Typer takes it in the promised order."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from seqcli.core import settings
from seqcli.core.settings import Option
from seqcli.errors import UsageError

COMMANDS = {
    "train-forecast": [
        Option("seed", "seed", int),
        Option("learning-rate", "learning_rate", float),
        Option("cell", "cell", choices=("rnn", "gru", "lstm")),
        Option("pair", "pairs", many=True),
        Option("quick", "quick", bool),
        Option("since", "since"),
    ],
    "forecast": [Option("seed", "seed", int), Option("pair", "pairs", many=True), Option("max-age", "max_age")],
}


def defaults(folder: Path, content: str | bytes) -> dict[str, dict[str, object]]:
    raw = content if isinstance(content, bytes) else content.encode()
    (folder / "seqcli.toml").write_bytes(raw)
    return settings.load(folder).defaults(COMMANDS)


def refused(folder: Path, content: str | bytes) -> UsageError:
    with pytest.raises(UsageError) as caught:
        defaults(folder, content)
    return caught.value


def test_without_a_file_there_are_no_defaults(tmp_path: Path) -> None:
    assert settings.load(tmp_path).defaults(COMMANDS) == {"train-forecast": {}, "forecast": {}}


def test_a_key_at_the_top_holds_for_every_command_that_has_the_option(tmp_path: Path) -> None:
    found = defaults(tmp_path, 'seed = 3\nmax-age = "4d"\n')
    assert found == {"train-forecast": {"seed": 3}, "forecast": {"seed": 3, "max_age": "4d"}}


def test_a_table_holds_for_its_command_and_wins(tmp_path: Path) -> None:
    found = defaults(tmp_path, "seed = 3\n[train-forecast]\nseed = 4\n")
    assert found == {"train-forecast": {"seed": 4}, "forecast": {"seed": 3}}


@pytest.mark.parametrize("content", ["[train-forecast]\nlearning-rate = 1", "[train_forecast]\nlearning_rate = 1"])
def test_hyphens_and_underscores_are_the_same(tmp_path: Path, content: str) -> None:
    assert defaults(tmp_path, content)["train-forecast"] == {"learning_rate": 1}


def test_lists_dates_and_switches_are_what_toml_has_for_them(tmp_path: Path) -> None:
    found = defaults(tmp_path, 'pair = ["USD/JPY", "EUR/USD"]\nsince = 2024-06-28\nquick = true\n')
    assert found["train-forecast"] == {"pairs": ["USD/JPY", "EUR/USD"], "since": "2024-06-28", "quick": True}
    assert defaults(tmp_path, 'pair = "USD/JPY"\n')["forecast"] == {"pairs": ["USD/JPY"]}


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    assert defaults(tmp_path, b"\xef\xbb\xbfseed = 3\r\n")["forecast"] == {"seed": 3}


@pytest.mark.parametrize(
    ("content", "where", "what", "hint"),
    [
        ("sead = 3", "sead", "no such option", "did you mean seed?"),
        ("[forecast]\ncell = 'gru'", "[forecast] cell", "no such option of forecast", None),
        ("[forcast]\nseed = 3", "[forcast]", "no such command", "did you mean forecast?"),
        ("forecast = 3", "forecast", "a command, but set to 3", "open a table: [forecast]"),
        ("seed = '3'", "seed", "'3' is not a whole number", None),
        ("seed = true", "seed", "True is not a whole number", None),
        ("seed = 1.5", "seed", "1.5 is not a whole number", None),
        ("seed = [1]", "seed", "[1] is not a whole number", None),
        ("learning-rate = 'fast'", "learning-rate", "'fast' is not a number", None),
        ("quick = 1", "quick", "1 is not true or false", None),
        ("max-age = 4", "max-age", "4 is not text in quotation marks", None),
        ("pair = ['USD/JPY', 3]", "pair", "3 is not text in quotation marks", None),
        ("[train-forecast]\ncell = 'tcn'", "[train-forecast] cell", '\'tcn\' is not one of "rnn", "gru"', None),
    ],
)
def test_a_wrong_key_or_value_is_named(tmp_path: Path, content: str, where: str, what: str, hint: str | None) -> None:
    error = refused(tmp_path, content)
    assert error.where == f"{tmp_path / 'seqcli.toml'}: {where}"
    assert error.what.startswith(what)
    assert error.hint == hint


def test_what_is_not_toml_is_named_with_its_line(tmp_path: Path) -> None:
    assert "line 2" in refused(tmp_path, "seed = 3\nseed 4\n").what


def test_toml_in_another_encoding_is_refused_with_the_byte(tmp_path: Path) -> None:
    assert refused(tmp_path, "# 日本\n".encode("cp932")).what.startswith("byte 3 is 0x93")


def test_a_folder_of_that_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "seqcli.toml").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        settings.load(tmp_path)


def test_in_the_working_folder_the_file_is_named_without_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seqcli.toml").write_text("sead = 3")
    with pytest.raises(UsageError, match=r"^seqcli\.toml: sead: "):
        settings.load(Path.cwd()).defaults(COMMANDS)


def test_the_variable_is_named_after_the_flag() -> None:
    assert settings.variable(Option("learning-rate", "rate", float)) == "SEQCLI_LEARNING_RATE"


class _Group(TyperGroup):
    """As cli/app.py does it, in small."""

    def invoke(self, ctx: Any) -> Any:
        option = Option("hidden", "units", int)
        for command in self.commands.values():
            for parameter in command.params:
                parameter.envvar = settings.variable(option)
        ctx.default_map = settings.load(Path.cwd()).defaults({name: [option] for name in self.commands})
        return super().invoke(ctx)


_app = typer.Typer(cls=_Group)


@_app.command()
def train(units: Annotated[int, typer.Option("--hidden")] = 16) -> None:
    """One."""
    typer.echo(units)


@_app.command()
def other() -> None:
    """Two commands make a group."""


def test_flags_come_before_variables_and_those_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(*flags: str) -> str:
        return CliRunner().invoke(_app, ["train", *flags]).stdout.strip()

    monkeypatch.chdir(tmp_path)
    assert hidden() == "16"
    (tmp_path / "seqcli.toml").write_text("hidden = 2")
    assert hidden() == "2"
    monkeypatch.setenv("SEQCLI_HIDDEN", "3")
    assert hidden() == "3"
    assert hidden("--hidden", "4") == "4"
