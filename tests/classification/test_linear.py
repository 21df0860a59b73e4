"""The linear model: what it learns, that C is chosen on development data alone, and that NumPy predicts as it does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SAMPLES

from seqcli.classification import data, linear
from seqcli.classification.data import Example, Partition
from seqcli.classification.linear import Labelled, LinearModel
from seqcli.core import metrics
from seqcli.core.safe_formats import dump_json, dump_tensors, read_json, read_tensors
from seqcli.core.tokens import Tokenizer
from seqcli.errors import ModelError

TOKENIZER = Tokenizer(form="normalized")


@pytest.fixture(scope="module")
def parts() -> Partition:
    return data.prepare(SAMPLES / "posts.csv")


def texts(part: list[Example]) -> list[str]:
    return [example.text for example in part]


def tokens(part: list[Example]) -> list[list[str]]:
    return [TOKENIZER.words(example.text) for example in part]


def gold(parts: Partition, part: list[Example]) -> np.ndarray:
    return np.array([parts.labels.index(example.label) for example in part])


@pytest.fixture(scope="module")
def model(parts: Partition) -> LinearModel:
    chosen_on = Labelled(texts(parts.valid), tokens(parts.valid), gold(parts, parts.valid))
    train = parts.train
    return LinearModel.fit(texts(train), tokens(train), gold(parts, train), 4, development=chosen_on)


def test_it_learns_more_than_the_most_frequent_label(parts: Partition, model: LinearModel) -> None:
    unseen = [*parts.valid, *parts.test]
    said = model.log_probabilities(texts(unseen), tokens(unseen)).argmax(axis=1)
    assert metrics.macro_f1(gold(parts, unseen), said, 4) > 0.5
    assert (
        metrics.accuracy(gold(parts, parts.train), model.scores(texts(parts.train), tokens(parts.train)).argmax(axis=1))
        > 0.95
    )


@pytest.mark.parametrize("kind", ["logistic", "svc"])
@pytest.mark.parametrize("classes", [2, 4])
def test_the_scores_are_those_of_scikit_learn(parts: Partition, kind: Any, classes: int) -> None:
    from scipy.special import log_softmax
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    train = [example for example in parts.train if example.label in parts.labels[:classes]]
    asked = texts(parts.test)
    model = LinearModel.fit(texts(train), None, gold(parts, train), classes, kind=kind)
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 4), sublinear_tf=True, min_df=2)
    matrix = vectorizer.fit_transform(texts(train))
    learner = LogisticRegression(C=10, tol=1e-6, max_iter=1000) if kind == "logistic" else LinearSVC(random_state=0)
    learner.fit(matrix, gold(parts, train))
    theirs = learner.decision_function(vectorizer.transform(asked))
    ours = model.scores(asked)
    if classes == 2:
        assert ours[:, 1] - ours[:, 0] == pytest.approx(theirs, abs=0.02)
    elif kind == "svc":
        assert ours == pytest.approx(theirs, abs=0.02)
    else:
        assert model.log_probabilities(asked) == pytest.approx(log_softmax(theirs, axis=1), abs=0.02)


def test_log_probabilities_add_up_to_one(parts: Partition, model: LinearModel) -> None:
    logs = model.log_probabilities(["", *texts(parts.test)], [[], *tokens(parts.test)])
    assert np.exp(logs).sum(axis=1) == pytest.approx(np.ones(len(logs)), abs=1e-5)
    assert logs.dtype == np.float32


@pytest.mark.parametrize("kind", ["logistic", "svc"])
def test_c_is_the_one_that_is_best_on_development_data(
    parts: Partition, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, learnt = texts(parts.train), gold(parts, parts.train)
    chosen_on = Labelled(texts(parts.valid), None, gold(parts, parts.valid))
    strengths = (1e-4, 1.0, 3.0)
    models = []
    for strength in strengths:
        monkeypatch.setattr(linear, "STRENGTHS", {kind: (strength,)})
        models.append(LinearModel.fit(train, None, learnt, 4, kind=kind, development=chosen_on))
    logs = [model.log_probabilities(chosen_on.texts) for model in models]
    losses = [metrics.log_loss(log, chosen_on.gold) for log in logs]
    wrong = [-metrics.macro_f1(chosen_on.gold, log.argmax(axis=1), 4) for log in logs]
    best = strengths[int(np.argmin(losses if kind == "logistic" else wrong))]
    monkeypatch.setattr(linear, "STRENGTHS", {kind: strengths})
    assert LinearModel.fit(train, None, learnt, 4, kind=kind, development=chosen_on).strength == best
    if kind == "logistic":  # where the least probable label is the true one, who says least loses least
        against = chosen_on._replace(gold=logs[-1].argmin(axis=1))
        assert LinearModel.fit(train, None, learnt, 4, kind=kind, development=against).strength == 1e-4


def test_models_of_one_counting_are_those_that_are_fitted_alone(parts: Partition) -> None:
    train, learnt = texts(parts.train), gold(parts, parts.train)
    chosen_on = Labelled(texts(parts.valid), None, gold(parts, parts.valid))
    training = linear.Training(train, None, learnt, 4, chosen_on)
    for kind in ("logistic", "svc"):
        alone = LinearModel.fit(train, None, learnt, 4, kind=kind, development=chosen_on, seed=2)
        assert np.array_equal(training.fit(kind, 2).weights, alone.weights)


def test_the_whole_is_what_chose_among_what_was_learnt_from(parts: Partition) -> None:
    both = [*parts.train, *parts.valid]
    asked = texts(parts.test), tokens(parts.test)
    for words in (False, True):
        learnt, chosen_on = (
            linear.Labelled(texts(part), tokens(part) if words else None, gold(parts, part))
            for part in (parts.train, parts.valid)
        )
        whole = linear.Training(*learnt, 4, chosen_on).whole().fit("svc", strength=0.3)
        alone = linear.Training(texts(both), tokens(both) if words else None, gold(parts, both), 4)
        assert np.array_equal(whole.weights, alone.fit("svc", strength=0.3).weights)
        assert whole.strength == 0.3
        first = linear.Training(*learnt, 4).fit("svc", strength=0.3)
        assert not np.array_equal(whole.scores(*asked), first.scores(*asked))


def test_a_temperature_divides_every_score_and_is_saved(parts: Partition, model: LinearModel) -> None:
    asked = texts(parts.test), tokens(parts.test)
    calm = model.calibrated(2.5)
    assert calm.scores(*asked) == pytest.approx(model.scores(*asked) / 2.5, abs=0.01)
    again = LinearModel.load(calm.tensors(), calm.document())
    assert np.array_equal(again.scores(*asked), calm.scores(*asked))


def test_the_same_data_give_the_same_weights(parts: Partition) -> None:
    train, learnt = texts(parts.train), gold(parts, parts.train)
    for kind in ("logistic", "svc"):
        first, second = (LinearModel.fit(train, None, learnt, 4, kind=kind, seed=3) for _ in range(2))
        assert np.array_equal(first.weights, second.weights)


def test_a_saved_model_says_the_same_bit_for_bit(parts: Partition, model: LinearModel, tmp_path: Path) -> None:
    (tmp_path / "linear.safetensors").write_bytes(dump_tensors(model.tensors()))
    (tmp_path / "linear.json").write_text(dump_json(model.document()), encoding="utf-8")
    again = LinearModel.load(read_tensors(tmp_path / "linear.safetensors"), read_json(tmp_path / "linear.json", dict))
    asked = texts(parts.test), tokens(parts.test)
    assert np.array_equal(again.log_probabilities(*asked), model.log_probabilities(*asked))
    assert (again.kind, again.strength) == (model.kind, model.strength)


def test_what_the_n_grams_add_makes_the_score(parts: Partition, model: LinearModel) -> None:
    text = parts.test[0].text
    words = TOKENIZER.words(text)
    for label in range(4):
        added = model.contributions(text, words, label)
        score = model.scores([text], [words])[0, label]
        assert sum(value for _, value in added) + model.bias[label] == pytest.approx(score, abs=1e-4)
        assert [abs(value) for _, value in added] == sorted((abs(value) for _, value in added), reverse=True)
    assert {term for term, _ in added if len(term) == 1} <= set(text.lower()) | set(words)


def test_words_are_needed_where_they_were_learnt(model: LinearModel) -> None:
    with pytest.raises(ValueError, match="needs tokens"):
        model.scores(["猫"])


def test_a_class_without_an_example_is_refused() -> None:
    with pytest.raises(ValueError, match="2 classes, not of 3"):
        LinearModel.fit(["猫", "犬"], None, [0, 2], 3)


def test_texts_without_a_common_character_are_answered_by_the_shares_of_the_labels() -> None:
    for kind in ("logistic", "svc"):
        model = LinearModel.fit(["猫", "犬", "鳥", "魚"], [["猫"], ["犬"], ["鳥"], ["魚"]], [0, 0, 0, 1], 2, kind=kind)
        assert np.exp(model.log_probabilities(["猫", ""], [["猫"], []])) == pytest.approx(np.array([[0.75, 0.25]] * 2))
        assert LinearModel.load(model.tensors(), model.document()).scores(["猫"], [["猫"]]).shape == (1, 2)


def test_long_texts_do_not_make_a_large_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "_FEWEST", 1)
    monkeypatch.setattr(linear, "_MOST", 8)
    generator = np.random.default_rng(0)
    long = ["".join(map(chr, generator.integers(0x3041, 0x3080, 200))) for _ in range(20)]
    model = LinearModel.fit(long, None, [0, 1] * 10, 2)
    assert len(model.weights) == 10 * 8


@pytest.mark.parametrize(
    ("tensors", "document"),
    [
        ({"weights": np.zeros((3, 4), np.float16)}, {}),
        ({"bias": np.zeros(3, np.float32)}, {}),
        ({"bias": np.zeros((4, 1), np.float32)}, {}),
        ({}, {"kind": "forest"}),
        ({}, {"kind": None}),
        ({}, {"strength": "strong"}),
        ({}, {"parts": [{"unit": "char"}]}),
        ({}, {"parts": None}),
        ({}, {"parts": [1]}),
        ({}, {"parts": []}),
    ],
)
def test_a_model_that_does_not_fit_together_is_refused(
    model: LinearModel, tensors: dict[str, Any], document: dict[str, Any]
) -> None:
    with pytest.raises(ModelError):
        LinearModel.load(model.tensors() | tensors, model.document() | document)


def test_predicting_imports_neither_scikit_learn_nor_scipy(model: LinearModel, tmp_path: Path) -> None:
    (tmp_path / "linear.safetensors").write_bytes(dump_tensors(model.tensors()))
    (tmp_path / "linear.json").write_text(dump_json(model.document()), encoding="utf-8")
    script = """
import sys
from pathlib import Path
from seqcli.classification.linear import LinearModel
from seqcli.core.safe_formats import read_json, read_tensors
model = LinearModel.load(read_tensors(Path("linear.safetensors")), read_json(Path("linear.json"), dict))
assert model.log_probabilities(["猫"], [["猫"]]).shape == (1, 4)
assert model.contributions("焼肉", ["焼肉"], 0)
heavy = {"sklearn", "scipy", "torch", "pandas"} & sys.modules.keys()
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)
