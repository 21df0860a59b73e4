"""How good a classifier is on texts that it has never seen, beside the baselines that could shame it."""

from __future__ import annotations

import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from seqcli.classification.data import Example, Partition
from seqcli.classification.decision import MOST_PROBABLE, Decision
from seqcli.classification.linear import Kind, Labelled, Training
from seqcli.core import figures, metrics
from seqcli.results import Progress, Record, Result

MAJORITY: Final = "majority"
LINEAR: Final[Mapping[str, Kind]] = {"tfidf-logistic": "logistic", "tfidf-svc": "svc"}
"""The linear baselines: character n-grams of 1 to 4, C chosen on the validation part."""

_FEW = 100  # test texts; below, one more that is right moves accuracy by more than a point
_LABELS = 30  # of more labels, only the hardest are told one by one
_READ = 5  # texts that are shown as tokens
_CONFUSED = 5  # pairs of labels that are told
_LONGEST = 60  # characters of a text that are shown
_SHOWN = {
    "model": "model",
    "n": "n",
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "macro_f1_low": "from",
    "macro_f1_high": "to",
    "calibration_error": "ECE",
    "log_loss": "log loss",
    "seconds": "seconds",
}  # what a person reads in 80 columns; "from" and "to" bound the 95 % interval of macro-F1

Ints = NDArray[np.int64]
Floats = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Answers:
    """What one model says of the test part.

    Arguments:
        model: its name, such as ``lstm``.
        predicted: ``(n,)`` the class of each text.
        log_probabilities: ``(n, classes)`` natural logarithms; None: the model has no probabilities.
        seconds: that training took.
    """

    model: str
    predicted: Ints
    log_probabilities: Floats | None
    seconds: float

    @classmethod
    def of(cls, model: str, log_probabilities: Floats, seconds: float, decision: Decision = MOST_PROBABLE) -> Answers:
        """The answers of a model; without a decision it says the most probable class."""
        return cls(model, decision.of(log_probabilities), log_probabilities, seconds)


def baselines(partition: Partition, *, seed: int = 0, refit: bool = False) -> Generator[Progress, None, list[Answers]]:
    """The most frequent label, and two linear models over character n-grams: fitted, chosen and asked like the model.

    Arguments:
        partition: they learn from its training part and choose C on its validation part.
        seed: of the support-vector machines.
        refit: fit them again to both parts, once C is chosen.
    """
    ids = {label: number for number, label in enumerate(partition.labels)}
    gold, chosen_on = _gold(partition.train, ids), _gold(partition.valid, ids)
    train, valid, test = (
        [example.text for example in part] for part in (partition.train, partition.valid, partition.test)
    )
    prior = np.log(np.bincount(gold, minlength=len(ids)) / len(gold))
    found = [Answers.of(MAJORITY, np.tile(prior, (len(test), 1)), 0.0)]
    yield Progress("baselines", 0, len(LINEAR), "counting n-grams")
    begin = time.perf_counter()
    training = Training(train, None, gold, len(ids), Labelled(valid, None, chosen_on))
    counting = time.perf_counter() - begin
    for done, (name, kind) in enumerate(LINEAR.items()):
        yield Progress("baselines", done, len(LINEAR), name)
        begin = time.perf_counter()
        model = training.fit(kind, seed)
        if refit:
            model = training.whole().fit(kind, seed, strength=model.strength)
        seconds = counting + time.perf_counter() - begin
        if kind == "svc":
            found.append(Answers(name, model.scores(test).argmax(axis=1), None, seconds))
        else:
            found.append(Answers.of(name, model.log_probabilities(test), seconds))
    yield Progress("baselines", len(LINEAR), len(LINEAR))
    return found


def report(
    partition: Partition,
    ours: Answers,
    others: Sequence[Answers],
    words: Callable[[str], Sequence[str]],
    *,
    parts: Sequence[Answers] = (),
    require_skill: bool = False,
) -> Result:
    """One record for the model, for each of its parts and for each baseline, and what they mean.

    Arguments:
        partition: the parts; the answers are those to its test part.
        ours: the model that is judged.
        others: the baselines, at least one.
        words: gives the tokens of a text as the model reads them.
        parts: what is in the model, alone; no verdict is on them.
        require_skill: the result carries a gate, unless the model is significantly better than the best baseline.
    """
    ids = {label: number for number, label in enumerate(partition.labels)}
    gold = _gold(partition.test, ids)
    records = [record(answers, gold, len(ids)) for answers in (ours, *parts, *others)]
    better, said = verdict(gold, ours, others, len(ids))
    sentences = [
        said,
        *_parts(partition),
        *_tokenized(partition.train, words),
        *_per_class(gold, ours, partition.labels),
        *_confusions(gold, ours, partition),
        *_calibration(records[0]),
    ]
    return Result(
        records=tuple(records),
        table=tuple({shown: one[name] for name, shown in _SHOWN.items()} for one in records),
        sentences=tuple(sentences),
        warnings=tuple(_warnings(partition)),
        gate=f"--require-skill: {said}" if require_skill and not better else None,
    )


def record(answers: Answers, gold: Ints, classes: int) -> dict[str, Any]:
    """The scores of one model, with 95 % bootstrap intervals; what needs probabilities is None without them."""
    intervals = metrics.bootstrap(gold, answers.predicted, classes)
    logs = answers.log_probabilities
    return {
        "model": answers.model,
        "n": len(gold),
        "accuracy": metrics.accuracy(gold, answers.predicted),
        "accuracy_low": intervals.accuracy.low,
        "accuracy_high": intervals.accuracy.high,
        "macro_f1": metrics.macro_f1(gold, answers.predicted, classes),
        "macro_f1_low": intervals.macro_f1.low,
        "macro_f1_high": intervals.macro_f1.high,
        "calibration_error": None if logs is None else metrics.calibration_error(np.exp(logs), gold),
        "log_loss": None if logs is None else metrics.log_loss(logs, gold),
        "seconds": round(answers.seconds, 3),
    }


def verdict(gold: Ints, ours: Answers, others: Sequence[Answers], classes: int) -> tuple[bool, str]:
    """Whether the model is significantly better than the best baseline, and what to say of it, in one sentence."""
    best = max(others, key=lambda other: metrics.macro_f1(gold, other.predicted, classes))
    found = metrics.paired_bootstrap(gold, ours.predicted, best.predicted, classes)
    if found.low > 0:
        how = "is better than"
    elif found.high < 0:
        how = "is worse than"
    else:
        how = "is not shown to be better than" if found.value > 0 else "is not better than"
    chance = "" if found.low > 0 or found.high < 0 else ", which may be chance"
    scores = [metrics.macro_f1(gold, one.predicted, classes) for one in (ours, best)]
    return found.low > 0, (
        f"{ours.model} {how} the best baseline, {best.model}: macro-F1 {scores[0]:.4f} against {scores[1]:.4f}, "
        f"a difference of {found.value:+.4f} (95 %: {found.low:+.4f} to {found.high:+.4f}, paired bootstrap){chance}."
    )


def learning_curve(history: Sequence[Record], path: Path) -> None:
    """Draws the training loss and the error on the validation part after each epoch.

    Arguments:
        history: a record an epoch, with ``train_loss`` and ``validation`` (1 − macro-F1), of ``member`` where several
            were trained.
        path: ``.png`` or ``.svg``.

    Raises:
        MachineError: the picture cannot be written.
    """
    from matplotlib.ticker import MaxNLocator

    figure, axes = figures.new(2, height=2.8)
    members = list(dict.fromkeys(row.get("member", 0) for row in history))
    for member in members:
        rows = [row for row in history if row.get("member", 0) == member]
        for axis, column in zip(axes, ("train_loss", "validation"), strict=True):
            known = [(row["epoch"], row[column]) for row in rows if row.get(column) is not None]
            alpha = 1.0 if member == members[0] else 0.45
            if known:
                axis.plot(*zip(*known, strict=True), "o-", color=figures.BLUE, alpha=alpha, markersize=3)
            for row in [row for row in rows if row.get("best") and row.get(column) is not None][-1:]:
                axis.plot(row["epoch"], row[column], "o", color=figures.RED, alpha=alpha)
    axes[0].set_title("loss on the training part", loc="left")
    axes[1].set_title("1 − macro-F1 on the validation part; red: the epoch that was kept", loc="left")
    axes[1].set_xlabel("epoch")
    for axis in axes:
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    figures.save(figure, path)


def _gold(examples: Sequence[Example], ids: Mapping[str, int]) -> Ints:
    return np.array([ids[example.label] for example in examples], np.int64)


def _parts(partition: Partition) -> Iterator[str]:
    parts = {"training": partition.train, "validation": partition.valid, "test": partition.test}
    yield "Texts: " + ", ".join(f"{len(part):,} {name}" for name, part in parts.items()) + "."
    counts = [Counter(example.label for example in part) for part in parts.values()]
    labels = sorted(partition.labels, key=lambda label: (-counts[0][label], label))
    listed = ", ".join(f"{label}: {'/'.join(f'{count[label]:,}' for count in counts)}" for label in labels[:_LABELS])
    more = f" and {len(labels) - _LABELS:,} more labels" if len(labels) > _LABELS else ""
    yield f"Labels in them: {listed}{more}."


def _tokenized(examples: Sequence[Example], words: Callable[[str], Sequence[str]]) -> Iterator[str]:
    """The first example of each label, and then the next ones, as the model reads them."""
    first = list({example.label: example for example in reversed(examples)}.values())[::-1]
    shown = [*first, *(example for example in examples if example not in first)][:_READ]
    for example in shown:
        tokens = list(words(example.text[: 4 * _LONGEST]))
        line = " ".join(tokens)
        yield f"Read as ({example.label}): {line if len(line) <= _LONGEST else line[:_LONGEST] + '…'}"


def _per_class(gold: Ints, ours: Answers, labels: Sequence[str]) -> Iterator[str]:
    scores = metrics.per_class(gold, ours.predicted, len(labels))
    order = [k for k in range(len(labels)) if scores.support[k]]
    title = f"{ours.model} by label"
    if len(order) > _LABELS:
        order = sorted(sorted(order, key=lambda k: float(scores.f1[k]))[:_LABELS])
        title += f", the {_LABELS} hardest"
    width = max(_columns(title), *(_columns(labels[k]) for k in order))
    yield f"{_padded(title, width)}  precision  recall      F1      n"
    for k in order:
        yield (
            f"{_padded(labels[k], width)}  {scores.precision[k]:9.4f}  {scores.recall[k]:6.4f}  "
            f"{scores.f1[k]:6.4f}  {scores.support[k]:5,}"
        )


def _confusions(gold: Ints, ours: Answers, partition: Partition) -> Iterator[str]:
    """The pairs of labels that are confused most, each with the text that the model is surest about."""
    labels = partition.labels
    wrong = np.flatnonzero(gold != ours.predicted)
    pairs = Counter((int(gold[row]), int(ours.predicted[row])) for row in wrong)
    for (truth, said), count in sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))[:_CONFUSED]:
        rows = [int(row) for row in wrong if (gold[row], ours.predicted[row]) == (truth, said)]
        logs = ours.log_probabilities
        row = rows[0] if logs is None else max(rows, key=lambda r: float(logs[r, said]))
        example = partition.test[row]
        times = "once" if count == 1 else f"{count:,} times"
        yield (
            f"{labels[truth]!r} taken for {labels[said]!r} {times}, "
            f"for example {_quoted(example.text)} ({example.where})"
        )


def _calibration(ours: Record) -> Iterator[str]:
    if ours["calibration_error"] is not None:
        yield (
            f"Expected calibration error of {ours['model']}: {ours['calibration_error']:.4f}, the mean gap between how "
            "sure it says it is and how often it is right."
        )


def _warnings(partition: Partition) -> Iterator[str]:
    for reason, those in partition.dropped.items():
        yield f"{those.rows:,} row{'s'[: those.rows > 1]} left out: {reason} (the first: {those.first})"
    yield from partition.notes
    if len(partition.test) < _FEW:
        yield (
            f"the test part has only {len(partition.test)} texts: the intervals are wide, and a difference of a few "
            "points says nothing (--test FILE gives a larger one)"
        )


def _quoted(text: str) -> str:
    line = " ".join(text.split())
    return f"「{line}」" if len(line) <= _LONGEST else f"「{line[:_LONGEST]}…」"


def _columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _columns(text))
