"""What ``seqcli embed`` does: rows of input become rows with vectors, one batch at a time."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Protocol

import numpy as np

from seqcli.core import bulk, files
from seqcli.core.columns import Columns, beside
from seqcli.core.lines import matching
from seqcli.core.rows import OnError
from seqcli.core.texts import Item, batches
from seqcli.core.word_vectors import Found, Lookup, open_vectors, postprocess
from seqcli.errors import InputError, UsageError
from seqcli.results import Progress, Record
from seqcli.vectors import parts as output
from seqcli.vectors.similar import HF, single
from seqcli.vectors.texts import Recipe, TextVectors


@dataclass(frozen=True)
class Request:
    """What is to be embedded, and how.

    Arguments:
        unit: ``word``, ``char`` or ``text``.
        model: ``ginza``, a model folder, a file of vectors, or ``hf:`` and a folder.
        surface_only: look words up as they stand.
        recipe: the steps from words to a text; of one word or character only ``center`` or ``abtt``.
        how: add ``found`` and ``how`` to the rows of words and characters.
        on_error: what a bad row of the input does.
    """

    unit: str = "word"
    model: str = "ginza"
    surface_only: bool = False
    recipe: Recipe | None = None
    how: bool = False
    on_error: OnError = "mark"


def request(
    unit: str, model: str, surface_only: bool, recipe: str | None, *, how: bool = False, on_error: OnError = "mark"
) -> Request:
    """A request with its recipe read; see ``Request`` and ``Recipe.parse``."""
    return Request(unit, model, surface_only, None if recipe is None else Recipe.parse(recipe), how, on_error)


@dataclass
class Tally:
    """What happened so far, for the words at the end.

    Arguments:
        how: rows by how they were found.
        failed: rows of the input that could not be used.
        first: what is wrong with the first of them.
        resumed: whether the file has rows of a run that was interrupted, which are not counted here.
        columns: what ours are called.
    """

    how: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    first: str = ""
    resumed: bool = False
    columns: Columns = field(default_factory=Columns)

    def add(self, other: Tally) -> None:
        """Counts what happened elsewhere."""
        self.how.update(other.how)
        self.failed += other.failed
        self.first = self.first or other.first
        self.columns.add(other.columns)

    def fail(self, error: InputError) -> None:
        """Counts a row that could not be used."""
        self.failed += 1
        self.first = self.first or str(error)

    def sentences(self) -> Iterator[str]:
        """The summary."""
        if self.how:
            yield ", ".join(f"{count:,} {how}" for how, count in self.how.most_common())
        if self.failed:
            yield f"{self.failed:,} row{'s' * (self.failed > 1)} could not be used"
        yield from self.columns.sentences()

    def check(self) -> None:
        """Refuses an input of which not one row could be used.

        Raises:
            InputError: that is so.
        """
        if self.failed and not self.how and not self.resumed:
            what = f"not one row could be used; the first: {self.first}"
            raise InputError("embed", what, "check --input-format, --text-column and --encoding")


class Rows(Protocol):
    """Turns items into records."""

    dim: int

    def records(self, items: Sequence[Item], tally: Tally) -> list[Record]:
        """The records of some items, in their order; counts them in ``tally``, which names our columns."""


@cache
def rows(request: Request) -> Rows:
    """What embeds the rows of a request.

    Raises:
        UsageError: options that do not go together.
        InputError, ModelError, MachineError: as ``open_vectors`` and ``Contextual``.
    """
    if request.how and (request.unit == "text" or request.model.startswith(HF)):
        of = "a text" if request.unit == "text" else "a piece of a network"
        raise UsageError("--how", f"is of words and characters in a table, not of {of}", "leave it out")
    if request.model.startswith(HF):
        if request.unit == "char" or request.recipe is not None or request.surface_only:
            flag = "--unit char" if request.unit == "char" else "--recipe and --lookup"
            raise UsageError(flag, f"{request.model} has vectors of word pieces in a sentence", "--unit word or text")
        return _Contextual(request)
    lookup = Lookup(open_vectors(request.model), surface_only=request.surface_only)
    if request.unit == "text":
        return _Texts(lookup, request)
    if lookup.store.about.words == "char" and request.unit == "word":
        raise UsageError("--unit word", f"{request.model} has vectors of characters", "--unit char")
    return (_Words if request.unit == "word" else _Characters)(lookup, request)


def stream(
    request: Request, source: Iterable[Item], tally: Tally, *, workers: int = 1, even: bool = False
) -> Iterator[Record]:
    """The records of all items, as they are asked for.

    Arguments:
        request: how.
        source: the items.
        tally: filled on the way.
        workers: processes; the records are the same for any number.
        even: every record has ``error``, as the lines of a CSV must be alike; otherwise only those with one.
    """
    rows(request)  # what is wrong with the request is said before the first batch is read
    names, batched = _begun(request, source, tally)
    with contextlib.closing(bulk.run(partial(_batch, request, names), batched, workers=workers, chunk=1)) as work:
        for records, happened in work:
            tally.add(happened)
            for record in records:
                plain = {
                    name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in record.items()
                }
                yield {**plain, tally.columns["error"]: plain.get(tally.columns["error"])} if even else plain


def _begun(request: Request, source: Iterable[Item], tally: Tally) -> tuple[Mapping[str, str], Iterator[list[Item]]]:
    """The names of our columns and the batches; a row a token has no columns of the input beside ours."""
    if request.unit == "text":
        tally.columns, source = beside(source, ("vector", "error"))
    return tally.columns.names, batches(source)


def _batch(request: Request, names: Mapping[str, str], items: Sequence[Item]) -> tuple[list[Record], Tally]:
    tally = Tally(columns=Columns(names))
    return rows(request).records(items, tally), tally


def to_file(
    request: Request, source: Iterable[Item], path: Path, identity: str | None, tally: Tally, *, workers: int = 1
) -> Generator[Progress, None, int]:
    """Writes the records of all items into a file; after an interruption the same call goes on.

    Arguments:
        request: how.
        source: the items, from the beginning.
        path: ``.npy``, ``.parquet``, ``.jsonl`` or ``.vec``.
        identity: names input and settings; None where the input cannot be read again.
        tally: filled on the way.
        workers: processes.

    Returns:
        The number of rows in the file.

    Raises:
        UsageError: another suffix.
        TryLaterError: another process writes the same file.
    """
    output.check(path)
    with files.lock(path):
        names, batched = _begun(request, source, tally)
        parts = output.Parts(path, identity, rows(request).dim, tally.columns["vector"])
        read = sum(len(batch) for batch in itertools.islice(batched, parts.done))
        if parts.done:
            tally.resumed = True
            yield Progress("embedding", read, text=f"going on after {read:,} rows", line=True)
        with contextlib.closing(bulk.run(partial(_batch, request, names), batched, workers=workers, chunk=1)) as work:
            for records, happened in work:
                tally.add(happened)
                parts.add(records)
                yield Progress("embedding", parts.done, text=", ".join(tally.sentences()))
        return parts.finish()


def identity(request: Request, texts: Sequence[str], file: str | None, **reading: object) -> str | None:
    """Names the work of a call, so that an interrupted one is known again; None for standard input.

    Arguments:
        request: how.
        texts: those that were typed.
        file: a file, or a pattern that several match.
        reading: how that is read.
    """
    if file is None and list(texts) == ["-"]:
        return None
    if file == "-":
        return None
    files = _stamps(map(Path, [] if file is None else matching(file)))
    return repr((request, _table(request.model), tuple(texts), files, sorted(reading.items())))


def _table(model: str) -> object:
    """Which vectors a name stands for at this time; another training may have taken it since."""
    if model.startswith(HF):
        folder = Path(model.removeprefix(HF))
        return _stamps(sorted(folder.iterdir())) if folder.is_dir() else None
    return open_vectors(model).path.name


def _stamps(paths: Iterable[Path]) -> list[tuple[str, int, int]]:
    """Path, size and time of the last change of those that are there."""
    found = []
    for path in paths:
        with contextlib.suppress(OSError):
            status = path.stat()
            found.append((str(path.resolve()), status.st_size, status.st_mtime_ns))
    return found


class _Words:
    """A row a token."""

    def __init__(self, lookup: Lookup, request: Request) -> None:
        self.dim = lookup.store.about.dim
        self._lookup, self._request = lookup, request
        self._post = postprocess(lookup.store, single(request.recipe))

    def records(self, items: Sequence[Item], tally: Tally) -> list[Record]:
        found = [pair for item in _usable(items, tally) for pair in self._found(item.text)]
        tally.how.update(one.how for _, one in found)
        return [self._record(name, one) for name, one in found]

    def _found(self, text: str) -> Iterator[tuple[str, Found]]:
        for token in self._lookup.tokens.tokens(text):
            yield token.surface, self._lookup.token(token)

    def _record(self, name: str, found: Found) -> Record:
        vector = self._post(found.vector) if found.how != "none" else found.vector
        record: dict[str, object] = {"token": name}
        if self._request.how:
            record |= {"found": " ".join(found.keys), "how": found.how}
        return record | {"vector": vector}


class _Characters(_Words):
    """A row a character; one without a row of its own is composed from the words that it stands in."""

    def _found(self, text: str) -> Iterator[tuple[str, Found]]:
        for character in text:
            if character.isspace():
                continue
            if self._request.surface_only:
                yield character, self._lookup.key(character, "surface") or self._lookup.nothing
            else:
                yield character, self._lookup.character(character)


class _Texts:
    """A row a text, with the columns of its table."""

    def __init__(self, lookup: Lookup, request: Request) -> None:
        self.dim = lookup.store.about.dim
        self._texts = TextVectors(lookup, request.recipe)
        self._request = request

    def records(self, items: Sequence[Item], tally: Tally) -> list[Record]:
        vectors = self._texts.vectors([item.text for item in items])
        return _with_vectors(items, vectors, self._request, tally, self.dim)


class _Contextual:
    """A row a text or, by ``--unit word``, a word piece."""

    def __init__(self, request: Request) -> None:
        from seqcli.vectors.contextual import Contextual

        self._network = Contextual(Path(request.model.removeprefix(HF)))
        self.dim = self._network.dim
        self._request = request

    def records(self, items: Sequence[Item], tally: Tally) -> list[Record]:
        if self._request.unit == "text":
            vectors = self._network.vectors([item.text for item in items])
            return _with_vectors(items, vectors, self._request, tally, self.dim)
        pieces = self._network.pieces([item.text for item in _usable(items, tally)])
        tally.how["embedded"] += sum(map(len, pieces))
        return [{"token": name, "vector": vector} for found in pieces for name, vector in found]


def _usable(items: Sequence[Item], tally: Tally) -> list[Item]:
    """The items without an error; tokens have no row to mark, so the others are counted."""
    for item in items:
        if item.error is not None:
            tally.fail(item.error)
    return [item for item in items if item.error is None]


def _with_vectors(
    items: Sequence[Item], vectors: Sequence[np.ndarray | None], request: Request, tally: Tally, dim: int
) -> list[Record]:
    """The input's rows with their vectors: zeros where no word is known, nothing where the row is bad."""
    records: list[Record] = []
    for item, vector in zip(items, vectors, strict=True):
        names, record = tally.columns, tally.columns.row(item)
        if item.error is not None:
            tally.fail(item.error)
            if request.on_error == "skip":
                continue
            record |= {names["vector"]: None, names["error"]: str(item.error)}
        else:
            tally.how["unknown" if vector is None else "embedded"] += 1
            record[names["vector"]] = np.zeros(dim, dtype=np.float32) if vector is None else vector
        records.append(record)
    return records
