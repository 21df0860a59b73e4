"""The KNB corpus: what is read, what is taken away, and what is said of a copy that differs."""

from collections.abc import Callable
from pathlib import Path

import pytest
from blog_corpus import ROOT, as_folder, as_tar, as_zip, files

from seqcli.corpora import knbc, knp
from seqcli.errors import InputError

FIRST = f"{ROOT}/corpus1/KN101_Gourmet_1/KN101_Gourmet_1-1-1-01"
TABLE = f"{ROOT}/corpus2/Gourmet.tsv"
SMALLER = "4 articles and 7 sentences; the published corpus has 249 and 4,186"


def changed(tmp_path: Path, name: str, change: Callable[[str], str]) -> knbc.Corpus:
    """The corpus after one of its files was changed."""
    given = files()
    given[name] = change(given[name].decode("euc_jp")).encode("euc_jp")
    return knbc.load(as_folder(tmp_path / "changed", given))


@pytest.mark.parametrize("encoding", ["euc_jp", "utf-8", "cp932"])
def test_archive_and_folder_give_the_same_records(tmp_path: Path, encoding: str) -> None:
    given = files(encoding)
    folder = knbc.records(as_folder(tmp_path / "folder", given), unit="sentence")
    assert len(folder.records) == 6
    assert knbc.records(as_tar(tmp_path / "knbc.tar.bz2", given), unit="sentence").records == folder.records
    assert knbc.records(as_zip(tmp_path / "knbc.zip", given), unit="sentence").records == folder.records
    assert knbc.records(tmp_path / "folder" / ROOT / "corpus1", unit="sentence").records[0]["text"] == "焼肉が旨い。"


def test_a_faithful_copy_is_read_without_deviations(tmp_path: Path) -> None:
    corpus = knbc.load(as_zip(tmp_path / "knbc.zip", files()))
    assert corpus.deviations == []
    assert corpus.warnings == [f"{tmp_path / 'knbc.zip'}: {SMALLER}"]


def test_a_sentence_has_its_words_and_what_is_said_of_it(tmp_path: Path) -> None:
    rows = knbc.records(as_zip(tmp_path / "knbc.zip", files()), unit="sentence").records
    assert rows[0] == {
        "id": "KN101_Gourmet_1-1-1-01",
        "article": "KN101_Gourmet_1",
        "theme": "グルメ",
        "text": "焼肉が旨い。",
        "tokens": ["焼肉", "が", "旨い", "。"],
        "polarity": "positive",
        "evaluations": [{"holder": "[著者]", "expression": "旨い", "type": "感情+", "target": "焼肉"}],
    }
    assert [row["polarity"] for row in rows] == ["positive", "negative", "mixed", "none", "none", "positive"]
    assert [(e["holder"], e["type"]) for e in rows[2]["evaluations"]] == [("[著者]", "批評+"), ("友人", "感情-")]
    assert rows[3]["evaluations"][0]["type"] == "当為" and rows[4]["evaluations"] == []


def test_an_article_is_its_sentences(tmp_path: Path) -> None:
    rows = knbc.records(as_zip(tmp_path / "knbc.zip", files())).records
    assert [row["theme"] for row in rows] == ["グルメ", "携帯電話", "京都観光", "スポーツ"]
    assert rows[1]["text"] == "電池がすぐ切れる。\nでも画面はきれいだ。"
    assert rows[1]["tokens"][:3] == ["電池", "が", "すぐ"] and rows[1]["tokens"][-1] == "。"
    assert rows[1]["polarity"] == "mixed" and len(rows[1]["evaluations"]) == 3
    assert rows[2]["text"] == "寺へ行くべきだ。\n道が混んでいた。"


def test_the_theme_in_brackets_is_nowhere_and_it_is_said(tmp_path: Path) -> None:
    result = knbc.records(as_zip(tmp_path / "knbc.zip", files()), unit="sentence")
    for row in result.records:
        assert "［" not in row["text"] and "［" not in row["tokens"]
        assert row["text"] == "".join(row["tokens"])
    assert any("taken away from 4 sentences" in sentence for sentence in result.sentences)
    assert "left out, as nothing but the theme stood in them: 1 sentences" in result.sentences


def test_brackets_inside_an_article_stay_unless_they_name_a_theme(tmp_path: Path) -> None:
    name = f"{ROOT}/corpus1/KN102_Keitai_1/KN102_Keitai_1-1-2-01"
    assert (
        changed(tmp_path, name, lambda text: text.replace("でも", "［注］")).sentences[2].text.startswith("［注］画面")
    )
    stripped = changed(tmp_path, name, lambda text: text.replace("でも", "［グルメ］でも")).sentences[2]
    assert stripped.text == "でも画面はきれいだ。" and stripped.bracketed == "グルメ"
    assert stripped.morphemes[0].surface == "でも"


def test_morphemes_and_dependencies_are_read() -> None:
    parsed = knp.parse(files("utf-8")[FIRST].decode())
    assert parsed.problems == []
    assert parsed.phrases == [(1, "D", 0), (2, "D", 3), (-1, "D", 5)]
    assert parsed.morphemes[5][:4] == ("旨い", "うまい", "旨い", "形容詞")


def test_signs_that_the_format_uses_itself_are_words_too() -> None:
    line = "{0} {0} {0} 特殊 1 記号 5 * 0 * 0 NIL <記号>"
    given = "\n".join(["# S-ID:x", "* -1D <文頭>", *(line.format(sign) for sign in ("*", "+", "#", "\\ ")), "EOS"])
    parsed = knp.parse(given)
    assert [morpheme.surface for morpheme in parsed.morphemes] == ["*", "+", "#", " "]
    assert parsed.problems == [] and len(parsed.phrases) == 1


def test_nltk_reads_the_same_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nltk = pytest.importorskip("nltk.corpus.reader.knbc", reason="NLTK is not installed: pip install nltk")
    monkeypatch.setattr("nltk.data.path", [str(tmp_path)])  # NLTK reads nothing elsewhere
    folder = as_folder(tmp_path, files()) / ROOT / "corpus1"
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("KN*-*"))
    reader = nltk.KNBCorpusReader(str(folder), names, encoding="euc-jp")
    ours = [knp.parse((folder / name).read_text("euc_jp")).morphemes for name in names]
    assert len(ours) == 7
    assert [list(sentence) for sentence in reader.sents()] == [[m.surface for m in sentence] for sentence in ours]
    tagged = [[(m.surface, " ".join([*m[1:4], m.rest])) for m in sentence] for sentence in ours]
    assert [list(sentence) for sentence in reader.tagged_sents()] == tagged


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (FIRST, lambda text: text.replace("EOS\n", ""), f"{FIRST}: line 15: the file ends without EOS"),
        (FIRST, lambda text: text + "猫 ねこ 猫 名詞\n", f"{FIRST}: line 16: the file goes on after EOS: '猫"),
        (FIRST, lambda text: text.replace("* 2D", "* 9D"), f"{FIRST}: line 7: the phrase depends on phrase 9 of 3"),
        (FIRST, lambda text: text.replace("が が", "がが"), f"{TABLE}: line 1: the sentence is not that of"),
        (FIRST, lambda text: text.replace("* 1D", "* 猫"), f"{FIRST}: line 2: neither a phrase nor a morpheme: '* 猫"),
        (FIRST, lambda text: text.replace("* 1D", f"* {'9' * 5000}D"), f"{FIRST}: line 2: neither a phrase nor"),
        (FIRST, lambda text: "", f"{FIRST}: has no morphemes"),
        (FIRST, lambda text: "猫\0", f"{FIRST}: line 1: there is a NUL character: this is not text"),
        (TABLE, lambda text: text.replace("感情+", "感動+"), f"{TABLE}: line 1: unknown type of evaluation '感動+'"),
        (TABLE, lambda text: text.rstrip() + "\tx\n", f"{TABLE}: line 1: 7 columns, not 6"),
        (TABLE, lambda text: text + "\nKN9\t猫\n", f"{TABLE}: line 3: 2 columns, not 6"),
        (TABLE, lambda text: text + "KN9\t猫\t\t\t\t\n", f"{TABLE}: line 2: no sentence 'KN9' in corpus1"),
        (TABLE, lambda text: text.replace("焼肉が", "焼魚が"), f"{TABLE}: line 1: the sentence is not that of corpus1"),
        (TABLE, lambda text: text.replace("旨い\t", "旨い\\n旨い\t"), f"{TABLE}: line 1: holder, expression, type and"),
    ],
)  # fmt: skip
def test_a_deviation_is_a_message_and_the_rest_is_read(
    tmp_path: Path, name: str, change: Callable[[str], str], said: str
) -> None:
    corpus = changed(tmp_path, name, change)
    assert len(corpus.sentences) >= 5
    assert any(deviation.startswith(said) for deviation in corpus.deviations)
    assert knbc.records(tmp_path / "changed").records


def test_bytes_of_another_encoding_are_a_message(tmp_path: Path) -> None:
    given = files() | {FIRST: b"\xa4\xa2\n\xa4\xff\x80"}
    corpus = knbc.load(as_folder(tmp_path, given))
    assert corpus.deviations[0].startswith(f"{FIRST}: line 1: byte 0xA4 is not text in UTF-8")


def test_a_theme_that_is_not_known_keeps_its_name(tmp_path: Path) -> None:
    given = {name.replace("Sports", "Music"): data for name, data in files().items()}
    corpus = knbc.load(as_folder(tmp_path, given))
    assert corpus.sentences[-1].theme == "Music"
    assert any("unknown theme 'Music'" in deviation for deviation in corpus.deviations)
    assert any("corpus2 lacks Sports.tsv" in warning for warning in corpus.warnings)


def test_without_evaluations_there_is_no_polarity(tmp_path: Path) -> None:
    given = {name: data for name, data in files().items() if "corpus2" not in name}
    result = knbc.records(as_folder(tmp_path, given))
    assert {row["polarity"] for row in result.records} == {None}
    assert any("corpus2 lacks Gourmet.tsv, Keitai.tsv" in warning for warning in result.warnings)


def test_many_deviations_are_five_and_a_count(tmp_path: Path) -> None:
    given = {name: data.replace(b"EOS\n", b"") for name, data in files().items()}
    warnings = knbc.records(as_folder(tmp_path, given)).warnings
    assert sum("without EOS" in warning for warning in warnings) == 5
    assert "2 more deviations from the format" in warnings


def test_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no file such as corpus1"):
        knbc.load(as_zip(tmp_path / "other.zip", {"a.txt": b"x"}))
    with pytest.raises(InputError, match=r"none of its 1 sentences can be read; the first: .*has no morphemes"):
        knbc.load(as_zip(tmp_path / "empty.zip", {FIRST: b""}))


def test_a_split_keeps_articles_whole(tmp_path: Path) -> None:
    given = {}
    for number in range(10):
        for name, data in files().items():
            renamed = name.replace("KN1", f"KN{number}1")
            given[renamed] = given.get(renamed, b"") + data.replace(b"KN1", f"KN{number}1".encode())
    result = knbc.records(as_zip(tmp_path / "ten.zip", given), unit="sentence", split=True)
    parts: dict[str, set[str]] = {}
    for row in result.records:
        parts.setdefault(row["article"], set()).add(row["split"])
    assert len(parts) == 40 and all(len(its) == 1 for its in parts.values())
    assert {row["theme"] for row in result.records if row["split"] == "test"} == set(knbc.THEMES.values())
    assert any("also stand in an earlier part" in warning for warning in result.warnings)  # ten times the same
