"""User dictionaries: compiled once, named where they are wrong, and kept with a model."""

from pathlib import Path

import pytest

from seqcli.core import user_dictionary
from seqcli.core.tokens import Tokenizer
from seqcli.errors import InputError, ModelError

CAFE = "猫耳喫茶店長,4786,4786,-5000,猫耳喫茶店長,名詞,普通名詞,一般,*,*,*,ネコミミ,猫耳喫茶店長,*,*,*,*,*\n"


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEQCLI_CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "words.csv"
    path.write_text(CAFE, encoding="utf-8")
    return path


def test_a_word_of_the_user_is_one_token(words: Path) -> None:
    assert Tokenizer().words("猫耳喫茶店長です") != ["猫耳喫茶店長", "です"]
    (token, _) = Tokenizer(user_dictionary=words).tokens("猫耳喫茶店長です")
    assert (token.surface, token.normalized, token.pos) == ("猫耳喫茶店長", "猫耳喫茶店長", "名詞-普通名詞-一般")


def test_all_else_stays_as_it_was(words: Path) -> None:
    text = "12,345円のラーメンとアクリョーナヌ、すごーーい"
    assert Tokenizer(user_dictionary=words).tokens(text) == Tokenizer().tokens(text)


@pytest.mark.parametrize("encoding", ["cp932", "utf-8-sig", "euc_jp"])
def test_the_encoding_of_a_spreadsheet_is_understood(words: Path, encoding: str) -> None:
    expected = user_dictionary.compiled(words).read_bytes()
    words.write_bytes(CAFE.replace("\n", "\r\n").encode(encoding))
    assert len(user_dictionary.compiled(words).read_bytes()) == len(expected)
    assert Tokenizer(user_dictionary=words).words("猫耳喫茶店長です") == ["猫耳喫茶店長", "です"]


def test_the_same_content_is_compiled_once(words: Path, tmp_path: Path) -> None:
    first = user_dictionary.compiled(words)
    made = first.stat().st_mtime_ns
    copy = tmp_path / "copy.csv"
    copy.write_text(CAFE, encoding="utf-8")
    assert user_dictionary.compiled(copy) == first and first.stat().st_mtime_ns == made
    copy.write_text(CAFE.replace("猫耳", "犬耳"), encoding="utf-8")
    assert user_dictionary.compiled(copy) != first
    assert first.parent == tmp_path / "cache" / "dictionaries"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("猫,1,2\n", "3 columns"),
        (CAFE.replace("4786,4786", "x,4786"), "x"),
        (CAFE.replace("-5000", "99999"), "99999"),
        (CAFE.replace("*,*,*,*,*\n", "*,C,99999999,*,*\n"), "99999999"),
    ],
    ids=["columns", "id", "cost", "split"],
)
def test_a_bad_row_is_named_with_its_file_and_an_example(words: Path, row: str, said: str) -> None:
    words.write_text(CAFE + "\n" + row, encoding="utf-8")
    with pytest.raises(InputError, match=said) as raised:
        Tokenizer(user_dictionary=words)
    assert raised.value.where == f"{words}: row 3"
    assert "猫カフェ,4786" in str(raised.value.hint)


def test_a_dictionary_without_a_word_to_find_is_refused(words: Path) -> None:
    for content in ("", "\n\n", CAFE.replace("4786,4786", "-1,4786")):
        words.write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match="no word"):
            user_dictionary.compiled(words)


def test_a_compiled_dictionary_is_used_as_it_is(words: Path, tmp_path: Path) -> None:
    binary = tmp_path / "words.dic"
    binary.write_bytes(user_dictionary.compiled(words).read_bytes())
    assert Tokenizer(user_dictionary=binary).words("猫耳喫茶店長です") == ["猫耳喫茶店長", "です"]
    junk = tmp_path / "junk.dic"
    junk.write_bytes(b"junk" * 100)
    with pytest.raises(InputError, match=r"junk\.dic"):
        Tokenizer(user_dictionary=junk)
    with pytest.raises(InputError, match="no such file"):
        Tokenizer(user_dictionary=tmp_path / "missing.dic")


def test_a_model_keeps_its_dictionary_and_knows_it_again(words: Path, tmp_path: Path) -> None:
    recipe = Tokenizer(user_dictionary=words).recipe()
    assert user_dictionary.of_folder(tmp_path) is None
    for name, content in user_dictionary.kept(words).items():
        (tmp_path / name).write_bytes(content)
    words.unlink()
    kept = user_dictionary.of_folder(tmp_path)
    assert kept is not None
    assert Tokenizer.from_recipe(recipe, kept).words("猫耳喫茶店長です") == ["猫耳喫茶店長", "です"]
    with pytest.raises(ModelError, match="is missing"):
        Tokenizer.from_recipe(recipe)
    kept.write_text(CAFE.replace("5000", "4000"), encoding="utf-8")
    with pytest.raises(ModelError, match="not the one"):
        Tokenizer.from_recipe(recipe, kept)
