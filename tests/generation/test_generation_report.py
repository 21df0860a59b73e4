"""The report of a training: figures that compare, a verdict that knows its limits, and warnings where they are due."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from signs import finished

from seqcli.generation.data import Corpus, Recipe, prepare
from seqcli.generation.ngram import KneserNey
from seqcli.generation.report import Counts, Scored, compared, interval, recited, record, report
from seqcli.results import Result


def lines(start: int, end: int) -> str:
    return "".join(f"{n}番目の猫が{'庭台門縁'[n % 4]}で{n * 7919 % 1009}回ないた。\n" for n in range(start, end))


LINES = lines(0, 600)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    folder = tmp_path_factory.mktemp("report")
    (folder / "train.txt").write_text(LINES, encoding="utf-8")
    (folder / "test.txt").write_text("鰻" + lines(600, 700)[:999].replace("猫", "犬", 1) + "\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQCLI_CACHE_DIR", str(folder / "cache"))
        work = prepare([str(folder / "train.txt")], Recipe(), test=[str(folder / "test.txt")])
        yield finished(work)


@pytest.fixture(scope="module")
def counts(corpus: Corpus) -> tuple[Scored, ...]:
    return Counts.of(corpus, KneserNey.fit(corpus.train, len(corpus.units)), 0.25).scored(corpus, "test")


def better(scored: Scored, model: str, by: float = 0.1) -> Scored:
    """A model that finds each unit a little likelier, some more and some less."""
    noise = np.random.default_rng(0).normal(scale=0.3, size=len(scored.logs))
    return Scored(model, scored.part, scored.logs + by + noise)


def test_a_record_has_the_figures_of_the_definitions(corpus: Corpus, counts: tuple[Scored, ...]) -> None:
    row = record(corpus, counts[2])
    assert list(row) == ["model", "part", "n", "characters", "bits_per_char", "bpc_open", "perplexity", "seconds"]
    assert (row["model"], row["part"], row["n"], row["characters"]) == ("uniform", "test", 1001, 1001)
    assert row["bits_per_char"] == pytest.approx(math.log2(len(corpus.units)))
    assert row["perplexity"] == pytest.approx(len(corpus.units))
    assert row["bpc_open"] == pytest.approx(row["bits_per_char"] + 16 * 2 / 1001)  # the eel and the dog
    assert record(corpus, counts[0])["seconds"] == 0.25


def test_counting_more_is_better(corpus: Corpus, counts: tuple[Scored, ...]) -> None:
    figures = [record(corpus, one)["bpc_open"] for one in counts]
    assert [one.model for one in counts] == ["kneser-ney", "unigram", "uniform"]
    assert figures == sorted(figures)


def test_the_verdict_says_whether_the_mixture_and_the_network_beat_counting(
    corpus: Corpus, counts: tuple[Scored, ...]
) -> None:
    said = report(corpus, [better(counts[0], "mixture"), better(counts[0], "lstm", -0.2), *counts]).sentences
    assert any(one.startswith("mixture is better than kneser-ney by 0.1") for one in said)
    assert any(one.startswith("lstm is worse than kneser-ney by 0.") for one in said)
    assert any("mixture" in one and "uniform" in one and one.startswith("Bits per character of test") for one in said)


def test_a_difference_that_may_be_chance_is_not_called_one(counts: tuple[Scored, ...]) -> None:
    said = compared(better(counts[0], "lstm", 0.0), counts[0], 1001)
    assert said.startswith("lstm and kneser-ney cannot be told apart")


def test_the_interval_holds_the_difference_and_narrows_with_more_text() -> None:
    random = np.random.default_rng(3)
    gain = random.normal(0.05, 0.5, 20_000)
    low, high = interval(gain, np.zeros(20_000), 20_000)
    assert low < gain.mean() / math.log(2) < high
    assert 0.05 / math.log(2) == pytest.approx((low + high) / 2, abs=0.02)
    few = interval(gain[:500], np.zeros(500), 500)
    assert few[1] - few[0] > 3 * (high - low)
    assert all(math.isnan(end) for end in interval(gain[:30], np.zeros(30), 30))


def test_of_a_text_too_short_to_judge_no_interval_is_told() -> None:
    few = np.full(30, -1.0)
    said = compared(Scored("lstm", "test", few), Scored("kneser-ney", "test", few - 1), 30)
    assert said == "lstm needs 1.443 bits per character less than kneser-ney; the text is too short to say more."


def test_words_are_charged_by_their_characters() -> None:
    # Each word has five characters: a bit for a word is a fifth of one for a character.
    low, high = interval(np.full(400, math.log(2)), np.zeros(400), 2000)
    assert (low, high) == pytest.approx((0.2, 0.2))


def test_a_small_corpus_is_called_one(corpus: Corpus, counts: tuple[Scored, ...]) -> None:
    assert any("too few for a network" in warning for warning in report(corpus, counts).warnings)


def told(result: Result, word: str) -> bool:
    return any(word in warning for warning in result.warnings)


def test_a_network_that_knows_the_training_text_by_heart_is_called_over_fitted(
    corpus: Corpus, counts: tuple[Scored, ...]
) -> None:
    valid = Scored("lstm", "valid", np.full(len(corpus.valid) - 1, -2.0))  # 2.9 bits
    assert told(report(corpus, [valid, *counts], train_bits=1.5), "over-fitted")
    assert not told(report(corpus, [valid, *counts], train_bits=2.6), "over-fitted")
    assert not told(report(corpus, [valid, *counts]), "over-fitted")


def test_recitation_is_called_by_its_name(corpus: Corpus, counts: tuple[Scored, ...]) -> None:
    assert told(report(corpus, counts, samples=[LINES[1000:1400]]), "it recites: 100%")
    honest = report(corpus, counts, samples=["全く別のことを書いた、どこにも無い長い文である。" * 3], temperature=0.8)
    assert not told(honest, "recites")
    assert any(one.startswith("0% of all stretches of 20") for one in honest.sentences)
    assert any(one.startswith("A sample (--temperature 0.8): 全く別の") for one in honest.sentences)


def test_a_text_of_many_unknown_words_is_called_one(corpus: Corpus, counts: tuple[Scored, ...]) -> None:
    words = replace(corpus.units, kind="word")
    for unseen, warned in ((350, True), (100, False)):
        parts = {**corpus.parts, "test": replace(corpus.parts["test"], unseen=unseen)}
        of_words = replace(corpus, units=words, parts=parts)
        said = "35% of the characters of test stand in words that the model does not know"
        assert told(report(of_words, counts), said) == warned
        assert not told(report(replace(of_words, units=corpus.units), counts), "does not know")


@pytest.mark.parametrize("size", [1, 5, 19, 20, 21, 1000])
def test_recited_stretches_are_found_across_blocks(size: int) -> None:
    training = "".join(chr(0x4E00 + number) for number in range(500))
    pieces = [training[start : start + size] for start in range(0, len(training), size)]
    text = training[100:150] + "あ" * 10 + training[300:319]
    assert recited([text], pieces) == pytest.approx(31 / (len(text) - 19))
    assert recited([training[:20], "い" * 20, "う"], pieces) == pytest.approx(0.5)
    assert recited(["短い"], pieces) == 0.0


def test_the_corpus_is_described_in_words(corpus: Corpus, counts: tuple[Scored, ...]) -> None:
    said = " ".join(report(corpus, counts).sentences)
    assert "test 1,001" in said
    assert "kinds of characters" in said
