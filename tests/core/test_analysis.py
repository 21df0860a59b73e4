"""The full analysis: GiNZA's, of every line and of texts of any length."""

import pytest

from seqcli.core import analysis
from seqcli.core.analysis import analyse
from seqcli.core.tokens import Tokenizer
from seqcli.errors import UsageError

pytest.importorskip("ja_ginza")

TEXT = "太郎は東京で花子と国家公務員試験を受けました。  来週も行くつもりだ！"


def test_a_sentence_has_its_tree_its_readings_and_its_entities() -> None:
    rows = analyse(TEXT, Tokenizer())
    assert [row.token for row in rows] == Tokenizer().tokens(TEXT)
    first = [row for row in rows if row.sentence == 1]
    assert [(row.id, row.token.surface, row.upos, row.reading) for row in first[:3]] == [
        (1, "太郎", "PROPN", "タロウ"),
        (2, "は", "ADP", "ハ"),
        (3, "東京", "PROPN", "トウキョウ"),
    ]
    (root,) = (row for row in first if row.head == 0)
    assert (root.token.surface, root.token.dictionary, root.deprel) == ("受け", "受ける", "ROOT")
    assert first[0].head == root.id and first[0].deprel == "nsubj" and first[1].head == 1
    assert first[0].entity == "B-Person" and first[1].entity is None
    assert [row.bunsetsu for row in first[:4]] == [1, 1, 2, 2]
    assert {row.sentence for row in rows} == {1, 2}
    assert rows[len(first)].id == 1 and rows[len(first)].token.surface == "来週"


def test_a_line_that_begins_with_a_number_sign_is_analysed() -> None:
    rows = analyse("# 見出しです。", Tokenizer())
    assert [row.token.surface for row in rows] == ["#", "見出し", "です", "。"]


def test_the_split_mode_has_an_effect() -> None:
    words = {mode: [row.token.surface for row in analyse(TEXT, Tokenizer(mode))] for mode in ("A", "C")}
    assert "国家公務員" in "".join(words["A"]) and "公務" in words["A"] and "公務" not in words["C"]


def test_nfkc_keeps_the_places_of_the_given_text() -> None:
    text = "ｶﾞｽと水。"
    rows = analyse(text, Tokenizer(normalize="nfkc"))
    assert [row.token.surface for row in rows] == ["ガス", "と", "水", "。"]
    assert [text[row.token.start : row.token.end] for row in rows] == ["ｶﾞｽ", "と", "水", "。"]


def test_a_long_text_is_analysed_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = analyse(TEXT * 3, Tokenizer())
    monkeypatch.setattr(analysis, "_PIECE", len(TEXT) + 5)
    parts = analyse(TEXT * 3, Tokenizer())
    assert [(row.token, row.sentence, row.id) for row in parts] == [(row.token, row.sentence, row.id) for row in whole]
    assert analyse(" \n　", Tokenizer()) == analyse("", Tokenizer()) == []


def test_only_words_of_ginza_can_be_analysed() -> None:
    with pytest.raises(UsageError, match="char"):
        analyse(TEXT, Tokenizer(kind="char"))
