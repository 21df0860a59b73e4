"""What is typed wrongly is told as any other error: one line, and what to type instead."""

from __future__ import annotations

import pytest
from conftest import Run
from tables import quick

__all__ = ["quick"]  # the fixture


@pytest.mark.parametrize(
    ("typed", "error", "hint"),
    [
        ("forcast", "forcast: no such command", "did you mean forecast? seqcli --help"),
        ("--quite", "--quite: no such option", "seqcli --help"),
        ("generate fx --leng 3", "--leng: no such option", "did you mean --length or"),
        ("forecast", "MODEL: is missing", "seqcli forecast --help"),
        ("train-forecast", "--out: is missing", "seqcli train-forecast --help"),
        ("similar 猫 -n", "-n: requires an argument", "seqcli similar --help"),
        ("similar 猫 -n many", "--count: 'many' is not a whole number", "seqcli similar --help"),
        ("similar 猫 -n 0", "--count: '0' is less than 1", "seqcli similar --help"),
        ("train-forecast --out m --dropout 1", "--dropout: '1' is more than 0.95", "seqcli train-forecast --help"),
        ("similar 猫 --threshold high", "--threshold: 'high' is not a number", "seqcli similar --help"),
        ("similar 猫 --threshold nan", "--threshold: 'nan' is not a finite number", "seqcli similar --help"),
        ("similar 猫 --threshold=-inf", "--threshold: '-inf' is not a finite number", "seqcli similar --help"),
        (
            "train-forecast -o y --max-minutes inf",
            "--max-minutes: 'inf' is not a finite number",
            "seqcli train-forecast",
        ),
        (
            "similar 猫 --unit wrod",
            "--unit: 'wrod' is not one of word, char, text",
            "did you mean word? seqcli similar",
        ),
        ("similar 猫 --quiet=no", "--quiet: does not take a value", "seqcli similar --help"),
        ("train-forecast -o y --threads 100000", "--threads: '100000' is more than 1024", "seqcli train-forecast"),
        ("info one two", "seqcli info: got unexpected extra argument(s) (two)", "seqcli info --help"),
        (
            "generate writer 兄さん は",
            "seqcli generate: got unexpected extra argument(s) (兄さん は)",
            "did you mean --prompt '兄さん は'? seqcli generate --help",
        ),
    ],
)
def test_a_slip_on_the_command_line_is_said_as_any_other_error(quick: Run, typed: str, error: str, hint: str) -> None:
    ran = quick(*typed.split(), fails_with=2)
    first, second = ran.stderr.splitlines()
    assert first == f"error: {error}"
    assert second.startswith(f"hint: {hint}")
    assert ran.stdout == ""


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (("info", ""), "MODEL"),
        (("train-classifier", "", "--out", "m"), "TRAIN"),
        (("train-generator", "a.txt", "", "--out", "m"), "CORPUS"),
        (("classify", "fx", "--file", ""), "--file"),
        (("classify", "fx", "猫", "--output", ""), "--output"),
        (("train-forecast", "--out", ""), "--out"),
    ],
)
def test_a_place_without_a_name_is_none(quick: Run, words: tuple[str, ...], where: str) -> None:
    """As of ``--file "$POSTS"`` where no such variable is set."""
    ran = quick(*words, fails_with=2)
    assert ran.stderr.startswith(f"error: {where}: '' names no file or folder")


def test_a_wrong_value_of_a_variable_is_said_as_of_its_option(quick: Run) -> None:
    ran = quick("similar", "猫", SEQCLI_COUNT="many", fails_with=2)
    assert ran.stderr.startswith("error: --count: 'many' is not a whole number\n")
