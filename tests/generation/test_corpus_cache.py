"""A corpus on its way to ids: its parts are held apart, and kept for the next time."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from corpus_texts import NOVEL, _cache, prepared, text, write

from seqcli.core.units import DOCUMENT, UNKNOWN
from seqcli.errors import InputError
from seqcli.generation import parts
from seqcli.generation.data import Recipe, prepare

__all__ = ["_cache"]  # the fixture


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
