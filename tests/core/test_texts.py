"""Texts: from arguments, a file or a pipe, numbered as the user counts them."""

import io
from pathlib import Path

import pytest

from seqcli.core.texts import Item, Text, Texts, files_among, items
from seqcli.errors import InputError, UsageError


def test_arguments_are_texts_as_they_stand() -> None:
    assert list(Texts(["二行\nの文", ""])) == [Text(1, "二行\nの文"), Text(2, "")]


def test_lines_are_texts_and_empty_lines_stay(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes("# 一\r\n\r\n三".encode("cp932"))
    assert list(Texts(None, path)) == [Text(1, "# 一"), Text(2, ""), Text(3, "三")]


def test_a_pattern_stands_for_the_files_that_match_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_bytes("二\n三".encode("euc_jp"))
    (tmp_path / "a.txt").write_bytes("一\n".encode("cp932"))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "c.txt").write_text("四\n", encoding="utf-8")
    texts = Texts(None, tmp_path / "*.txt")
    assert list(texts) == [Text(1, "一"), Text(2, "二"), Text(3, "三")]
    assert [Path(file).name for file in texts.files] == ["a.txt", "b.txt"]
    every = list(items([], str(tmp_path / "**" / "*.txt")))
    assert [item.text for item in every] == ["一", "二", "三", "四"]
    (tmp_path / "[b].txt").write_text("角括弧\n", encoding="utf-8")
    assert next(Texts(None, tmp_path / "[b].txt")).text == "角括弧"  # a file that is there is meant by its name
    with pytest.raises(InputError, match=r"\*\.csv: no file matches this pattern"):
        items([], str(tmp_path / "*.csv"))


def test_standard_input_ends_where_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("猫\n犬\n".encode())))
    assert [text.text for text in Texts(["-"])] == ["猫", "犬"]


@pytest.mark.parametrize(
    ("first", "hint"),
    [
        ("text,label", "--input-format csv"),
        ('id, "text"', "--input-format csv"),
        ("id\ttext", "--input-format tsv"),
        ('{"id": 1, "text": "犬"}', "--input-format jsonl"),
        ('[{"text": "犬"}]', "--input-format jsonl"),
        ('{"body": "犬"}', ""),
        ("{text} is not JSON", ""),
        ("text", ""),
        ("body,label", ""),
        ("some text, label", ""),
    ],
)
def test_a_pipe_that_begins_like_a_table_is_told_once(monkeypatch: pytest.MonkeyPatch, first: str, hint: str) -> None:
    told: list[str] = []
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"{first}\n猫,a\n{first}\n".encode())))
    assert [item.text for item in items(["-"], None, warn=told.append)] == [first, "猫,a", first]
    assert [hint in said for said in told] == [True] * bool(hint)


def test_a_file_that_is_read_line_by_line_and_begins_like_a_table_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    path = tmp_path / "posts.json"
    path.write_text('{"text": "猫"}\n', encoding="utf-8")
    assert len(list(items([], str(path), warn=told.append))) == len(list(Texts(None, path, warn=told.append))) == 1
    assert [said.split(";")[0] for said in told] == [f"{path}: {_AS_TEXT}"] * 2
    assert "--input-format jsonl" in told[0]
    named = tmp_path / "posts.csv"  # by its suffix a table to a filter of tables, and lines where there are only lines
    named.write_text("text,label\n猫,a\n", encoding="utf-8")
    assert [item.text for item in items([], str(named), warn=told.append)] == ["猫"]
    assert len(told) == 2
    assert len(list(Texts(None, named, warn=told.append))) == 2
    assert "header of a table" in told[2]


_AS_TEXT = """the first line, '{"text": "猫"}', is JSON, and is taken as a text"""


def test_a_bad_line_of_plain_text_keeps_what_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes("猫です\n".encode() * 20 + b"\xe7\x8c\xab\xff\n" + "終".encode())
    *_, bad, last = items([], str(path))
    assert (bad.text, last) == ("猫�", Item("終"))
    assert bad.error is not None and "row 21" in str(bad.error)


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


def test_standard_input_stands_alone() -> None:
    for ask in (lambda: items(["電話", "-"], None), lambda: Texts(["-", "-"])):
        with pytest.raises(UsageError, match="standard input"):
            ask()


def test_a_text_that_is_the_name_of_a_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("posts.txt").write_text("焼肉", encoding="utf-8")
    Path("-").touch()
    (said,) = files_among(["-", "焼肉", "posts.txt", "長い" * 500, "文" * 100, "a/" * 120, ""])
    assert "--file posts.txt reads it" in said
