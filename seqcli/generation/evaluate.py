"""What ``seqcli evaluate`` does with a generator: how well it predicts a text, as a whole, by line and by unit.

bits per character = Σ -log2 p(unit) / characters, a line end being one. ``bpc_open`` charges 16 bits more for each
character that the vocabulary does not hold: models with different vocabularies compare by it. The first unit is
predicted from the beginning of a document; where there are several documents, so is the end of each but the last.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

import numpy as np

from seqcli.core import bulk, checkpoint, files
from seqcli.core.columns import Columns, beside
from seqcli.core.evaluation import Request
from seqcli.core.lines import display_name
from seqcli.core.seen import Seen
from seqcli.core.texts import Item, batches, items
from seqcli.core.units import DOCUMENT, Units
from seqcli.errors import InputError, ModelError, UsageError
from seqcli.generation.data import LINE
from seqcli.generation.loading import KIND, load
from seqcli.generation.mixture import CHUNK, Floats, Mixture, Part, Scores
from seqcli.generation.network import Ids
from seqcli.generation.report import UNSEEN_BITS
from seqcli.generation.sources import Document, Sources
from seqcli.generation.stretches import Sums
from seqcli.results import Progress, Record, Result

_BLOCK = 1 << 18  # characters of a line that is still waited for
_SIDE_BY_SIDE = 64  # lines
_COPIED = 0.05  # of the characters; a few lines, such as proverbs, stand in many texts
_SHOWN = {
    "model": "model",
    "n": "n",
    "bits_per_char": "bits/char",
    "bits_per_char_low": "from",
    "bits_per_char_high": "to",
    "bpc_open": "bpc_open",
    "perplexity": "perplexity",
    "seconds": "seconds",
}  # what a person reads in 80 columns; "from" and "to" bound the 95 % interval of bits/char


def evaluate(path: Path, source: str, request: Request) -> Generator[Progress, None, Result]:
    """Measures a model on text: a record each for the mixture, the network and the n-grams.

    Arguments:
        path: the model folder.
        source: a text file, a folder of them, a table with a column of texts, or ``-``.
        request: how it is read; ``per_token`` names a file for the probability of each unit by ``part``.

    Raises:
        UsageError: it asks for what only other kinds have, or to write over the text.
        InputError: there is no text in it.
        MachineError: the file for the probabilities cannot be written.
    """
    request.refuse("generator", "per_class", "label_column")
    if request.part != "mixture" and request.per_token is None:
        what = f"{request.part!r} answers by line or by token; of a whole text every part is measured"
        raise UsageError("--part", what, "leave it out, or add --per-line or --per-token FILE")
    model = load(path)
    model.mixture.only(request.part)
    sums = Sums.of(model)
    begin = time.process_time()
    with ExitStack() as stack:
        documents = Sources([source], request.encoding, request.text_column, request.input_format, request.cleaning)
        file = None
        if request.per_token is not None:
            file = stack.enter_context(_new(request.per_token, documents.files))
        reading = model.mixture.start()
        copies = _Copies(Seen.load(path, model.manifest))
        for ids, surfaces, characters, missing in _read(model.units, documents, copies, spelled=file is not None):
            if not len(ids):  # spaces that are no unit
                sums.characters += characters
                continue
            scores, reading = model.mixture.scores(reading, ids[None])
            sums.add(scores, ids, characters, missing)
            if file is not None:
                _write(file, _chosen(scores, request.part), ids, surfaces)
            yield Progress("reading", sums.characters, text=sums.told())
    if not any(stretch[1] for stretch in sums.stretches):
        raise InputError(display_name(source), "holds no text", "give a file with text in it")
    records = sums.records(round(time.process_time() - begin, 2))
    table = tuple({shown: one[name] for name, shown in _SHOWN.items()} for one in records)
    warnings = [*copies.warnings(sums.characters), *model.warnings()]
    if request.workers > 1:  # a setting for all commands may have asked for them
        warnings.append(
            "--workers divide lines; a text as a whole was read by one process (--per-line measures by line)"
        )
    return Result(tuple(records), table, tuple(_sentences(records, sums)), tuple(warnings))


def lines(
    path: Path,
    source: str,
    request: Request,
    *,
    even: bool = False,
    warn: Callable[[str], None] | None = None,
) -> tuple[Columns, Iterator[Record]]:
    """Measures each line of a text, or each row of a table, by itself: a filter that keeps the input's columns.

    Arguments:
        path: the model folder.
        source: a file of lines, a table, or ``-``.
        request: how it is read, which ``part`` of the model is asked, and by how many ``workers``.
        even: every record has ``error``, as the lines of a CSV must be alike; otherwise only those with one.
        warn: is told if standard input is read line by line and begins like a table.

    Returns:
        What our columns are called, and the records: ``text``, or the columns of the table, with ``bits_per_char`` and
        ``bpc_open`` (None for a line without a unit), ``log_probability`` (natural, of the line without its end), and
        ``error`` where a row cannot be used.

    Raises:
        UsageError: it asks for what is not measured by line, or the model has no such part.
        InputError: the table has no such column.
    """
    request.refuse("generator", "per_class", "label_column")
    if request.per_token is not None:
        raise UsageError("--per-token", "reads the text as a whole, so it goes without --per-line", "give one of them")
    if request.cleaning == "on":
        raise UsageError("--aozora", "--per-line reads lines as they stand", "seqcli corpus aozora FILE cleans them")
    reader = _Reader(path, checkpoint.peek(path, KIND).id, request.part)
    reader.open()
    found = items(
        ["-"] if source == "-" else [],
        None if source == "-" else source,
        input_format=request.input_format,
        column=request.text_column,
        encoding=request.encoding,
        warn=warn,
    )
    columns, rows = beside(found, (*_figures(0, 0, 0.0), "error"))
    return columns, _measured(reader, rows, columns, workers=request.workers, even=even)


def _measured(reader: _Reader, rows: Iterable[Item], columns: Columns, *, workers: int, even: bool) -> Iterator[Record]:
    """What the user gave, row by row, and what is measured of it."""
    ours, theirs = itertools.tee(batches(rows))
    with contextlib.closing(bulk.run(reader.measure, ours, workers=workers, chunk=1)) as work:
        for some, measured in zip(theirs, work, strict=True):
            for item, figures in zip(some, measured, strict=True):
                record = columns.row(item) | {columns[name]: value for name, value in figures.items()}
                if item.error is not None or even:
                    record[columns["error"]] = item.error and str(item.error)
                yield record


@dataclass(frozen=True)
class _Reader:
    """Who measures lines, cheap to send to another process.

    Arguments:
        path: the model folder.
        id: which model must be there.
        part: which of its parts is asked.
    """

    path: Path
    id: str
    part: Part

    def open(self) -> tuple[Units, Mixture]:
        """The model, loaded once in a process.

        Raises:
            ModelError: as ``load``; or another model has taken its place.
            UsageError: the model has no such part.
        """
        return _opened(self)

    def measure(self, some: list[Item]) -> list[dict[str, float | None]]:
        """The figures of each text as a document of its own."""
        units, mixture = self.open()
        counted = [units.encode_counting(item.text) for item in some]
        likely = _of_lines(mixture, [ids for ids, _ in counted])
        return [
            _figures(len(item.text) if len(ids) and item.error is None else 0, missing, logs)
            for item, (ids, missing), logs in zip(some, counted, likely, strict=True)
        ]


def _figures(characters: int, missing: int, logs: float) -> dict[str, float | None]:
    """Of a line with so many characters, some of them in units that the model does not know."""
    if not characters:
        return {"bits_per_char": None, "bpc_open": None, "log_probability": None}
    bits = -logs / math.log(2)
    return {
        "bits_per_char": bits / characters,
        "bpc_open": (bits + UNSEEN_BITS * missing) / characters,
        "log_probability": logs,
    }


@lru_cache(maxsize=1)
def _opened(reader: _Reader) -> tuple[Units, Mixture]:
    model = load(reader.path)
    if model.manifest.id != reader.id:
        raise ModelError(str(reader.path), "was replaced while it was in use", "run the command again")
    return model.units, model.mixture.only(reader.part)


def _of_lines(mixture: Mixture, encoded: list[Ids]) -> list[float]:
    """The log-probability of each text as a document of its own."""
    likely = [0.0] * len(encoded)
    start = mixture.start()
    order = sorted(range(len(encoded)), key=lambda row: len(encoded[row]))  # those of a length side by side
    for first in range(0, len(order), _SIDE_BY_SIDE):
        rows = order[first : first + _SIDE_BY_SIDE]
        reading = start.select(np.zeros(len(rows), np.int64))
        for place in range(0, len(encoded[rows[-1]]), CHUNK):
            parts = [encoded[one][place : place + CHUNK] for one in rows]
            tokens = np.full((len(rows), len(parts[-1])), DOCUMENT, np.int32)
            for row, part in zip(tokens, parts, strict=True):
                row[: len(part)] = part
            scores, reading = mixture.scores(reading, tokens)
            for one, part, logs in zip(rows, parts, scores.mixture, strict=True):
                likely[one] += float(logs[: len(part)].sum(dtype=np.float64))
    return likely


@dataclass
class _Copies:
    """How much of a text stands line by line in what the model has learnt from."""

    seen: Seen | None
    characters: int = 0

    def look(self, text: str) -> None:
        """Takes the next lines."""
        if self.seen is not None:
            lines = [line.strip() for line in text.split("\n") if len(line.strip()) >= LINE]
            known = self.seen.among(lines)
            self.characters += sum(len(line) for line, its in zip(lines, known, strict=True) if its)

    def warnings(self, characters: int) -> Iterator[str]:
        """A sentence, where it is so much that the figures mislead."""
        if self.characters > _COPIED * characters:
            yield (
                f"{self.characters / characters:.0%} of this text stands line by line in the text that the model has "
                "learnt from: the figures flatter it, and say little about a new one"
            )


def _read(
    units: Units, documents: Iterable[Document], copies: _Copies, *, spelled: bool
) -> Iterator[tuple[Ids, list[str], int, int]]:
    """The units of a text chunk by chunk, their surfaces if wanted, their characters and those that are unknown."""
    before = False  # whether there was a document; blank ones are none, as in training
    for document in documents:
        for number, text in enumerate(_whole_lines(document.blocks)):
            if before and not number:
                yield np.array([DOCUMENT]), [""], 0, 0
            before = True
            copies.look(text)
            ids, missing = units.encode_counting(text)
            surfaces = [surface for _, surface in units.pieces(text)] if spelled else []
            ends = [*range(CHUNK, len(ids), CHUNK), len(ids)]
            for start, end in itertools.pairwise([0, *ends]):
                last = end == len(ids)
                yield ids[start:end], surfaces[start:end], len(text) if last else 0, missing if last else 0


def _whole_lines(blocks: Iterable[str]) -> Iterator[str]:
    """The same text in pieces that end at the end of a line, unless a line is very long; nothing of a blank text."""
    rest, filled = "", False
    for block in blocks:
        rest += block
        filled = filled or bool(block.strip())
        end = len(rest) if len(rest) > _BLOCK else rest.rfind("\n") + 1
        if end and filled:
            yield rest[:end]
            rest = rest[end:]
    if rest and filled:
        yield rest


def _new(path: Path, read: Sequence[str]) -> IO[str]:
    """A file to write, unless it is one of those that are read.

    Raises:
        UsageError: it is.
        MachineError: it cannot be written.
    """
    if any(name != "-" and path.exists() and path.samefile(name) for name in read):
        raise UsageError("--per-token", f"{path} is the text itself", "name another file")
    with files.explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("w", encoding="utf-8", newline="\n")


def _write(file: IO[str], logs: Floats, ids: Ids, surfaces: list[str]) -> None:
    """A line a unit: as it stands in the text, a tab, the natural logarithm of its probability."""
    for one, surface, likely in zip(ids.tolist(), surfaces, logs.tolist(), strict=True):
        if one != DOCUMENT:
            escaped = surface.replace("\n", "\\n").replace("\t", "\\t")
            file.write(f"{escaped}\t{likely!r}\n")


def _chosen(scores: Scores, part: str) -> Floats:
    logs = {"network": scores.network, "kneser-ney": scores.ngram}.get(part)
    chosen: Floats = (scores.mixture if logs is None else logs)[0]
    return chosen


def _sentences(records: list[dict[str, object]], sums: Sums) -> Iterator[str]:
    best = records[0]
    interval = f"95 %: {best['bits_per_char_low']:.4f} to {best['bits_per_char_high']:.4f}"
    if len(sums.stretches) < 2:
        interval = "too short a text for an interval"
    yield (
        f"{best['model']}: {best['bits_per_char']:.4f} bits per character ({interval}), perplexity "
        f"{best['perplexity']:.2f}; {sums.characters:,} characters."
    )
    if sums.missing:
        yield (
            f"{sums.missing:,} of them ({sums.missing / sums.characters:.2%}) stand in units that the model does not "
            f"know: with {UNSEEN_BITS} bits more for each, bpc_open is {best['bpc_open']:.4f}."
        )
