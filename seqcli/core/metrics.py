"""How good a classifier is: accuracy, F1, their intervals, and whether its probabilities mean what they say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

DRAWS: Final = 2000
"""Resamples of a bootstrap: the ends of a 95 % interval then wander by a few thousandths of a score."""

_COLDEST, _HOTTEST = 0.05, 20.0  # temperatures; beyond them a model is certain of everything, or of nothing
_BLOCK = 1 << 22  # counts held at once while resampling


class Interval(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


class Intervals(NamedTuple):
    """Bootstrap intervals of the two scores of one classifier."""

    accuracy: Interval
    macro_f1: Interval


class PerClass(NamedTuple):
    """Scores of each class, ``(c,)`` each; one that cannot be computed is 0.

    Arguments:
        precision: share of the predictions of a class that are right.
        recall: share of a class that is found.
        f1: their harmonic mean.
        support: examples of the class.
    """

    precision: Floats
    recall: Floats
    f1: Floats
    support: Ints


class Difference(NamedTuple):
    """What a paired bootstrap says of two classifiers.

    Arguments:
        value: score of the first minus score of the second on the data as they are.
        low: lower end of the 95 % interval of the difference.
        high: upper end.
        not_better: share of the resamples in which the first is not better.
    """

    value: float
    low: float
    high: float
    not_better: float


def confusion(gold: ArrayLike, predicted: ArrayLike, classes: int) -> Ints:
    """How often each class was taken for each: ``(classes, classes)``, rows the truth, columns the prediction.

    Arguments:
        gold: ``(n,)`` true classes, from 0.
        predicted: ``(n,)`` predicted classes.
        classes: how many there are.
    """
    cells = np.asarray(gold, np.int64) * classes + np.asarray(predicted, np.int64)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def accuracy(gold: ArrayLike, predicted: ArrayLike) -> float:
    """Share of the predictions that are right; NaN without any."""
    right = np.asarray(gold) == np.asarray(predicted)
    return float(right.mean()) if right.size else float("nan")


def macro_f1(gold: ArrayLike, predicted: ArrayLike, classes: int) -> float:
    """Mean of the F1 of the classes that occur in ``gold``, each counted alike; NaN without examples.

    A class that is never right has an F1 of 0. A prediction of a class that does not occur is an error of the class
    that it should have been, and no class more.
    """
    counts = confusion(gold, predicted, classes)
    present = np.flatnonzero(counts.sum(axis=1))
    return float(_f1(counts)[present].mean()) if present.size else float("nan")


def per_class(gold: ArrayLike, predicted: ArrayLike, classes: int) -> PerClass:
    """Precision, recall, F1 and number of examples of each class; arguments as of ``confusion``."""
    counts = confusion(gold, predicted, classes)
    right = np.diagonal(counts).astype(float)
    support, given = counts.sum(axis=1), counts.sum(axis=0)
    return PerClass(right / np.maximum(given, 1), right / np.maximum(support, 1), _f1(counts), support)


def bootstrap(gold: ArrayLike, predicted: ArrayLike, classes: int, *, draws: int = DRAWS, seed: int = 0) -> Intervals:
    """95 % percentile-bootstrap intervals of accuracy and macro-F1 (Efron and Tibshirani 1993, chapter 13).

    Drawing n examples with replacement and counting them by truth and prediction is drawing those counts from a
    multinomial distribution, so no example is drawn one by one. The classes that macro-F1 is the mean of stay those
    that occur in ``gold``, in a resample without one of them too.

    Arguments:
        gold: ``(n,)`` true classes, at least one.
        predicted: ``(n,)`` predicted classes.
        classes: how many there are.
        draws: resamples.
        seed: of the resamples; the same one gives the same interval.
    """
    truth, given = np.asarray(gold, np.int64), np.asarray(predicted, np.int64)
    outcomes, seen = np.unique(truth * classes + given, return_counts=True)
    truth, given = outcomes // classes, outcomes % classes
    accuracies, scores = [], []
    for drawn in _resampled(seen, draws, seed):
        accuracies.append(drawn[:, truth == given].sum(axis=1) / seen.sum())
        scores.append(_drawn_macro_f1(drawn, truth, given, classes))
    return Intervals(_interval(np.concatenate(accuracies)), _interval(np.concatenate(scores)))


def paired_bootstrap(
    gold: ArrayLike, a: ArrayLike, b: ArrayLike, classes: int, *, draws: int = DRAWS, seed: int = 0
) -> Difference:
    """Macro-F1 of ``a`` minus that of ``b``, resampled on the same examples for both.

    Whether one classifier is better than another is a question about their difference: its interval is narrower than
    the two intervals suggest, because both find the same examples hard (Berg-Kirkpatrick et al., EMNLP 2012).

    Arguments:
        gold: ``(n,)`` true classes, at least one.
        a: ``(n,)`` predictions of the first classifier.
        b: ``(n,)`` predictions of the second.
        classes: how many there are.
        draws: resamples.
        seed: of the resamples.
    """
    truth, first, second = (np.asarray(values, np.int64) for values in (gold, a, b))
    outcomes, seen = np.unique((truth * classes + first) * classes + second, return_counts=True)
    of, by_a, by_b = outcomes // classes**2, outcomes // classes % classes, outcomes % classes

    def difference(drawn: Ints) -> Floats:
        return _drawn_macro_f1(drawn, of, by_a, classes) - _drawn_macro_f1(drawn, of, by_b, classes)

    values = np.concatenate([difference(drawn) for drawn in _resampled(seen, draws, seed)])
    return Difference(float(difference(seen[None])[0]), *_interval(values), float((values <= 0).mean()))


def calibration_error(probabilities: ArrayLike, gold: ArrayLike, bins: int = 15) -> float:
    """Expected calibration error: how far the probability of the predicted class is from how often it is right.

    Mean over bins of equal width, weighted by their examples (Guo et al., On Calibration of Modern Neural Networks,
    ICML 2017, arXiv:1706.04599).

    Arguments:
        probabilities: ``(n, c)``, rows adding up to 1.
        gold: ``(n,)`` true classes.
        bins: how many.

    Returns a value from 0 (as sure as it is right) to 1.
    """
    p = np.asarray(probabilities, float)
    sure = p.max(axis=1)
    right = p.argmax(axis=1) == np.asarray(gold)
    # A probability on an edge belongs to the bin below, as in the paper.
    which = np.clip(np.ceil(sure * bins).astype(np.int64) - 1, 0, bins - 1)
    gap = np.bincount(which, weights=right - sure, minlength=bins)
    return float(np.abs(gap).sum() / len(p))


def log_loss(log_probabilities: ArrayLike, gold: ArrayLike) -> float:
    """Mean negative natural logarithm of the probability given to the truth; arguments as of ``temperature``."""
    logs = np.asarray(log_probabilities, float)
    return float(-logs[np.arange(len(logs)), np.asarray(gold, np.int64)].mean())


def temperature(log_probabilities: ArrayLike, gold: ArrayLike) -> float:
    """The temperature T at which the renormalised ``log_probabilities / T`` have the least log loss.

    One number that makes a model as sure as it should be and changes no prediction (Guo et al. 2017). The loss is
    convex in 1/T, so it has one valley, which golden-section search finds to four digits.

    Arguments:
        log_probabilities: ``(n, c)`` natural logarithms; rows need not be normalised.
        gold: ``(n,)`` true classes.

    Returns T between 0.05 and 20; above 1 the model was too sure of itself. 1.0 without examples.
    """
    logs = np.maximum(np.asarray(log_probabilities, float), -1e4)  # a probability of 0 that rounding made
    if not len(logs):
        return 1.0
    truth = np.asarray(gold, np.int64)
    logs = logs - logs.max(axis=1, keepdims=True)
    given = logs[np.arange(len(logs)), truth]

    def loss(log_t: float) -> float:
        beta = np.exp(-log_t)
        return float((np.log(np.exp(beta * logs).sum(axis=1)) - beta * given).mean())

    low, high = float(np.log(_COLDEST)), float(np.log(_HOTTEST))
    golden = (np.sqrt(5) - 1) / 2
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = loss(left), loss(right)
    while high - low > 1e-4:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = loss(right)
    return float(np.exp((low + high) / 2))


def _f1(counts: Ints) -> Floats:
    """F1 of each class of a confusion table."""
    return _harmonic(np.diagonal(counts), counts.sum(axis=1), counts.sum(axis=0))


def _harmonic(right: Ints, support: Ints, given: Ints) -> Floats:
    """2PR/(P+R) with P and R written out; 0 for a class that is neither there nor predicted."""
    return np.asarray(2 * right / np.maximum(support + given, 1))


def _drawn_macro_f1(drawn: Ints, truth: Ints, given: Ints, classes: int) -> Floats:
    """Macro-F1 of each resample: ``drawn`` (d, outcomes) says how often each pair of ``truth`` and ``given`` came."""
    right = _by_class(drawn * (truth == given), truth, classes)
    f1 = _harmonic(right, _by_class(drawn, truth, classes), _by_class(drawn, given, classes))
    return np.asarray(f1[:, np.unique(truth)].mean(axis=1))


def _by_class(drawn: Ints, of: Ints, classes: int) -> Ints:
    """Sums of the columns of ``drawn`` that belong to one class, ``(d, classes)``."""
    order = np.argsort(of, kind="stable")
    present, starts = np.unique(of[order], return_index=True)
    sums = np.zeros((len(drawn), classes), np.int64)
    sums[:, present] = np.add.reduceat(drawn[:, order], starts, axis=1)
    return sums


def _resampled(counts: Ints, draws: int, seed: int) -> Iterator[Ints]:
    """``draws`` bootstrap resamples of counts, ``(d, outcomes)`` a block, so that memory stays bounded."""
    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK // len(counts))
    for start in range(0, draws, block):
        yield generator.multinomial(counts.sum(), counts / counts.sum(), size=min(block, draws - start))


def _interval(values: Floats) -> Interval:
    low, high = np.percentile(values, [2.5, 97.5])
    return Interval(float(low), float(high))
