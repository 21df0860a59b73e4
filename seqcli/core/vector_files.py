"""Files of word vectors, read with suspicion: word2vec text and binary, fastText ``.vec``, GloVe text, gzipped or not.

word2vec and fastText write ``count dim`` in the first line, GloVe begins at once. A text line is the word and its
numbers; a binary record is the word, a space, and ``dim`` float32 numbers. Words that are not UTF-8 are kept, with the
replacement character, and counted.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedIOBase, BufferedReader
from pathlib import Path
from typing import ClassVar, NoReturn, cast

import numpy as np

from seqcli.core.fasttext import MAGIC
from seqcli.core.lines import open_input
from seqcli.errors import InputError

SUFFIXES = (".vec", ".txt", ".bin", ".w2v", ".glove")

_MOST_DIMENSIONS = 65_536
_LONGEST_WORD = 4096  # bytes
_BLOCK = 2048  # rows parsed at once
_HINT = "expected word2vec text or binary, fastText .vec or GloVe text"


@dataclass
class VectorFile:
    """One file of vectors, read once from beginning to end.

    Arguments:
        path: the file.

    Attributes:
        words: those read so far, in order, each once.
        bad_utf8: words among them that were not UTF-8.
        doubled: rows left out because their word was there before.
        dim: numbers in a vector, known from the first block on.
    """

    path: Path
    words: dict[str, int] = field(default_factory=dict)
    bad_utf8: int = 0
    doubled: int = 0
    dim: int = 0
    subwords: ClassVar[tuple[int, int]] = (0, 0)  # only fastText's own models have some, see core/fasttext.py

    def blocks(self) -> Iterator[np.ndarray]:
        """The vectors in blocks ``(n, dim)``, float32; ``words`` grows along.

        Raises:
            InputError: not such a file; a header that the file cannot fulfil (found before memory is taken); a row of
                another dimension; a value that is not a finite number.
        """
        with open_input(self.path) as stream:
            reader = cast("BufferedReader", stream)
            head = reader.peek(65_536)
            if not head:
                self._refuse("is empty")
            if head.startswith(MAGIC):
                self._refuse("is a fastText model, not a file of vectors")
            first = head.split(b"\n", 1)[0].split()
            if len(first) == 2 and all(part.isdigit() for part in first):
                reader.readline(64)
                yield from self._with_header(reader, int(first[0]), int(first[1]))
            else:
                yield from self._text(reader, None, None)
        if not self.words:
            self._refuse("has no vectors")

    def _with_header(self, stream: BufferedReader, count: int, dim: int) -> Iterator[np.ndarray]:
        if not 0 < dim <= _MOST_DIMENSIONS or count <= 0:
            self._refuse(f"its header names {count} vectors of {dim} dimensions")
        binary = self._is_binary(stream.peek(65_536), dim)
        smallest = dim * 4 + 2 if binary else dim * 2 + 1
        size = self.path.stat().st_size
        # A gzipped file shrinks by less than a thousand times; the rows are counted again as they come.
        if count * smallest > (size if self.path.suffix != ".gz" else size * 1032):
            self._refuse(f"its header names {count} vectors of {dim} dimensions, but it holds {size} bytes")
        yield from self._binary(stream, count, dim) if binary else self._text(stream, count, dim)

    def _is_binary(self, head: bytes, dim: int) -> bool:
        """Whether what follows the header is no line of ``dim`` numbers."""
        line = head.lstrip(b"\n").split(b"\n", 1)[0]
        if b"\0" in line:
            return True
        parts = line.split()
        if len(parts) >= 2 and _numbers(b" ".join(parts[1:20])) is not None:
            return False
        return len(line) >= min(dim * 4, 64) and any(byte < 9 or byte > 126 for byte in line)

    def _text(self, stream: BufferedReader, count: int | None, dim: int | None) -> Iterator[np.ndarray]:
        kept: list[tuple[int, bytes]] = []
        read = 0
        row = 0 if count is None else 1
        while line := self._line(stream, row + 1, _LONGEST_WORD + 40 * (dim or _MOST_DIMENSIONS)):
            row += 1
            line = line.rstrip(b" \t\r\n")
            if not line.strip():
                continue
            read += 1
            if dim is None:
                dim = len(line.split()) - 1
                if dim < 1 or _numbers(line.split(None, 1)[1]) is None:
                    self._refuse(f"row 1 is no word with its numbers: {_shown(line)}")
            self.dim = dim
            parts = line.rsplit(None, dim)
            if len(parts) == dim and line[:1].isspace():  # the word is a space, as some files have it
                parts = [b" ", *parts]
            more = parts[0].split()[1:]  # of a word with spaces, or numbers too many
            if len(parts) != dim + 1 or (more and _numbers(more[-1]) is not None):
                self._refuse(f"row {row} has {len(line.split()) - 1} numbers, not {dim}")
            if self._keep(parts[0]):
                kept.append((row, b" ".join(parts[1:])))
            if len(kept) == _BLOCK:
                yield self._parse(kept, dim)
                kept = []
        if kept:
            yield self._parse(kept, dim or 0)
        self._whole(count, read)

    def _line(self, stream: BufferedReader, row: int, limit: int) -> bytes:
        try:
            line = stream.readline(limit + 1)
        except (OSError, EOFError) as problem:
            self._refuse(f"cannot be read: {problem}")
        if len(line) > limit:
            self._refuse(f"row {row} is longer than {limit} bytes")
        return line

    def _parse(self, kept: list[tuple[int, bytes]], dim: int) -> np.ndarray:
        block = _numbers(b" ".join(text for _, text in kept))
        if block is None or block.size != dim * len(kept) or not np.isfinite(block).all():
            for row, text in kept:
                values = _numbers(text)
                if values is None or values.size != dim or not np.isfinite(values).all():
                    self._refuse(f"row {row} holds what is no finite number: {_shown(text)}")
        assert block is not None, "some row was refused"
        return block.reshape(-1, dim)

    def _binary(self, stream: BufferedReader, count: int, dim: int) -> Iterator[np.ndarray]:
        self.dim = dim
        width = dim * 4
        kept: list[bytes] = []
        pending = b""
        read = 0
        while read < count:
            # The word ends at its first space; a newline may stand before it.
            space = pending.find(b" ")
            if space < 0 or len(pending) < space + 1 + width:
                if space < 0 and len(pending) > _LONGEST_WORD:
                    self._refuse(f"vector {read + 1} has a word longer than {_LONGEST_WORD} bytes")
                more = self._read(stream, max(1 << 20, width))
                if not more:
                    self._refuse(f"ends after {read} of {count} vectors")
                pending += more
                continue
            position = 0
            while read < count:
                space = pending.find(b" ", position)
                if space < 0 or len(pending) < space + 1 + width:
                    break
                if self._keep(pending[position:space].lstrip(b"\n")):
                    kept.append(pending[space + 1 : space + 1 + width])
                position = space + 1 + width
                read += 1
            pending = pending[position:]
            if kept:
                yield self._floats(kept, dim, read)
                kept = []
        self._whole(count, read)

    def _read(self, stream: BufferedIOBase, size: int) -> bytes:
        try:
            return stream.read(size)
        except (OSError, EOFError) as problem:
            self._refuse(f"cannot be read: {problem}")

    def _floats(self, kept: list[bytes], dim: int, read: int) -> np.ndarray:
        block = np.frombuffer(b"".join(kept), dtype="<f4").reshape(-1, dim)
        if not np.isfinite(block).all():
            self._refuse(f"a vector before the {read + 1}th holds NaN or infinity")
        return block

    def _keep(self, raw: bytes) -> bool:
        """Notes a word; False if it was there before."""
        try:
            word = raw.decode()
        except UnicodeDecodeError:
            word = raw.decode("utf-8", "replace")
            self.bad_utf8 += 1
        if word in self.words:
            self.doubled += 1
            return False
        self.words[word] = len(self.words)
        return True

    def _whole(self, count: int | None, read: int) -> None:
        if count is not None and read != count:
            self._refuse(f"its header names {count} vectors, but there are {read}")

    def _refuse(self, what: str, hint: str = _HINT) -> NoReturn:
        raise InputError(str(self.path), what, hint)


def text_line(word: str, vector: np.ndarray) -> str:
    """One line of word2vec text; the numbers can be read back to the same float32."""
    return f"{'_'.join(word.split()) or '_'} {' '.join(map('{:.9g}'.format, vector.tolist()))}\n"


def text_header(count: int, dim: int) -> str:
    """The first line of word2vec text, of one length whatever the count, so that it can be written last."""
    return f"{count} {dim}".ljust(31) + "\n"


def _numbers(text: bytes) -> np.ndarray | None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # how NumPy says that not all of it was numbers
        try:
            return np.fromstring(text.decode("ascii", "replace"), dtype=np.float32, sep=" ")
        except (DeprecationWarning, ValueError):
            return None


def _shown(raw: bytes) -> str:
    text = raw.decode("utf-8", "replace")
    return repr(text if len(text) <= 60 else text[:60] + "…")
