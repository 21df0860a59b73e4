"""What ``seqcli classify`` does: rows of text become the same rows with a label, one batch at a time."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from seqcli.classification import explain
from seqcli.classification.predict import Answer, Handle, Model
from seqcli.core import bulk, figures
from seqcli.core.columns import Columns, beside
from seqcli.core.json_lines import dumps
from seqcli.core.lines import matching
from seqcli.core.rows import OnError
from seqcli.core.texts import Item, batches
from seqcli.errors import UsageError
from seqcli.results import Progress, Record

UNSURE = "unsure"
BATCH = 2048
_TITLE = 40  # characters of a text above its picture
_CHARACTERS = 100_000  # of a batch: what is in memory at once stays below a hundred megabytes


@dataclass(frozen=True)
class Request:
    """What is to be said of each text.

    Arguments:
        top_k: add ``top``, the most probable labels with their probabilities.
        probabilities: add ``probability.<label>`` of every label.
        threshold: below this probability the label is ``unsure``.
        explain: add ``explanation``, what each token does to the label.
        on_error: what a bad row does.
        batch_size: rows that are worked on together.
        plot: draw the explanation of the first text here.
        column: the text of a table.
        even: every record has ``error``, as the lines of a CSV must be alike; otherwise only those with one.

    Raises:
        UsageError: a threshold that is no probability, a picture in no known format.
        MachineError: no folder for the picture.
    """

    top_k: int | None = None
    probabilities: bool = False
    threshold: float | None = None
    explain: bool = False
    on_error: OnError = "mark"
    batch_size: int = BATCH
    plot: Path | None = None
    even: bool = False
    column: str = "text"

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise UsageError("--threshold", f"{self.threshold} is no probability", "between 0 and 1")
        if self.plot is not None:
            figures.check(self.plot)


@dataclass
class Tally:
    """What happened so far, for the words at the end.

    Arguments:
        labels: rows with a word, by what was predicted.
        failed: rows of the input that could not be used.
        first: what is wrong with the first of them.
        skipped: whether those were left out.
        empty: rows without a single token.
        columns: what ours are called.
        drawn: whether there was something to draw.
    """

    labels: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    first: str = ""
    skipped: bool = False
    empty: int = 0
    columns: Columns = field(default_factory=Columns)
    drawn: bool = False

    def add(self, other: Tally) -> None:
        """Counts what happened elsewhere."""
        self.labels.update(other.labels)
        self.failed += other.failed
        self.first = self.first or other.first
        self.skipped |= other.skipped
        self.empty += other.empty
        self.columns.add(other.columns)

    def sentences(self) -> Iterator[str]:
        """The summary; of a single text the record says it all."""
        told = []
        if self.labels and self.labels.total() + self.empty > 1:
            told.append(", ".join(f"{label}: {count:,}" for label, count in self.labels.most_common()))
        if self.empty:
            were = "row without a word was" if self.empty == 1 else "rows without a word were"
            told.append(f"{self.empty:,} {were} answered by how frequent the labels are")
        if told:
            yield "; ".join(told)
        if self.failed:
            done = "left out" if self.skipped else "marked with an error"
            yield f"{self.failed:,} {_rows(self.failed)} could not be used: {done}"
        yield from self.columns.sentences()


def stream(
    model: Handle, request: Request, source: Iterable[Item], tally: Tally, *, workers: int = 1
) -> Iterator[Record]:
    """The records of all items in their order, as they are asked for.

    Arguments:
        model: which one.
        request: what is said of each text.
        source: the items.
        tally: filled on the way.
        workers: processes; the records are the same for any number.

    Raises:
        ModelError: as ``Handle.open``, before a row is read.
        UsageError: a threshold, and a model with a label ``unsure``.
    """
    _check(model, request)
    tally.columns, items = beside(source, _ours(model, request))
    for records in _answered(model, request, _batches(items, request), tally, workers):
        yield from records


def to_file(
    model: Handle, request: Request, source: Iterable[Item], path: Path, job: Mapping[str, object] | None,
    *, tally: Tally, workers: int = 1,
) -> Generator[Progress, None, int]:  # fmt: skip
    """Writes the records of all items as JSON lines; after an interruption the same call goes on.

    Arguments:
        model: which one.
        request: what is said of each text.
        source: the items, from the beginning.
        path: ``.jsonl``.
        job: names the input and how it is read; None where it cannot be read again.
        tally: filled on the way.
        workers: processes.

    Returns:
        The number of rows of the input.

    Raises:
        ModelError: as ``Handle.open``, before a row is read.
        UsageError: another suffix; or as ``stream``.
        TryLaterError: another process writes the same file.
        Interrupted: Ctrl-C or SIGTERM; what was done is kept.
    """
    if path.suffix != ".jsonl":
        hint = "end it in .jsonl; a CSV is printed: --format csv > out.csv"
        raise UsageError(f"--output {path}", "records are written as JSON lines", hint)
    _check(model, request)
    tally.columns, items = beside(source, _ours(model, request))
    whole = None if job is None else {**job, "model": model.id, "request": repr(replace(request, plot=None))}
    with bulk.restartable(path, whole) as sink:
        lengths: list[int] = []  # of the batches that are under way
        rest = _counted(_batches(itertools.islice(items, sink.done, None), request), lengths)
        if sink.done:
            yield Progress("classifying", sink.done, text=f"going on after {sink.done:,} rows", line=True)
        with contextlib.closing(_answered(model, request, rest, tally, workers)) as work:
            for records in work:
                sink.append("".join(dumps(record) + "\n" for record in records).encode(), lengths.pop(0))
                yield Progress("classifying", sink.done, text=f"{sink.done:,} rows")
        return sink.done


def job(texts: Sequence[str], file: str | None, reading: Mapping[str, object]) -> dict[str, object] | None:
    """Names an input and how it is read, so that an interrupted run is known again; None where it is read only once."""
    if file is None:
        return None if list(texts) == ["-"] else {"texts": list(texts)}
    files = [Path(one) for one in matching(file)]
    return {**reading, "files": [bulk.identity(one) for one in files]} if all(map(Path.is_file, files)) else None


def _answered(
    model: Handle, request: Request, items: Iterable[list[Item]], tally: Tally, workers: int
) -> Generator[list[Record], None, None]:
    """The records of each batch."""
    batch = partial(_batch, model, request, tally.columns.names)
    with contextlib.closing(bulk.run(batch, items, workers=workers, chunk=1)) as work:
        for records, happened in work:
            tally.add(happened)
            if request.plot is not None and not tally.drawn:
                told = next((record for record in records if record.get(tally.columns["explanation"])), None)
                if told is not None:
                    _draw(told, request, tally, request.plot)
                    tally.drawn = True
            yield records


def shown(record: Record, column: str) -> str:
    """The text of a record: of a table it stands in ``column``, otherwise in ours."""
    return str(record[column] if column in record else record["text"])


def _draw(record: Record, request: Request, tally: Tally, path: Path) -> None:
    """A picture of one record's explanation."""
    text = " ".join(shown(record, request.column).split())
    text = text if len(text) <= _TITLE else f"{text[: _TITLE - 1]}…"
    title = f"{text} → {record[tally.columns['predicted']]}, {record[tally.columns['probability']]:.2f}"
    explain.draw(record[tally.columns["explanation"]], path, title)


def _check(model: Handle, request: Request) -> None:
    """Loads the model before the first row is read, and refuses a threshold whose answer could be mistaken."""
    labels = model.open().labels
    if request.threshold is not None and UNSURE in labels:
        raise UsageError("--threshold", f"the model has a label {UNSURE!r} of its own", "use --probabilities instead")


def _batches(source: Iterable[Item], request: Request) -> Iterator[list[Item]]:
    return batches(source, request.batch_size, _CHARACTERS)


def _counted(source: Iterable[list[Item]], lengths: list[int]) -> Iterator[list[Item]]:
    for batch in source:
        lengths.append(len(batch))
        yield batch


def _ours(handle: Handle, request: Request) -> list[str]:
    """The columns that are added, in the order of the interface."""
    names = ["predicted", "probability"]
    if request.top_k is not None:
        names.append("top")
    if request.probabilities:
        names += (f"probability.{label}" for label in handle.open().labels)
    return [*names, *["explanation"] * request.explain, "error"]


def _batch(
    handle: Handle, request: Request, names: Mapping[str, str], items: Sequence[Item]
) -> tuple[list[Record], Tally]:
    model, tally = handle.open(), Tally(columns=Columns(names))
    answers = iter(model.answers([item.text for item in items if item.error is None]))
    records: list[Record] = []
    for item in items:
        if item.error is None:
            answer = next(answers)
            record = _record(model, request, item, answer, tally)
            records.append(record)
            if answer.empty:
                tally.empty += 1
            else:
                tally.labels[record[tally.columns["predicted"]]] += 1
            continue
        tally.failed += 1
        tally.first = tally.first or str(item.error)
        tally.skipped = request.on_error == "skip"
        if not tally.skipped:
            records.append(_record(model, request, item, None, tally))
    return records, tally


def _record(model: Model, request: Request, item: Item, answer: Answer | None, tally: Tally) -> Record:
    """A row of the input with what was asked for, in the order of the interface; without an answer, empty columns."""
    names, record = tally.columns, tally.columns.row(item)
    probabilities: list[Any] = [None] * len(model.labels)
    predicted = probability = None
    if answer is not None:
        probabilities = answer.probabilities.tolist()
        probability = probabilities[answer.label]
        sure = request.threshold is None or probability >= request.threshold
        predicted = model.labels[answer.label] if sure else UNSURE
    record[names["predicted"]] = predicted
    record[names["probability"]] = probability
    if request.top_k is not None:
        record[names["top"]] = None if answer is None else answer.top(model.labels, request.top_k)
    if request.probabilities:
        for label, value in zip(model.labels, probabilities, strict=True):
            record[names[f"probability.{label}"]] = value
    if request.explain:
        record[names["explanation"]] = None if answer is None else explain.explanation(model, item.text, answer)
    if request.even or item.error is not None:
        record[names["error"]] = None if item.error is None else str(item.error)
    return record


def _rows(count: int) -> str:
    return "row" if count == 1 else "rows"
