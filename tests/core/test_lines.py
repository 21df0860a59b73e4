"""Bytes to lines: encodings found, line ends, pipes, and files that cannot be read."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqcli.core import lines, rows
from seqcli.errors import InputError, UsageError

TEXT = "日付,通貨,値\n2024/06/28,米ドル,160.88\n2024/07/01,ユーロ,172.9\n2024/07/02,豪ドル・ｶﾅ,107.5\n"
TABLE = [line.split(",") for line in TEXT.splitlines()]
# Half-width kana are outside of what ISO-2022-JP proper can write.
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "iso2022_jp_ext", "euc_jp", "cp932"]


class Dribble(io.BytesIO):
    """A pipe that gives a few bytes at a time."""

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read1(3)


def read(raw: bytes, encoding: str = "auto") -> list[str]:
    return list(rows.read_lines("-", encoding=encoding, stdin=io.BytesIO(raw)))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("end", ["", "with a last newline"])
def test_encoding_byte_order_mark_line_ends_and_last_newline_change_nothing(
    encoding: str, newline: str, end: str
) -> None:
    content = (TEXT if end else TEXT.rstrip("\n")).replace("\n", newline).encode(encoding)
    for stream in (io.BytesIO(content), Dribble(content)):
        table = rows.read_table("-", input_format="csv", stdin=stream)
        assert [list(table.columns), *(list(row.values.values()) for row in table)] == TABLE
    assert read(content) == TEXT.splitlines()


@pytest.mark.parametrize("encoding", [*ENCODINGS, "utf-16-le", "utf-16-be", "utf-32", "shift_jis", "gb18030"])
def test_an_encoding_that_is_named_is_used(encoding: str) -> None:
    text = "日本,中央\n東京,大阪\n"
    assert read(text.encode(encoding), encoding) == text.splitlines()


def test_a_named_utf_16_may_still_have_its_byte_order_mark() -> None:
    assert read("\ufeff日本\n".encode("utf-16-le"), "utf-16-le") == ["日本"]


@pytest.mark.parametrize("encoding", ["utf-8", "iso2022_jp", "euc_jp", "cp932"])
def test_a_character_cut_by_the_end_of_a_block_is_no_error(encoding: str) -> None:
    for shift in range(4):
        text = "x" * shift + "吾輩は猫である。名前はまだ無い。\n" * 5_000
        assert read(text.encode(encoding)) == text.splitlines()


@pytest.mark.parametrize("encoding", ["utf-8", "iso2022_jp", "euc_jp", "cp932"])
def test_japanese_may_begin_long_after_the_first_block(encoding: str) -> None:
    text = "date,value\n" * 20_000 + "吾輩は猫である。名前はまだ無い。\n"
    assert read(text.encode(encoding))[-1] == "吾輩は猫である。名前はまだ無い。"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n")), max_size=6))
def test_any_unicode_text_comes_back_line_by_line(text: list[str]) -> None:
    raw = "".join(f"{line}\n" for line in text).encode()
    if not raw.startswith(b"\xef\xbb\xbf") and b"\x1b" not in raw:
        assert read(raw) == text


def test_only_newlines_end_a_line() -> None:
    assert read("a\u2028b\x85c\x0bd\n\ne".encode()) == ["a\u2028b\x85c\x0bd", "", "e"]


def test_an_empty_text_has_no_lines() -> None:
    assert read(b"") == []


def test_colours_of_a_terminal_are_not_taken_for_iso_2022_jp() -> None:
    assert read("\x1b[31m赤\x1b[0m\n".encode()) == ["\x1b[31m赤\x1b[0m"]


def test_a_bad_byte_is_named_with_its_row() -> None:
    with pytest.raises(InputError) as caught:
        read("吾輩は猫\n".encode() * 3 + b"ab\xff\n")
    assert caught.value.where == "stdin: row 4"
    assert caught.value.what == "byte 3 is 0xFF, which is not text in UTF-8, ISO-2022-JP, EUC-JP or cp932"
    assert str(caught.value.hint).startswith("mend the byte or move the file away")


def test_the_hint_at_a_bad_byte_never_names_the_encoding_that_did_not_fit() -> None:
    said = {}
    for named in ("auto", "ascii", "utf-8", "iso8859-1"):
        try:
            read("吾輩は猫\n".encode() * 30 + "吾輩は犬\n".encode("cp932") + b"\xff\n", named)
        except InputError as error:
            said[named] = (error.what.split(", ")[1], error.hint)
    assert said == {
        "auto": ("which is not utf-8", "name the encoding of the file, for example --encoding cp932"),
        "ascii": ("which is not ascii", "leave out --encoding to have it found, or mend the byte"),
        "utf-8": ("which is not utf-8", "leave out --encoding to have it found, or mend the byte"),
    }


def test_a_bad_byte_far_behind_the_first_block_is_named_too() -> None:
    with pytest.raises(InputError) as caught:
        read("吾輩は猫である。\n".encode("euc_jp") * 20_000 + b"\xa4\n")
    assert caught.value.where == "stdin: row 20001"
    assert "which is not euc_jp" in caught.value.what


def test_text_that_fits_no_encoding_is_refused_at_its_first_bad_byte() -> None:
    with pytest.raises(InputError) as caught:
        read("a\nZürich, café\n".encode("latin-1"))
    assert caught.value.where == "stdin: row 2"


def test_a_truncated_utf_16_text_is_bad_input() -> None:
    with pytest.raises(InputError, match="after row 1: the bytes are not utf-16"):
        read("日本\n中央".encode("utf-16")[:-1])


@pytest.mark.parametrize("encoding", ["latin-99", "hex", "rot13", "", "a\0b", "undefined"])
def test_an_encoding_that_there_is_not_is_a_usage_error(encoding: str) -> None:
    with pytest.raises(UsageError, match="--encoding: no such encoding"):
        read(b"a\n", encoding)


def test_a_very_long_line_is_not_slow() -> None:
    assert len(read(b"x" * 30_000_000)[0]) == 30_000_000


def test_standard_input_is_read_only_where_the_user_wrote_a_dash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unread(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            raise AssertionError("standard input was read")

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(Unread()))
    (tmp_path / "t.txt").write_text("a\n")
    assert list(rows.read_lines(tmp_path / "t.txt")) == ["a"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"b\n")))
    assert list(rows.read_lines("-")) == ["b"]


def test_a_closed_standard_input_is_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(InputError, match="stdin: is closed"):
        list(rows.read_lines("-"))


def test_a_missing_file_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "rates.csv").write_text("a\n")
    with pytest.raises(InputError, match="no such file") as caught:
        rows.read_table(tmp_path / "rate.csv")
    assert caught.value.hint == f"did you mean {tmp_path / 'rates.csv'}?"
    with pytest.raises(InputError) as caught:
        rows.read_table(tmp_path / "nowhere" / "x.csv")
    assert caught.value.hint is None


def test_a_folder_is_not_a_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(InputError, match="is a folder, not a file"):
        rows.read_table(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("content", "what", "hint"),
    [
        (b"PK\x03\x04\x14", "is an Office document or a zip archive, not text", "CSV"),
        (b"\xd0\xcf\x11\xe0\xa1", "is an Office document, not text", "CSV"),
        (b"%PDF-1.7\n", "is a PDF, not text", "pdftotext"),
        (b"PAR1\x15\x04", "is a Parquet file, not text", "--input-format parquet"),
        (gzip.compress(b"text", mtime=0), "is packed with gzip, not text", ".gz"),
    ],
)
def test_what_is_no_text_is_said_by_its_first_bytes(tmp_path: Path, content: bytes, what: str, hint: str) -> None:
    path = tmp_path / "posts.txt"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(rows.read_lines(path))
    assert (caught.value.where, caught.value.what) == (str(path), what)
    assert hint in (caught.value.hint or "")


def test_a_name_with_a_nul_is_bad_input() -> None:
    with pytest.raises(InputError):
        rows.read_table("a\0b.csv")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_without_permission_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n")
    path.chmod(0)
    with pytest.raises(InputError, match="cannot be opened: Permission denied"):
        rows.read_table(path)


def test_a_refused_permission_is_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "t.csv").write_text("a\n")
    monkeypatch.setattr(Path, "open", deny)
    with pytest.raises(InputError, match="cannot be opened: Permission denied"):
        rows.read_table(tmp_path / "t.csv")


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", gzip.compress(os.urandom(100_000))[:1000]])
def test_a_false_or_truncated_gz_is_bad_input(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.csv.gz").write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        list(rows.read_lines(tmp_path / "t.csv.gz"))


def test_the_file_is_closed_when_the_reading_ends_early(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,a\n1,2\n")
    with pytest.raises(InputError):  # an open file would be a ResourceWarning, and that an error
        rows.read_table(tmp_path / "t.csv")


def test_nearest_minds_neither_capitals_nor_a_slip() -> None:
    assert lines.nearest("DATE", ["date", "value"]) == "date"
    assert lines.nearest("vlaue", ["date", "Value"]) == "Value"
    assert lines.nearest("x", ["date", "value"]) is None
