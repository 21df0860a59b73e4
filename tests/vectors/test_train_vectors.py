"""Training of word vectors: the counts are the equations', the learned go on where they were stopped."""

import json
import math
import os
import shlex
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ginza_table import _cache
from signs import finished

from seqcli.core.vector_files import VectorFile
from seqcli.core.word_vectors import open_vectors
from seqcli.errors import DivergedError, InputError, Interrupted, ModelError, UsageError
from seqcli.results import Result
from seqcli.vectors import counts, similar, train
from seqcli.vectors.corpus import Corpus, Vocabulary, tokenized
from seqcli.vectors.glove import GloVe
from seqcli.vectors.learned import Gensim, Settings
from seqcli.vectors.nearest import Answers
from seqcli.vectors.train import Plan

__all__ = ["_cache"]  # the fixture

TEXTS = [["a", "b", "c"], ["a", "b"], ["c", "c", "d"]]


@pytest.fixture
def words() -> Vocabulary:
    return Vocabulary(("c", "a", "b"), (3, 2, 2), 8, 3)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two kinds of sentences, so that words of a kind are near each other."""
    random = np.random.default_rng(0)
    kinds = [["猫", "犬", "鳥", "魚", "馬"], ["円", "株", "金利", "相場", "銀行"]]
    lines = ["、".join(random.choice(kinds[row % 2], 4)) + "。" for row in range(600)]
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_the_command_to_try_asks_for_a_word_and_can_be_pasted(corpus: Path, tmp_path: Path) -> None:
    result = finished(train.train([str(corpus)], tmp_path / "my words", PLANS["ppmi-svd"]))
    _, _, question, *options = shlex.split(result.sentences[-1].removeprefix("Try: "))
    assert question.isalnum()  # 、 and 。 are more frequent
    assert options == ["--model", str(tmp_path / "my words")]


def test_cooccurrences_are_counted_within_the_window_and_the_text(words: Vocabulary) -> None:
    one = finished(counts.cooccurrences(TEXTS, words, 1)).toarray()
    # c a b: a-b twice, b-c once, c-c once (both ways); d is no word of the vocabulary.
    np.testing.assert_array_equal(one, [[2, 0, 1], [0, 0, 2], [1, 2, 0]])
    two = finished(counts.cooccurrences(TEXTS, words, 2, harmonic=True)).toarray()
    assert two[0, 1] == 0.5 and two[0, 2] == 1


def test_the_chunks_of_a_long_corpus_change_nothing(words: Vocabulary, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = finished(counts.cooccurrences(TEXTS * 5, words, 2)).toarray()
    monkeypatch.setattr(counts, "_CHUNK", 4)
    np.testing.assert_array_equal(finished(counts.cooccurrences(TEXTS * 5, words, 2)).toarray(), whole)


def test_a_window_wider_than_what_is_left_of_the_corpus_loses_no_pair(words: Vocabulary) -> None:
    wide = finished(counts.cooccurrences(TEXTS[1:2], words, 10)).toarray()
    np.testing.assert_array_equal(wide, [[0, 0, 0], [0, 0, 1], [0, 1, 0]])  # a b, which is shorter than the window


def test_ppmi_is_its_equation(words: Vocabulary) -> None:
    pairs = finished(counts.cooccurrences(TEXTS, words, 1))
    dense = pairs.toarray()
    found = counts.ppmi(pairs).toarray()
    context = dense.sum(axis=0) ** 0.75
    for w in range(3):
        for c in range(3):
            expected = dense[w].sum() * context[c] / context.sum()
            wanted = max(0.0, math.log(dense[w, c] / expected)) if dense[w, c] else 0.0
            assert found[w, c] == pytest.approx(wanted)


def test_tfidf_is_its_equation(words: Vocabulary) -> None:
    found = finished(counts.tfidf(TEXTS, words)).toarray()
    assert found.shape == (3, 3)
    assert found[0, 2] == pytest.approx((1 + math.log(2)) * math.log(3 / 2))
    assert found[1, 2] == 0


def test_the_reduction_keeps_what_varies_most_and_repeats_itself() -> None:
    import scipy.sparse as sparse

    dense = np.random.default_rng(1).random((30, 20))
    found = counts.reduced(sparse.csr_matrix(dense), 5, 1.0, seed=1)
    values = np.linalg.svd(dense, compute_uv=False)[:5]
    np.testing.assert_allclose(np.linalg.norm(found, axis=0), values, rtol=1e-4)
    np.testing.assert_allclose(found, counts.reduced(sparse.csr_matrix(dense), 5, 1.0, seed=2), atol=1e-4)
    with pytest.raises(InputError, match="at most 19 dimensions, not 20") as caught:
        counts.reduced(sparse.csr_matrix(dense), 20, 1.0, seed=1)
    assert "--dim 19" in str(caught.value.hint)


def test_a_corpus_may_be_a_pattern(corpus: Path) -> None:
    (corpus.parent / "more.txt").write_text("猫、犬。\n", encoding="utf-8")
    whole: Corpus = finished(tokenized([str(corpus.parent / "*.txt")], "word", "normalized"))
    named: Corpus = finished(tokenized([str(corpus), str(corpus.parent / "more.txt")], "word", "normalized"))
    assert whole.texts == 601
    assert whole.fingerprint == named.fingerprint


def test_a_corpus_is_tokenized_once(corpus: Path) -> None:
    first: Corpus = finished(tokenized([str(corpus)], "word", "normalized"))
    second: Corpus = finished(tokenized([str(corpus)], "word", "normalized"))
    assert (first.cached, second.cached) == (False, True)
    assert second.counts == first.counts and second.texts == 600
    assert next(iter(second))[1] == "、" and sum(map(len, second)) == sum(second.counts.values())
    corpus.write_text("別の文\n", encoding="utf-8")
    assert finished(tokenized([str(corpus)], "char", "surface")).counts == {"別": 1, "の": 1, "文": 1}


def test_a_corpus_without_text_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("\n\n", encoding="utf-8")
    with pytest.raises(InputError, match="holds no text"):
        finished(tokenized([str(empty)], "word", "surface"))
    with pytest.raises(InputError, match="no such file"):
        finished(tokenized([str(tmp_path / "none.txt")], "word", "surface"))


PLANS = {
    "tfidf": Plan("tfidf", dim=4), "cooccurrence": Plan("cooccurrence", dim=6), "ppmi-svd": Plan("ppmi-svd", dim=4),
    "word2vec": Plan("word2vec", dim=16, epochs=15, rate=0.05, threads=1),
    "fasttext": Plan("fasttext", dim=16, epochs=10, rate=0.05, threads=1),
    "glove": Plan("glove", dim=8, epochs=10, threads=1),
}  # fmt: skip


@pytest.mark.parametrize("method", PLANS)
def test_every_method_finds_the_kinds_of_words_and_its_folder_is_searched(
    corpus: Path, tmp_path: Path, method: str
) -> None:
    out = tmp_path / "model"
    result: Result = finished(train.train([str(corpus)], out, PLANS[method]))
    assert [row["model"] for row in result.records] == [method, "ginza"]
    row = result.records[0]
    assert row["coverage"] == 1.0 and row["vocabulary"] == 12 and row["tokens"] == 600 * 8
    assert set(row) == set(result.records[1])
    store = open_vectors(out)
    assert store.owner(0) == "、"
    kinds = {"猫": 0, "犬": 0, "鳥": 0, "魚": 0, "馬": 0, "円": 1, "株": 1, "金利": 1, "相場": 1, "銀行": 1}
    words = list(kinds)
    matrix = np.array([store.vectors[store.row(word)] for word in words])
    if method != "cooccurrence":  # plain counts are all near the comma: that is their lesson
        matrix = matrix - matrix.mean(axis=0)
    cosines = matrix @ matrix.T / np.outer(*[np.linalg.norm(matrix, axis=1)] * 2)
    same = np.array([[kinds[a] == kinds[b] for b in words] for a in words])
    other = cosines[~same].max()
    assert cosines[same].min() > other, cosines.round(2)


def test_the_same_seed_gives_the_same_vectors(corpus: Path, tmp_path: Path) -> None:
    for method in ("word2vec", "fasttext", "glove", "ppmi-svd"):
        tensors = []
        for number in (1, 2):
            out = tmp_path / f"{method}{number}"
            finished(train.train([str(corpus)], out, replace(PLANS[method], epochs=2)))
            tensors.append((out / "model.safetensors").read_bytes())
        assert tensors[0] == tensors[1], method


@pytest.mark.parametrize(("method", "done"), [("word2vec", 1), ("fasttext", 1), ("glove", 1), ("glove", 4)])
def test_a_training_that_was_stopped_goes_on_and_ends_the_same(
    corpus: Path, tmp_path: Path, method: str, done: int
) -> None:
    plan = replace(PLANS[method], epochs=4)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    finished(train.train([str(corpus)], whole, plan))
    work = train.train([str(corpus)], cut, plan)
    with pytest.raises(Interrupted, match=f"interrupted after epoch {done} of 4"):
        for progress in work:
            if progress.stage == "training" and progress.done == done:
                os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(ModelError, match="interrupted"):
        open_vectors(cut)
    with pytest.raises(ModelError, match="was begun with seed 1, not 2"):
        finished(train.train([str(corpus)], cut, replace(plan, seed=2), resume=True))
    finished(train.train([str(corpus)], cut, plan, resume=True))
    assert (cut / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert not (cut / "resume").exists()
    history = [json.loads(line)["epoch"] for line in (cut / "history.jsonl").read_text().splitlines()]
    assert history == [1, 2, 3, 4]


class Clock:
    """A clock that every epoch of a method moves by a minute, and nothing else."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, learner: Any) -> None:
        self.now = 0.0
        epoch = learner.epoch
        monkeypatch.setattr(train, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(learner, "epoch", lambda one, number: self.move() or epoch(one, number))

    def move(self) -> None:
        self.now += 60.0


@pytest.mark.parametrize("method", ["word2vec", "fasttext", "glove"])
def test_as_many_epochs_as_the_time_allows_are_those_of_so_many_epochs(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    finished(train.train([str(corpus)], tmp_path / "whole", replace(PLANS[method], epochs=3)))
    Clock(monkeypatch, GloVe if method == "glove" else Gensim)
    plan = replace(PLANS[method], max_minutes=5.0)  # one is measured, and some time kept back
    with pytest.raises(Interrupted, match="terminated after epoch 1 of 3"):
        for progress in train.train([str(corpus)], tmp_path / "timed", plan):
            if progress.stage == "training" and progress.done == 1:
                os.kill(os.getpid(), signal.SIGTERM)
    said = finished(train.train([str(corpus)], tmp_path / "timed", plan, resume=True))
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "timed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert f"allowed 3 of {PLANS[method].epochs} epochs; --epochs 3 repeats them" in said.sentences[-1]


def test_a_time_limit_trains_once_at_least_and_never_longer(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch, GloVe)
    for minutes, epochs in ((0.1, 1), (1000.0, 10)):
        plan = replace(PLANS["glove"], max_minutes=minutes)
        finished(train.train([str(corpus)], tmp_path / "m", plan, overwrite=True))
        assert json.loads((tmp_path / "m" / "config.json").read_text())["epochs"] == epochs
    with pytest.raises(UsageError, match="--max-minutes: tfidf is counted in one go"):
        finished(train.train([str(corpus)], tmp_path / "n", replace(PLANS["tfidf"], max_minutes=1.0)))


@pytest.mark.filterwarnings("error")
def test_a_training_that_diverges_keeps_its_last_good_vectors(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match=r"the loss is (nan|inf)"):
        finished(train.train([str(corpus)], tmp_path / "m", replace(PLANS["glove"], rate=1e30)))
    assert np.isfinite(open_vectors(tmp_path / "m").vectors).all()
    assert "diverged" in (tmp_path / "m" / "README.md").read_text()
    before = (tmp_path / "m" / "seqcli.json").read_bytes()
    with pytest.raises(DivergedError):
        finished(train.train([str(corpus)], tmp_path / "m", replace(PLANS["glove"], rate=1e30), overwrite=True))
    assert (tmp_path / "m" / "seqcli.json").read_bytes() == before  # a model that is there is worth more


def test_counts_are_not_resumed_and_a_model_is_not_overwritten(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="counted in one go"):
        finished(train.train([str(corpus)], tmp_path / "m", PLANS["tfidf"], resume=True))
    finished(train.train([str(corpus)], tmp_path / "m", PLANS["tfidf"]))
    with pytest.raises(ModelError, match="already holds a model"):
        finished(train.train([str(corpus)], tmp_path / "m", PLANS["tfidf"]))
    finished(train.train([str(corpus)], tmp_path / "m", PLANS["cooccurrence"], overwrite=True))
    assert open_vectors(tmp_path / "m").about.dim == 6


@pytest.mark.parametrize("suffix", ["vec", "bin", "glove"])
def test_the_vectors_are_written_as_a_file_and_read_back(corpus: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"v.{suffix}"
    finished(train.train([str(corpus)], tmp_path / "m", PLANS["ppmi-svd"], write=path))
    file = VectorFile(path)
    matrix = np.concatenate(list(file.blocks()))
    store = open_vectors(tmp_path / "m")
    assert list(file.words) == store.owners()
    np.testing.assert_array_equal(matrix, store.vectors)


@pytest.mark.parametrize("name", ["v.npy", "v"])
def test_a_file_of_no_known_format_is_refused_before_the_training(corpus: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="no format of vectors"):
        next(train.train([str(corpus)], tmp_path / "m", PLANS["ppmi-svd"], write=tmp_path / name))


def test_gensim_reads_what_is_written_for_it(corpus: Path, tmp_path: Path) -> None:
    from gensim.models import KeyedVectors

    for name in ("v.vec", "v.bin"):
        finished(train.train([str(corpus)], tmp_path / "m", PLANS["ppmi-svd"], overwrite=True, write=tmp_path / name))
        vectors = KeyedVectors.load_word2vec_format(tmp_path / name, binary=name.endswith("bin"))
        assert vectors.index_to_key == open_vectors(tmp_path / "m").owners()


def test_characters_get_vectors_too(corpus: Path, tmp_path: Path) -> None:
    result = finished(train.train([str(corpus)], tmp_path / "m", replace(PLANS["ppmi-svd"], unit="char")))
    assert [row["unit"] for row in result.records] == ["char"]
    assert open_vectors(tmp_path / "m").about.words == "char"
    request = similar.Request(("猫",), model=str(tmp_path / "m"), count=4)
    for unit in ("word", "char"):
        assert {r["item"] for r in similar.answer(replace(request, unit=unit), Answers())} <= {*"犬鳥魚馬"}


def test_glove_is_least_squares_of_the_logarithms() -> None:
    """With as many dimensions as words the products can be the logarithms of the counts, and become them."""
    import scipy.sparse as sparse

    random = np.random.default_rng(0)
    dense = np.exp(random.uniform(3, 6, (5, 5)))
    dense = dense + dense.T
    glove = GloVe(Settings("glove", 8, 5, 1500, 0.1, 1, 1), sparse.csr_matrix(dense))
    for epoch in range(1500):
        glove.epoch(epoch)
    word, context = glove.state()["sides"]
    products = word[:, :-1] @ context[:, :-1].T + word[:, -1:] + context[:, -1:].T
    np.testing.assert_allclose(products, np.log(dense), atol=0.05)
    np.testing.assert_allclose(glove.vectors(), word[:, :-1] + context[:, :-1])


def test_word2vec_is_gensims_own_when_it_runs_in_one_go(corpus: Path) -> None:
    """One epoch here is one epoch there, bit for bit."""
    made: Corpus = finished(tokenized([str(corpus)], "word", "surface"))
    words = made.vocabulary(1)
    ours = Gensim(Settings("word2vec", 16, 5, 1, 0.025, 7, 1), words, made.path)
    ours.epoch(0)
    from gensim.models import Word2Vec

    theirs = Word2Vec(vector_size=16, window=5, min_count=1, sg=1, negative=5, seed=7, workers=1)
    theirs.build_vocab_from_freq(dict(zip(words.words, words.counts, strict=True)), corpus_count=words.texts)
    theirs.train(corpus_file=str(made.path), total_words=words.total, total_examples=words.texts, epochs=1)
    np.testing.assert_array_equal(ours.vectors(), theirs.wv.vectors)
