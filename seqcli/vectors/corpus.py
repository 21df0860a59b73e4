"""A corpus as tokens in a file: made once, so that a second training on it starts at once."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from seqcli.core import files
from seqcli.core.folders import cache_folder
from seqcli.core.lines import Lines, display_name, matching
from seqcli.core.safe_formats import dump_json, read_json
from seqcli.core.tokens import Form, Tokenizer
from seqcli.errors import InputError, ModelError
from seqcli.results import Progress

_FORMAT = 1
_LONGEST = 10_000  # tokens in a line; gensim reads no further
_EVERY = 2_000  # lines between two signs of life
_WAIT = 1800.0  # seconds; another process may be tokenizing the same corpus


@dataclass(frozen=True)
class Vocabulary:
    """The words that get a vector, the most frequent first.

    Arguments:
        words: index = id.
        counts: how often each stands in the corpus.
        total: tokens of the corpus, those without a vector included.
        texts: number of texts.
    """

    words: tuple[str, ...]
    counts: tuple[int, ...]
    total: int
    texts: int

    @property
    def coverage(self) -> float:
        """Share of the corpus's tokens that have a vector."""
        return sum(self.counts) / max(self.total, 1)


@dataclass(frozen=True)
class Corpus:
    """Tokenized text.

    Arguments:
        path: a text a line, its tokens separated by one space.
        counts: how often each token stands in it, the most frequent first.
        texts: number of lines.
        fingerprint: names the text and how it was tokenized.
        cached: whether it was there before.
    """

    path: Path
    counts: dict[str, int]
    texts: int
    fingerprint: str
    cached: bool

    def __iter__(self) -> Iterator[list[str]]:
        with self.path.open(encoding="utf-8", newline="\n") as file:
            for line in file:
                yield line.rstrip("\n").split(" ")

    def vocabulary(self, min_count: int) -> Vocabulary:
        """The words seen at least ``min_count`` times.

        Raises:
            InputError: there are not two of them.
        """
        kept = [(word, count) for word, count in self.counts.items() if count >= min_count]
        if len(kept) < 2:
            what = f"{len(self.counts)} different words in {self.texts} texts, {len(kept)} of them {min_count} times"
            raise InputError("corpus", what, "--min-count 1 keeps all, or give more text")
        words, counts = zip(*kept, strict=True)
        return Vocabulary(words, counts, sum(self.counts.values()), self.texts)


def tokenized(
    sources: Sequence[str], unit: str, form: Form, encoding: str = "auto"
) -> Generator[Progress, None, Corpus]:
    """The corpus in some files, tokenized into the cache if it is not there.

    Arguments:
        sources: text files, a text a line, or patterns that some match; ``-`` for standard input, which is never found
            in the cache.
        unit: ``word`` or ``char``.
        form: of a word.
        encoding: of the files.

    Raises:
        InputError: a file is not there or cannot be read; there is no text.
    """
    sources = [file for source in sources for file in matching(source)]
    identity = hashlib.sha256(f"{_FORMAT}\0{unit}\0{form}\0{encoding}".encode())
    for source in sources:
        identity.update(_identity(source))
    fingerprint = identity.hexdigest()[:16]
    target = cache_folder() / "tokens" / fingerprint
    cached = _open(target, fingerprint, cached=True) if "-" not in sources else None
    if cached is None:
        tokenizer = Tokenizer(kind="char") if unit == "char" else Tokenizer(form=form)
        with files.lock(target, timeout=_WAIT), files.new_folder(target, overwrite=True) as folder:
            yield from _write(folder, sources, tokenizer, encoding)
        cached = _open(target, fingerprint, cached=False)
    assert cached is not None, "written just now"
    return cached


def _identity(source: str) -> bytes:
    if source == "-":
        return b"-"
    try:
        status = Path(source).stat()
    except OSError:
        return source.encode()  # reading it will say what is wrong
    return f"{Path(source).resolve()}\0{status.st_size}\0{status.st_mtime_ns}\0".encode()


def _write(
    folder: Path, sources: Sequence[str], tokenizer: Tokenizer, encoding: str
) -> Generator[Progress, None, None]:
    counts: Counter[str] = Counter()
    texts = read = 0
    with (folder / "tokens.txt").open("w", encoding="utf-8", newline="\n") as file:
        for line in itertools.chain.from_iterable(Lines(source, encoding) for source in sources):
            read += 1
            tokens = ["_".join(word.split()) for word in tokenizer.words(line)]
            counts.update(tokens)
            for start in range(0, len(tokens), _LONGEST):
                file.write(" ".join(tokens[start : start + _LONGEST]) + "\n")
                texts += 1
            if read % _EVERY == 0:
                yield Progress("tokenizing", read, text=f"{counts.total():,} tokens")
    if not counts:
        raise InputError(", ".join(map(display_name, sources)), "holds no text")
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    facts = {"texts": texts, "words": [word for word, _ in ordered], "counts": [count for _, count in ordered]}
    (folder / "counts.json").write_text(dump_json(facts, lines=True), encoding="utf-8")


def _open(path: Path, fingerprint: str, *, cached: bool) -> Corpus | None:
    try:
        facts = read_json(path / "counts.json", dict)
        counts = dict(zip(facts["words"], facts["counts"], strict=True))
        return Corpus(path / "tokens.txt", counts, int(facts["texts"]), fingerprint, cached)
    except (ModelError, KeyError, TypeError, ValueError):
        return None
