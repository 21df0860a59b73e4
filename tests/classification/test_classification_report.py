"""The report: figures that add up, words that say what the figures do, and honest baselines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import SAMPLES

from seqcli.classification import data, report
from seqcli.classification.data import Dropped, Example, Partition
from seqcli.classification.report import Answers
from seqcli.core.tokens import Tokenizer
from seqcli.results import Result

KEYS = [
    "model", "n", "accuracy", "accuracy_low", "accuracy_high", "macro_f1", "macro_f1_low", "macro_f1_high",
    "calibration_error", "log_loss", "seconds",
]  # fmt: skip
LABELS = ("グルメ", "sport")


def parts(n: int = 200, dropped: dict[str, Dropped] | None = None, notes: tuple[str, ...] = ()) -> Partition:
    test = [Example(f"試験の文　その{k}\n二行目", LABELS[k % 2], None, f"t.csv: row {k + 2}") for k in range(n)]
    train = [Example(f"訓練の文その{k}", LABELS[k % 3 > 1], None, f"a.csv: row {k + 2}") for k in range(9)]
    return Partition(train, train[:4], test, LABELS, notes, dropped or {}, "0" * 64)


def says(model: str, wrong: int, n: int = 200, sure: float = 0.9) -> Answers:
    """A model that is wrong on the first ``wrong`` of ``n`` texts."""
    gold = np.arange(n) % 2
    said = np.where(np.arange(n) < wrong, 1 - gold, gold)
    p = np.full((n, 2), 1 - sure)
    p[np.arange(n), said] = sure
    return Answers.of(model, np.log(p), 1.23456)


def told(ours: Answers, *others: Answers, of: Partition | None = None) -> Result:
    return report.report(of or parts(len(ours.predicted)), ours, others, Tokenizer(kind="char").words)


def sentence(result: Result, beginning: str) -> str:
    found = [text for text in result.sentences if text.startswith(beginning)]
    assert found, result.sentences
    return found[0]


def test_a_part_of_the_model_is_told_beside_it_and_not_judged() -> None:
    alone, best = says("lstm-alone", 1), says("tfidf-svc", 50)
    result = report.report(parts(), says("lstm", 30), [says("majority", 100), best], str.split, parts=[alone])
    assert [record["model"] for record in result.records] == ["lstm", "lstm-alone", "majority", "tfidf-svc"]
    assert result.records[1]["macro_f1"] > result.records[0]["macro_f1"]
    assert "the best baseline, tfidf-svc" in result.sentences[0]


def test_every_record_has_the_keys_of_the_interface() -> None:
    svc = Answers("tfidf-svc", says("x", 30).predicted, None, 0.5)
    result = told(says("lstm", 20), says("majority", 100), svc)
    assert [list(record) for record in result.records] == [KEYS] * 3
    ours, _, theirs = result.records
    assert ours["accuracy"] == pytest.approx(0.9)
    assert ours["calibration_error"] == pytest.approx(0.0, abs=1e-9)
    assert ours["log_loss"] == pytest.approx(-(0.9 * np.log(0.9) + 0.1 * np.log(0.1)))
    assert ours["accuracy_low"] < 0.9 < ours["accuracy_high"]
    assert ours["macro_f1_low"] < ours["macro_f1"] < ours["macro_f1_high"]
    assert ours["seconds"] == 1.235
    assert (theirs["calibration_error"], theirs["log_loss"]) == (None, None)
    assert result.table is not None
    assert [next(iter(row.values())) for row in result.table] == ["lstm", "majority", "tfidf-svc"]


@pytest.mark.parametrize(
    ("ours", "best", "words", "chance"),
    [
        (10, 50, "lstm is better than the best baseline, tfidf-svc", False),
        (50, 10, "lstm is worse than the best baseline, tfidf-svc", False),
        (48, 52, "lstm is better than the best baseline, tfidf-svc", False),  # wrong where it is, and on four fewer
        (50, 51, "lstm is not shown to be better than the best baseline, tfidf-svc", True),
        (50, 50, "lstm is not better than the best baseline, tfidf-svc", True),
        (51, 50, "lstm is not better than the best baseline, tfidf-svc", True),
    ],
)
def test_the_verdict_says_what_the_paired_bootstrap_says(ours: int, best: int, words: str, chance: bool) -> None:
    verdict = told(says("lstm", ours), says("tfidf-logistic", 80), says("tfidf-svc", best)).sentences[0]
    assert verdict.startswith(words + ": macro-F1")
    assert ("may be chance" in verdict) == chance


def test_the_verdict_shows_both_scores_and_the_interval_of_their_difference() -> None:
    verdict = told(says("lstm", 10), says("tfidf-svc", 50)).sentences[0]
    assert "macro-F1 0.9500 against 0.7500, a difference of +0.2000 (95 %: +0.1" in verdict


@pytest.mark.parametrize(("wrong", "passes"), [(10, True), (44, True), (48, False), (50, False), (90, False)])
def test_the_gate_opens_only_for_who_is_significantly_better_than_the_best(wrong: int, passes: bool) -> None:
    others = [says("tfidf-logistic", 80), says("tfidf-svc", 50)]
    words = Tokenizer(kind="char").words
    result = report.report(parts(), says("lstm", wrong), others, words, require_skill=True)
    assert (result.gate is None) == passes
    assert passes or "--require-skill: lstm is" in str(result.gate)
    assert report.report(parts(), says("lstm", wrong), others, words).gate is None


def test_the_texts_and_labels_of_every_part_are_counted() -> None:
    result = told(says("lstm", 10), says("majority", 100))
    assert sentence(result, "Texts") == "Texts: 9 training, 4 validation, 200 test."
    assert sentence(result, "Labels") == "Labels in them: グルメ: 6/3/100, sport: 3/1/100."


def test_the_verdict_comes_first_and_the_calibration_error_is_called_so() -> None:
    result = told(says("lstm", 10), says("majority", 100))
    assert result.sentences[0].startswith("lstm is better than the best baseline, majority")
    error = result.records[0]["calibration_error"]
    assert sentence(result, "Expected").startswith(f"Expected calibration error of lstm: {error:.4f}, the mean gap")


def test_five_texts_are_shown_as_tokens_and_every_label_first() -> None:
    read = [text for text in told(says("lstm", 10), says("majority", 100)).sentences if text.startswith("Read as")]
    assert len(read) == 5
    assert read[0] == "Read as (グルメ): 訓 練 の 文 そ の 0"
    assert read[1] == "Read as (sport): 訓 練 の 文 そ の 2"
    assert len(set(read)) == 5


def test_the_table_by_label_lines_up_where_characters_are_wide() -> None:
    lines = list(told(says("lstm", 10), says("majority", 100)).sentences)
    head = next(number for number, text in enumerate(lines) if text.startswith("lstm by label"))
    assert lines[head + 1] == "グルメ            0.9500  0.9500  0.9500    100"
    assert lines[head + 2] == "sport             0.9500  0.9500  0.9500    100"
    assert lines[head].endswith("  precision  recall      F1      n")


def test_the_labels_that_are_confused_are_told_with_the_surest_example() -> None:
    ours = says("lstm", 5)
    logs = ours.log_probabilities
    assert logs is not None
    logs[2] = np.log([0.01, 0.99])  # the third text, of グルメ, is the one that it is surest and wrong about
    result = told(ours, says("majority", 100))
    assert sentence(result, "'グルメ' taken") == (
        "'グルメ' taken for 'sport' 3 times, for example 「試験の文 その2 二行目」 (t.csv: row 4)"
    )
    assert "'sport' taken for 'グルメ' 2 times" in " ".join(result.sentences)


def test_a_long_example_is_cut() -> None:
    long = parts(200)
    long.test[0] = long.test[0]._replace(text="長" * 500)
    ours = says("lstm", 1)
    assert f"「{'長' * 60}…」" in sentence(
        told(ours, says("majority", 100), of=long), "'グルメ' taken for 'sport' once"
    )


def test_no_sentence_is_more_than_a_line() -> None:
    assert not [text for text in told(says("lstm", 30), says("majority", 100)).sentences if "\n" in text]


def test_what_was_left_out_and_noted_is_a_warning() -> None:
    doubtful = parts(dropped={"no text": Dropped(2, "a.csv: row 7")}, notes=("one note",))
    warnings = told(says("lstm", 1), says("majority", 100), of=doubtful).warnings
    assert warnings == ("2 rows left out: no text (the first: a.csv: row 7)", "one note")


def test_a_small_test_part_is_a_warning() -> None:
    assert "only 40 texts" in told(says("lstm", 1, 40), says("majority", 20, 40)).warnings[-1]
    assert told(says("lstm", 1, 100), says("majority", 20, 100)).warnings == ()


def test_of_very_many_labels_only_the_hardest_are_told() -> None:
    labels = tuple(f"label{k:03}" for k in range(100))
    rows = [Example(f"文{k}", labels[k % 100], None, f"row {k}") for k in range(400)]
    many = Partition(rows, rows[:100], rows, labels, (), {}, "")
    gold = np.arange(400) % 100
    said = np.where(gold == 77, 0, gold)
    ours = Answers("lstm", said, None, 1.0)
    result = report.report(many, ours, [Answers("majority", gold * 0, None, 0.0)], str.split)
    lines = [text for text in result.sentences if text.startswith("label")]
    assert len([text for text in lines if text.endswith("      4")]) == 30
    assert any(text.startswith("label077") for text in lines)
    assert "and 70 more labels" in sentence(result, "Labels in them")


def test_the_baselines_learn_choose_and_answer_like_the_model() -> None:
    whole = data.prepare(SAMPLES / "posts.csv")
    work = report.baselines(whole)
    stages = []
    while True:
        try:
            stages.append(next(work))
        except StopIteration as end:
            found = end.value
            break
    assert [answers.model for answers in found] == ["majority", "tfidf-logistic", "tfidf-svc"]
    assert stages[-1].done == stages[-1].total == 2
    gold = np.array([whole.labels.index(example.label) for example in whole.test])
    records = [report.record(answers, gold, 4) for answers in found]
    assert records[0]["accuracy"] == 0.25
    assert records[0]["log_loss"] == pytest.approx(np.log(4))
    assert records[1]["macro_f1"] > 0.4 < records[2]["macro_f1"]
    assert records[2]["log_loss"] is None
    assert records[1]["seconds"] > 0
    other = Partition(whole.train, whole.valid, whole.test[::-1], whole.labels, (), {}, "")
    again = report.baselines(other)
    with pytest.raises(StopIteration) as end:
        while True:
            next(again)
    for first, second in zip(found, end.value.value, strict=True):
        assert np.array_equal(first.predicted[::-1], second.predicted)


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_learning_curve_is_drawn_for_one_network_and_for_several(tmp_path: Path, suffix: str) -> None:
    history = [{"epoch": k, "train_loss": 1 / k, "validation": 0.5 - k / 20, "best": k < 3} for k in range(1, 5)]
    one, two = tmp_path / f"one.{suffix}", tmp_path / f"two.{suffix}"
    report.learning_curve(history, one)
    report.learning_curve([row | {"member": member} for member in (0, 1) for row in history], two)
    assert one.read_bytes()[:4] in (b"\x89PNG", b"<?xm")
    assert one.read_bytes() != two.read_bytes()
    report.learning_curve([{"epoch": 1, "train_loss": 0.4, "validation": None}], one)
    report.learning_curve([], two)
