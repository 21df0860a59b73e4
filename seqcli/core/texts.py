"""The texts that a command works on: its arguments, or the lines of a file or of standard input."""

from __future__ import annotations

import io
import itertools
import json
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from seqcli.core.lines import BadLineError, Lines, display_name, matching
from seqcli.core.rows import FORMATS, OnError, Row, read_table
from seqcli.core.rows import text as text_of
from seqcli.errors import InputError, UsageError

_ROWS = 500  # rows that are worked on together, and
_CHARACTERS = 20_000  # their characters in all: what is in memory at once
_SHOWN = 80  # characters of a line that are shown in a warning


class Text(NamedTuple):
    """One text, and the number by which the user knows it: its argument or line, from 1."""

    number: int
    text: str


class Item(NamedTuple):
    """One row of the input.

    Arguments:
        text: what is worked on.
        columns: of a table, to be kept; None for plain text.
        error: why it cannot be used.
    """

    text: str
    columns: dict[str, object] | None = None
    error: InputError | None = None


def items(
    texts: Sequence[str], file: str | None, *, input_format: str | None = None, column: str = "text",
    encoding: str = "auto", on_error: OnError = "mark", warn: Callable[[str], None] | None = None,
) -> Iterator[Item]:  # fmt: skip
    """The rows of the input: the arguments themselves, a file of lines, or a table with a column of text.

    Arguments:
        texts: the arguments; one ``-`` alone is standard input.
        file: a path, instead of them, or a pattern that several match.
        input_format: of a table; by the suffix otherwise, and text with any other suffix.
        column: the text of a table.
        encoding: of the file.
        on_error: a bad row is yielded with its error, unless this is ``fail``; a line keeps what of it can be read.
        warn: is told if what is read line by line begins like a table.
    """
    if (file is None) == (not texts):
        what = "no text" if file is None else "both arguments and --file"
        raise UsageError("TEXT", what, "give texts, --file PATH, or - for standard input")
    if file is None and list(texts) != ["-"]:
        alone(texts)
        return iter([Item(_repaired(text)) for text in texts])
    sources = matching("-" if file is None else file)
    rows = ((one, _rows(one, input_format, column, encoding, on_error)) for one in sources)
    return itertools.chain.from_iterable(_warned(each, one, column, warn) if warn else each for one, each in rows)


def alone(texts: Sequence[str]) -> None:
    """Refuses ``-`` among texts.

    Raises:
        UsageError: it stands there.
    """
    if "-" in texts and len(texts) > 1:
        what = "- stands for standard input, which is not read beside texts on the command line"
        raise UsageError("TEXT", what, "give - alone, or the texts alone")


def files_among(texts: Sequence[str]) -> tuple[str, ...]:
    """Sentences about texts that are names of files here: whoever types one seldom means its name."""
    named = [text for text in texts if text != "-"]  # which is standard input, whatever files there are
    found = [text for text in named if os.path.isfile(text)]  # noqa: PTH113 - Path's raises where a text is long
    return tuple(f"{name} was taken as a text; there is a file of that name: --file {name} reads it" for name in found)


def _rows(source: str, input_format: str | None, column: str, encoding: str, on_error: OnError) -> Iterator[Item]:
    suffix = Path(source.removesuffix(".gz")).suffix.lower().removeprefix(".")
    if input_format is None and suffix not in (*FORMATS, "ndjson"):
        return _lines(_Lines(source, encoding), on_error)
    return _table(source, input_format, column, encoding, on_error)


def _warned(rows: Iterator[Item], source: str, column: str, warn: Callable[[str], None]) -> Iterator[Item]:
    """The rows as they are, after a word about a first line that begins a table with that column."""
    for item in itertools.islice(rows, 1):
        kind, what = _table_begun(item.text, column) if item.columns is None else ("", "")
        if kind:
            warn(f"{display_name(source)}: {what}; --input-format {kind} reads the table")
        yield item
    yield from rows


def _table_begun(line: str, column: str) -> tuple[str, str]:
    """The format of a table that begins with this line and has that column, and a sentence; else two empty ones."""
    start = line.strip()
    shown = repr(start if len(start) <= _SHOWN else start[:_SHOWN] + "…")
    if start.startswith(("{", "[{")):
        try:
            record = json.loads(start)
        except (ValueError, RecursionError):
            return "", ""
        if isinstance(record, list):
            return "jsonl", f"the first line, {shown}, is a JSON array, and is taken as a text; jq -c '.[]' divides it"
        return ("jsonl", f"the first line, {shown}, is JSON, and is taken as a text") if column in record else ("", "")
    for kind, delimiter in (("csv", ","), ("tsv", "\t")):
        names = [name.strip().strip('"') for name in line.split(delimiter)]
        if len(names) > 1 and column in names:
            return kind, f"the first line, {shown}, is the header of a table, and is taken as a text"
    return "", ""


def _lines(lines: _Lines, on_error: OnError) -> Iterator[Item]:
    while True:
        try:
            yield Item(next(lines).removesuffix("\n"))
        except StopIteration:
            return
        except BadLineError as bad:
            if on_error == "fail":
                raise
            yield Item(lines.lenient(), None, bad)


def _table(source: str, kind: str | None, column: str, encoding: str, on_error: OnError) -> Iterator[Item]:
    table = read_table(source, input_format=kind, encoding=encoding, on_error="fail" if on_error == "fail" else "mark")
    table.require(column, "--text-column")
    for row in table:
        error = row.error
        text = ""
        if error is None:
            try:
                text = _present(row, column)
            except InputError as bad:
                if on_error == "fail":
                    raise
                error = bad
        # A bad row has every column, too: the first one names those of a CSV that is written.
        yield Item(text, row.values if error is None else dict.fromkeys(table.columns) | row.values, error)


def _present(row: Row, column: str) -> str:
    """The text of a row; an empty one is a text, one that is not there is none."""
    if row.values.get(column) is None:
        what = "no text: it is null" if column in row.values else "no text: the row has no such column"
        raise InputError(row.where(column), what, "--on-error mark goes on and says so in the row")
    return text_of(row, column)


def folded(text: str) -> str:
    """The text without what two copies of it may differ in: width variants and whitespace."""
    return "".join(unicodedata.normalize("NFKC", text).split())


def batches(source: Iterable[Item], rows: int = _ROWS, characters: int = _CHARACTERS) -> Iterator[list[Item]]:
    """Items together, at most ``rows``, and no more of them once they have so many characters in all."""
    batch: list[Item] = []
    size = 0
    for item in source:
        batch.append(item)
        size += len(item.text)
        if len(batch) == rows or size >= characters:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class Texts(Iterator[Text]):
    """Texts in order, read as they are asked for; an empty line is an empty text.

    Arguments:
        words: the arguments of the command; ``-`` alone stands for standard input.
        file: a file of one text a line (``.gz`` too), instead, or a pattern that several match.
        encoding: of the files or of standard input; ``auto`` finds the usual Japanese ones.
        on_error: what a line does that cannot be decoded: stay with ``�`` where it is broken, be left out, or raise.
        warn: is told if a file or standard input begins like a table with a column ``text``.

    Attributes:
        bad: how many lines could not be decoded so far.
        files: their names; empty where the texts come from elsewhere.
        settings: how the texts are read, for the record of a job.

    Raises:
        UsageError: no text at all, or arguments and a file.
        InputError: the file is not there; with ``fail``, a bad line.
    """

    def __init__(
        self,
        words: Sequence[str] | None,
        file: Path | None = None,
        encoding: str = "auto",
        on_error: OnError = "mark",
        warn: Callable[[str], None] | None = None,
    ) -> None:
        if words and file is not None:
            raise UsageError("--file", "cannot be read besides texts on the command line", "give one or the other")
        if not words and file is None:
            raise UsageError("TEXT", "no text was given", "give texts, --file PATH, or - for standard input")
        alone(words or ())
        self.bad = 0
        self.settings = {"encoding": encoding, "on_error": on_error}
        self._first = ""
        self._on_error = on_error
        self._warn = warn
        self.files = [] if file is None else matching(file)
        piped = words == ["-"]
        self._words = iter(enumerate([] if piped or not words else words, 1))
        self._inputs = [_Lines(one, encoding) for one in (["-"] if piped else self.files)]
        self._before = 0  # lines of the files that are done

    def __next__(self) -> Text:
        while self._inputs:
            lines = self._inputs[0]
            try:
                line = next(lines)
            except StopIteration:
                self._before += lines.number
                del self._inputs[0]
                continue
            except BadLineError as problem:
                if self._on_error == "fail":
                    raise
                self.bad += 1
                self._first = self._first or str(problem)
                if self._on_error == "skip":
                    continue
                line = lines.lenient()
            if lines.number == 1 and self._warn is not None:
                _, what = _table_begun(line, "text")
                if what:
                    self._warn(f"{lines.name}: {what}; what is read here is a text a line")
            return Text(self._before + lines.number, line.removesuffix("\n"))
        number, word = next(self._words)
        return Text(number, _repaired(word))

    @property
    def complaint(self) -> str:
        """A sentence about the lines that could not be decoded; empty if all could."""
        if not self.bad:
            return ""
        done = "left out" if self._on_error == "skip" else "with � for what could not be read"
        return f"{self.bad} line{'s'[: self.bad - 1]} {done}; the first: {self._first}"


def _repaired(word: str) -> str:
    """An argument of the command, with ``�`` for the bytes that are not UTF-8."""
    return word.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class _Lines(Lines):
    """Lines whose last one can be had again after it could not be decoded."""

    def _split(self, source: str | Path, stdin: io.BufferedIOBase | None) -> Iterator[bytes]:
        for self._last in super()._split(source, stdin):
            yield self._last

    def lenient(self) -> str:
        """The line that was refused, with ``�`` for what is wrong in it."""
        encoding = "ascii" if self._encoding == "auto" else self._encoding
        return self._last.decode(encoding, "replace").replace("\0", "\ufffd").rstrip("\r\n")
