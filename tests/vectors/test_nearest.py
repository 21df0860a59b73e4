"""Neighbours of words, characters and lines; analogies, thresholds, and what is said of an unknown word."""

from pathlib import Path

import numpy as np
import pytest
from ginza_table import _cache, ginza, lookup

from seqcli.core.vector_store import VectorStore
from seqcli.core.vector_writer import Origin, write_store
from seqcli.core.word_vectors import Lookup, postprocess
from seqcli.errors import InputError, UsageError
from seqcli.vectors import nearest, similar
from seqcli.vectors.nearest import Answers, Query, search
from seqcli.vectors.similar import Request, answer
from seqcli.vectors.texts import TextVectors

__all__ = ["_cache", "ginza", "lookup"]  # the fixtures


def items(request: Request, answers: Answers | None = None) -> list[str]:
    return [str(record["item"]) for record in answer(request, answers or Answers())]


def test_the_neighbours_of_test_are_the_owners_in_the_order_of_the_cosine(ginza: VectorStore) -> None:
    found = list(answer(Request(("テスト",)), Answers()))
    assert " ".join(r["item"] for r in found) == "試験 模試 結果 期末 テスター 検証 β 勉強 診断 実験"
    matrix = ginza.vectors.astype(np.float64)
    query = matrix[ginza.row("テスト")]
    cosines = matrix @ query / np.linalg.norm(matrix, axis=1) / np.linalg.norm(query)
    order = [row for row in np.argsort(-cosines) if row != ginza.row("テスト")][:10]
    assert [r["item"] for r in found] == [ginza.owner(int(row)) for row in order]
    np.testing.assert_allclose([r["score"] for r in found], cosines[order], atol=1e-5)
    assert [r["rank"] for r in found] == list(range(1, 11))
    assert list(found[0]) == ["query", "rank", "item", "score"]


def test_a_character_is_near_to_characters_that_own_a_row(ginza: VectorStore) -> None:
    found = list(answer(Request(("薬",), unit="char"), Answers()))
    assert "".join(r["item"] for r in found) == "剤抗錠症咳病毒鬱医腎"
    assert [round(r["score"], 3) for r in found[:3]] == [0.602, 0.591, 0.531]


def test_a_character_without_a_row_is_composed_from_its_words_and_says_so(ginza: VectorStore) -> None:
    answers = Answers()
    assert "".join(items(Request(("療",), unit="char", count=4), answers)) == "医患診病"
    assert answers.notes == [
        "療 has no vector of its own: composed from the words it stands in: 治療 医療 療法 診療 療養 …"
    ]


def test_a_recipe_corrects_the_vectors_before_they_are_compared(ginza: VectorStore) -> None:
    found = list(answer(Request(("テスト",), recipe="abtt", count=5), Answers()))
    matrix = postprocess(ginza, "abtt")(ginza.vectors)
    query = matrix[ginza.row("テスト")]
    cosines = matrix @ query / np.linalg.norm(matrix, axis=1) / np.linalg.norm(query)
    order = np.argsort(-cosines)[1:6]
    assert [r["item"] for r in found] == [ginza.owner(int(row)) for row in order]
    np.testing.assert_allclose([r["score"] for r in found], cosines[order], atol=1e-5)


def test_an_analogy_leaves_its_own_words_out(ginza: VectorStore) -> None:
    request = Request(plus=("王", "女"), minus=("男",), count=3)
    found = list(answer(request, Answers()))
    assert found[0]["item"] == "王女"
    assert found[0]["query"] == "王 + 女 - 男"
    assert not {"王", "女", "男"} & {
        r["item"] for r in answer(Request(plus=("王", "女"), minus=("男",), count=200), Answers())
    }
    assert not {*"山海川"} & set(items(Request(plus=("山", "海"), minus=("川",), unit="char", count=5000)))


def test_an_analogy_whose_words_cancel_each_other_out_is_near_to_nothing(ginza: VectorStore) -> None:
    answers = Answers()
    assert items(Request(("王", "男"), plus=("女",), minus=("女", "男", "王")), answers) == []
    with pytest.raises(InputError, match="nothing is left of it"):
        answers.check()


@pytest.mark.parametrize(
    ("word", "note"),
    [
        ("テスト", None),
        ("焼肉", "焼肉 answers as 焼き肉, its normalized form"),
        ("心療", "心療 shares its vector with the more frequent word 精神科"),
        ("電気自動車", "電気自動車 has no vector of its own: composed from 電気 自動車"),
    ],
)
def test_an_answer_through_another_word_says_so(ginza: VectorStore, word: str, note: str | None) -> None:
    answers = Answers()
    assert items(Request((word,)), answers)
    assert answers.notes == ([note] if note else [])


def test_an_unknown_word_says_what_was_tried_and_what_is_spelt_like_it(ginza: VectorStore) -> None:
    answers = Answers()
    assert items(Request(("テスツ", "テスト"), count=1), answers) == ["試験"]
    answers.check()
    (failure,) = answers.failures
    assert str(failure) == "query テスツ: no vector; tried テスツ and their parts"
    assert failure.hint is not None and failure.hint.startswith("did you mean テスト")
    lost = Answers()
    assert items(Request(("テスツ", "")), lost) == []
    assert [str(one) for one in lost.failures][1] == "query: is empty"
    with pytest.raises(InputError, match="テスツ"):
        lost.check()


def test_of_many_failures_the_first_are_kept_and_the_rest_is_counted(ginza: VectorStore) -> None:
    answers = Answers()
    assert len(items(Request(("xqzzwv",) * 30 + ("焼肉",) * 25, count=1), answers)) == 25
    assert (answers.answered, answers.failed) == (25, 30)
    assert len(answers.failures) == len(answers.notes) == 20
    assert answers.rest() == "… 5 more notes and 10 more queries without an answer"


def test_a_threshold_cuts_and_many_queries_keep_their_order(ginza: VectorStore) -> None:
    queries = tuple(["テスト", "薬"] * 50)
    found = list(answer(Request(queries, threshold=0.6, count=3), Answers()))
    assert all(record["score"] >= 0.6 for record in found)
    assert {record["query"] for record in found} == {"薬"}
    every = list(answer(Request(queries, count=1), Answers()))
    assert [record["query"] for record in every] == list(queries)


@pytest.mark.parametrize(
    "request_",
    [
        Request(),
        Request(("a",), unit="text"),
        Request(("a",), unit="word", within="x.txt"),
        Request(("a",), within="x.txt", plus=("b",)),
        Request(("-",), plus=("b",)),
        Request(("-",), within="-"),
        Request(("a",), recipe="content,idf"),
        Request(("a",), recipe="wrong"),
        Request(("a",), plot=Path("x.gif")),
    ],
    ids=str,
)
def test_options_that_do_not_go_together_are_refused(ginza: VectorStore, request_: Request) -> None:
    with pytest.raises(UsageError):
        list(answer(request_, Answers()))


def test_the_search_is_exact_over_blocks() -> None:
    random = np.random.default_rng(5)
    matrix = random.normal(size=(50, 6)).astype(np.float32)
    matrix[3] = 0  # near to nothing
    matrix[20] = matrix[10]  # of equals the first
    norms = np.linalg.norm(matrix, axis=1)
    blocks = [matrix[start : start + 7] for start in range(0, 50, 7)]
    queries = random.normal(size=(4, 6)).astype(np.float32)
    queries[1] = matrix[10]
    cosines = queries @ matrix.T / np.where(norms > 0, norms, np.inf) / np.linalg.norm(queries, axis=1)[:, None]
    for count in (1, 9, 49):
        found = search(blocks, norms, queries, count, without=[frozenset(), frozenset({10}), frozenset(), frozenset()])
        for place, near in enumerate(found):
            wanted = [row for row in np.argsort(-cosines[place], kind="stable") if row != 3 and (place, row) != (1, 10)]
            assert [row for row, _ in near] == wanted[:count]
    one = search(blocks, norms, queries[:1], 9)[0]
    np.testing.assert_allclose([s for _, s in one], [s for _, s in search(blocks, norms, queries, 9)[0]], rtol=1e-5)


def test_more_neighbours_than_rows_are_all_rows(tmp_path: Path) -> None:
    write_store(tmp_path, np.eye(3, dtype=np.float32), [("a", 0), ("b", 1), ("c", 2)], Origin("test"))
    store = VectorStore.open(tmp_path)
    assert store is not None
    words = nearest.Words(Lookup(store, surface_only=True))
    assert len(list(similar.neighbours(words, [Query(("a",))], Answers(), 10))) == 2


def test_lines_are_ranked_and_a_repeated_line_is_listed_once(ginza: VectorStore, lookup: Lookup) -> None:
    lines = [
        "犬を散歩に連れて行った",
        "円安で輸出企業の株が上がった",
        "",
        "子猫が膝の上で眠っている",
        "、。",
        "子猫が膝の上で眠っている",
    ]
    found = list(similar.lines(TextVectors(lookup), ["猫が寝ている", "為替相場"], lines, Answers(), count=2))
    ranked = [(r["query"], r["rank"], lines.index(r["item"])) for r in found]
    assert ranked == [("猫が寝ている", 1, 3), ("猫が寝ている", 2, 0), ("為替相場", 1, 1), ("為替相場", 2, 0)]
    answers = Answers()
    assert list(similar.lines(TextVectors(lookup), ["", "xqzzwv"], lines, answers)) == []
    with pytest.raises(InputError, match="is empty"):
        answers.check()


def test_a_map_of_the_neighbourhood_is_drawn(ginza: VectorStore, tmp_path: Path) -> None:
    pictures = []
    for name in ("a.png", "b.png"):
        assert len(items(Request(("テスト", "電気自動車"), count=4, plot=tmp_path / name))) == 8
        pictures.append((tmp_path / name).read_bytes())
    assert pictures[0] == pictures[1]
    assert pictures[0].startswith(b"\x89PNG") and len(pictures[0]) > 5000
