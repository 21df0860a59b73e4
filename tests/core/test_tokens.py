"""Tokens: GiNZA's own, of texts of any length, with the places where they stand."""

import itertools
import random
import subprocess
import sys
import tarfile
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqcli.core import tokens
from seqcli.core.tokens import Token, Tokenizer
from seqcli.errors import ModelError, UsageError

DATA = Path(__file__).parents[2].parent / "shared" / "data"

REAL = [
    "私は焼肉をよく食べる。",
    "「もう遅い」と言った、彼女の声は…小さかった……。",
    "  先頭と  途中の 空白、　全角　　空白\tタブ  ",
    "改行のある文。\n\n次の段落\r\nです\n",
    "# 見出しではない、ただの行\n#タグ と ＃全角タグ",
    "ﾊﾝｶｸｶﾅとｶﾞｷﾞｸﾞ、㌔や㈱や㍿やﾊﾟﾝ",
    "https://example.com/a?b=1&c=日本 を見てね @user #拡散希望",
    "🐱が好き👨‍👩‍👧‍👦❤️ ｗｗｗ (≧▽≦) ^^;",
    "ＡＢＣとabcとNew York、12,345円の1.5倍、３．１４",
    "徳島（とくしま）へ行くーーー！！〜〜すごーい",
    "한국어와 中文 and Ελληνικά вместе",
    "国家公務員試験と選挙管理委員会と引越し",
    "\u200b零幅\ufeff\x1c制御\x85\u2028行",
    "",
    " \n　",
]


@pytest.fixture(scope="session")
def ginza() -> Callable[[str], list[Token]]:
    """GiNZA's tokenizer, without its whitespace tokens."""
    spacy = pytest.importorskip("spacy")
    return _without_spaces(spacy.load("ja_ginza").tokenizer)


def _without_spaces(tokenizer: Any) -> Callable[[str], list[Token]]:
    def split(text: str) -> list[Token]:
        return [
            Token(t.text, t.lemma_, t.norm_, t.tag_, t.idx, t.idx + len(t.text))
            for t in tokenizer(text)
            if not t.is_space
        ]

    return split


@pytest.mark.parametrize("text", REAL)
def test_tokens_are_those_of_ginza(ginza: Callable[[str], list[Token]], text: str) -> None:
    assert Tokenizer().tokens(text) == ginza(text)


@pytest.mark.parametrize("split_mode", ["A", "B"])
def test_the_short_units_are_those_of_spacy(split_mode: str) -> None:
    spacy = pytest.importorskip("spacy")
    theirs = _without_spaces(spacy.blank("ja", config={"nlp": {"tokenizer": {"split_mode": split_mode}}}).tokenizer)
    for text in REAL:
        assert Tokenizer(split_mode).tokens(text) == theirs(text)


def test_tokens_of_a_novel_are_those_of_ginza(ginza: Callable[[str], list[Token]]) -> None:
    path = DATA / "neko" / "valid.txt"
    if not path.exists():
        pytest.skip("no ../shared/data/neko")
    text = path.read_text(encoding="utf-8")
    for line in text.splitlines()[:60]:
        assert Tokenizer().tokens(line) == ginza(line)


def test_tokens_of_news_with_urls_and_markup_are_those_of_ginza(ginza: Callable[[str], list[Token]]) -> None:
    path = DATA / "livedoor" / "livedoor-news-corpus.tar.gz"
    if not path.exists():
        pytest.skip("no ../shared/data/livedoor")
    with tarfile.open(path) as archive:
        members = [member for member in archive if member.isfile() and "-" in Path(member.name).name]
        for member in random.Random(0).sample(members, 12):
            file = archive.extractfile(member)
            assert file is not None
            text = file.read().decode()
            assert Tokenizer().tokens(text) == ginza(text)


@given(st.text(alphabet="あア漢字一。！ \n　#ーｶﾞﾊﾟＡａ1,（）㌔…🐱\u200d゛\u0301\u3099ﷺ한\ud800", max_size=30))
def test_every_way_to_ask_gives_the_same_tokens_and_their_places(text: str) -> None:
    tokenizer = Tokenizer()
    found = tokenizer.tokens(text)
    assert [token.surface for token in found] == tokenizer.words(text)
    assert tokenizer.forms(text) == [token[:3] for token in found]
    assert tokenizer.wakati(text) == " ".join(" ".join(tokenizer.words(text)).split())
    kept = text.replace("\ud800", "\ufffd")
    assert [kept[token.start : token.end] for token in found] == tokenizer.words(text)
    assert "".join(tokenizer.wakati(text).split()) == "".join(kept.split())


@given(st.text(alphabet="あがカｶﾞﾊﾟＡａ1１㌔㈱ﷺ각가한é\u0301\u0323\u3099 \n", max_size=20))
def test_places_under_nfkc_are_those_of_the_text_as_it_was_given(text: str) -> None:
    for kind in ("ginza", "char"):
        tokenizer = Tokenizer(kind=kind, normalize="nfkc")
        found = tokenizer.tokens(text)
        assert [token.surface for token in found] == tokenizer.words(text)
        assert tokenizer.forms(text) == [token[:3] for token in found]
        for token in found:
            assert token.surface in unicodedata.normalize("NFKC", text[token.start : token.end])
        assert all(one.start <= other.start for one, other in itertools.pairwise(found))


def test_nfkc_is_a_choice() -> None:
    assert Tokenizer().words("ｶﾞｽとＡＢＣ") == ["ｶﾞｽ", "と", "ＡＢＣ"]
    tokenizer = Tokenizer(normalize="nfkc")
    assert tokenizer.words("ｶﾞｽとＡＢＣ") == ["ガス", "と", "ABC"]
    assert [(token.start, token.end) for token in tokenizer.tokens("ｶﾞｽとＡＢＣ")] == [(0, 3), (3, 4), (4, 7)]


def test_the_split_modes_differ() -> None:
    split = {mode: Tokenizer(mode).words("選挙管理委員会") for mode in ("A", "B", "C")}
    assert split == {
        "A": ["選挙", "管理", "委員", "会"],
        "B": ["選挙", "管理", "委員会"],
        "C": ["選挙管理委員会"],
    }


def test_the_forms_differ() -> None:
    text = "引越しのとき附属した"
    assert Tokenizer(form="surface").words(text) == ["引越し", "の", "とき", "附属", "し", "た"]
    assert Tokenizer(form="dictionary").words(text) == ["引越し", "の", "とき", "附属", "する", "た"]
    assert Tokenizer(form="normalized").words(text) == ["引っ越し", "の", "時", "付属", "為る", "た"]
    assert Tokenizer(form="normalized").wakati(text) == "引っ越し の 時 付属 為る た"


def test_characters_and_whitespace_need_no_dictionary() -> None:
    assert Tokenizer(kind="char").words("a 猫\n🐱") == ["a", "猫", "🐱"]
    assert Tokenizer(kind="whitespace").tokens("the cat　猫") == [
        Token("the", "the", "the", None, 0, 3),
        Token("cat", "cat", "cat", None, 4, 7),
        Token("猫", "猫", "猫", None, 8, 9),
    ]
    with pytest.raises(UsageError, match="needs a dictionary"):
        Tokenizer(kind="char", form="normalized")
    with pytest.raises(UsageError, match="'D'"):
        Tokenizer("D")  # type: ignore[arg-type]  # what a script may pass


@pytest.fixture(scope="session")
def story() -> str:
    """Sentences that are never the same, with quotation marks, numbers and readings in brackets; 48,000 bytes."""
    chance = random.Random(5)
    parts = [
        "「私は",
        "東京都庁（とちょう）で",
        "引越しの",
        "12,345円を",
        "モーニング娘。の",
        "ラーメンが",
        "食べられなかった",
        "国家公務員は",
        "すごーーーい",
        "…と",
        "走り出した」",
        "。",
        "！？\n",
        "、",
    ]
    text = ""
    while len(text.encode()) < 48_000:
        text += chance.choice(parts)
    return text


def test_a_text_in_windows_has_the_tokens_of_the_whole(story: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sudachi = Tokenizer().sudachi
    whole = [m.surface() for m in sudachi.tokenize(story) if m.surface().strip()]
    for size in (900, 4_000, 15_999):
        monkeypatch.setattr(tokens, "_WINDOW", size)
        parts = [m.surface() for _, piece in tokens._in_windows(sudachi, story) for m in piece if m.surface().strip()]
        assert parts == whole


@pytest.mark.parametrize("length", [16_383, 16_384, 33_000])
def test_around_sudachis_limit_no_token_changes(story: str, length: int) -> None:
    sentence = "国家公務員の引越し。"
    text = (story * 3)[: length - len(sentence)] + sentence
    found = Tokenizer().tokens(text)
    assert "".join(token.surface for token in found) == "".join(text.split())
    assert [token.surface for token in found][-4:] == ["国家公務員", "の", "引越し", "。"]
    assert all(text[token.start : token.end] == token.surface for token in found)


@pytest.mark.parametrize(
    "text", ["a" * 1_000_000, "国家公務員" * 70_000, "（" * 100_000, "🐱" * 60_000, "ﷺ" * 20_000, " " * 200_000],
    ids=["letters", "words", "brackets", "emoji", "ligatures", "spaces"],
)  # fmt: skip
def test_a_long_text_without_any_boundary_is_split(text: str) -> None:
    found = Tokenizer().words(text)
    assert "".join(found) == text.strip()
    if text.startswith("国"):
        assert set(found) == {"国家公務員"}


def test_a_recipe_makes_the_same_tokenizer(tmp_path: Path) -> None:
    for tokenizer in (Tokenizer("A", "normalized", normalize="nfkc"), Tokenizer(kind="char"), Tokenizer()):
        assert Tokenizer.from_recipe(tokenizer.recipe()) == tokenizer
    recipe = Tokenizer().recipe()
    assert recipe["sudachipy"] and recipe["sudachidict_core"]
    assert tokens.version_drift(recipe) == ()
    (said,) = tokens.version_drift(recipe | {"sudachidict_core": "20200101"})
    assert "20200101" in said
    for wrong in ({}, recipe | {"split_mode": "D"}, {k: v for k, v in recipe.items() if k != "form"}):
        with pytest.raises(ModelError, match="recipe"):
            Tokenizer.from_recipe(wrong)


def test_splitting_needs_neither_spacy_nor_torch() -> None:
    code = "import sys; from seqcli.core.tokens import Tokenizer; Tokenizer().tokens('猫'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert not {"spacy", "torch", "numpy"} & set(done.stdout.split())
