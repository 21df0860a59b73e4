"""A corpus on its way to ids: read in blocks, held apart, and kept for the next time."""

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Generator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqcli.core.units import DOCUMENT, UNKNOWN
from seqcli.errors import InputError, UsageError
from seqcli.generation import parts, sources
from seqcli.generation.data import Corpus, Recipe, prepare
from seqcli.generation.sources import Blocks, Sources, is_aozora
from seqcli.results import Progress

NOVEL = "".join(
    f"{number}番目の日、猫は{'庭台門縁'[number % 4]}に出て、{number * 7}歩あるいた。\n" for number in range(300)
)
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


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQCLI_CACHE_DIR", str(tmp_path / "cache"))


def finish(work: Generator[Progress, None, Any]) -> Any:
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def prepared(*given: Path | str, valid: Sequence[Path] = (), test: Sequence[Path] = (), **recipe: Any) -> Corpus:
    corpus = finish(
        prepare([str(one) for one in given], Recipe(**recipe), valid=[*map(str, valid)], test=[*map(str, test)])
    )
    assert isinstance(corpus, Corpus)
    return corpus


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def text(corpus: Corpus, part: str) -> str:
    return "".join(corpus.text(part))


def read(path: Path | str, **settings: Any) -> list[str]:
    return ["".join(document.blocks) for document in Sources([str(path)], **settings)]


# Parts


def test_the_end_of_one_text_is_held_back_from_the_beginning_of_a_line(tmp_path: Path) -> None:
    corpus = prepared(write(tmp_path / "a.txt", NOVEL))
    train, valid, test = (text(corpus, part) for part in parts.PARTS)
    assert train + valid + test == NOVEL
    assert train.endswith("\n")
    assert valid.endswith("\n")
    for part in (valid, test):
        assert 0.04 < len(part) / len(NOVEL) < 0.06


def test_the_ids_are_those_of_the_text_behind_a_boundary(tmp_path: Path) -> None:
    corpus = prepared(write(tmp_path / "a.txt", NOVEL))
    for part in parts.PARTS:
        ids = getattr(corpus, part)
        assert ids[0] == DOCUMENT
        assert ids[1:].tolist() == corpus.units.encode(text(corpus, part)).tolist()
        facts = corpus.parts[part]
        assert (facts.tokens, facts.characters, facts.documents) == (len(ids), len(text(corpus, part)), 1)
        assert facts.unseen == np.count_nonzero(ids == UNKNOWN)
    assert corpus.train.dtype == np.int32
    assert isinstance(corpus.train, np.memmap)


def test_every_one_of_a_few_texts_gives_its_end(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path / f"{name}.txt", NOVEL.replace("猫", name))
    corpus = prepared(tmp_path)
    for part in parts.PARTS:
        assert corpus.parts[part].documents == 3
        assert all(name in text(corpus, part) for name in "abc")


def test_of_many_texts_some_are_held_back_whole(tmp_path: Path) -> None:
    rows = [{"text": f"{number}: {'x' * (number % 9)} end"} for number in range(200)]
    table = write(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    corpus = prepared(table)
    found = [
        ids
        for part in parts.PARTS
        for ids in np.split(getattr(corpus, part), np.flatnonzero(getattr(corpus, part) == DOCUMENT))
    ]
    assert sorted(corpus.units.decode(ids) for ids in found if len(ids)) == sorted(row["text"] for row in rows)
    for part in ("valid", "test"):
        assert 0.03 < corpus.parts[part].characters / sum(one.characters for one in corpus.parts.values()) < 0.07
    assert text(prepared(table, seed=2), "test") != text(corpus, "test")


@pytest.mark.parametrize("short", ["猫", "い", "a", "猫犬"])
def test_texts_too_short_to_give_an_end_take_nothing_from_their_neighbours(tmp_path: Path, short: str) -> None:
    rows = [short] * 3 + [NOVEL[:900]] + [short] * 3
    table = write(tmp_path / "a.jsonl", "".join(json.dumps({"text": row}) + "\n" for row in rows))
    corpus = prepared(table)
    spans = sorted((start, end) for start, end, _ in corpus.spans)
    assert all(start < end for start, end in spans)
    assert all(end == start for (_, end), (start, _) in pairwise(spans))
    assert sum(part.characters for part in corpus.parts.values()) == sum(map(len, rows))


def test_two_novels_among_many_notes_give_their_ends(tmp_path: Path) -> None:
    rows = [NOVEL.replace("猫", kind) for kind in "犬鳥"] + [f"覚え書き{number}" for number in range(18)]
    table = write(tmp_path / "a.jsonl", "".join(json.dumps({"text": row}) + "\n" for row in rows))
    corpus = prepared(table)
    whole = sum(part.characters for part in corpus.parts.values())
    assert all(0.03 < corpus.parts[part].characters / whole < 0.07 for part in ("valid", "test"))


@pytest.mark.parametrize("documents", [1, 3, 60])
def test_of_a_large_corpus_no_more_is_held_back_than_is_measured_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, documents: int
) -> None:
    monkeypatch.setattr(parts, "_MOST", 600)
    size = len(NOVEL) // documents
    for number in range(documents):
        write(tmp_path / "c" / f"{number:02}.txt", NOVEL[number * size : (number + 1) * size])
    corpus = prepared(tmp_path / "c")
    for part in ("valid", "test"):
        assert 200 < len(text(corpus, part).encode()) < 1200


def test_copies_of_a_document_come_into_one_part(tmp_path: Path) -> None:
    table = write(tmp_path / "a.csv", "text\n" + "".join(f"the text number {number % 50}\n" for number in range(400)))
    corpus = prepared(table)
    found = [set(filter(None, text(corpus, part).split("the text number "))) for part in parts.PARTS]
    assert [len(one) for one in found] == [44, 3, 3]
    assert not found[0] & found[1]
    assert not found[0] & found[2]
    assert not found[1] & found[2]


@pytest.mark.parametrize("blank", ["", " \n"])
def test_a_blank_row_is_no_document(tmp_path: Path, blank: str) -> None:
    rows = [f"行{number}は、どれも違う。" for number in range(40)]
    spaced = "".join(json.dumps({"text": row}) + "\n" for one in rows for row in (one, blank))
    corpus = prepared(write(tmp_path / "a.jsonl", spaced))
    assert sum(part.documents for part in corpus.parts.values()) == 40
    assert not (np.diff(np.flatnonzero(corpus.train == DOCUMENT)) == 1).any()


def test_parts_of_their_own_are_taken_as_they_are(tmp_path: Path) -> None:
    train, valid, test = (
        write(tmp_path / f"{name}.txt", NOVEL.replace("猫", kind))
        for name, kind in (("a", "猫"), ("b", "犬"), ("c", "鳥"))
    )
    corpus = prepared(train, valid=[valid], test=[test])
    assert [text(corpus, part).count("犬") for part in parts.PARTS] == [0, 300, 0]
    assert text(corpus, "train") == NOVEL
    assert "犬" not in corpus.units.vocab
    assert corpus.parts["valid"].unseen == 300
    only_valid = prepared(train, valid=[valid])
    assert text(only_valid, "train") + text(only_valid, "test") == NOVEL


def test_a_document_that_is_judged_by_is_not_learned_from(tmp_path: Path) -> None:
    train, copy = write(tmp_path / "a" / "a.txt", NOVEL), write(tmp_path / "b.txt", "他の話。\n" * 50)
    write(tmp_path / "a" / "copy.txt", " 他の話。\n\n" * 50)  # but for its blanks
    corpus = prepared(train.parent, test=[copy])
    assert "他" not in text(corpus, "train")
    assert corpus.notes["copies"] == 1
    assert "1 document" in corpus.warnings[0]
    with pytest.raises(InputError, match="also stands in a later part"):
        prepared(copy, test=[copy])


def test_lines_that_stand_in_two_parts_are_told(tmp_path: Path) -> None:
    long = "この行はどこにでも書かれている長い長い決まり文句です。\n"
    train, valid = write(tmp_path / "a.txt", long + NOVEL), write(tmp_path / "b.txt", (long + "違う。\n") * 30)
    corpus = prepared(train, valid=[valid])
    assert corpus.notes["repeated"]["valid"] == [30, 30]
    assert any("100% of the lines of valid" in warning for warning in corpus.warnings)
    assert not any("lines of test" in warning for warning in corpus.warnings)


# The cache


def test_the_second_time_nothing_is_read_again(tmp_path: Path) -> None:
    source = write(tmp_path / "a.txt", NOVEL)
    first, second = prepared(source), prepared(source)
    assert (first.cached, second.cached) == (False, True)
    assert second.train.tolist() == first.train.tolist()
    assert (second.parts, second.units, second.fingerprint) == (first.parts, first.units, first.fingerprint)
    assert list((tmp_path / "cache" / "corpora").glob("[!.]*")) == [first.path]


def test_the_name_is_of_the_contents_not_of_the_file(tmp_path: Path) -> None:
    source = write(tmp_path / "a.txt", NOVEL)
    first = prepared(source)
    assert prepared(source.rename(tmp_path / "b.txt")).cached
    assert prepared(tmp_path / "b.txt", min_count=2).fingerprint != first.fingerprint
    assert prepared(write(tmp_path / "b.txt", NOVEL + "x")).fingerprint != first.fingerprint


@pytest.mark.parametrize("name", ["facts.json", "train.i32", "vocab.json", "spans.npy"])
def test_a_damaged_cache_is_made_again(tmp_path: Path, name: str) -> None:
    source = write(tmp_path / "a.txt", NOVEL)
    first = prepared(source)
    expected = first.train.tolist()
    (first.path / name).write_bytes(b"[1]")
    again = prepared(source)
    assert not again.cached
    assert again.train.tolist() == expected


def test_a_reading_that_was_stopped_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    source = write(tmp_path / "a.txt", NOVEL)
    work = prepare([str(source)], Recipe())
    next(work)
    work.close()
    assert not prepared(source).cached


@pytest.mark.parametrize("unit", ["word", "subword"])
def test_other_units_are_kept_as_well(tmp_path: Path, unit: str) -> None:
    source = write(tmp_path / "a.txt", NOVEL)
    first, second = (prepared(source, unit=unit, size=320 if unit == "subword" else 0) for _ in range(2))
    assert second.cached
    assert second.units.decode(second.train) == text(first, "train")


# Reading


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
    with pytest.raises(InputError, match=rf"a\.txt: row {300 * 40 + 3}: byte 0xFF is not utf-8"):
        read(path)


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
        finish(prepare(["-"], Recipe(), valid=["-"]))


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
    ],
)
def test_a_setting_that_would_do_nothing_is_refused(unit: Any, setting: dict[str, int], said: str) -> None:
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
