"""A generator's training: what it reads, how it is mixed, and that a run that was stopped is the same run."""

from __future__ import annotations

import json
import math
import os
import signal
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch  # noqa: TID253 - these tests train
from signs import finished

from seqcli.core import checkpoint, device
from seqcli.core.place import Place
from seqcli.core.safe_formats import read_tensors
from seqcli.core.units import Units
from seqcli.errors import DivergedError, Interrupted, ModelError, UsageError
from seqcli.generation import beginning, data, ngram, plan, train
from seqcli.generation.chunks import Streams, log_probabilities
from seqcli.generation.data import Corpus
from seqcli.generation.loading import load
from seqcli.generation.mixing import mixed, weights
from seqcli.generation.model import LanguageModel
from seqcli.generation.ngram import KneserNey
from seqcli.generation.plan import Plan, cutoffs
from seqcli.results import Result

WORDS = ("猫は", "犬は", "私は", "朝に", "魚を", "肉を", "パンを", "食べる。\n", "見る。\n", "買う。\n")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A text of sentences drawn at random, 9,000 characters or so."""
    home = tmp_path_factory.mktemp("corpus")
    drawn = np.random.default_rng(0).integers(0, 1 << 30, (900, 3)) % [3, 4, 3]
    text = "".join(WORDS[a] + WORDS[3 + b] + WORDS[7 + c] for a, b, c in drawn)
    (home / "text.txt").write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQCLI_CACHE_DIR", str(home / "cache"))
        return finished(data.prepare([str(home / "text.txt")], data.Recipe()))


def tiny(corpus: Corpus, **flags: Any) -> Plan:
    """The smallest training."""
    rest = {name: flags.pop(name) for name in ("mixture", "bptt", "order", "tied") if name in flags}
    given = {"hidden": 12, "epochs": 2, "seed": 1, "threads": 1, "device": "cpu", "batch_size": 8} | flags
    return plan.make(corpus, given, **({"bptt": 20} | rest))


def trained(corpus: Corpus, out: Path, how: Plan, **place: bool) -> Result:
    result = finished(train.train(corpus, Place(out, **place), how))
    assert isinstance(result, Result)
    return result


def tensors(out: Path) -> bytes:
    return (out / "model.safetensors").read_bytes()


# What is read


@pytest.mark.parametrize(("rows", "bptt"), [(4, 7), (1, 100), (8, 3), (50, 50)])
def test_the_batches_of_an_epoch_hold_almost_all_of_the_text_and_what_comes_next(rows: int, bptt: int) -> None:
    streams = Streams.of(np.arange(200, dtype=np.int32), rows, bptt, seed=1)
    batches = [batch.tokens for batch in streams.batches(3)]
    assert len(batches) == len(streams.batches(3))
    read = np.concatenate([batch[:, :-1] for batch in batches], axis=1)
    told = np.concatenate([batch[:, 1:] for batch in batches], axis=1)
    np.testing.assert_array_equal(told, (read + 1) % 200)
    np.testing.assert_array_equal(read[:, 1:], told[:, :-1])  # each chunk goes on where the last one of its row ended
    assert len(np.unique(read)) == read.size > 200 - 3 * streams.rows
    assert max(batch.shape[1] for batch in batches) <= bptt + 1


def test_every_epoch_cuts_the_text_elsewhere_and_the_same_epoch_alike() -> None:
    streams = Streams.of(np.arange(500, dtype=np.int32), 4, 10, seed=1)
    first, again, second = (next(iter(streams.batches(epoch))).tokens for epoch in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)


def test_a_text_shorter_than_a_chunk_is_one_shorter_chunk() -> None:
    streams = Streams.of(np.array([1, 5, 6], np.int32), 16, 48, seed=0)
    batches = list(streams.batches(0))
    assert [batch.tokens.shape for batch in batches] == [(1, 3)]


def test_rows_side_by_side_give_the_probabilities_of_one_row_but_for_their_beginnings(corpus: Corpus) -> None:
    model = LanguageModel(replace(tiny(corpus).config, embedding=8))
    tokens = corpus.train[:2200]
    one, four = (log_probabilities(model, tokens, rows) for rows in (1, 4))
    assert one.shape == four.shape == (2199,)
    assert model.training
    np.testing.assert_allclose(four[:549], one[:549], rtol=1e-4)  # the first row begins as the text does
    assert not np.allclose(four[550:560], one[550:560], rtol=1e-4)
    assert np.abs(one - four).mean() < 0.01


@pytest.mark.parametrize(("rows", "size"), [(1, 2), (1, 1400), (8, 4700), (8, 4097), (3, 1537)])
def test_a_text_is_read_a_chunk_at_a_time_to_the_bit_as_if_it_were_cut_in_rows_at_once(
    corpus: Corpus, rows: int, size: int
) -> None:
    model = LanguageModel(tiny(corpus).config).eval()
    tokens = np.resize(corpus.train, size)
    length = -(-(size - 1) // rows)
    padded = np.zeros(rows * length + 1, np.int64)
    padded[:size] = tokens
    table = torch.from_numpy(np.stack([padded[r * length : (r + 1) * length + 1] for r in range(rows)]))
    wanted, state = [], None
    for start in range(0, length, 512):
        chunk = table[:, start : start + 513]
        with torch.no_grad(), device.autocast(chunk.device, bf16=False):
            known, state = model(chunk[:, :-1], state)
            wanted.append(model.log_probabilities(known, chunk[:, 1:]).numpy())
    whole = np.concatenate(wanted, axis=1).ravel()[: size - 1]
    assert log_probabilities(model, tokens, rows).tolist() == whole.tolist()


# The mixture


def test_the_weights_of_a_mixture_are_the_best_ones() -> None:
    random = np.random.default_rng(0)
    network, counted = np.log(random.uniform(0.01, 1, (2, 4000)))
    orders = random.integers(0, 2, 4000)
    counted[orders == 1] += 0.5
    chosen = weights(network, counted, orders, 2)
    assert chosen[0] > chosen[1]
    best = mixed(network, counted, orders, chosen).mean()
    for other in np.linspace(0.02, 0.98, 25):
        for place in (0, 1):
            changed = tuple(other if k == place else chosen[k] for k in (0, 1))
            assert mixed(network, counted, orders, changed).mean() < best + 1e-3


def test_an_order_that_the_validation_text_never_matched_leans_on_the_others() -> None:
    network, counted = np.full(500, -1.0), np.full(500, -3.0)
    chosen = weights(network, counted, np.zeros(500, int), 3)
    assert chosen[1] == chosen[2] > 0.9


# The plan


def test_the_vocabulary_is_cut_where_a_place_costs_the_fewest_logits() -> None:
    counts = (1e7 / np.arange(1, 10_001) ** 1.1).astype(int)
    cuts = cutoffs(counts)
    shares = np.concatenate([[0], np.cumsum(counts)]) / counts.sum()

    def cost(*ends: int) -> float:
        bounds = [*ends, 10_000]
        return bounds[0] + sum((shares[b] - shares[a]) * (b - a) for a, b in pairwise(bounds))

    assert len(cuts) in (1, 2)
    assert cost(*cuts) < 0.4 * 10_000
    assert cost(*cuts) < cost(5000)
    assert cutoffs(counts[:500]) == ()


def test_what_the_user_said_goes_before_what_was_chosen(corpus: Corpus) -> None:
    how = plan.make(
        corpus,
        {"hidden": 40, "layers": 2, "cell": "gru", "epochs": 3, "learning_rate": 0.1, "clip_norm": 7.0, "dropout": 0.0,
         "batch_size": 5, "seed": 9, "threads": 2, "device": "cpu", "max_minutes": 1.5},
        bptt=13, tied=False, mixture=False, order=3, sources=("a.txt",),
    )  # fmt: skip
    assert (how.config.hidden, how.config.layers, how.config.cell, how.config.tied) == (40, 2, "gru", False)
    assert (how.config.output_dropout, how.config.weight_dropout, how.config.word_dropout) == (0.0, 0.0, 0.0)
    assert (how.fit.epochs, how.fit.learning_rate, how.fit.clip_norm, how.fit.seed) == (3, 0.1, 7.0, 9)
    assert (how.rows, how.bptt, how.order, how.mixture, how.threads) == (5, 13, 3, False, 2)
    assert how.fit.max_minutes == 1.5
    with pytest.raises(UsageError, match="--bptt"):
        plan.make(corpus, {}, bptt=0)


# The training


@pytest.fixture(scope="module")
def whole(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A model, trained in one go, and its report."""
    out = tmp_path_factory.mktemp("whole") / "model"
    return out, trained(corpus, out, tiny(corpus))


def test_the_report_compares_the_network_and_the_mixture_with_counting(whole: tuple[Path, Result]) -> None:
    records = {(row["part"], row["model"]): row for row in whole[1].records}
    models = ("mixture", "lstm", "kneser-ney", "unigram", "uniform")
    assert list(records) == [(part, model) for part in ("valid", "test") for model in models]
    for part in ("valid", "test"):
        bits = {model: records[part, model]["bits_per_char"] for model in models}
        assert bits["mixture"] <= bits["kneser-ney"] + 0.01
        assert bits["lstm"] < bits["uniform"]
    manifest = checkpoint.peek(whole[0])
    assert [dict(row) for row in manifest.metrics] == json.loads(json.dumps([dict(row) for row in whole[1].records]))


def test_the_saved_model_gives_the_probabilities_of_the_report(whole: tuple[Path, Result], corpus: Corpus) -> None:
    model = load(whole[0])
    scores, _ = model.mixture.scores(model.mixture.start(), np.asarray(corpus.test[1:])[None])
    records = {row["model"]: row for row in whole[1].records if row["part"] == "test"}
    for name, found in (("lstm", scores.network), ("kneser-ney", scores.ngram), ("mixture", scores.mixture)):
        assert found is not None
        perplexity = math.exp(-float(found.mean(dtype=np.float64)))
        assert perplexity == pytest.approx(records[name]["perplexity"], rel=1e-4)


def test_the_best_epoch_is_the_one_that_is_saved(whole: tuple[Path, Result]) -> None:
    history = checkpoint.load_history(whole[0])
    best = min(row["validation"] for row in history)
    record = next(row for row in whole[1].records if (row["part"], row["model"]) == ("valid", "lstm"))
    assert math.log(record["perplexity"]) == pytest.approx(best, abs=1e-4)
    assert all(0 <= row["clipped"] <= 1 for row in history)


@pytest.mark.parametrize("after", [1, 2])
def test_an_interrupted_training_goes_on_to_the_same_weights(
    whole: tuple[Path, Result], corpus: Corpus, tmp_path: Path, after: int
) -> None:
    out = tmp_path / "model"
    work = train.train(corpus, Place(out), tiny(corpus))
    with pytest.raises(Interrupted):
        for number, sign in enumerate(work):
            if sign.stage == "training" and number >= after:
                os.kill(os.getpid(), signal.SIGTERM)
    assert (out / "resume").is_dir()
    with pytest.raises(ModelError, match="'rows' was 8 when the training began, and is now 4"):
        trained(corpus, out, tiny(corpus, batch_size=4), resume=True)
    result = trained(corpus, out, tiny(corpus), resume=True)
    assert tensors(out) == tensors(whole[0])
    assert not (out / "resume").exists()
    assert [row["bpc_open"] for row in result.records] == [row["bpc_open"] for row in whole[1].records]


def test_an_interrupt_while_it_is_measured_loses_no_training(
    whole: tuple[Path, Result], corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train.report, "report", interrupted)
        with pytest.raises(KeyboardInterrupt) as stop:
            trained(corpus, tmp_path / "model", tiny(corpus))
    assert stop.value.__notes__ == ["the training is saved, and --resume goes on from there"]
    trained(corpus, tmp_path / "model", tiny(corpus), resume=True)
    assert tensors(tmp_path / "model") == tensors(whole[0])


def test_a_text_too_long_to_be_counted_whole_is_counted_in_part_and_that_is_said(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ngram, "MOST", 1000)
    result = trained(corpus, tmp_path / "model", tiny(corpus, epochs=1))
    assert f"the n-grams were counted in the first 1,000 of {len(corpus.train):,} units" in result.warnings


def test_another_seed_gives_other_weights(whole: tuple[Path, Result], corpus: Corpus, tmp_path: Path) -> None:
    trained(corpus, tmp_path / "model", tiny(corpus, seed=2, epochs=2))
    assert tensors(tmp_path / "model") != tensors(whole[0])


def test_without_a_mixture_there_are_no_ngrams_in_the_folder(corpus: Corpus, tmp_path: Path) -> None:
    result = trained(corpus, tmp_path / "model", tiny(corpus, mixture=False, epochs=1))
    assert {row["model"] for row in result.records} == {"lstm", "kneser-ney", "unigram", "uniform"}
    assert not (tmp_path / "model" / "ngram.safetensors").exists()
    assert load(tmp_path / "model").mixture.ngram is None


def test_a_training_that_diverges_leaves_its_last_good_weights(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="not a finite number"):
        trained(corpus, tmp_path / "model", tiny(corpus, learning_rate=1e30, clip_norm=0.0))
    model = load(tmp_path / "model")
    assert model.mixture.ngram is None
    assert np.isfinite(model.mixture.probabilities(model.mixture.start())).all()


def test_signs_of_life_say_loss_bits_speed_and_the_time_left(corpus: Corpus, tmp_path: Path) -> None:
    signs = list(train.train(corpus, Place(tmp_path / "model"), tiny(corpus, epochs=2)))
    lines = [sign for sign in signs if sign.stage == "training" and sign.line]
    assert len(lines) == 2
    for word in ("epoch 1", "loss", "validation", "bits a character", "units a second", "left"):
        assert word in lines[0].text
    assert "left" not in lines[-1].text
    assert lines[-1].done == lines[-1].total
    measured = {sign.stage: sign for sign in signs if sign.stage.startswith("measuring")}
    for part in ("valid", "test"):
        assert measured[f"measuring {part}"].done == measured[f"measuring {part}"].total


def test_dropout_grows_and_a_text_that_is_read_once_needs_none(corpus: Corpus) -> None:
    usual = tiny(corpus)
    assert usual.strength(1.0, epochs=0.5) == usual.strength(0.2, epochs=1) == 0
    assert usual.strength(1.0, epochs=14) == 1
    assert 0 < usual.strength(0.0, epochs=14) < usual.strength(0.5, epochs=14) < 1
    assert 0 < usual.strength(1.0, epochs=3) < usual.strength(1.0, epochs=6) < 1
    said = tiny(corpus, dropout=0.4)
    assert said.strength(1.0, epochs=0.5) == 1, "what the user asks for is used in full"


def test_a_time_limit_plans_the_steps_and_says_so(corpus: Corpus, tmp_path: Path) -> None:
    trained(corpus, tmp_path / "model", tiny(corpus, max_minutes=0.03, epochs=4000))
    manifest = checkpoint.peek(tmp_path / "model")
    assert 1 <= manifest.data["planned_steps"] < 4000 * 50


def test_a_model_folder_records_the_rows_that_were_read_and_not_more_than_the_text_has(
    corpus: Corpus, tmp_path: Path
) -> None:
    trained(corpus, tmp_path / "model", tiny(corpus, epochs=1, batch_size=5000, bptt=100))
    settings = json.loads((tmp_path / "model" / "config.json").read_text("utf-8"))
    assert (settings["rows"], settings["bptt"]) == (len(corpus.train) // 101, 100)


def test_single_units_are_counted_once_for_both_parts(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: list[int] = []
    fit = KneserNey.fit

    def counting(tokens: Any, vocabulary: int, order: int = ngram.ORDER) -> KneserNey:
        orders.append(order)
        return fit(tokens, vocabulary, order)

    monkeypatch.setattr(KneserNey, "fit", counting)
    trained(corpus, tmp_path / "model", tiny(corpus, epochs=1))
    assert orders.count(ngram.ORDER) == orders.count(1) == 1


def test_a_network_begins_with_what_stands_beside_each_unit(corpus: Corpus, tmp_path: Path) -> None:
    trained(corpus, tmp_path / "model", tiny(corpus, steps=1, learning_rate=1e-9))
    known = beginning.embeddings(corpus.train, len(corpus.units), 12, seed=1)
    weights = read_tensors(tmp_path / "model" / "model.safetensors")["embedding.weight"]
    np.testing.assert_allclose(weights / weights.std(), known, atol=1e-4)


def test_characters_are_taught_by_n_grams_and_words_are_not(corpus: Corpus, tmp_path: Path) -> None:
    assert tiny(corpus).taught > 0
    assert tiny(replace(corpus, units=Units.fit("word", ["a b c"]))).taught == 0
    trained(corpus, tmp_path / "model", tiny(corpus))
    trained(corpus, tmp_path / "alone", replace(tiny(corpus), taught=0.0))
    assert tensors(tmp_path / "model") != tensors(tmp_path / "alone")
