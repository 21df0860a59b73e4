"""What a corpus is read from: files, folders, tables, archives, and standard input, in any encoding."""

import gzip
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from corpus_texts import NOVEL, _cache, prepared, read, text, write
from signs import finished

from seqcli.errors import InputError, UsageError
from seqcli.generation import parts, sources
from seqcli.generation.data import Recipe, prepare
from seqcli.generation.sources import Blocks, Sources, is_aozora

__all__ = ["_cache"]  # the fixture

AOZORA = """題名
作者名

-------------------------------------------------------
【テキスト中に現れる記号について】

《》：ルビ
-------------------------------------------------------

　吾輩《わがはい》は猫である。［＃改ページ］
名前はまだ無い。

底本：「全集」文庫
"""


def test_files_of_a_folder_are_read_by_name_and_others_are_not(tmp_path: Path) -> None:
    write(tmp_path / "c" / "2.txt", "two")
    write(tmp_path / "c" / "sub" / "3.txt.gz", gzip.compress(b"three"))
    write(tmp_path / "c" / "1.TXT", "one")
    for other in ("README.txt", "LICENSE.txt", ".hidden.txt", "picture.png", ".git/x.txt"):
        write(tmp_path / "c" / other, b"\x00")
    assert read(tmp_path / "c") == ["one", "two", "three"]
    with pytest.raises(InputError, match="no text files"):
        Sources([str(write(tmp_path / "d" / "README.txt", "x").parent)])
    with pytest.raises(InputError, match="no such file"):
        Sources([str(tmp_path / "c" / "22.txt")])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp932", "euc_jp", "iso2022_jp"])
def test_any_encoding_and_any_line_end_give_the_same_text(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "a.txt", NOVEL.replace("\n", "\r\n").encode(encoding))
    assert read(path) == [NOVEL]
    assert read(path, encoding={"utf-8-sig": "utf-8"}.get(encoding, encoding)) == [NOVEL]


def test_a_byte_that_does_not_fit_is_named_with_its_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", (NOVEL * 40).encode() + b"\n\n\xff\xfe\n")
    with pytest.raises(InputError, match=rf"a\.txt: row {300 * 40 + 3}: byte 0xFF is not text in UTF-8, ISO-2022-JP"):
        read(path)
    with pytest.raises(InputError, match="byte 0xFF is not utf-8") as caught:
        read(path, encoding="utf-8")
    assert caught.value.hint == "leave out --encoding to have it found, or mend the byte"


def test_a_character_that_is_cut_off_at_the_end_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="row 2: byte 0xE7"):
        read(write(tmp_path / "a.txt", "猫である。\n".encode() + "猫".encode()[:2]))


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n\0\0\0", b"abc\n" * 40_000 + b"\0"])
def test_binary_data_are_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InputError, match=r"NUL|not utf-8"):
        read(write(tmp_path / "a.txt", data))


def test_rows_of_a_table_are_documents(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"body": "一つ\\r\\n目", "n": 1}\n{"body": "二つ目", "n": 2}\n')
    assert read(path, text_column="body") == ["一つ\n目", "二つ目"]
    with pytest.raises(InputError, match="no column 'text'"):
        read(path)
    with pytest.raises(InputError, match="row 1: column body: character 2 is NUL"):
        read(write(tmp_path / "b.jsonl", '{"body": "a\\u0000"}\n'), text_column="body")


def test_aozora_texts_are_found_and_cleaned_and_others_stay_as_they_are(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", AOZORA.replace("\n", "\r\n").encode("cp932"))
    found = Sources([str(path)])
    assert ["".join(document.blocks) for document in found] == ["吾輩は猫である。\n名前はまだ無い。\n"]
    assert found.cleaned == 1
    assert "《わがはい》" in read(path, cleaning="off")[0]
    plain = "名前《なまえ》は、まだ無い。  \n底本という語もある。\n"
    assert read(write(tmp_path / "b.txt", plain)) == [plain]
    assert read(tmp_path / "b.txt", cleaning="on") == ["名前は、まだ無い。\n底本という語もある。\n"]


def test_a_colophon_alone_does_not_make_a_work() -> None:
    assert not is_aozora("この話の\n底本：手元のノート\n")
    assert is_aozora("話［＃「話」に傍点］。\n底本：「全集」\n")


def test_aozora_zips_are_read_as_they_come(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("neko.txt", AOZORA.encode("cp932"))
        archive.writestr("neko.png", b"\0")
    assert read(tmp_path / "a.zip") == ["吾輩は猫である。\n名前はまだ無い。\n"]


def test_texts_in_a_tar_archive_are_documents(tmp_path: Path) -> None:
    write(tmp_path / "c" / "1.txt", "one")
    write(tmp_path / "c" / "2.txt", "two")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "c", "c")
    assert read(tmp_path / "a.tar.gz") == ["one", "two"]


def test_a_text_too_long_for_a_work_is_not_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_WORK", 100)
    path = write(tmp_path / "a.txt", AOZORA * 3)
    assert read(path) == [AOZORA * 3]
    with pytest.raises(InputError, match="longer than 100 characters"):
        read(path, cleaning="on")


def test_standard_input_is_read_once_and_named_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stdin(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    stdin(NOVEL.encode("cp932"))
    corpus = prepared("-")
    assert text(corpus, "train") + text(corpus, "valid") + text(corpus, "test") == NOVEL
    stdin(NOVEL.encode("cp932"))
    assert prepared("-").cached
    stdin(b"a\n\0")
    with pytest.raises(InputError, match="stdin: row 2"):
        prepared("-")
    with pytest.raises(UsageError, match="twice"):
        prepared("-", "-")
    with pytest.raises(UsageError, match="twice"):
        finished(prepare(["-"], Recipe(), valid=["-"]))


def test_a_pattern_stands_for_the_files_that_match_it(tmp_path: Path) -> None:
    for name in ("2.txt", "1.txt", "x.md"):
        write(tmp_path / "c" / name, name)
    assert read(tmp_path / "c" / "*.txt") == ["1.txt", "2.txt"]
    with pytest.raises(InputError, match="no file matches this pattern"):
        Sources([str(tmp_path / "c" / "*.csv")])


@pytest.mark.parametrize(
    ("unit", "setting", "said"),
    [
        ("char", {"size": 50}, "--vocabulary-size: all characters are kept"),
        ("word", {"size": 2}, "--vocabulary-size: 2 leaves nothing to write"),
        ("subword", {"min_count": 2}, "--min-count: is of characters and words"),
        ("char", {"tokenizer": "ginza"}, "--tokenizer: splits words, the unit is char"),
        ("subword", {"tokenizer": "whitespace"}, "--tokenizer: splits words, the unit is subword"),
    ],
)
def test_a_setting_that_would_do_nothing_is_refused(unit: Any, setting: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Recipe(unit, **setting)


@pytest.mark.parametrize("content", ["", " \n\u3000\n", "\ufeff"])
def test_an_empty_corpus_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError, match="holds no text") as empty:
        prepared(write(tmp_path / "a.txt", content))
    assert empty.value.hint == "give files with text in them"
    with pytest.raises(InputError, match=r"b\.txt: holds no text"):
        prepared(write(tmp_path / "a.txt", NOVEL), valid=[write(tmp_path / "b.txt", content)])


def test_a_corpus_of_two_characters_is_too_short_to_be_divided(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"too short \(6 bytes of text\)"):
        prepared(write(tmp_path / "a.txt", "猫犬"))


def test_one_character_again_and_again_is_a_corpus(tmp_path: Path) -> None:
    corpus = prepared(write(tmp_path / "a.txt", "あ" * 100))
    assert len(corpus.units) == 3
    assert [part.characters for part in corpus.parts.values()] == [90, 5, 5]


def test_a_text_of_one_line_is_cut_between_sentences_or_characters(tmp_path: Path) -> None:
    sentence = "これは一つの文である。"
    corpus = prepared(write(tmp_path / "a.txt", sentence * 100))
    assert all(text(corpus, part).endswith("。") for part in parts.PARTS)
    assert not corpus.parts["test"].characters % len(sentence)


# Blocks


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
def test_blocks_of_any_size_are_the_text(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_BLOCK", size)
    for content in (NOVEL[:400], "猫" * 30, "a b" * 20, "行\n" * 20, "𠮷" * 9):
        with write(tmp_path / "a.txt", content).open("rb") as file:
            found = list(parts.blocks(file, 0, len(content.encode())))
            assert "".join(found) == content
            start = len(content[:2].encode())
            assert "".join(parts.blocks(file, start, len(content.encode()))) == content[2:]


def test_a_line_longer_than_a_block_is_not_waited_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "長い" * 200_000)
    blocks = list(Blocks(str(path)))
    assert "".join(blocks) == "長い" * 200_000
    assert max(map(len, blocks)) < 70_000


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in kilobytes there")
def test_one_line_of_three_hundred_megabytes_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with path.open("wb") as file:
        for _ in range(100):
            file.write("何事もない長い一行が続く、".encode() * 77_000)
    script = (
        "import sys, resource; from seqcli.generation.data import Recipe, prepare\n"
        "for _ in prepare([sys.argv[1]], Recipe()): pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, check=True, env=os.environ.copy()
    )
    assert int(done.stdout) < 400_000
