"""fastText's own models (``.bin``): words, and the subwords of which a word that is not among them is made.

The file, little endian: magic and version; twelve settings and a double; five sizes; words, each with its count and a
type; whether it is quantized; the matrix of words and, behind them, of the buckets that subwords fall into. The second
matrix, of the output, is of no use here.

Source: Bojanowski et al. 2017, Enriching Word Vectors with Subword Information, arXiv:1607.04606.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import NoReturn, cast

import numpy as np

from seqcli.core.lines import open_input
from seqcli.errors import InputError

MAGIC = (793712314).to_bytes(4, "little")

_VERSIONS = (11, 12)
_HEAD = struct.Struct("<i12id3i2q")
_SUPERVISED = 3
_END = "</s>"  # of a line; it has no subwords
_MOST_DIMENSIONS = 65_536
_LONGEST_WORD = 4096  # bytes
_LONGEST_SUBWORD = 100  # characters
_GZIP = 1032  # times; no file shrinks by more
_BLOCK = 1024  # words worked on at once


def is_model(path: Path) -> bool:
    """Whether a file (``.gz`` too) is one of fastText's models; word2vec's files may end in ``.bin`` as well."""
    with open_input(path) as stream:
        try:
            return stream.read(len(MAGIC)) == MAGIC
        except (OSError, EOFError):
            return False  # whoever reads it as something else says what is wrong


def subwords(word: str, shortest: int, longest: int, buckets: int) -> list[int]:
    """The buckets of all character n-grams of ``<word>``, by the hash FNV-1a.

    Arguments:
        word: undecodable bytes as surrogates, so that they are hashed as they are.
        shortest: characters of an n-gram, at least; a bracket alone is none.
        longest: at most.
        buckets: number of rows that they share.
    """
    characters = [char.encode("utf-8", "surrogateescape") for char in f"<{word}>"]
    found = []
    for start in range(len(characters)):
        value = 2166136261
        for size, char in enumerate(characters[start : start + longest], 1):
            for byte in char:
                # fastText takes a byte for a signed number, so a high one fills the upper bits.
                value = (value ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * 16777619 & 0xFFFFFFFF
            if size >= shortest and not (size == 1 and start in (0, len(characters) - 1)):
                found.append(value % buckets)
    return found


@dataclass
class FastTextFile:
    """One model, read once from beginning to end.

    Arguments:
        path: the file.
        folder: where ``subwords.npy`` is written, ``(buckets, dim)``, if the model has some.

    Attributes:
        words: in their order, the most frequent first, each once.
        bad_utf8: words among them that were not UTF-8.
        subwords: characters of a subword, at least and at most; at most 0: the model has none.
        dim: numbers in a vector.
    """

    path: Path
    folder: Path
    words: dict[str, int] = field(default_factory=dict)
    bad_utf8: int = 0
    subwords: tuple[int, int] = (0, 0)
    dim: int = 0
    _pending: bytes = field(default=b"", init=False, repr=False)

    def blocks(self) -> Iterator[np.ndarray]:
        """The words' vectors in blocks ``(n, dim)``, float32: the mean of a word's own row and of its subwords'.

        Raises:
            InputError: a damaged or quantized model, or a header that the file cannot fulfil (found before memory is
                taken).
        """
        with open_input(self.path) as stream:
            reader = cast("BufferedReader", stream)
            count, buckets = self._header(reader)
            raw = self._read_words(reader, *count)
            self._matrix(reader, count[1] + buckets)
            scratch = self.folder / "own.npy"  # as they are in the file, where the subwords come behind them
            rows = self._copied(reader, scratch, len(raw))
            table = self._copied(reader, self.folder / "subwords.npy", buckets) if self.subwords[1] else None
        kept = [row for row, word in enumerate(raw) if self._keep(word)]
        for start in range(0, len(kept), _BLOCK):
            chosen = kept[start : start + _BLOCK]
            block = np.array(rows[chosen])
            if table is not None:
                self._add_subwords(block, [raw[row] for row in chosen], table)
            yield block
        del rows
        scratch.unlink()

    def _header(self, stream: BufferedReader) -> tuple[tuple[int, int], int]:
        magic = self._exactly(stream, len(MAGIC))
        assert magic == MAGIC, "the caller has looked"
        version, *settings = _HEAD.unpack(self._exactly(stream, _HEAD.size))
        if version not in _VERSIONS:
            self._refuse(f"is a fastText model of version {version}; versions 11 and 12 can be read")
        self.dim, kind, buckets, shortest, longest = (settings[at] for at in (0, 7, 8, 9, 10))
        size, words, labels, _, pruned = settings[13:]
        if version == _VERSIONS[0] and kind == _SUPERVISED:
            longest = 0  # that version wrote a number that it did not use
        self.subwords = (shortest, longest)
        if pruned > 0:
            self._refuse_quantized()
        sound = 0 < self.dim <= _MOST_DIMENSIONS and words > 0 and size == words + labels
        if not sound or buckets < 0 or not 0 <= longest <= _LONGEST_SUBWORD or (longest and not buckets):
            self._refuse(f"its header names {words} words of {self.dim} dimensions and {buckets} subwords")
        self._fits(4 * self.dim * (words + buckets) + 10 * size)
        return (size, words), buckets

    def _fits(self, needed: int) -> None:
        there = self.path.stat().st_size * (_GZIP if self.path.suffix == ".gz" else 1)
        if needed > there:
            self._refuse(f"its header promises {needed} bytes, but it holds {self.path.stat().st_size}")

    def _read_words(self, stream: BufferedReader, size: int, words: int) -> list[str]:
        """All words, undecodable bytes as surrogates; the labels of a classifier are left out."""
        found: list[str] = []
        pending = b""
        for number in range(size):
            while (end := pending.find(b"\0")) < 0 or len(pending) < end + 10:
                if end < 0 and len(pending) > _LONGEST_WORD:
                    self._refuse(f"word {number + 1} is longer than {_LONGEST_WORD} bytes")
                pending += self._some(stream, 1 << 12)
            if pending[end + 9] == 0:
                found.append(pending[:end].decode("utf-8", "surrogateescape"))
            pending = pending[end + 10 :]
        self._pending = pending
        if len(found) != words:
            self._refuse(f"its header names {words} words, but there are {len(found)}")
        return found

    def _matrix(self, stream: BufferedReader, rows: int) -> None:
        quantized, there, dim = struct.unpack("<?2q", self._exactly(stream, 17))
        if quantized:
            self._refuse_quantized()
        if (there, dim) != (rows, self.dim):
            self._refuse(f"its matrix is {there} × {dim}, not {rows} × {self.dim}")

    def _copied(self, stream: BufferedReader, path: Path, rows: int) -> np.ndarray:
        """The next rows of the matrix as an ``.npy`` file, mapped."""
        table = np.lib.format.open_memmap(path, mode="w+", dtype="<f4", shape=(rows, self.dim))
        step = max(1, (1 << 22) // (4 * self.dim))
        for start in range(0, rows, step):
            part = table[start : start + step]
            part[...] = np.frombuffer(self._exactly(stream, part.nbytes), dtype="<f4").reshape(part.shape)
            if not np.isfinite(part).all():
                self._refuse("a vector of it holds NaN or infinity")
        table.flush()
        return table

    def _add_subwords(self, block: np.ndarray, words: Sequence[str], table: np.ndarray) -> None:
        for row, word in enumerate(words):
            found = [] if word == _END else subwords(word, *self.subwords, len(table))
            block[row] = (block[row] + table[found].sum(axis=0)) / (len(found) + 1)

    def _keep(self, raw: str) -> bool:
        """Notes a word; False if it was there before."""
        word = raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        if word in self.words:
            return False
        self.bad_utf8 += word != raw
        self.words[word] = len(self.words)
        return True

    def _exactly(self, stream: BufferedReader, size: int) -> bytes:
        parts, self._pending = [self._pending[:size]], self._pending[size:]
        missing = size - len(parts[0])
        while missing:
            parts.append(self._some(stream, missing))
            missing -= len(parts[-1])
        return b"".join(parts)

    def _some(self, stream: BufferedReader, size: int) -> bytes:
        try:
            found = stream.read(size)
        except (OSError, EOFError) as problem:
            self._refuse(f"cannot be read: {problem}")
        if not found:
            self._refuse("ends too early")
        return found

    def _refuse_quantized(self) -> NoReturn:
        self._refuse("is a quantized fastText model", "give the .bin or .vec file that it was made from")

    def _refuse(self, what: str, hint: str = "expected a model that fastText saved as .bin") -> NoReturn:
        raise InputError(str(self.path), what, hint)
