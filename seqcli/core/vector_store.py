"""A table of word vectors as it lies in the cache: memory-mapped, so that a query opens it in milliseconds.

Rows are ordered by frequency. Many keys may share a row (``ja_ginza`` has 480,443 keys on 20,000 rows); the first key
of a row, in the order of the source, is its *owner*: the word that the row was made for. The keys are sorted as UTF-8,
so that one is found by bisection, without reading the others. ``vector_writer.py`` makes such a table.
"""

from __future__ import annotations

import itertools
import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seqcli.core.safe_formats import read_json
from seqcli.errors import ModelError

FORMAT = 1
HEADER = 128  # bytes before the numbers in an .npy file of two dimensions

_READ = 1 << 22  # bytes read at once of a table that is searched
_BUILD_WAIT = 1800.0  # seconds; another process may be converting gigabytes
_TABLES = ("vectors", "norms", "offsets", "rows", "ranks", "owners", "settled", "top")


@dataclass(frozen=True)
class Description:
    """What ``store.json`` says: sizes (a store that does not have them is not used) and where the table comes from.

    Arguments:
        source: the name a person knows it by, such as ``ja_ginza 5.3.0``.
        form: the form of a Japanese word that its keys are: ``normalized`` or ``surface``.
        recipe: the steps by which its vectors become those of texts, such as ``content,idf,abtt``.
        words: ``word`` or ``char``: what a key is.
        rows: number of vectors.
        dim: numbers in a vector.
        keys: number of keys.
        bad_utf8: keys of the source that were not UTF-8.
        sizes: bytes of each file.
        subwords: characters of fastText's subwords, at least and at most; at most 0: the table has none.
    """

    source: str
    form: str
    recipe: str
    words: str
    rows: int
    dim: int
    keys: int
    bad_utf8: int
    sizes: dict[str, int]
    subwords: tuple[int, int] = (0, 0)
    format: int = FORMAT


class VectorStore:
    """A table that was opened; nothing is read before it is asked for.

    Attributes:
        path: its folder, whose name says which table it is, and of which time.
        about: what ``store.json`` says.
        vectors: ``(rows, dim)``, float32, as the source has them.
        norms: ``(rows,)``, the Euclidean length of each.
        mean: ``(dim,)``, the mean of all rows.
        components: ``(removed, dim)``, the directions in which the centred rows vary most, of length one.
    """

    def __init__(self, path: Path, about: Description) -> None:
        self.about = about
        self.path = path
        loaded = {name: np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _TABLES}
        # Plain views: slicing a memmap object costs ten times as much.
        self.vectors, self.norms, self._offsets, self._rows, self._ranks, self._owners, self._settled, top = (
            loaded[name].view(np.ndarray) for name in _TABLES
        )
        self.mean, self.components = top[0], top[1:]
        subwords = path / "subwords.npy"
        self._subwords = np.load(subwords, mmap_mode="r", allow_pickle=False) if about.subwords[1] else None
        with (path / "keys.bin").open("rb") as file:
            self._keys = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    @classmethod
    def open(cls, path: Path) -> VectorStore | None:
        """The store at ``path``, or None if there is none, or not all of it, or one of another format."""
        try:
            about = Description(**read_json(path / "store.json", dict))
            whole = all((path / name).stat().st_size == size for name, size in about.sizes.items())
            tables = (*_TABLES, "subwords") if about.subwords[1] else _TABLES
            if about.format != FORMAT or not whole or set(about.sizes) != {"keys.bin", *(f"{n}.npy" for n in tables)}:
                return None
            return cls(path, about)
        except (ModelError, OSError, TypeError, ValueError, AttributeError):
            return None

    def __len__(self) -> int:
        return self.about.rows

    def blocks(self) -> Iterator[np.ndarray]:
        """All rows in their order, some at a time ``(some, dim)``; a block holds until the next one is asked for.

        They are read into one small buffer. To look at all of them through the map would cost more (a page fault for
        every few pages, and memory for all pages), since the buffer stays in the processor's cache.
        """
        buffer = np.empty((max(1, _READ // (4 * self.about.dim)), self.about.dim), dtype="<f4")
        with (self.path / "vectors.npy").open("rb") as file:
            file.seek(HEADER)
            for start in range(0, len(self), len(buffer)):
                block = buffer[: len(self) - start]
                if file.readinto(block.data) != block.nbytes:
                    raise ModelError(str(self.path), "ended while it was read", f"remove {self.path}, and try again")
                yield block

    def __contains__(self, key: str) -> bool:
        return self.row(key) is not None

    def row(self, key: str) -> int | None:
        """The row that answers for a key, if there is one."""
        at = self._find(key)
        return None if at is None else int(self._rows[at])

    def rank(self, key: str) -> int | None:
        """Where a key stands in the order of frequency, from 1."""
        at = self._find(key)
        return None if at is None else int(self._ranks[at]) + 1

    def is_settled(self, key: str) -> bool:
        """Whether a key is known to be what the tokenizer would make of it, so that nobody need ask."""
        at = self._find(key)
        return at is not None and bool(self._settled[at])

    def of_subwords(self, word: str) -> np.ndarray | None:
        """What fastText makes of a word that is no key: the mean of its subwords; None where there are none."""
        if self._subwords is None:
            return None
        from seqcli.core.fasttext import subwords

        rows = subwords(word, *self.about.subwords, len(self._subwords))
        return self._subwords[rows].mean(axis=0) if rows else None

    def owner(self, row: int) -> str:
        """The word that a row was made for."""
        return self._key(int(self._owners[row])).decode()

    def owners(self) -> list[str]:
        """The owners of all rows, in their order."""
        keys = self.keys()
        return [keys[at] for at in self._owners.tolist()]

    def keys(self) -> list[str]:
        """All keys, sorted; the whole list is read."""
        text = self._keys[:]
        bounds = self._offsets.tolist()
        return [text[start:stop].decode() for start, stop in itertools.pairwise(bounds)]

    def by_frequency(self) -> list[str]:
        """All keys, the most frequent first."""
        keys = self.keys()
        return [keys[at] for at in np.argsort(self._ranks).tolist()]

    def _key(self, at: int) -> bytes:
        return self._keys[int(self._offsets[at]) : int(self._offsets[at + 1])]

    def _find(self, key: str) -> int | None:
        wanted = key.encode("utf-8", "replace")
        low, high = 0, self.about.keys
        while low < high:
            middle = (low + high) // 2
            if self._key(middle) < wanted:
                low = middle + 1
            else:
                high = middle
        return low if low < self.about.keys and self._key(low) == wanted else None


def opened(target: Path, build: Callable[[Path], None]) -> VectorStore:
    """The store at ``target``, built first where it is missing or not whole.

    Of two processes that want to build, one waits for the other. ``build`` fills an empty folder, which is renamed
    into place when it is done.

    Raises:
        MachineError: the disk is full, or the cache cannot be written to.
        TryLaterError: another process is still building after half an hour.
    """
    if store := VectorStore.open(target):
        return store
    from seqcli.core import files

    with files.lock(target, timeout=_BUILD_WAIT):
        store = VectorStore.open(target)
        if store is None:
            with files.new_folder(target, overwrite=True) as new:
                build(new)
            store = VectorStore.open(target)
    if store is None:
        raise ModelError(str(target), "cannot be read back after it was built", f"remove {target} and run it again")
    return store
