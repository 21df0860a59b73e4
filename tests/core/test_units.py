"""Units: text becomes ids and comes back as it was."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.core import checkpoint
from seqcli.core.checkpoint import Manifest
from seqcli.core.units import DOCUMENT, SPECIAL, UNKNOWN, Kind, Units
from seqcli.errors import InputError, ModelError, UsageError

TEXT = (
    "吾輩は猫である。名前はまだ無い。\nどこで生れたかとんと見当がつかぬ。\n\n"
    "　何でも薄暗いじめじめした所で New York の話を 聞いた。\n"
)
ENGLISH = "the cat sat on the mat\nthe <unk> sat on the cat\n"

# What stands in texts by accident: other scripts, blanks of all kinds, what looks like a name of a unit.
STRANGE = ["▁", "<0x41>", "<doc>", "<unk>", "😀", "\t", "\r", "\u3000", "  ", "\u2028", "é", "́", "𠮷", "a"]
texts = st.lists(st.one_of(st.sampled_from(STRANGE), st.sampled_from(list(TEXT)), st.text(max_size=3))).map("".join)


@cache
def fitted(kind: Kind) -> Units:
    return Units.fit(kind, [TEXT * 20], size=330 if kind == "subword" else 0)


def known(units: Units, text: str) -> str:
    return "".join(surface for one, surface in units.pieces(text) if one != UNKNOWN)


@pytest.mark.parametrize("kind", ["char", "word", "subword"])
def test_the_training_text_comes_back_as_it_was(kind: Kind) -> None:
    units = fitted(kind)
    ids = units.encode(TEXT)
    assert ids.dtype == np.int32
    assert not np.isin(ids, (UNKNOWN, DOCUMENT)).any()
    assert units.decode(ids) == TEXT
    assert units.characters(ids) == len(TEXT)


@pytest.mark.parametrize("kind", ["char", "word", "subword"])
@settings(max_examples=60, deadline=None)
@given(text=texts)
def test_the_pieces_of_any_text_are_the_text_and_have_the_ids_of_encode(kind: Kind, text: str) -> None:
    units = fitted(kind)
    pieces = units.pieces(text)
    assert "".join(surface for _, surface in pieces) == text
    assert [one for one, _ in pieces] == units.encode(text).tolist()
    assert not any(one == DOCUMENT for one, _ in pieces)


@settings(max_examples=60, deadline=None)
@given(text=texts)
def test_pieces_of_words_give_back_any_text_that_utf8_can_hold(text: str) -> None:
    units = fitted("subword")
    assert units.decode(units.encode(text)) == text
    assert units.characters(units.encode(text)) == len(text)


@settings(max_examples=60, deadline=None)
@given(text=texts)
def test_known_characters_and_words_come_back_from_any_text(text: str) -> None:
    for kind in ("char", "word"):
        units = fitted(kind)
        ids = units.encode(text)
        assert units.decode(ids[ids != UNKNOWN]) == known(units, text)


def test_half_of_a_surrogate_pair_is_unknown_and_breaks_nothing() -> None:
    assert fitted("char").encode("猫\ud800").tolist()[1] == UNKNOWN
    assert fitted("word").pieces("\udc00猫")[-1][1] == "猫"
    assert fitted("subword").decode(fitted("subword").encode("猫\ud800")) == "猫�"


@pytest.mark.parametrize("kind", ["char", "word", "subword"])
def test_line_by_line_gives_the_ids_of_the_whole(kind: Kind) -> None:
    units = fitted(kind)
    lines = TEXT.splitlines(keepends=True)
    assert np.concatenate([units.encode(line) for line in lines]).tolist() == units.encode(TEXT).tolist()


def test_the_most_frequent_units_come_first() -> None:
    units = Units.fit("char", ["ab", "bcb", "cbb"])
    assert units.vocab == (*SPECIAL, "b", "c", "a")
    assert Units.fit("char", ["ab", "bcb", "cbb"], min_count=2).encode("abc").tolist() == [UNKNOWN, 2, 3]


def test_words_of_english_are_what_stands_between_spaces_and_a_line_end_is_one() -> None:
    units = Units.fit("word", [ENGLISH])
    assert units.splitter == "whitespace"
    ids = units.encode(ENGLISH)
    assert len(ids) == 14  # twelve words and two line ends, as the Penn Treebank's <eos>
    assert ids.tolist().count(UNKNOWN) == 1
    assert units.decode(ids) == ENGLISH
    assert units.decode(units.encode("  the   cat\n on ")) == "the cat\non"


def test_a_literal_unk_is_the_unknown_word_but_a_literal_doc_is_no_boundary() -> None:
    units = Units.fit("word", ["a <doc> b <unk>"])
    assert units.vocab.count("<unk>") == 1
    ids = units.encode("<doc> <unk> c")
    assert ids.tolist() == [units.vocab.index("<doc>", 2), UNKNOWN, UNKNOWN]
    # The corpus itself says <unk>: nobody could spell it. c is one unseen character.
    assert units.encode_counting("<doc> <unk> c")[1] == 1


def test_unseen_characters_are_counted_whatever_the_unit() -> None:
    assert fitted("char").encode_counting("猫鰻犬")[1] == 2
    assert fitted("word").encode_counting("吾輩はキリンである")[1] == len("キリン")
    assert fitted("subword").encode_counting("猫鰻犬")[1] == 0


@pytest.mark.parametrize("kind", ["char", "word", "subword"])
def test_characters_of_english_words_count_the_space_between_them(kind: Kind) -> None:
    text = ENGLISH.replace("<unk>", "dog")
    units = Units.fit(kind, [text * 20], size=280)
    assert units.characters(units.encode(text)) == len(text)


def test_auto_takes_ginza_for_japanese_even_behind_an_english_beginning() -> None:
    assert Units.fit("word", ["Preface\n", TEXT]).splitter == "ginza"
    assert Units.fit("word", ["The word 猫 means a cat, and so it does in all of this English text.\n"]).splitter == (
        "whitespace"
    )
    assert Units.fit("word", [TEXT], tokenizer="whitespace").splitter == "whitespace"


def test_the_same_text_gives_the_same_pieces_of_words() -> None:
    again = Units.fit("subword", [TEXT * 20], size=330)
    assert again.vocab == fitted("subword").vocab
    assert again.model == fitted("subword").model


def test_bytes_that_are_no_character_become_a_mark() -> None:
    units = fitted("subword")
    ids = units.encode("😀").tolist()
    assert units.is_byte[ids].all()
    assert units.decode(ids[:2]) == "�"


@pytest.mark.parametrize("kind", ["char", "word", "subword"])
def test_a_text_of_nothing_is_refused(kind: Kind) -> None:
    with pytest.raises(InputError, match="holds no text"):
        Units.fit(kind, [])


def test_a_count_that_nothing_reaches_is_refused_with_the_highest_there_is() -> None:
    with pytest.raises(InputError, match="most frequent unit 2 times"):
        Units.fit("char", ["aab"], min_count=3)


def test_an_unknown_kind_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="bytes"):
        Units.fit("bytes", ["a"])  # type: ignore[arg-type] # as a user may type it
    with pytest.raises(UsageError, match="mecab"):
        Units.fit("word", ["a"], tokenizer="mecab")  # type: ignore[arg-type] # as a user may type it


def test_a_vocabulary_too_small_for_its_text_is_an_input_error() -> None:
    with pytest.raises(InputError, match="no vocabulary of 10"):
        Units.fit("subword", [TEXT * 20], size=10)


def test_one_character_alone_is_a_vocabulary() -> None:
    units = Units.fit("char", ["ああああ"])
    assert len(units) == 3
    assert units.decode(units.encode("あああ")) == "あああ"


def saved(units: Units, path: Path) -> Path:
    checkpoint.save(
        path,
        Manifest("generator", "2026-01-01"),
        config={},
        tensors={},
        documents=units.documents(),
        blobs=units.blobs(),
    )
    return path


@pytest.mark.parametrize("kind", ["char", "word", "subword"])
def test_units_come_back_from_a_model_folder(kind: Kind, tmp_path: Path) -> None:
    units = fitted(kind)
    again = Units.from_folder(saved(units, tmp_path / "model"))
    assert again == units
    assert again.encode(TEXT).tolist() == units.encode(TEXT).tolist()
    assert again.drift() == ()


def test_damaged_units_are_refused(tmp_path: Path) -> None:
    path = saved(fitted("subword"), tmp_path / "model")
    (path / "tokenizer.model").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="not the file that was saved"):
        Units.from_folder(path)
    path = saved(fitted("char"), tmp_path / "characters")
    (path / "vocab.json").write_text(json.dumps([*SPECIAL, "ab"]), encoding="utf-8")
    with pytest.raises(ModelError, match="vocabulary of unit char"):
        Units.from_folder(path)
    (path / "units.json").write_text('{"unit": "word"}', encoding="utf-8")
    with pytest.raises(ModelError, match="does not describe units"):
        Units.from_folder(path)


def test_a_model_of_another_tokenizer_version_says_so(tmp_path: Path) -> None:
    path = saved(fitted("word"), tmp_path / "model")
    recipe = json.loads((path / "units.json").read_text(encoding="utf-8"))
    recipe["tokenizer"]["sudachipy"] = "0.1"
    (path / "units.json").write_text(json.dumps(recipe), encoding="utf-8")
    assert "sudachipy 0.1" in Units.from_folder(path).drift()[0]
