"""The text of a corpus in one file, and which stretches of it are trained on, chosen by, and judged with."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from seqcli.generation.sources import Sources
from seqcli.results import Progress

PARTS: Final = ("train", "valid", "test")
SHARE: Final = 0.05  # of the text that is held back for each of valid and test

_MOST: Final = 1_500_000  # bytes of it; more would take longer to measure than it has to tell
_MANY: Final = 20  # documents; of fewer, each one gives its end
_BLOCK: Final = 1 << 20  # bytes
_ENDS: Final = tuple(
    mark.encode() for mark in ("\n", "。", "！", "？", ". ", "、", " ")
)  # where to cut, the best first
_NEAR: Final = 1 << 16  # bytes on each side of where a document should be cut, in which a line end is looked for
_EVERY: Final = 1 << 24  # bytes between two signs of life


@dataclass(frozen=True)
class Spans:
    """Stretches of the text file, each a document or what is left of one.

    Arguments:
        starts: ``(n,)`` the first byte of each.
        ends: ``(n,)`` the byte behind it.
        parts: ``(n,)`` where it belongs, an index into ``PARTS``.
    """

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    parts: NDArray[np.int64]

    @classmethod
    def of(cls, stretches: Iterable[tuple[int, int, int]]) -> Spans:
        """Spans from (start, end, part) each."""
        starts, ends, parts = np.array(list(stretches), np.int64).reshape(-1, 3).T
        return cls(starts, ends, parts)

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        return zip(self.starts.tolist(), self.ends.tolist(), self.parts.tolist(), strict=True)

    def of_part(self, part: str) -> list[tuple[int, int]]:
        """Start and end of each stretch of a part."""
        chosen = self.parts == PARTS.index(part)
        return list(zip(self.starts[chosen].tolist(), self.ends[chosen].tolist(), strict=True))

    def without(self, dropped: NDArray[np.bool_]) -> Spans:
        """The others."""
        return Spans(self.starts[~dropped], self.ends[~dropped], self.parts[~dropped])


def spooled(file: BinaryIO, given: Sequence[Sources]) -> Generator[Progress, None, Spans]:
    """Writes the documents into one file of UTF-8, as it is read again several times; without those that are blank.

    Arguments:
        file: open for writing.
        given: the sources of each of ``PARTS``.
    """
    stretches = []
    told = 0
    for part, sources in enumerate(given):
        for document in sources:
            start = file.tell()
            filled = False
            for block in document.blocks:
                filled = filled or bool(block.strip())
                file.write(block.encode("utf-8", "replace"))
                if file.tell() - told >= _EVERY:
                    told = file.tell()
                    yield Progress("reading", told >> 20, text=f"{told >> 20:,} MiB, {document.name}")
            if filled:
                stretches.append((start, file.tell(), part))
            else:
                file.truncate(start)
                file.seek(start)
    return Spans.of(stretches)


def blocks(file: BinaryIO, start: int, end: int) -> Iterator[str]:
    """The text of a stretch in pieces of about a megabyte, cut where a line ends, else a sentence, else anywhere."""
    rest = b""
    while start < end:
        file.seek(start)
        data = rest + file.read(min(_BLOCK, end - start))
        start += len(data) - len(rest)
        cut = len(data) if start >= end else _cut(data)
        rest = data[cut:]
        yield data[:cut].decode()


def _cut(data: bytes) -> int:
    for mark in _ENDS:
        if (found := data.rfind(mark)) >= 0:
            return found + len(mark)
    return _whole(data, len(data) - 1)


def _whole(data: bytes, place: int) -> int:
    """The same place, or the beginning of the character that it would divide."""
    while place > 0 and data[place] & 0xC0 == 0x80:
        place -= 1
    return place


def digests(file: BinaryIO, spans: Spans, seed: int) -> list[bytes]:
    """A name of each document's text, whitespace aside; their order is a drawing."""
    found = []
    for start, end, _ in spans:
        name = hashlib.blake2b(digest_size=16, key=str(seed).encode())
        for block in blocks(file, start, end):
            name.update("".join(block.split()).encode())
        found.append(name.digest())
    return found


def divided(file: BinaryIO, spans: Spans, names: Sequence[bytes], held: Sequence[str]) -> Spans:
    """Takes a twentieth of the training text, or ``_MOST`` of it, for each part that has none of its own.

    Of many documents, whole ones, drawn by their text, so that two copies of one come into the same part. Of a few, or
    where a few hold nearly all of the text, the end of each: first valid, then test, each from the beginning of a line.

    Arguments:
        file: the text.
        spans: the documents.
        names: of each, as ``digests`` gives them.
        held: the parts that are wanted.
    """
    training = spans.parts == 0
    share = min(SHARE, _MOST / max(1, int((spans.ends - spans.starts)[training].sum())))
    drawn = _drawn(spans, names, held, share) if np.count_nonzero(training) >= _MANY else None
    if drawn is not None:
        return drawn
    stretches = []
    for start, end, part in spans:
        stop = end
        for wanted in reversed([one for one in PARTS if one in held and part == 0]):
            place = _line_start(file, start, stop, stop - max(1, int(share * (end - start))))
            if place <= start:  # nothing would be left
                break
            stretches.append((place, stop, PARTS.index(wanted)))
            stop = place
        stretches.append((start, stop, part))
    return Spans.of(sorted(stretches))


def _drawn(spans: Spans, names: Sequence[bytes], held: Sequence[str], share: float) -> Spans | None:
    """Whole documents for each part; None where they are too large to give a part half of what it should have."""
    parts = spans.parts.copy()
    sizes = spans.ends - spans.starts
    rows = sorted(np.flatnonzero(parts == 0).tolist(), key=lambda row: (names[row], row))
    target = share * float(sizes[rows].sum())
    filled = dict.fromkeys(held, 0)
    for _, copies in itertools.groupby(rows, key=lambda row: names[row]):
        group = list(copies)
        size = int(sizes[group].sum())
        for part in held:
            if filled[part] + size / 2 <= target:
                filled[part] += size
                parts[group] = PARTS.index(part)
                break
    if any(2 * size < target for size in filled.values()):
        return None
    return Spans(spans.starts, spans.ends, parts)


def _line_start(file: BinaryIO, start: int, end: int, target: int) -> int:
    """The place nearest to ``target`` where a line begins, else a sentence, else a character."""
    near = min(_NEAR, max(4, (end - start) // 40))
    first = max(start, target - near)
    file.seek(first)
    window = file.read(min(end, target + near) - first)
    for mark in _ENDS:
        places = []
        found = window.find(mark)
        while found >= 0:
            place = first + found + len(mark)
            if start < place < end:
                places.append(place)
            found = window.find(mark, found + 1)
        if places:
            return min(places, key=lambda place: abs(place - target))
    return first + _whole(window, min(target - first, len(window) - 1))


def copied(spans: Spans, names: Sequence[bytes]) -> NDArray[np.bool_]:
    """Which documents of a part also stand in a later one, of which nothing may be known: they are to be dropped."""
    latest: dict[bytes, int] = {}
    for (_, _, part), name in zip(spans, names, strict=True):
        latest[name] = max(part, latest.get(name, 0))
    return np.array([latest[name] > part for (_, _, part), name in zip(spans, names, strict=True)], bool)


def repeated_lines(
    file: BinaryIO, spans: Spans, shortest: int
) -> Generator[Progress, None, dict[str, tuple[int, int]]]:
    """How many lines of valid and of test also stand in train, and of how many.

    Arguments:
        file: the text.
        spans: the parts.
        shortest: characters of a line that counts; a short one stands in many texts by chance.
    """
    held_out = {part: [hash(line) for line in lines(file, spans, part, shortest)] for part in PARTS[1:]}
    wanted = set().union(*held_out.values())
    seen = set()
    for number, line in enumerate(lines(file, spans, PARTS[0], shortest), 1):
        if (name := hash(line)) in wanted:
            seen.add(name)
        if number % 1_000_000 == 0:
            yield Progress("looking for copies", number)
    return {part: (sum(name in seen for name in found), len(found)) for part, found in held_out.items()}


def lines(file: BinaryIO, spans: Spans, part: str, shortest: int) -> Iterator[str]:
    """The lines of a part that have at least ``shortest`` characters, without the space around them."""
    for start, end in spans.of_part(part):
        for block in blocks(file, start, end):
            for line in block.split("\n"):
                if len(line.strip()) >= shortest:
                    yield line.strip()
