"""What ``seqcli evaluate`` does with a classifier: how good it is on labelled texts, with intervals."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.classification import data
from seqcli.classification.data import Examples
from seqcli.classification.predict import Handle
from seqcli.core import bulk, metrics
from seqcli.core.evaluation import Request
from seqcli.core.lines import listed
from seqcli.core.seen import Seen
from seqcli.errors import InputError
from seqcli.results import Progress, Record, Result

_BATCH = 256
_DRAWN = 20_000_000  # examples drawn in all for an interval, which bounds its time
_SHOWN = {"accuracy": "accuracy", "macro_f1": "macro-F1", "log_loss": "log loss", "calibration_error": "ECE"}
_BINS = 15

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]


def evaluate(path: Path, source: str, request: Request) -> Generator[Progress, None, Result]:
    """Classifies labelled texts and compares; one record, or with ``per_class`` one a label.

    Arguments:
        path: the model folder.
        source: a table, ``__label__`` lines, a folder a label, or ``-``.
        request: how it is read, and what is printed.

    Raises:
        UsageError: it asks for what only other kinds have.
        InputError: the data cannot be used, or have a label that the model has not.
    """
    request.refuse("classifier", "per_line", "per_token", "part", "cleaning")
    handle = Handle.of(path)
    model = handle.open()
    labels = model.labels
    examples = data.read(
        source,
        text_column=request.text_column,
        label_column=request.label_column,
        input_format=request.input_format,
        encoding=request.encoding,
    )
    gold = _gold(examples, labels)
    texts = [example.text for example in examples.examples]
    begin = time.perf_counter()
    logs = yield from _log_probabilities(handle, texts, request.workers)
    seconds = time.perf_counter() - begin
    predicted = model.decision.of(logs)
    record = _record(gold, logs, predicted, len(labels)) | {"seconds": round(seconds, 3)}
    records = _per_class(gold, predicted, labels) if request.per_class else [record]
    sentences = tuple(_sentences(record, gold, labels, examples))
    warnings = (*_known(Seen.load(path, model.manifest), texts), *model.warnings())
    return Result(tuple(records), None if request.per_class else _table(record), sentences, warnings)


def _known(seen: Seen | None, texts: Sequence[str]) -> Iterator[str]:
    known = 0 if seen is None else int(seen.among(texts).sum())
    if known:
        yield (
            f"the model has learnt from {known:,} of these {len(texts):,} texts: the figures flatter it, and say "
            "little about new ones"
        )


def _table(record: Record) -> tuple[Record, ...]:
    """A row a figure, with its 95 % interval."""
    return tuple(
        {"figure": shown, "value": record[name], "from": record[f"{name}_low"], "to": record[f"{name}_high"]}
        for name, shown in _SHOWN.items()
    )


def _gold(examples: Examples, labels: Sequence[str]) -> Ints:
    """The ids of the true labels."""
    ids = {label: number for number, label in enumerate(labels)}
    unknown = Counter(example.label for example in examples.examples if example.label not in ids)
    if unknown:
        label, count = unknown.most_common(1)[0]
        where = next(example.where for example in examples.examples if example.label == label)
        what = f"the label {label!r} ({count} row{'s'[: count > 1]}) is none of the model's: {listed(labels)}"
        raise InputError(where, what, "evaluate on rows with these labels, or train a model that knows it")
    return np.array([ids[example.label] for example in examples.examples], np.int64)


def _log_probabilities(handle: Handle, texts: Sequence[str], workers: int) -> Generator[Progress, None, Floats]:
    work = bulk.run(
        partial(_batch, handle),
        (texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH)),
        workers=workers,
        chunk=1,
    )
    parts = []
    with contextlib.closing(work):
        for done, part in enumerate(work, 1):
            parts.append(part)
            yield Progress("classifying", min(done * _BATCH, len(texts)), len(texts))
    return np.concatenate(parts)


def _batch(handle: Handle, texts: Sequence[str]) -> Floats:
    model = handle.open()
    return model.log_probabilities(texts, model.split(texts))


def _record(gold: Ints, logs: Floats, predicted: Ints, classes: int) -> dict[str, Any]:
    intervals = metrics.bootstrap(gold, predicted, classes)
    probabilities = np.exp(logs)
    loss, calibration = _resampled(gold, logs)
    return {
        "n": len(gold),
        "accuracy": metrics.accuracy(gold, predicted),
        "accuracy_low": intervals.accuracy.low,
        "accuracy_high": intervals.accuracy.high,
        "macro_f1": metrics.macro_f1(gold, predicted, classes),
        "macro_f1_low": intervals.macro_f1.low,
        "macro_f1_high": intervals.macro_f1.high,
        "log_loss": metrics.log_loss(logs, gold),
        "log_loss_low": loss[0],
        "log_loss_high": loss[1],
        "calibration_error": metrics.calibration_error(probabilities, gold, _BINS),
        "calibration_error_low": calibration[0],
        "calibration_error_high": calibration[1],
    }


def _resampled(gold: Ints, logs: Floats) -> tuple[list[float], list[float]]:
    """95 % percentile-bootstrap intervals of the log loss and of the calibration error."""
    n = len(gold)
    losses = -logs[np.arange(n), gold]
    sure = np.exp(logs.max(axis=1))
    gaps = (logs.argmax(axis=1) == gold) - sure
    bins = np.clip(np.ceil(sure * _BINS).astype(np.int64) - 1, 0, _BINS - 1)
    generator = np.random.default_rng(0)
    drawn = []
    for _ in range(max(200, min(metrics.DRAWS, _DRAWN // n))):
        rows = generator.integers(0, n, n)
        error = np.abs(np.bincount(bins[rows], weights=gaps[rows], minlength=_BINS)).sum() / n
        drawn.append((losses[rows].mean(), error))
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0).tolist()
    return [low[0], high[0]], [low[1], high[1]]


def _per_class(gold: Ints, predicted: Ints, labels: Sequence[str]) -> list[Record]:
    scores = metrics.per_class(gold, predicted, len(labels))
    return [
        {
            "label": label,
            "n": int(scores.support[k]),
            "precision": float(scores.precision[k]),
            "recall": float(scores.recall[k]),
            "f1": float(scores.f1[k]),
        }
        for k, label in enumerate(labels)
    ]


def _sentences(record: Record, gold: Ints, labels: Sequence[str], examples: Examples) -> Generator[str, None, None]:
    yield (
        f"Macro-F1 {record['macro_f1']:.4f} (95 %: {record['macro_f1_low']:.4f} to {record['macro_f1_high']:.4f}), "
        f"accuracy {record['accuracy']:.4f} ({record['accuracy_low']:.4f} to {record['accuracy_high']:.4f}) "
        f"on {record['n']:,} texts."
    )
    counts = np.bincount(gold, minlength=len(labels))
    most = int(counts.argmax())
    yield f"Whoever always says {labels[most]!r} has an accuracy of {counts[most] / len(gold):.4f}."
    yield f"Expected calibration error: {record['calibration_error']:.4f}."
    for reason, those in examples.dropped.items():
        yield f"{those.rows:,} row{'s'[: those.rows > 1]} left out: {reason} (the first: {those.first})."
