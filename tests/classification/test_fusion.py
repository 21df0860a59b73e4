"""Two opinions made one, and how much each has to say."""

from __future__ import annotations

import numpy as np

from seqcli.classification.fusion import choose, fuse
from seqcli.core import metrics


def logs(gold: np.ndarray, right: float, classes: int, seed: int) -> np.ndarray:
    """Opinions that are right with some probability, each time rather sure."""
    chance = np.random.default_rng(seed)
    said = np.where(chance.random(len(gold)) < right, gold, chance.integers(0, classes, len(gold)))
    p = np.full((len(gold), classes), 0.1, np.float32)
    p[np.arange(len(gold)), said] = 1.0
    return np.log(p / p.sum(axis=1, keepdims=True))


GOLD = np.random.default_rng(0).integers(0, 3, 600)


def test_the_fused_probabilities_add_up_to_one_and_lie_between_the_two() -> None:
    a, b = (np.log(np.array([[p, 1 - p]], np.float32)) for p in (0.9, 0.2))
    mixed = np.exp(fuse(a, b, 0.5))
    assert np.allclose(mixed.sum(), 1)
    assert 0.2 < mixed[0, 0] < 0.9
    assert np.allclose(np.exp(fuse(a, b, 0.0)), np.exp(a))
    assert np.allclose(np.exp(fuse(a, b, 1.0)), np.exp(b))


def test_a_high_temperature_makes_it_less_sure_and_changes_no_answer() -> None:
    a = logs(GOLD, 0.8, 3, 1)
    cool, hot = fuse(a, None, 0.0, 1.0), fuse(a, None, 0.0, 4.0)
    assert np.exp(hot).max() < np.exp(cool).max()
    assert np.array_equal(hot.argmax(axis=1), cool.argmax(axis=1))


def test_the_better_opinion_weighs_more() -> None:
    good, bad = logs(GOLD, 0.95, 3, 2), logs(GOLD, 0.2, 3, 3)
    assert choose(good, {"svc": bad}, GOLD).weight < 0.5
    assert choose(bad, {"svc": good}, GOLD).weight > 0.5
    assert choose(good, {}, GOLD)[:2] == (None, 0)
    assert choose(bad, {"logistic": bad, "svc": good}, GOLD).linear == "svc"


def test_networks_that_add_nothing_take_nothing_away() -> None:
    better, calmer, poor = logs(GOLD, 0.9, 3, 6), logs(GOLD, 0.8, 3, 7), logs(GOLD, 0.4, 3, 8)
    wrong = better.argmax(axis=1) != GOLD
    better[wrong] *= 9  # right more often, but where it is not it is sure: the other one has the smaller log loss
    found = choose(poor, {"logistic": calmer, "svc": better}, GOLD)
    assert metrics.log_loss(calmer, GOLD) < metrics.log_loss(better, GOLD)
    assert found.linear == "svc"
    answers = fuse(poor, better, found.weight, found.temperature).argmax(axis=1)
    assert metrics.macro_f1(GOLD, answers, 3) >= metrics.macro_f1(GOLD, better.argmax(axis=1), 3)


def test_a_few_texts_do_not_settle_the_weight() -> None:
    chance, linear = logs(GOLD, 0.0, 3, 11), logs(GOLD, 0.9, 3, 12)
    few, many = (choose(chance[:n], {"logistic": linear[:n]}, GOLD[:n]).weight for n in (8, 600))
    assert 0.5 < few < 0.75 < 0.95 < many


def test_an_svc_must_be_better_by_more_than_its_scale() -> None:
    poor, linear = logs(GOLD, 0.5, 3, 9), logs(GOLD, 0.9, 3, 10)
    assert choose(poor, {"svc": linear, "logistic": linear}, GOLD).linear == "logistic"


def test_the_temperature_mends_an_opinion_that_is_too_sure() -> None:
    wild = 5 * logs(GOLD, 0.7, 3, 4)
    _, weight, temperature = choose(wild, {}, GOLD)
    assert temperature > 1.5
    calm = fuse(wild, None, weight, temperature)
    assert metrics.log_loss(calm, GOLD) < metrics.log_loss(fuse(wild, None, 0.0), GOLD)


def test_few_examples_do_not_make_it_certain() -> None:
    gold = np.array([0, 1, 2, 0])
    assert choose(logs(gold, 1.0, 3, 5), {}, gold).temperature > 0.5
