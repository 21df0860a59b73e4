"""Text becomes three files of ids on the disk, made once: to be trained on, to choose by, and to judge with."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import numpy as np

from seqcli.core import files
from seqcli.core.folders import cache_folder
from seqcli.core.safe_formats import dump_json, read_json
from seqcli.core.tokens import Tokenizer
from seqcli.core.units import DOCUMENT, SPECIAL, Ids, Kind, Splitter, Units
from seqcli.errors import InputError, ModelError, UsageError
from seqcli.generation.parts import PARTS, Spans, blocks, copied, digests, divided, lines, repeated_lines, spooled
from seqcli.generation.sources import Cleaning, Sources
from seqcli.results import Progress

_FORMAT: Final = 2  # of the cache; another one is made again
_WAIT: Final = 1800.0  # seconds; another process may be reading the same corpus
_TEXT: Final = "text.utf8"
_SUBWORD_TEXT: Final = 10_000_000  # characters that pieces of words are found from: seconds, and more change little
LINE: Final = 20
"""Characters of a line that tells where it is from; a shorter one stands in many texts by chance."""
_MANY_REPEATED: Final = 0.05  # share of a part's lines; below it, sayings and forms of address


@dataclass(frozen=True)
class Recipe:
    """How a corpus is read; two of the same recipe and contents are the same to the last id.

    Arguments:
        unit: ``char``, ``word`` or ``subword``.
        min_count: rarer characters and words are unknown.
        size: of the vocabulary, as in ``Units.fit``.
        tokenizer: of words.
        encoding: of the files.
        text_column: of tables.
        input_format: of a table on standard input.
        cleaning: of texts in Aozora Bunko's notation.
        seed: of the parts, where they are drawn.

    Raises:
        UsageError: a setting that the unit has no use for, or that leaves nothing.
    """

    unit: Kind = "char"
    min_count: int = 1
    size: int = 0
    tokenizer: Splitter = "auto"
    encoding: str = "auto"
    text_column: str = "text"
    input_format: str | None = None
    cleaning: Cleaning = "auto"
    seed: int = 1

    def __post_init__(self) -> None:
        if self.unit == "char" and self.size:
            raise UsageError("--vocabulary-size", "all characters are kept", "--min-count leaves out the rare ones")
        if 0 < self.size <= len(SPECIAL):
            what = f"{self.size} leaves nothing to write: {len(SPECIAL)} are the unknown unit and the end of a document"
            raise UsageError("--vocabulary-size", what, "a few thousand words are usual")
        if self.unit == "subword" and self.min_count > 1:
            raise UsageError("--min-count", "is of characters and words", "--vocabulary-size says how many pieces")
        if self.unit != "word" and self.tokenizer != "auto":
            raise UsageError("--tokenizer", f"splits words, the unit is {self.unit}", "--unit word, or leave it out")

    def sources(self, given: Sequence[str]) -> Sources:
        """The documents of some files, read by this recipe."""
        return Sources(given, self.encoding, self.text_column, self.input_format, self.cleaning)


@dataclass(frozen=True)
class Part:
    """What a part of a corpus holds.

    Arguments:
        tokens: number of ids, a ``<doc>`` before every document included.
        characters: of the text that they stand for; a line end is one.
        documents: how many texts, or ends of texts.
        unseen: characters of those that the vocabulary does not hold, or of such words.
    """

    tokens: int
    characters: int
    documents: int
    unseen: int


@dataclass(frozen=True)
class Corpus:
    """A corpus as ids, in three parts that share no document; mapped from the disk, so that it may exceed the memory.

    Arguments:
        path: the folder in the cache.
        units: of the training text.
        spans: where the documents of each part stand in the text.
        parts: what each of train, valid and test holds.
        notes: what was found on the way: ``cleaned`` texts, ``copies`` of documents, ``repeated`` lines of a part.
        fingerprint: names contents and recipe.
        cached: whether it was there before.
    """

    path: Path
    units: Units
    spans: Spans
    parts: Mapping[str, Part]
    notes: Mapping[str, Any]
    fingerprint: str
    cached: bool

    @cached_property
    def train(self) -> Ids:
        """The ids to learn from, ``(t,)``, read-only."""
        return self._ids("train")

    @cached_property
    def valid(self) -> Ids:
        """The ids to choose by."""
        return self._ids("valid")

    @cached_property
    def test(self) -> Ids:
        """The ids to judge with, once."""
        return self._ids("test")

    def text(self, part: str) -> Iterator[str]:
        """The text of a part in pieces of about a megabyte, whole lines where there are any."""
        with (self.path / _TEXT).open("rb") as file:
            for start, end in self.spans.of_part(part):
                yield from blocks(file, start, end)

    def lines(self, part: str) -> Iterator[str]:
        """The lines of a part that tell where they are from."""
        with (self.path / _TEXT).open("rb") as file:
            yield from lines(file, self.spans, part, LINE)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was read, in words."""
        sizes = ", ".join(f"{name} {part.characters:,}" for name, part in self.parts.items())
        units = {"char": "characters", "word": "words", "subword": "pieces of words"}[self.units.kind]
        said = [f"Characters: {sizes}; {len(self.units):,} kinds of {units}."]
        if cleaned := self.notes["cleaned"]:
            said.append(f"{_times(cleaned, 'text')} in Aozora Bunko's notation cleaned of ruby, notes and colophon.")
        if any(part.unseen for part in self.parts.values()):
            shares = (f"{name} {part.unseen / max(part.characters, 1):.2%}" for name, part in self.parts.items())
            said.append(f"Characters outside of the vocabulary: {', '.join(shares)}.")
        return tuple(said)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know about copies between the parts."""
        said = []
        if copies := self.notes["copies"]:
            said.append(f"{_times(copies, 'document')} that also stood in a later part left out of train or valid")
        for part, (copies, looked_at) in self.notes["repeated"].items():
            if looked_at and copies / looked_at > _MANY_REPEATED:
                said.append(
                    f"{copies / looked_at:.0%} of the lines of {part} stand in train word for word: "
                    "its figures say how well those were learned by heart"
                )
        return tuple(said)

    def _ids(self, part: str) -> Ids:
        if not self.parts[part].tokens:  # an empty file cannot be mapped
            return np.zeros(0, np.int32)
        return cast("Ids", np.memmap(self.path / f"{part}.i32", "<i4", "r"))


def prepare(
    sources: Sequence[str], recipe: Recipe, *, valid: Sequence[str] = (), test: Sequence[str] = ()
) -> Generator[Progress, None, Corpus]:
    """The corpus in some files as ids, read into the cache if it is not there.

    Without files of their own, valid and test take a twentieth of the training text each, at most 1.5 MB: whole
    documents, or the ends of all, where there are fewer than 20 or a few are nearly all of the text. Documents that
    stand in two parts stay in the later one only.

    Arguments:
        sources: files, folders, or ``-``: texts, tables with a column of texts, archives of texts.
        recipe: how they are read.
        valid: the same, to choose by.
        test: the same, to judge with.

    Raises:
        InputError: a file is not there or is not text; there is too little of it.
        UsageError: an option of the recipe has no such value.
    """
    with ExitStack() as stack:
        given = [stack.enter_context(closing(recipe.sources(part))) for part in (sources, valid, test)]
        corpus = yield from _found_or_written(given, recipe)
    return corpus


def _found_or_written(given: Sequence[Sources], recipe: Recipe) -> Generator[Progress, None, Corpus]:
    if sum(part.files.count("-") for part in given) > 1:
        raise UsageError("CORPUS", "standard input is named twice", "it can be read once")
    versions = Tokenizer().recipe() if recipe.unit == "word" and recipe.tokenizer != "whitespace" else {}
    identity = dump_json([_FORMAT, asdict(recipe), versions, [part.digest() for part in given]], lines=True)
    fingerprint = hashlib.sha256(identity.encode()).hexdigest()[:16]
    target = cache_folder() / "corpora" / fingerprint
    corpus = _opened(target, fingerprint, cached=True)
    if corpus is None:
        with files.lock(target, timeout=_WAIT):
            corpus = _opened(target, fingerprint, cached=True)  # another process made it meanwhile
            if corpus is None:
                with files.new_folder(target, overwrite=True) as folder:
                    yield from _written(folder, given, recipe)
                corpus = _opened(target, fingerprint, cached=False)
    assert corpus is not None, "written just now"
    return corpus


def _written(folder: Path, given: Sequence[Sources], recipe: Recipe) -> Generator[Progress, None, None]:
    with (folder / _TEXT).open("w+b") as file:
        spans = yield from spooled(file, given)
        names = digests(file, spans, recipe.seed)
        dropped = copied(spans, names)
        spans, names = spans.without(dropped), [name for name, drop in zip(names, dropped, strict=True) if not drop]
        for part, own in zip(PARTS, given, strict=True):
            if own.given and not spans.of_part(part):
                if dropped.any():
                    what = "all of its text also stands in a later part"
                    raise InputError(_named(own), what, "train, valid and test need texts of their own")
                raise InputError(_named(own), "holds no text", "give files with text in them")
        spans = divided(file, spans, names, [part for part, own in zip(PARTS, given, strict=True) if not own.given])
        if missing := next((part for part in PARTS if not spans.of_part(part)), None):
            size = file.seek(0, io.SEEK_END)
            what = f"is too short ({size:,} bytes of text) to be divided: nothing is left for {missing}"
            raise InputError(_named(given[0]), what, "give more text, or --valid and --test files of their own")
        training: Iterator[str] = (block for start, end in spans.of_part("train") for block in blocks(file, start, end))
        if recipe.unit == "subword":
            training = _sampled(training, int((spans.ends - spans.starts)[spans.parts == 0].sum()), recipe.seed)
        units = Units.fit(
            recipe.unit,
            training,
            min_count=recipe.min_count,
            size=recipe.size,
            tokenizer=recipe.tokenizer,
            seed=recipe.seed,
        )
        facts = {}
        for part in PARTS:
            facts[part] = yield from _encoded(folder / f"{part}.i32", file, spans.of_part(part), units, part)
        repeated = yield from repeated_lines(file, spans, LINE)
    np.save(folder / "spans.npy", np.stack([spans.starts, spans.ends, spans.parts]))
    for name, document in units.documents().items():
        (folder / name).write_text(dump_json(document), encoding="utf-8")
    for name, blob in units.blobs().items():
        (folder / name).write_bytes(blob)
    notes = {"cleaned": sum(part.cleaned for part in given), "copies": int(dropped.sum()), "repeated": repeated}
    digest = {name: hashlib.sha256(blob).hexdigest() for name, blob in units.blobs().items()}
    document = {
        "parts": {name: asdict(part) for name, part in facts.items()},
        "notes": notes,
        "digests": digest,
        "text": (folder / _TEXT).stat().st_size,
    }
    (folder / "facts.json").write_text(dump_json(document), encoding="utf-8")


def _sampled(training: Iterator[str], size: int, seed: int) -> Iterator[str]:
    """Lines drawn from a text that is too long to find pieces of words in all of it."""
    share = 3 * _SUBWORD_TEXT / size  # a character has about three bytes
    random = np.random.default_rng(seed)
    for block in training:
        if share >= 1:
            yield block
        else:
            yield "\n".join(line for line in block.split("\n") if random.random() < share)


def _encoded(
    path: Path, text: BinaryIO, stretches: Iterable[tuple[int, int]], units: Units, part: str
) -> Generator[Progress, None, Part]:
    tokens = characters = documents = unseen = 0
    beginning = np.array([DOCUMENT], "<i4").tobytes()
    with path.open("wb") as file:
        for start, end in stretches:
            file.write(beginning)
            documents += 1
            tokens += 1
            for block in blocks(text, start, end):
                ids, missing = units.encode_counting(block)
                file.write(ids.astype("<i4").tobytes())
                tokens += len(ids)
                characters += len(block)
                unseen += missing
                yield Progress("encoding", tokens, text=f"{part}: {tokens:,} units")
    return Part(tokens, characters, documents, unseen)


def _opened(path: Path, fingerprint: str, *, cached: bool) -> Corpus | None:
    try:
        facts = read_json(path / "facts.json", dict)
        parts = {name: Part(**part) for name, part in facts["parts"].items()}
        units = Units.from_folder(path, digests=facts["digests"])
        spans = Spans(*np.load(path / "spans.npy", allow_pickle=False))
        sizes = {name: (path / f"{name}.i32").stat().st_size for name in PARTS}
        text = (path / _TEXT).stat().st_size
    except (ModelError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if text != facts["text"] or any(sizes[name] != 4 * parts[name].tokens for name in PARTS):
        return None
    return Corpus(path, units, spans, parts, facts["notes"], fingerprint, cached)


def _named(sources: Sources) -> str:
    return ", ".join("stdin" if file == "-" else file for file in sources.given)


def _times(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'s' if count != 1 else ''}"
