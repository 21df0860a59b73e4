"""Scores, their intervals and calibration, against sums by hand, scikit-learn and resampling one by one."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from seqcli.core import metrics

GOLD = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
SAID = [0, 0, 0, 1, 1, 1, 0, 2, 0, 3]  # 3 is a class that never occurs


def drawn(seed: int, n: int, classes: int, right: float) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    gold = generator.integers(0, classes, n)
    return gold, np.where(generator.random(n) < right, gold, generator.integers(0, classes, n))


def test_a_confusion_table_has_the_truth_in_its_rows() -> None:
    assert metrics.confusion(GOLD, SAID, 4).tolist() == [[3, 1, 0, 0], [1, 2, 0, 0], [1, 0, 1, 1], [0, 0, 0, 0]]


def test_macro_f1_is_the_mean_over_the_classes_that_occur() -> None:
    f1 = [2 * 3 / (4 + 5), 2 * 2 / (3 + 3), 2 * 1 / (3 + 1)]
    assert metrics.macro_f1(GOLD, SAID, 4) == pytest.approx(sum(f1) / 3)
    assert metrics.accuracy(GOLD, SAID) == pytest.approx(0.6)
    assert metrics.macro_f1([0, 1], [1, 0], 2) == 0.0


def test_precision_recall_and_f1_of_a_class_are_those_of_the_textbook() -> None:
    scores = metrics.per_class(GOLD, SAID, 4)
    assert scores.precision == pytest.approx([3 / 5, 2 / 3, 1, 0])
    assert scores.recall == pytest.approx([3 / 4, 2 / 3, 1 / 3, 0])
    assert scores.f1 == pytest.approx([2 / 3, 2 / 3, 1 / 2, 0])
    assert scores.support.tolist() == [4, 3, 3, 0]


@pytest.mark.parametrize("seed", range(4))
def test_the_scores_are_scikit_learns(seed: int) -> None:
    from sklearn.metrics import accuracy_score, f1_score, log_loss

    gold, said = drawn(seed, 200, 5, 0.6)
    ours = metrics.macro_f1(gold, said, 5)
    assert ours == pytest.approx(f1_score(gold, said, average="macro", zero_division=0.0))
    assert metrics.accuracy(gold, said) == pytest.approx(accuracy_score(gold, said))
    p = np.random.default_rng(seed).dirichlet(np.ones(5), 200)
    assert metrics.log_loss(np.log(p), gold) == pytest.approx(log_loss(gold, p))


def test_without_examples_there_is_no_score() -> None:
    assert math.isnan(metrics.macro_f1([], [], 2))
    assert math.isnan(metrics.accuracy([], []))


def test_the_bootstrap_is_that_of_examples_drawn_one_by_one() -> None:
    gold, said = drawn(1, 150, 4, 0.7)
    generator = np.random.default_rng(9)
    rows = [generator.integers(0, 150, 150) for _ in range(3000)]
    one_by_one = np.percentile([metrics.accuracy(gold[r], said[r]) for r in rows], [2.5, 97.5])
    macro = np.percentile([metrics.macro_f1(gold[r], said[r], 4) for r in rows], [2.5, 97.5])
    ours = metrics.bootstrap(gold, said, 4, draws=3000)
    assert ours.accuracy == pytest.approx(one_by_one, abs=0.012)
    assert ours.macro_f1 == pytest.approx(macro, abs=0.012)


def test_the_bootstrap_repeats_itself_and_another_seed_differs() -> None:
    gold, said = drawn(2, 100, 3, 0.7)
    assert metrics.bootstrap(gold, said, 3) == metrics.bootstrap(gold, said, 3)
    assert metrics.bootstrap(gold, said, 3).macro_f1 != metrics.bootstrap(gold, said, 3, seed=1).macro_f1


def test_the_bootstrap_in_blocks_is_the_bootstrap_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    gold, said = drawn(3, 100, 3, 0.7)
    whole = metrics.bootstrap(gold, said, 3, draws=50)
    monkeypatch.setattr(metrics, "_BLOCK", 30)
    assert metrics.bootstrap(gold, said, 3, draws=50) == whole


def test_a_classifier_is_not_better_than_itself() -> None:
    gold, said = drawn(4, 100, 3, 0.7)
    assert metrics.paired_bootstrap(gold, said, said, 3) == (0.0, 0.0, 0.0, 1.0)


def test_the_paired_bootstrap_sees_what_two_intervals_hide() -> None:
    gold, said = drawn(5, 400, 3, 0.7)
    worse = said.copy()
    fooled = np.flatnonzero(said == gold)[:16]
    worse[fooled] = (gold[fooled] + 1) % 3  # wrong wherever the other is, and on a few more
    found = metrics.paired_bootstrap(gold, said, worse, 3)
    assert found.value == pytest.approx(metrics.macro_f1(gold, said, 3) - metrics.macro_f1(gold, worse, 3))
    assert 0 < found.low < found.value < found.high
    assert found.not_better < 0.01
    assert metrics.bootstrap(gold, worse, 3).macro_f1.high > metrics.bootstrap(gold, said, 3).macro_f1.low
    back = metrics.paired_bootstrap(gold, worse, said, 3)
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low), abs=0.005)


def test_a_thousand_classes_are_resampled_in_seconds() -> None:
    gold, said = drawn(6, 5000, 1000, 0.5)
    begin = time.process_time()
    metrics.bootstrap(gold, said, 1000, draws=100)
    assert time.process_time() - begin < 3


def test_who_is_as_sure_as_right_has_no_calibration_error() -> None:
    p = np.array([[0.75, 0.25]] * 4)
    assert metrics.calibration_error(p, [0, 0, 0, 1]) == pytest.approx(0.0)
    assert metrics.calibration_error(p, [1, 1, 1, 1]) == pytest.approx(0.75)


def test_errors_of_one_bin_may_cancel_and_those_of_two_may_not() -> None:
    near = np.array([[0.61, 0.39], [0.61, 0.39]])
    assert metrics.calibration_error(near, [0, 1], bins=5) == pytest.approx(0.11)
    apart = np.array([[0.61, 0.39], [0.95, 0.05]])
    assert metrics.calibration_error(apart, [1, 0], bins=5) == pytest.approx((0.61 + 0.05) / 2)


def test_a_probability_on_an_edge_counts_in_the_bin_below() -> None:
    p = np.array([[0.8, 0.2], [0.7, 0.3]])  # of five bins both are in the fourth, and their errors cancel in part
    assert metrics.calibration_error(p, [1, 0], bins=5) == pytest.approx(0.25)


@pytest.mark.parametrize("true", [0.4, 1.0, 3.0])
def test_the_temperature_undoes_what_made_a_model_too_sure(true: float) -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(20_000, 4)) * 2
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    gold = (p.cumsum(axis=1) > generator.random((len(p), 1))).argmax(axis=1)
    assert metrics.temperature(logits * true, gold) == pytest.approx(true, rel=0.05)


def test_the_temperature_stays_in_its_bounds_and_bears_a_probability_of_zero() -> None:
    with np.errstate(divide="ignore"):
        logs = np.log(np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert metrics.temperature(logs, [0, 1]) == pytest.approx(0.05, rel=1e-3)
    assert metrics.temperature(logs, [1, 0]) == pytest.approx(20, rel=1e-3)
    assert metrics.temperature(np.zeros((0, 2)), []) == 1.0
