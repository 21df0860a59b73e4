"""A corpus as it lies on the disk, read as documents: files, folders, archives, tables, standard input."""

from __future__ import annotations

import codecs
import hashlib
import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple

from seqcli.core import rows
from seqcli.core.lines import Lines, display_name, matching, misfit, open_input
from seqcli.corpora import aozora
from seqcli.corpora.members import decode, members
from seqcli.errors import InputError, UsageError

Cleaning = Literal["auto", "on", "off"]

TEXTS: Final = (".txt", ".text")  # what is read of a folder, packed (.gz) or not
_TABLES: Final = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
_ARCHIVE: Final = re.compile(r"\.(?:zip|tgz|tar(?:\.\w+)?)$", re.IGNORECASE)
_ABOUT: Final = re.compile(r"(?:LICEN[SC]E|README|CHANGES|COPYING|NOTICE)\b.*", re.IGNORECASE)
_WORK: Final = 1 << 24  # characters; the longest text that is looked at as a whole, to clean it
_SYMBOLS: Final = "【テキスト中に現れる記号について】"
_COLOPHON: Final = re.compile(r"^底本[:：]", re.MULTILINE)


class Document(NamedTuple):
    """One text of a corpus, to be read before the next one is asked for.

    Arguments:
        name: its file, and its row or its name in an archive.
        blocks: the text in pieces of any length, with ``\\n`` at the end of a line.
    """

    name: str
    blocks: Iterator[str]


@dataclass
class Sources:
    """The documents of some files, in the order that the user named them in, a folder's by name.

    A text file is a document, and so is each row of a table and each text in an archive.

    Arguments:
        given: files, patterns that files match, folders, or ``-`` for standard input.
        encoding: a Python codec, or ``auto``.
        text_column: of tables.
        input_format: of a table on standard input, or with another suffix.
        cleaning: whether texts are in Aozora Bunko's notation; ``auto`` looks for it.

    Attributes:
        cleaned: texts that were cleaned so far.

    Raises:
        InputError: a file is not there, or a folder has no text.
        UsageError: standard input is named twice.
    """

    given: Sequence[str]
    encoding: str = "auto"
    text_column: str = "text"
    input_format: str | None = None
    cleaning: Cleaning = "auto"
    cleaned: int = 0
    files: list[str] = field(init=False)
    _stdin: io.BufferedRandom | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        self.files = [file for source in self.given for file in _expanded(source)]
        if self.files.count("-") > 1:
            raise UsageError("CORPUS", "standard input is named twice", "it can be read once")

    def digest(self) -> str:
        """Names the bytes of all files; standard input is copied to the disk for it."""
        found = hashlib.blake2b(digest_size=16)
        for file in self.files:
            found.update(Path(file).suffix.encode())  # which says how the bytes are read
            if file == "-":
                self._stdin = self._stdin or _spooled()
                found.update(hashlib.file_digest(self._stdin, "blake2b").digest())
                self._stdin.seek(0)
                continue
            try:
                with Path(file).open("rb") as stream:
                    found.update(hashlib.file_digest(stream, "blake2b").digest())
            except OSError:
                with open_input(file):  # says what is wrong
                    pass
        return found.hexdigest()

    def close(self) -> None:
        """Takes away the copy of standard input."""
        if self._stdin is not None:
            self._stdin.close()

    def __iter__(self) -> Iterator[Document]:
        for file in self.files:
            suffix = Path(file.removesuffix(".gz")).suffix.lower()
            if self.input_format or suffix in _TABLES:
                yield from self._rows(file)
            elif _ARCHIVE.search(file):
                for member in members(Path(file), _is_text):
                    name = f"{file}: {member.name}"
                    yield Document(name, self._cleaned(name, iter([decode(name, member.data, self.encoding)])))
            else:
                yield Document(display_name(file), self._cleaned(file, Blocks(file, self.encoding, self._open(file))))

    def _open(self, file: str) -> io.BufferedIOBase | None:
        if file != "-" or self._stdin is None:
            return None
        self._stdin.seek(0)
        return self._stdin

    def _rows(self, file: str) -> Iterator[Document]:
        table = rows.read_table(file, input_format=self.input_format, encoding=self.encoding, stdin=self._open(file))
        column = table.require(self.text_column, "--text-column")
        for row in table:
            text = rows.text(row, column)
            if "\0" in text:
                raise InputError(row.where(column), f"character {text.index(chr(0)) + 1} is NUL: this is not text")
            yield Document(row.where(), iter([text.replace("\r\n", "\n").replace("\r", "\n")]))

    def _cleaned(self, name: str, blocks: Iterator[str]) -> Iterator[str]:
        if self.cleaning == "off":
            yield from blocks
            return
        head: list[str] = []
        length = 0
        for block in blocks:
            head.append(block)
            length += len(block)
            if length > _WORK:
                break
        else:
            text = "".join(head)
            if self.cleaning == "on" or is_aozora(text):
                self.cleaned += 1
                body = aozora.clean(text).text
                yield body + "\n" if body else ""
                return
        if self.cleaning == "on":
            what = f"is longer than {_WORK:,} characters, which no work of Aozora Bunko is"
            raise InputError(display_name(name), what, "--no-aozora reads it as it is")
        yield from head
        yield from blocks


class Blocks(Lines):
    """The text of one input in blocks instead of lines: a line may be longer than memory.

    Arguments and errors are those of ``Lines``, but that no text follows an error.
    """

    def __init__(self, source: str | Path, encoding: str = "auto", stdin: io.BufferedIOBase | None = None) -> None:
        super().__init__(source, encoding, stdin)
        self._decoder: codecs.IncrementalDecoder | None = None
        self._ends = io.IncrementalNewlineDecoder(None, translate=True)
        self._finished = False

    def _split(self, source: str | Path, stdin: io.BufferedIOBase | None) -> Iterator[bytes]:
        with open_input(source, stdin) as stream:
            yield from self._settled(self._blocks(stream))

    def __next__(self) -> str:
        while not self._finished:
            raw = next(self._raw, b"")
            self._finished = not raw
            text = self._ends.decode(self._decoded(raw), final=self._finished)
            if "\0" in text:
                row = self.number + text.count("\n", 0, text.index("\0")) + 1
                what = "there is a NUL character: this is not text"
                raise InputError(f"{self.name}: row {row}", what, "if the file is UTF-16: --encoding utf-16-le")
            self.number += text.count("\n")
            if text:
                return text
        raise StopIteration

    def _decoded(self, raw: bytes) -> str:
        if self._encoding == "auto":  # plain ASCII so far
            return raw.decode("ascii")
        if self._decoder is None:
            self._decoder = codecs.getincrementaldecoder(self._encoding)()
        try:
            return self._decoder.decode(raw, final=self._finished)
        except UnicodeDecodeError as problem:
            row = self.number + problem.object.count(b"\n", 0, problem.start) + 1
            named, hint = misfit(problem.object, self._encoding, found=self._found)
            what = f"byte 0x{problem.object[problem.start]:02X} is not {named}"
            raise InputError(f"{self.name}: row {row}", what, hint) from None


def is_aozora(text: str) -> bool:
    """Whether a text is as Aozora Bunko gives it: with its list of symbols, or with notes and a colophon."""
    if _SYMBOLS in text[:6_000]:
        return True
    return bool(_COLOPHON.search(text[-6_000:])) and ("［＃" in text or "青空文庫" in text[-6_000:])


def _expanded(source: str) -> Iterator[str]:
    """The files of a source."""
    if source == "-":
        yield source
        return
    if not Path(source).is_dir():
        for file in matching(source):
            with open_input(file):  # says what is wrong if it is not there
                pass
            yield file
        return
    found = False
    for root, folders, names in os.walk(source):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if _is_text(name.removesuffix(".gz")):
                found = True
                yield str(Path(root, name))
    if not found:
        raise InputError(source, f"holds no text files ({', '.join(TEXTS)}, packed with gzip or not)", "name the files")


def _is_text(name: str) -> bool:
    pure = Path(name)
    return pure.suffix.lower() in TEXTS and not pure.name.startswith(".") and not _ABOUT.fullmatch(pure.name)


def _spooled() -> io.BufferedRandom:
    """Standard input on the disk, because it is read twice."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the sources do
    with open_input("-") as stream:
        shutil.copyfileobj(stream, copy)
    copy.seek(0)
    return copy
