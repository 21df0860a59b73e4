"""Bytes on their way in: opening files and standard input, finding the encoding, decoding line by line."""

from __future__ import annotations

import codecs
import io
import itertools
import os
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import cast

from seqcli.errors import InputError, UsageError

_BLOCK = 1 << 16  # bytes read at once, and about the most that is looked at to find the encoding
_ESCAPE = b"\x1b"

# Encodings in which each line can be decoded on its own, so that one bad line leaves the next ones readable. A file in
# any other, such as UTF-16, is decoded as one stream.
_LINE_BY_LINE = {
    "utf-8",
    "ascii",
    "cp932",
    "shift_jis",
    "euc_jp",
    "iso2022_jp",
    "iso2022_jp_ext",
    "iso8859-1",
    "cp1252",
}

# What ``auto`` tries; codec and name.
_TRIED = {"utf-8": "UTF-8", "iso2022_jp_ext": "ISO-2022-JP", "euc_jp": "EUC-JP", "cp932": "cp932"}

# How files begin that hold no text, whatever they are called; what each is, and what to do about it.
_SHEET = "save a sheet as CSV, a document as text; unpack an archive"
_NO_TEXT = {
    b"PK\x03\x04": ("an Office document or a zip archive", _SHEET),
    b"\xd0\xcf\x11\xe0": ("an Office document", _SHEET),
    b"%PDF-": ("a PDF", "save what it says as text: pdftotext, for example"),
    b"PAR1\x15": ("a Parquet file", "read it as a table: --input-format parquet, or end its name in .parquet"),
    b"\x1f\x8b": ("packed with gzip", "end its name in .gz, or unpack it first: gunzip -c"),
}

# Python's cp932 lets these unused bytes through; they mean that the text is something else.
_NOT_CP932 = re.compile("[\x80\xa0\uf8f0-\uf8f3]")


class BadLineError(InputError):
    """One line cannot be used; the lines after it can."""


class Lines(Iterator[str]):
    """The decoded lines of one input, each with one ``\\n`` at its end, whatever ended it in the file.

    A line that cannot be used raises ``BadLineError``, and the next call goes on behind it (a generator could not).

    Arguments:
        source: a path (``.gz`` too), or ``-`` for standard input.
        encoding: a Python codec; ``auto`` finds UTF-8, UTF-16 with a byte-order mark, ISO-2022-JP, EUC-JP and cp932.
        stdin: read in place of the process's standard input, where ``source`` is ``-``.

    Attributes:
        name: the file as the user named it, or ``stdin``.
        number: the line given last, from 1.
    """

    def __init__(self, source: str | Path, encoding: str = "auto", stdin: io.BufferedIOBase | None = None) -> None:
        self.name = display_name(source)
        self.number = 0
        self._encoding = encoding if encoding == "auto" else codec(encoding)
        self._found = encoding == "auto"  # whether the encoding is not the user's
        self._raw = self._split(source, stdin)

    def __next__(self) -> str:
        raw = next(self._raw)
        self.number += 1
        try:
            line = raw.decode("ascii" if self._encoding == "auto" else self._encoding)
        except UnicodeDecodeError as problem:
            named, hint = misfit(raw, self._encoding, found=self._found)
            what = f"byte {problem.start + 1} is 0x{raw[problem.start]:02X}, which is not {named}"
            raise BadLineError(f"{self.name}: row {self.number}", what, hint) from None
        if "\0" in line:
            what = f"character {line.index(chr(0)) + 1} is NUL: this is not text"
            raise BadLineError(f"{self.name}: row {self.number}", what, "if the file is UTF-16: --encoding utf-16-le")
        return line.rstrip("\r\n") + "\n" if line.endswith(("\r", "\r\n")) else line

    def _split(self, source: str | Path, stdin: io.BufferedIOBase | None) -> Iterator[bytes]:
        with open_input(source, stdin) as stream:
            pieces: list[bytes] = []
            for block in self._settled(self._blocks(stream)):
                pieces.append(block)
                if b"\n" not in block and b"\r" not in block:
                    continue
                lines = b"".join(pieces).splitlines(keepends=True)
                # The last line may go on in the next block; one that ends in \r may still get its \n.
                pieces = [] if lines[-1].endswith(b"\n") else [lines.pop()]
                yield from lines
            yield from b"".join(pieces).splitlines(keepends=True)

    def _blocks(self, stream: io.BufferedIOBase) -> Iterator[bytes]:
        try:
            while block := stream.read1(_BLOCK):  # what is there now: a pipe that is still being written is read live
                yield block
        except (OSError, EOFError) as problem:  # EOFError and BadGzipFile: a truncated or false .gz
            raise InputError(self.name, f"cannot be read: {problem}") from None

    def _settled(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """The same bytes without a byte-order mark; settles the encoding at the first block that is not plain ASCII."""
        head = next(blocks, b"")
        while len(head) < 3 and head[:1] in (b"\xef", b"\xff", b"\xfe") and (more := next(blocks, b"")):
            head += more
        for start, (what, hint) in _NO_TEXT.items():
            if head.startswith(start):
                raise InputError(self.name, f"is {what}, not text", hint)
        if self._encoding in ("auto", "utf-8") and head.startswith(codecs.BOM_UTF8):
            self._encoding, head = "utf-8", head[len(codecs.BOM_UTF8) :]
        elif self._encoding == "auto" and head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self._encoding = "utf-16"
        blocks = itertools.chain([head], blocks)
        if self._encoding != "auto" and self._encoding not in _LINE_BY_LINE:
            yield from self._transcoded(blocks)
            return
        for block in blocks:
            if self._encoding == "auto" and (not block.isascii() or _ESCAPE in block):
                # Short texts of Japanese are ambiguous, so all but plain UTF-8 waits for a full block.
                while (len(block) < _BLOCK and not _fits(block, "utf-8")) or block.endswith(_ESCAPE):
                    if not (more := next(blocks, b"")):
                        break
                    block += more  # noqa: PLW2901 - the block that is yielded is the longer one
                self._encoding = detect(block)
            yield block

    def _transcoded(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        encoding, self._encoding = self._encoding, "utf-8"
        decoder = codecs.getincrementaldecoder(encoding)()
        first = True
        try:
            for block in itertools.chain(blocks, [b""]):
                decoded = decoder.decode(block, final=not block)
                yield (decoded.removeprefix("\ufeff") if first else decoded).encode()
                first = first and not decoded
        except UnicodeError as problem:
            what = f"the bytes are not {encoding}: {getattr(problem, 'reason', problem)}"
            raise InputError(f"{self.name}: after row {self.number}", what) from None


def detect(block: bytes) -> str:
    """The encoding of a text, by strict decoding of its first block, which may end inside a character.

    Returns:
        ``auto`` for plain ASCII, which does not tell; otherwise a codec. UTF-8 too where nothing fits or only a few
        bytes do not, so that the error names those bytes instead of the text turning into other characters.
    """
    if (b"\x1b$" in block or b"\x1b(" in block) and _fits(block, "iso2022_jp_ext"):
        return "iso2022_jp_ext"
    if block.isascii():
        return "auto"
    if _fits(block, "utf-8"):
        return "utf-8"
    lenient = block.decode("utf-8", errors="replace")
    broken = lenient.count("\ufffd")
    if sum(not character.isascii() for character in lenient) > 10 * broken:
        return "utf-8"
    return next((encoding for encoding in ("euc_jp", "cp932") if _fits(block, encoding)), "utf-8")


def misfit(block: bytes, encoding: str, *, found: bool) -> tuple[str, str]:
    """What some bytes are not, and what to do about it.

    Arguments:
        block: that cannot be decoded.
        encoding: in which they cannot.
        found: whether it was found, instead of named by the user.
    """
    if not found:
        return encoding, "leave out --encoding to have it found, or mend the byte"
    if encoding not in _TRIED:  # UTF-16, which says itself what it is
        return encoding, "mend the byte or move the file away"
    other = next((tried for tried in _TRIED if tried != encoding and _fits(block, tried)), None)
    if other is not None:
        return encoding, f"name the encoding of the file, for example --encoding {other}"
    *names, last = _TRIED.values()
    hint = "mend the byte or move the file away; if the encoding is another one: --encoding cp1252, for example"
    return f"text in {', '.join(names)} or {last}", hint


def _fits(block: bytes, encoding: str) -> bool:
    try:
        decoded = codecs.getincrementaldecoder(encoding)().decode(block)
    except UnicodeDecodeError:
        return False
    return encoding != "cp932" or not _NOT_CP932.search(decoded)


def codec(encoding: str) -> str:
    """What Python calls a text encoding.

    Raises:
        UsageError: there is none of that name.
    """
    try:
        "\n".encode(encoding)  # refuses Python's codecs that are not for text, too
        return codecs.lookup(encoding).name
    except (LookupError, ValueError):
        hint = "for example utf-8, cp932, euc_jp, iso2022_jp, utf-16"
        raise UsageError("--encoding", f"no such encoding: {encoding!r}", hint) from None


def display_name(source: str | Path) -> str:
    """What errors call an input: the path as the user wrote it, or ``stdin`` for ``-``."""
    return "stdin" if str(source) == "-" else str(source)


def matching(source: str | Path) -> list[str]:
    """The files that are meant: those that match a pattern such as ``corpus/*.txt``, by name, else the source itself.

    ``**`` stands for any number of folders. A file that is there is meant by its name, whatever stands in it.

    Raises:
        InputError: no file matches the pattern.
    """
    named = str(source)
    if not set("*?[") & set(named) or os.path.lexists(named):
        return [named]
    import glob

    every = glob.iglob(named, recursive=True)  # noqa: PTH207 - Path.glob takes no pattern that begins at the root
    found = sorted(path for path in every if not Path(path).is_dir())
    if not found:
        hint = "** stands for any number of folders: 'corpus/**/*.txt'"
        raise InputError(named, "no file matches this pattern", hint)
    return found


def open_input(source: str | Path, stdin: io.BufferedIOBase | None = None) -> AbstractContextManager[io.BufferedIOBase]:
    """A file (``.gz``: unpacked) or, only where ``source`` is ``-``, standard input, which stays open afterwards.

    Raises:
        InputError: it is not there, a folder, or may not be read.
    """
    if str(source) == "-":
        if stdin is None and sys.stdin is None:
            raise InputError("stdin", "is closed", "give a file, or send something in: < FILE")
        return nullcontext(stdin or cast("io.BufferedIOBase", sys.stdin.buffer))
    path = Path(source)
    try:
        if path.is_dir():
            raise InputError(str(source), "is a folder, not a file", f"name a file in it, or '{path / '*.txt'}'")
        if path.suffix.lower() == ".gz":
            import gzip

            return gzip.open(path, "rb")
        return path.open("rb")
    except FileNotFoundError:
        close = nearest(path.name, _names_in(path.parent))
        hint = f"did you mean {path.with_name(close)}?" if close else None
        raise InputError(str(source), "no such file", hint) from None
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the name
        reason = problem.strerror if isinstance(problem, OSError) else str(problem)
        raise InputError(str(source), f"cannot be opened: {reason}") from None


def _names_in(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError:
        return []


def nearest(word: str, names: Collection[str]) -> str | None:
    """The name that the user probably meant: the closest spelling, capitals aside; None if none is close."""
    import difflib

    folded = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(word.casefold(), folded, n=1)
    return folded[close[0]] if close else None


def listed(names: Sequence[str], most: int = 20) -> str:
    """Names in a sentence: the first ones, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")
