"""The texts that a command works on: its arguments, or the lines of a file or of standard input."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from seqcli.core.lines import BadLineError, Lines
from seqcli.core.rows import OnError
from seqcli.errors import UsageError


class Text(NamedTuple):
    """One text, and the number by which the user knows it: its argument or line, from 1."""

    number: int
    text: str


class Texts(Iterator[Text]):
    """Texts in order, read as they are asked for; an empty line is an empty text.

    Arguments:
        words: the arguments of the command; ``-`` alone stands for standard input.
        file: a file of one text a line (``.gz`` too), instead.
        encoding: of the file or of standard input; ``auto`` finds the usual Japanese ones.
        on_error: what a line does that cannot be decoded: stay with ``�`` where it is broken, be left out, or raise.

    Attributes:
        bad: how many lines could not be decoded so far.
        settings: how the texts are read, for the record of a job.

    Raises:
        UsageError: no text at all, or arguments and a file.
        InputError: the file is not there; with ``fail``, a bad line.
    """

    def __init__(
        self, words: Sequence[str] | None, file: Path | None = None, encoding: str = "auto", on_error: OnError = "mark"
    ) -> None:
        if words and file is not None:
            raise UsageError("--file", "cannot be read besides texts on the command line", "give one or the other")
        if not words and file is None:
            raise UsageError("TEXT", "no text was given", "give texts, --file PATH, or - for standard input")
        self.bad = 0
        self.settings = {"encoding": encoding, "on_error": on_error}
        self._first = ""
        self._on_error = on_error
        self._words = iter(enumerate(words or (), 1))
        self._lines = None
        if file is not None or words == ["-"]:
            self._lines = _Lines("-" if file is None else file, encoding)

    def __next__(self) -> Text:
        if self._lines is None:
            number, word = next(self._words)
            return Text(number, word.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
        while True:
            try:
                line = next(self._lines)
            except BadLineError as problem:
                if self._on_error == "fail":
                    raise
                self.bad += 1
                self._first = self._first or str(problem)
                if self._on_error == "skip":
                    continue
                line = self._lines.lenient()
            return Text(self._lines.number, line.removesuffix("\n"))

    @property
    def complaint(self) -> str:
        """A sentence about the lines that could not be decoded; empty if all could."""
        if not self.bad:
            return ""
        done = "left out" if self._on_error == "skip" else "with � for what could not be read"
        return f"{self.bad} line{'s'[: self.bad - 1]} {done}; the first: {self._first}"


class _Lines(Lines):
    """Lines whose last one can be had again after it could not be decoded."""

    def _split(self, source: str | Path, stdin: io.BufferedIOBase | None) -> Iterator[bytes]:
        for self._last in super()._split(source, stdin):
            yield self._last

    def lenient(self) -> str:
        """The line that was refused, with ``�`` for what is wrong in it."""
        encoding = "ascii" if self._encoding == "auto" else self._encoding
        return self._last.decode(encoding, "replace").replace("\0", "\ufffd").rstrip("\r\n")
