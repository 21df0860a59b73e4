"""TF-IDF of n-grams: scikit-learn's numbers, in any company, in pieces, saved and loaded."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from seqcli.core import tfidf
from seqcli.core.tfidf import SparseRows, Tfidf, TfidfSettings
from seqcli.errors import ModelError, UsageError

ALPHABET = "猫犬焼肉が好きAaＡ1。、  \n\t\u3000𠮷😀\ud800ß"


def texts(seed: int, count: int = 60, longest: int = 30) -> list[str]:
    generator = random.Random(seed)
    return ["".join(generator.choices(ALPHABET, k=generator.randint(0, longest))) for _ in range(count)]


def dense(rows: SparseRows) -> np.ndarray:
    matrix = np.zeros((len(rows), rows.columns), np.float32)
    for number in range(len(rows)):
        columns, values = rows.row(number)
        matrix[number, columns] = values
    return matrix


def theirs(settings: TfidfSettings, fitted: list[Any], asked: list[Any]) -> dict[str, np.ndarray]:
    """scikit-learn's column of each term."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    def join(tokens: list[str]) -> list[str]:
        spans = range(settings.low, settings.high + 1)
        return [" ".join(tokens[i : i + n]) for n in spans for i in range(len(tokens) - n + 1)]

    vectorizer = TfidfVectorizer(
        analyzer="char" if settings.unit == "char" else join,
        ngram_range=(settings.low, settings.high) if settings.unit == "char" else (1, 1),
        min_df=settings.min_count,
        sublinear_tf=settings.sublinear,
        lowercase=settings.unit == "char",
    )
    vectorizer.fit(fitted)
    matrix = vectorizer.transform(asked).toarray()
    return {term: matrix[:, column] for term, column in vectorizer.vocabulary_.items()}


@pytest.mark.parametrize(
    "settings",
    [
        TfidfSettings(),
        TfidfSettings(sublinear=False, min_count=1),
        TfidfSettings(low=2, high=3),
        TfidfSettings(low=1, high=1, min_count=3),
    ],
)
def test_characters_have_scikit_learns_terms_and_numbers(settings: TfidfSettings) -> None:
    fitted, asked = texts(1), texts(2)
    ours = Tfidf.fit(settings, fitted)
    matrix = dense(ours.transform(asked))
    expected = theirs(settings, fitted, asked)
    assert set(ours.terms) == set(expected)
    for term, column in zip(ours.terms, matrix.T, strict=True):
        assert column == pytest.approx(expected[term], abs=1e-6), term


def test_words_have_scikit_learns_terms_and_numbers() -> None:
    fitted, asked = ([text.split("が") for text in texts(seed)] for seed in (3, 4))
    settings = TfidfSettings("word", 1, 2)
    ours = Tfidf.fit(settings, fitted)
    expected = theirs(settings, fitted, asked)
    assert set(ours.terms) == set(expected)
    for term, column in zip(ours.terms, dense(ours.transform(asked)).T, strict=True):
        assert column == pytest.approx(expected[term], abs=1e-6), term


def test_what_is_done_in_pieces_is_what_is_done_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted, asked = texts(5), texts(6)
    whole = Tfidf.fit(TfidfSettings(), fitted)
    rows = whole.transform(asked)
    weights = np.random.default_rng(0).normal(size=(len(whole), 3)).astype(np.float32)
    product = rows.dot(weights)
    monkeypatch.setattr(tfidf, "_CHUNK", 40)
    pieces = Tfidf.fit(TfidfSettings(), fitted)
    assert pieces.terms == whole.terms
    assert np.array_equal(pieces.idf, whole.idf)
    again = pieces.transform(asked)
    assert np.array_equal(dense(again), dense(rows))
    assert np.array_equal(again.indptr, rows.indptr)
    assert np.array_equal(again.dot(weights), product)


def test_a_row_is_the_same_bit_for_bit_in_any_company() -> None:
    model, asked = Tfidf.fit(TfidfSettings(), texts(7)), texts(8)
    weights = np.random.default_rng(0).normal(size=(len(model), 4)).astype(np.float32)
    together = model.transform(asked).dot(weights)
    alone = np.concatenate([model.transform([text]).dot(weights) for text in asked])
    assert np.array_equal(together, alone)


def test_a_product_is_that_of_the_whole_matrix() -> None:
    model = Tfidf.fit(TfidfSettings(), texts(9))
    rows = model.transform(texts(10))
    weights = np.random.default_rng(1).normal(size=(len(model), 2)).astype(np.float32)
    assert rows.dot(weights) == pytest.approx(dense(rows) @ weights, abs=1e-5)


@pytest.mark.parametrize("text", ["", "   ", "見知らぬ字", "\ud800\udfff"])
def test_a_text_without_known_terms_is_a_row_of_zeros(text: str) -> None:
    model = Tfidf.fit(TfidfSettings(), ["猫が好き", "猫が嫌い"])
    rows = model.transform(["猫", text, "猫"])
    assert np.diff(rows.indptr).tolist() == [1, 0, 1]
    assert rows.dot(np.ones((len(model), 2), np.float32))[1].tolist() == [0, 0]


def test_nothing_at_all_is_fitted_and_transformed_without_complaint() -> None:
    model = Tfidf.fit(TfidfSettings(), ["", "a"])
    assert len(model) == 0
    assert len(model.transform(["a", "b"])) == 2
    assert len(Tfidf.fit(TfidfSettings(), ["猫", "猫"]).transform([])) == 0


def test_cells_beyond_32_bits_are_told_apart() -> None:
    # All pairs of 900 characters are terms, and 3,000 rows of them need more than 2**31 cells.
    symbols = [chr(0x4E00 + number) for number in range(900)]
    parents = np.repeat(np.arange(901), 900).astype(np.int32)
    last = np.tile(np.arange(900), 901).astype(np.int32)
    ones = np.ones(len(parents), np.int32)
    model = Tfidf(TfidfSettings(high=2), symbols, parents=parents, last=last, df=ones, texts=1)
    rows = model.transform([symbols[number % 900] for number in range(3000)])
    assert rows.indices.tolist() == [number % 900 for number in range(3000)]
    assert rows.indptr.tolist() == list(range(3001))


def test_most_keeps_the_terms_of_the_most_texts() -> None:
    fitted = texts(11)
    whole = Tfidf.fit(TfidfSettings(), fitted)
    some = Tfidf.fit(replace(whole.settings, most=50), fitted)
    assert len(some) == 50
    df = dict(zip(whole.terms, whole.df.tolist(), strict=True))
    left_out = [df[term] for term in set(whole.terms) - set(some.terms)]
    assert max(left_out) <= min(df[term] for term in some.terms)
    assert {term[:-1] for term in some.terms if len(term) > 1} <= set(some.terms)
    assert {term: float(value) for term, value in zip(some.terms, some.idf, strict=True)}.items() <= {
        term: float(value) for term, value in zip(whole.terms, whole.idf, strict=True)
    }.items()


@pytest.mark.parametrize("unit", ["char", "word"])
def test_a_saved_model_is_the_same_model(unit: Any) -> None:
    fitted = [list(text) for text in texts(12)] if unit == "word" else texts(12)
    model = Tfidf.fit(TfidfSettings(unit, 1, 3), fitted)
    again = Tfidf.load(model.tensors(), model.document())
    assert again.terms == model.terms
    assert np.array_equal(dense(again.transform(fitted)), dense(model.transform(fitted)))


def cycle(model: Tfidf) -> dict[str, np.ndarray]:
    return model.tensors() | {"parents": np.arange(1, len(model.parents) + 1, dtype=np.int32)}


@pytest.mark.parametrize(
    "change",
    [
        cycle,
        lambda model: model.tensors() | {"parents": model.parents[::-1].copy()},
        lambda model: model.tensors() | {"parents": model.parents - 1},
        lambda model: model.tensors() | {"last": model.last + len(model.symbols)},
        lambda model: model.tensors() | {"last": model.last[:-1]},
        lambda model: model.tensors() | {"df": model.df * 1000},
        lambda model: model.tensors() | {"df": model.df * 0},
        lambda model: model.tensors() | {"df": model.df.astype(np.float32)},
        lambda model: {"parents": model.parents},
    ],
)
def test_arrays_that_are_no_tree_of_terms_are_refused(change: Any) -> None:
    model = Tfidf.fit(TfidfSettings(), texts(13))
    with pytest.raises(ModelError, match="tfidf"):
        Tfidf.load(change(model), model.document())


@pytest.mark.parametrize(
    "change", [{"low": 0}, {"high": 99}, {"unit": "line"}, {"symbols": [1, 2]}, {"symbols": "猫"}, {"texts": None}]
)
def test_settings_that_make_no_sense_are_refused(change: dict[str, Any]) -> None:
    model = Tfidf.fit(TfidfSettings(), texts(14))
    with pytest.raises(ModelError, match="tfidf"):
        Tfidf.load(model.tensors(), model.document() | change)


def test_a_document_without_a_setting_is_refused() -> None:
    model = Tfidf.fit(TfidfSettings(), texts(15))
    document = {name: value for name, value in model.document().items() if name != "sublinear"}
    with pytest.raises(ModelError, match="sublinear"):
        Tfidf.load(model.tensors(), document)


@pytest.mark.parametrize("values", [(0, 4, 2), (3, 2, 2), (1, 9, 2), (1, 4, 0)])
def test_lengths_that_make_no_sense_are_a_usage_error(values: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError, match="n-grams"):
        TfidfSettings("char", *values)
