"""Texts: from arguments, a file or a pipe, numbered as the user counts them."""

from pathlib import Path

import pytest

from seqcli.core.texts import Text, Texts
from seqcli.errors import InputError, UsageError


def test_arguments_are_texts_as_they_stand() -> None:
    assert list(Texts(["二行\nの文", ""])) == [Text(1, "二行\nの文"), Text(2, "")]


def test_lines_are_texts_and_empty_lines_stay(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes("# 一\r\n\r\n三".encode("cp932"))
    assert list(Texts(None, path)) == [Text(1, "# 一"), Text(2, ""), Text(3, "三")]


def test_a_bad_line_stays_goes_or_stops(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes("猫です\n".encode() * 20 + b"\xe7\x8c\xab\xff\xe7\x8c\xab\n" + "犬\0です\n終".encode())
    texts = Texts(None, path)
    assert list(texts)[20:] == [Text(21, "猫�猫"), Text(22, "犬�です"), Text(23, "終")]
    assert texts.bad == 2
    assert texts.complaint.startswith("2 lines") and "row 21: byte 4 is 0xFF" in texts.complaint
    texts = Texts(None, path, on_error="skip")
    assert [text.number for text in texts][20:] == [23]
    assert "left out" in texts.complaint
    with pytest.raises(InputError, match="row 21"):
        list(Texts(None, path, on_error="fail"))
    assert Texts(["猫"]).complaint == ""


def test_an_undecodable_argument_is_marked_too() -> None:
    assert next(Texts([b"\xe7\x8c\xab\xff".decode("utf-8", "surrogateescape")])).text == "猫�"


def test_nothing_to_read_and_two_sources_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no text"):
        Texts([])
    with pytest.raises(UsageError, match="--file"):
        Texts(["猫"], tmp_path)
    with pytest.raises(InputError, match="no such file"):
        next(Texts(None, tmp_path / "missing"))
