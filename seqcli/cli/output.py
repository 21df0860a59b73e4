"""The only module that prints: records on stdout; progress, summaries, warnings and hints on stderr."""

from __future__ import annotations

import math
import os
import re
import shutil
import sys
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from seqcli.cli.log import Log
from seqcli.errors import QualityError, SeqcliError

if TYPE_CHECKING:
    from seqcli.results import Progress, Record, Result

T = TypeVar("T")

FORMATS = ("auto", "table", "csv", "jsonl", "json")


class Output:
    """How one command talks.

    Arguments:
        format: one of ``FORMATS``; ``auto`` is a table on a terminal and JSON lines in a pipe.
        verbosity: -1 only warnings and errors, 0 summaries as well, 1 also a line an epoch.
        log: a file that is told everything, however quiet the command is.
        debug: an error comes with its traceback.

    Attributes:
        explicit: whether the user chose the format.
    """

    def __init__(
        self, format: str = "auto", verbosity: int = 0, log: Log | None = None, *, debug: bool = False
    ) -> None:
        self.log = log
        self.debug = debug
        self.out: TextIO = sys.stdout
        self.err: TextIO = sys.stderr
        self.verbosity = verbosity
        self.explicit = format != "auto"
        self.format = ("table" if self.out.isatty() else "jsonl") if format == "auto" else format

    def result(self, result: Result, where: str) -> None:
        """Prints a result: warnings and sentences, then the records; fails if it carries a gate that was not passed.

        Raises:
            QualityError: the gate, after everything was printed.
        """
        self.tell((), result.warnings)
        rows = result.table if self.format == "table" and result.table is not None else result.records
        self.emit(rows)
        self.tell(result.sentences)
        if result.gate:
            raise QualityError(where, result.gate)

    def tell(self, sentences: Sequence[str], warnings: Sequence[str] = ()) -> None:
        """Warnings first, then what there is to say."""
        for text in warnings:
            self.warn(text)
        for sentence in sentences:
            self.say(sentence)

    def emit(self, records: Iterable[Record]) -> None:
        """Writes records to stdout in the chosen format, one at a time except in a table and in ``json``."""
        from seqcli.core.json_lines import dumps

        if self.format == "table":
            self._table(list(records))
        elif self.format == "json":
            self.out.write("[\n" + ",\n".join(dumps(record) for record in records) + "\n]\n")
        elif self.format == "csv":
            self._csv(records)
        else:
            for record in records:
                self.out.write(dumps(record) + "\n")
        self.out.flush()

    def line(self, text: str) -> None:
        """One line of plain text on stdout."""
        self.out.write(text + "\n")
        self.out.flush()

    def flow(self, pieces: Iterable[str]) -> None:
        """Plain text on stdout, piece by piece as it comes into being; on a terminal, nothing in it is obeyed."""
        for piece in pieces:
            self.out.write(_TEXT_CONTROL.sub(_escaped, piece) if self.out.isatty() else piece)
            self.out.flush()
        self.line("")

    @property
    def colour(self) -> bool:
        """Whether there is colour on stdout."""
        return _has_colour(self.out)

    def shaded(self, pieces: Iterable[tuple[str, float]]) -> None:
        """One line on stdout whose pieces weigh from -1 to 1: blue and red, or in brackets where there is no colour."""
        colour = self.colour
        line = ""
        for text, weight in pieces:
            strength = round(abs(weight) * len(_BLUES))
            piece = _visible(text)
            if strength and colour:
                piece = f"\x1b[30;48;5;{(_BLUES if weight > 0 else _REDS)[strength - 1]}m{piece}\x1b[0m"
            elif strength > 1:
                piece = f"[{'+' if weight > 0 else '-'}{piece}]"
            line += piece
        self.line(line)

    def say(self, text: str) -> None:
        """A sentence for a person; silent with ``--quiet``."""
        self.record("info", text)
        if self.verbosity >= 0:
            self._line(text)

    def detail(self, text: str) -> None:
        """A sentence that only ``--verbose`` shows."""
        self.record("info", text)
        if self.verbosity >= 1:
            self._line(text)

    def warn(self, text: str) -> None:
        """A warning; also with ``--quiet``."""
        self.record("warning", text)
        self._line("warning: " + text, "yellow")

    def error(self, error: SeqcliError) -> None:
        """``error: where: what`` in one line, and the next command in another."""
        what = " ".join(f"{error.where}: {error.what}".split())
        self.record("error", f"{what} (exit {int(error.code)})")
        self._line("error: " + what, "bold red")
        if error.hint:
            self.record("hint", error.hint)
            self._line("hint: " + error.hint, "cyan")

    def follow(self, work: Generator[Progress, None, T]) -> T:
        """Runs work that reports its progress, and returns what it returns.

        A bar on a terminal; elsewhere nothing, or with ``--verbose`` a plain line for each step that deserves one.
        """
        bar = _Bar(self.err) if self.verbosity >= 0 and _is_terminal(self.err) else None
        try:
            while True:
                progress = next(work)
                if bar:
                    bar.show(progress)
                elif progress.line:
                    of = f"/{progress.total}" if progress.total else ""
                    self.detail(f"{progress.stage} {progress.done}{of}: {progress.text}")
        except StopIteration as end:
            finished: T = end.value
            return finished
        finally:
            work.close()
            if bar:
                bar.close()

    def record(self, level: str, text: str) -> None:
        """Tells the log, and nobody else."""
        if self.log:
            self.log.write(level, text)

    def _line(self, text: str, style: str = "") -> None:
        colour, text = style and _has_colour(self.err), _visible(text)
        try:
            self.err.write((f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if colour else text) + "\n")
            self.err.flush()
        except BrokenPipeError:
            raise
        except OSError:  # a full disk behind stderr: the exit code still tells
            pass

    def _csv(self, records: Iterable[Record]) -> None:
        import csv

        from seqcli.core.json_lines import dumps

        writer = csv.writer(self.out, lineterminator="\n")
        names: dict[str, None] = {}  # of the first record: the header
        lost, first = 0, ""
        try:
            for number, record in enumerate(records, 1):
                if number == 1:
                    names = dict.fromkeys(record)
                    writer.writerow(names)
                if not record.keys() <= names.keys():
                    unknown = [name for name in record if name not in names]
                    first = first or f"record {number} has {unknown[0]!r}"
                    lost += len(unknown)
                writer.writerow([_csv_cell(record.get(name), dumps) for name in names])
        finally:
            if lost:
                what = "1 value is" if lost == 1 else f"{lost:,} values are"
                self.warn(f"{what} not in the CSV, whose header has no such column: {first} (--format jsonl keeps all)")

    def _table(self, records: Sequence[Record]) -> None:
        """Columns as wide as they need to be; on a terminal that is narrower, the widest ones are cut."""
        if not records:
            return
        names = list(dict.fromkeys(name for record in records for name in record))
        numeric = [isinstance(records[0].get(name), int | float) for name in names]
        rows = [[_visible(name) for name in names]]
        rows += ([_table_cell(record.get(name)) for name in names] for record in records)
        widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
        if self.out.isatty():
            room = shutil.get_terminal_size().columns - len(_GAP) * (len(widths) - 1)
            if sum(widths) > room:  # of probability.グルメ the label says more
                rows[0] = [_DOTTED.sub("", name) for name in rows[0]]
                widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
            while sum(widths) > room and max(widths) > _NARROWEST:
                widths[widths.index(max(widths))] -= 1
        for place, row in enumerate(rows):
            line = _GAP.join(map(_fitted, row, widths, numeric)).rstrip()
            heading = place == 0 and _has_colour(self.out)
            self.out.write((f"\x1b[1m{line}\x1b[0m" if heading else line) + "\n")


_DOTTED = re.compile(r"^[a-z_]+\.(?=.)")  # the first part of a heading such as probability.グルメ
_GAP, _NARROWEST = "  ", 6  # between columns; a column that was cut, in characters


def _width(text: str) -> int:
    """How many columns of a terminal the text takes: two for most Japanese characters."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _fitted(text: str, width: int, right: bool) -> str:
    """The text in exactly ``width`` columns."""
    short = width - _width(text)
    if short < 0:
        from rich.cells import set_cell_size

        return set_cell_size(text, width - 1) + "…"
    return " " * short + text if right else text + " " * short


# C0 and C1, line and paragraph separators, and what turns the direction of writing.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_TEXT_CONTROL = re.compile(rf"(?![\n\t]){_CONTROL.pattern}")  # in a text, lines and tabs are what they are

_BLUES, _REDS = (195, 153, 111), (224, 217, 210)  # of the 256 colours, the palest first

_STYLES = {"yellow": "33", "bold red": "1;31", "cyan": "36"}


def _csv_cell(value: Any, dumps: Any) -> Any:
    if value is None or (isinstance(value, float) and (not math.isfinite(value))):
        return ""
    if isinstance(value, float):
        return repr(value)
    return dumps(value) if isinstance(value, Mapping | list | tuple | bool) else value


def _table_cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 1e5 else f"{value:,.0f}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_table_cell, value))
    if isinstance(value, Mapping):  # グルメ 0.9209
        return " ".join(map(_table_cell, value.values()))
    return _visible(str(value))


def _visible(text: str) -> str:
    """The text with control characters as escapes: a name in a file must not be able to steer the terminal."""
    return _CONTROL.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return ascii(match[0])[1:-1]


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _has_colour(stream: TextIO) -> bool:
    """NO_COLOR beats FORCE_COLOR beats the terminal (no-color.org, force-color.org)."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or _is_terminal(stream)


class _Bar:
    """One line that says what is going on, how far it is, and how long it still takes."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.table import Column

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[count]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            # The first to give way on a narrow terminal.
            TextColumn("{task.fields[text]}", markup=False, table_column=Column(no_wrap=True, ratio=1)),
        )
        self._progress = Progress(*columns, console=Console(file=stream), transient=True, expand=True)
        self._tasks: dict[str, Any] = {}
        self._progress.start()

    def show(self, progress: Progress) -> None:
        if progress.stage not in self._tasks:
            for task in self._progress.tasks:  # a stage is over when the next one begins
                self._progress.update(task.id, total=1, completed=1, count="", text="")
            self._tasks[progress.stage] = self._progress.add_task(progress.stage, total=None, text="", count="")
        count = f"{progress.done:,}" if progress.done or progress.total else ""
        if progress.total:
            count += f"/{progress.total:,}"
        self._progress.update(
            self._tasks[progress.stage],
            completed=progress.done,
            total=progress.total,
            text=progress.text,
            count=count,
        )

    def close(self) -> None:
        self._progress.stop()
