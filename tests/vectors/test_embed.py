"""Rows with vectors: words, characters and texts, on the way out and in files that survive an interruption."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ginza_table import _cache, ginza, lookup
from signs import finished

from seqcli.core.texts import items
from seqcli.core.vector_files import VectorFile
from seqcli.core.vector_store import VectorStore
from seqcli.core.word_vectors import Lookup
from seqcli.errors import InputError, UsageError
from seqcli.vectors import embed
from seqcli.vectors.embed import Request, Tally
from seqcli.vectors.texts import Recipe, TextVectors, unit

__all__ = ["_cache", "ginza", "lookup"]  # the fixtures

COURSE = "私は焼肉をよく食べる"


def records(request: Request, *texts: str, file: Path | None = None, **how: Any) -> list[dict[str, Any]]:
    source = items(texts, None if file is None else str(file), on_error=request.on_error, **how)
    return [dict(record) for record in embed.stream(request, source, Tally())]


def test_a_row_a_token_is_the_table_of_the_course(ginza: VectorStore) -> None:
    found = records(Request(surface_only=True), COURSE)
    assert [record["token"] for record in found] == ["私", "は", "焼肉", "を", "よく", "食べる"]
    assert [round(value, 8) for value in found[0]["vector"][:2]] == [-0.13697676, -0.23937745]
    assert found[2]["vector"] == found[4]["vector"] == [0.0] * 300
    assert list(found[0]) == ["token", "vector"]


def test_by_normalized_form_every_token_has_a_vector_and_says_which(ginza: VectorStore) -> None:
    found = records(Request(how=True), COURSE)
    assert [record["found"] for record in found] == ["私", "は", "焼き肉", "を", "良く", "食べる"]
    assert {record["how"] for record in found} == {"normalized"}
    np.testing.assert_array_equal(found[2]["vector"], ginza.vectors[ginza.row("焼き肉")])


def test_a_row_a_character_is_its_own_or_composed(ginza: VectorStore) -> None:
    found = records(Request(unit="char", how=True), "薬 療")
    assert [(record["token"], record["how"]) for record in found] == [("薬", "surface"), ("療", "composed")]
    surface = records(Request(unit="char", surface_only=True), "療")
    np.testing.assert_array_equal(surface[0]["vector"], ginza.vectors[ginza.row("療")])


def test_texts_with_columns_called_as_ours_are_written_with_their_vectors(ginza: VectorStore, tmp_path: Path) -> None:
    table = tmp_path / "t.jsonl"
    table.write_text(
        '{"text": "猫が好き", "vector": "x"}\n{"text": "犬"}\n{"text": "犬", "vector_1": "y", "error": "e"}\n',
        encoding="utf-8",
    )
    request = Request(unit="text")
    found = records(request, file=table)
    assert [record.get("vector") for record in found] == ["x", None, None]
    assert found[1]["vector_1"] == found[2]["vector_1"] and len(found[0]["vector_1"]) == 300
    assert (found[2]["vector_1_1"], found[2]["error_1"]) == ("y", "e")
    assert finished(embed.to_file(request, items([], str(table)), tmp_path / "t.npy", None, Tally())) == 3
    np.testing.assert_array_equal(np.load(tmp_path / "t.npy"), np.float32([one["vector_1"] for one in found]))


def test_a_row_a_text_keeps_the_columns_and_the_order_of_the_table(ginza: VectorStore, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("id,text,vector\n7,猫が好き,x\n8,,y\n9,too,many,values\n", encoding="utf-8")
    found = records(Request(unit="text"), file=table)
    assert [list(record) for record in found] == [["id", "text", "vector", "vector_1"]] * 2 + [
        ["id", "text", "vector", "vector_1", "error"]
    ]
    assert [record["id"] for record in found] == ["7", "8", "9"]
    assert np.linalg.norm(found[0]["vector_1"]) == pytest.approx(1)
    assert found[1]["vector_1"] == [0.0] * 300
    assert found[2]["vector_1"] is None and "4 values" in found[2]["error"]
    assert len(records(Request(unit="text", on_error="skip"), file=table)) == 2
    with pytest.raises(InputError, match="4 values"):
        records(Request(unit="text", on_error="fail"), file=table)


@pytest.mark.parametrize("data", ["猫が好き\r\n犬\r\n", "\ufeff猫が好き\n犬", "猫が好き\n犬\n"])
def test_line_ends_and_marks_change_nothing(ginza: VectorStore, tmp_path: Path, data: str) -> None:
    file = tmp_path / "t.txt"
    file.write_bytes(data.encode())
    assert [record["text"] for record in records(Request(unit="text"), file=file)] == ["猫が好き", "犬"]


def test_a_line_that_is_not_text_is_marked_and_the_next_goes_on(ginza: VectorStore, tmp_path: Path) -> None:
    file = tmp_path / "t.txt"
    file.write_bytes("猫が好きな人は多い。犬もまた多い。\n\udcff\n犬\n".encode("utf-8", "surrogateescape"))
    found = records(Request(unit="text"), file=file)
    assert [record["text"] for record in found] == ["猫が好きな人は多い。犬もまた多い。", "�", "犬"]
    assert [record.get("error") is None for record in found] == [True, False, True]


def test_each_step_of_the_recipe_does_what_it_says(ginza: VectorStore, lookup: Lookup) -> None:
    def vector(recipe: Recipe, text: str = "焼肉を食べる") -> np.ndarray:
        found = TextVectors(lookup, recipe).vector(text)
        assert found is not None
        return found

    meat, wo, eat = (ginza.vectors[ginza.row(word)] for word in ("焼き肉", "を", "食べる"))
    np.testing.assert_allclose(vector(Recipe()), (meat + wo + eat) / 3, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(vector(Recipe(content=True)), (meat + eat) / 2, rtol=1e-4, atol=1e-6)
    rare, common = (lookup.weight(ginza.rank(word) or 0) for word in ("焼き肉", "食べる"))
    assert rare > common
    weighted = (rare * meat + common * eat) / (rare + common)
    np.testing.assert_allclose(vector(Recipe(content=True, idf=True)), weighted, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(vector(Recipe(content=True, post="center")), (meat + eat) / 2 - ginza.mean, atol=1e-5)
    cleaned = vector(Recipe(content=True, post="abtt"))
    np.testing.assert_allclose(ginza.components @ cleaned, 0, atol=1e-5)
    both = vector(Recipe(content=True, post="abtt", characters=True))
    characters = both - unit(cleaned) * float(both @ unit(cleaned))
    assert np.linalg.norm(both) == pytest.approx(1, abs=1e-5) and np.linalg.norm(characters) > 0.1


def test_the_default_recipe_orders_words_as_people_do(ginza: VectorStore, lookup: Lookup) -> None:
    """Pairs of our own, from the same to unrelated; each step of the recipe raises the rank correlation."""
    pairs = [
        ("購入する", "買う", 9), ("医者", "医師", 9), ("急に", "突然", 9), ("規則", "ルール", 9),
        ("訪れる", "訪問する", 9), ("美しい", "華やかな", 6), ("犬", "猫", 5), ("車", "自転車", 5),
        ("食べる", "飲む", 4), ("歩く", "泳ぐ", 3), ("家", "屋根", 3), ("病院", "学校", 2),
        ("調べる", "歌う", 1), ("犬", "机", 1), ("規則", "果物", 0),
    ]  # fmt: skip

    def correlation(recipe: Recipe | None) -> float:
        texts = TextVectors(lookup, recipe)
        cosines = []
        for left, right, _ in pairs:
            a, b = texts.vectors([left, right])
            assert a is not None and b is not None
            cosines.append(float(unit(a) @ unit(b)))
        ranks = [np.argsort(np.argsort(values)) for values in (cosines, [score for *_, score in pairs])]
        return float(np.corrcoef(*ranks)[0, 1])

    assert correlation(None) > 0.8
    assert correlation(None) > correlation(Recipe())


def test_the_recipe_is_read_and_written_alike() -> None:
    for steps in ("plain", "content", "content,idf,abtt,characters", "center"):
        assert str(Recipe.parse(steps)) == steps
    with pytest.raises(UsageError, match="unknown step 'idx'"):
        Recipe.parse("content,idx")


@pytest.mark.parametrize(
    ("request_", "texts"),
    [
        (Request(), []),
        (Request(recipe=Recipe.parse("content")), ["a"]),
        (Request(unit="char", model="hf:x"), ["a"]),
        (Request(unit="text", how=True), ["a"]),
        (Request(model="hf:x", how=True), ["a"]),
    ],
    ids=["no text", "a recipe for one word", "characters of a network", "how a text is found", "how a piece is found"],
)
def test_what_does_not_go_together_is_refused(ginza: VectorStore, request_: Request, texts: list[str]) -> None:
    with pytest.raises(UsageError):
        records(request_, *texts)


# Files


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    file = tmp_path / "corpus.txt"
    lines = [f"{word}を{verb}。" for word in ("猫", "薬", "焼肉", "本") for verb in ("見る", "買った", "xqzzwv")] * 50
    file.write_text("\n".join(["", *lines]) + "\n", encoding="utf-8")
    return file


def written(corpus: Path, path: Path, request: Request, stop_after: int | None = None) -> int | None:
    work = embed.to_file(request, items([], str(corpus)), path, embed.identity(request, [], str(corpus)), Tally())
    if stop_after is None:
        return finished(work)
    for _ in range(stop_after):
        next(work)
    work.close()
    return None


@pytest.mark.parametrize("suffix", ["npy", "jsonl", "parquet", "vec"])
@pytest.mark.parametrize("unit_", ["word", "text"])
def test_an_interrupted_file_goes_on_and_ends_the_same(
    ginza: VectorStore, corpus: Path, tmp_path: Path, suffix: str, unit_: str
) -> None:
    request = Request(unit=unit_)
    whole, cut = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}"
    rows = written(corpus, whole, request)
    written(corpus, cut, request, stop_after=1)
    assert not cut.exists()
    before = embed._batch
    counted: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            embed, "_batch", lambda how, names, items: counted.append(len(items)) or before(how, names, items)
        )
        assert written(corpus, cut, request) == rows
    assert sum(counted) == 101  # of 601 lines, a batch of 500 was there
    assert cut.read_bytes() == whole.read_bytes()
    assert not cut.with_name(cut.name + ".parts").exists()


def test_processes_change_nothing(ginza: VectorStore, corpus: Path, tmp_path: Path) -> None:
    request = Request(unit="text")
    tallies = []
    for workers in (1, 2):
        tallies.append(Tally())
        path = tmp_path / f"{workers}.npy"
        assert finished(embed.to_file(request, items([], str(corpus)), path, None, tallies[-1], workers=workers)) == 601
    assert (tmp_path / "1.npy").read_bytes() == (tmp_path / "2.npy").read_bytes()
    assert tallies[0] == tallies[1]


def test_each_format_holds_the_same_vectors(ginza: VectorStore, corpus: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    request = Request(unit="text")
    for suffix in ("npy", "jsonl", "parquet", "vec"):
        written(corpus, tmp_path / f"x.{suffix}", request)
    matrix = np.load(tmp_path / "x.npy")
    assert matrix.shape == (601, 300) and matrix.dtype == np.float32
    lines = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text(encoding="utf-8").splitlines()]
    np.testing.assert_array_equal(np.array([line["vector"] for line in lines], np.float32), matrix)
    table = parquet.read_table(tmp_path / "x.parquet").to_pydict()
    assert table["text"] == [line["text"] for line in lines]
    np.testing.assert_array_equal(np.array(table["vector"], np.float32), matrix)
    file = VectorFile(tmp_path / "x.vec")
    block = np.concatenate(list(file.blocks()))
    assert len(file.words) == 13  # a line of a .vec is a name, and each comes once
    np.testing.assert_array_equal(block[1], matrix[1])


def test_parts_of_other_work_are_not_used(ginza: VectorStore, corpus: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    written(corpus, path, Request(unit="text"), stop_after=1)
    written(corpus, path, Request(unit="text", recipe=Recipe()))
    first = np.load(path)
    written(corpus, path, Request(unit="text"), stop_after=1)
    corpus.write_text("猫\n", encoding="utf-8")
    assert written(corpus, path, Request(unit="text")) == 1
    assert len(np.load(path)) == 1 != len(first)


def test_parts_of_vectors_that_were_trained_again_are_not_used(corpus: Path, tmp_path: Path) -> None:
    table, path = tmp_path / "own.vec", tmp_path / "x.npy"
    request = Request(unit="text", model=str(table), recipe=Recipe())
    for number, stop_after in ((1, 1), (2, None)):
        table.write_text("".join(f"{word} {number} {number * 10}\n" for word in ("猫", "薬", "見る", "を")), "utf-8")
        embed.rows.cache_clear()  # as in another process
        written(corpus, path, request, stop_after)
    assert set(np.load(path)[:, 0].tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("name", ["x.txt", "x"])
def test_an_unknown_suffix_is_refused_at_once(ginza: VectorStore, corpus: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="suffix"):
        written(corpus, tmp_path / name, Request(unit="text"))
