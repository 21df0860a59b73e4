"""Makes the tables that ``vector_store.py`` reads; a query that finds its table needs none of this."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqcli.core.safe_formats import dump_json
from seqcli.core.vector_store import HEADER, Description
from seqcli.errors import InputError

REMOVED = 3  # dominant directions that all-but-the-top takes away

_BLOCK = 16_384  # rows worked on at once


class Origin(NamedTuple):
    """What a builder knows of a table besides its numbers; the fields are those of ``Description``."""

    source: str
    form: str = "surface"
    recipe: str = "content,idf"
    words: str = "word"
    subwords: tuple[int, int] = (0, 0)


class StoreWriter:
    """Writes a store row by row, without holding the matrix in memory.

    Arguments:
        folder: an empty folder.
        dim: numbers in a vector.
    """

    def __init__(self, folder: Path, dim: int) -> None:
        self._folder = folder
        self._dim = dim
        self._count = 0
        self._file = (folder / "vectors.npy").open("wb")
        self._file.write(b"\0" * HEADER)

    def add(self, block: np.ndarray) -> None:
        """Appends rows ``(n, dim)``."""
        self._file.write(np.ascontiguousarray(block, dtype="<f4").tobytes())
        self._count += len(block)

    def finish(
        self,
        keys: Iterable[tuple[str, int]],
        origin: Origin,
        *,
        bad_utf8: int = 0,
        settled: Collection[str] = (),
    ) -> None:
        """Writes what else a store holds.

        Arguments:
            keys: key and row, the most frequent first; of a key that comes twice the first counts.
            origin: where the table comes from.
            bad_utf8: for the record.
            settled: keys that a tokenizer leaves as they are.
        """
        self._file.seek(0)
        self._file.write(npy_header((self._count, self._dim)))
        self._file.close()
        vectors = np.load(self._folder / "vectors.npy", mmap_mode="r", allow_pickle=False)
        norms, top = _statistics(vectors)
        first: dict[bytes, tuple[int, int]] = {}
        for rank, (key, row) in enumerate(keys):
            first.setdefault(key.encode("utf-8", "replace"), (row, rank))
        names = sorted(first)
        rows = np.array([first[name][0] for name in names], dtype=np.int32)
        ranks = np.array([first[name][1] for name in names], dtype=np.int32)
        sizes = np.fromiter(map(len, names), dtype=np.int64, count=len(names))
        tables = {"norms": norms, "top": top, "rows": rows, "ranks": ranks, "owners": _owners(rows, ranks, self._count),
                  "settled": np.array([name.decode() in settled for name in names], dtype=bool),
                  "offsets": np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)}  # fmt: skip
        for name, table in tables.items():
            np.save(self._folder / f"{name}.npy", table, allow_pickle=False)
        (self._folder / "keys.bin").write_bytes(b"".join(names))
        written = {file.name: file.stat().st_size for file in self._folder.iterdir()}
        about = Description(**origin._asdict(), rows=self._count, dim=self._dim, keys=len(names), bad_utf8=bad_utf8,
                            sizes=written)  # fmt: skip
        (self._folder / "store.json").write_text(dump_json(asdict(about)), encoding="utf-8")

    def close(self) -> None:
        """Lets go of the file, where ``finish`` was not reached."""
        self._file.close()


def write_store(
    folder: Path,
    matrix: np.ndarray,
    keys: Iterable[tuple[str, int]],
    origin: Origin,
    *,
    settled: Collection[str] = (),
) -> None:
    """Writes a store from a matrix that is at hand; the rest as in ``StoreWriter.finish``."""
    writer = StoreWriter(folder, matrix.shape[1])
    for start in range(0, len(matrix), _BLOCK):
        writer.add(matrix[start : start + _BLOCK])
    writer.finish(keys, origin, settled=settled)


def npy_header(shape: Sequence[int]) -> bytes:
    """The first bytes of an ``.npy`` file of float32 numbers, of one length whatever the shape."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {tuple(shape)!r}, }}"
    return b"\x93NUMPY\x01\x00" + (HEADER - 10).to_bytes(2, "little") + text.ljust(HEADER - 11).encode() + b"\n"


def _owners(rows: np.ndarray, ranks: np.ndarray, count: int) -> np.ndarray:
    """For each row the (sorted) place of its most frequent key."""
    order = np.argsort(ranks, kind="stable")
    owned, first = np.unique(rows[order], return_index=True)
    if len(owned) != count:
        raise InputError("vectors", f"{count - len(owned)} of {count} rows have no word, or a word stands twice")
    return order[first].astype(np.int32)


def _statistics(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The length of each row; the mean of all, over the ``REMOVED`` first principal components of the centred rows.

    Source: Mu and Viswanath 2018, All-but-the-Top. The covariance is summed block by block in float64.
    """
    rows, dim = vectors.shape
    norms = np.empty(rows, dtype=np.float32)
    total, products = np.zeros(dim), np.zeros((dim, dim))
    for start, block in _blocks(vectors):
        norms[start : start + len(block)] = np.linalg.norm(block, axis=1)
        total += block.sum(axis=0)
        products += block.T @ block
    mean = total / max(rows, 1)
    _, directions = np.linalg.eigh(products / max(rows, 1) - np.outer(mean, mean))
    return norms, np.vstack([mean, directions[:, ::-1].T[:REMOVED]])


def _blocks(vectors: np.ndarray) -> Iterator[tuple[int, Any]]:
    for start in range(0, len(vectors), _BLOCK):
        yield start, vectors[start : start + _BLOCK].astype(np.float64)
