"""Tokens of many texts: as records, as wakati lines, and into a file that a stopped run goes on with."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from seqcli.core import analysis, bulk
from seqcli.core.json_lines import dumps
from seqcli.core.texts import Text, Texts
from seqcli.core.tokens import Token, Tokenizer
from seqcli.errors import UsageError
from seqcli.results import Progress, Record

_BLOCK = 64  # texts that are worked on, written and sent to a process together


@dataclass(frozen=True)
class Splitting:
    """What is done with each text; small, so that it can be sent to another process.

    Arguments:
        tokenizer: which tokens.
        analyse: the full analysis of GiNZA besides.
        wakati: a line of tokens a text, instead of a record a token.

    Raises:
        UsageError: wakati and analysis at once.
    """

    tokenizer: Tokenizer
    analyse: bool = False
    wakati: bool = False

    def __post_init__(self) -> None:
        if self.wakati and self.analyse:
            raise UsageError("--wakati", "has no room for what --analyze finds", "leave out one of them")

    def records(self, text: Text) -> list[Record]:
        """``text, token, dictionary, normalized, pos, start, end``, and with the analysis its columns before the place.

        ``text`` is the number of the text, ``token`` has the form of the tokenizer, and ``start`` and ``end`` are
        characters of the text as it was given.
        """
        if self.analyse:
            return [
                {"text": text.number, "sentence": row.sentence, "id": row.id, **self._forms(row.token),
                 "upos": row.upos, "reading": row.reading, "head": row.head, "deprel": row.deprel,
                 "entity": row.entity, "bunsetsu": row.bunsetsu, "start": row.token.start, "end": row.token.end}
                for row in analysis.analyse(text.text, self.tokenizer)
            ]  # fmt: skip
        return [
            {"text": text.number, **self._forms(token), "start": token.start, "end": token.end}
            for token in self.tokenizer.tokens(text.text)
        ]

    def block(self, texts: list[Text]) -> str:
        """What stands in a file for these texts: a wakati line each, or JSON lines."""
        if self.wakati:
            return "".join(self.tokenizer.wakati(text.text) + "\n" for text in texts)
        return "".join(dumps(record) + "\n" for text in texts for record in self.records(text))

    def _forms(self, token: Token) -> Record:
        word = getattr(token, self.tokenizer.form)
        return {"token": word, "dictionary": token.dictionary, "normalized": token.normalized, "pos": token.pos}


def records(splitting: Splitting, texts: Iterable[Text], workers: int = 1) -> Iterator[Record]:
    """The records of all texts, in order."""
    with closing(bulk.run(splitting.records, texts, workers=workers)) as results:
        for result in results:
            yield from result


def blocks(splitting: Splitting, texts: Iterable[Text], workers: int = 1, *, live: bool = False) -> Iterator[str]:
    """What ``Splitting.block`` gives for all texts, in order; with ``live`` of each text as soon as it is there."""
    with closing(bulk.run(splitting.block, _blocks(texts, 1 if live else _BLOCK), workers=workers, chunk=8)) as results:
        yield from results


def to_file(splitting: Splitting, texts: Texts, path: Path, workers: int = 1) -> Generator[Progress, None, int]:
    """Writes ``path`` and returns the number of texts; a run that was stopped goes on where it was.

    Arguments:
        splitting: what is done with each text.
        texts: all of them; what an earlier run has done is skipped, where they are from files, which are read again.
        path: the file to write; it is there when all is done.
        workers: processes.

    Raises:
        UsageError: records, and a name that does not end in ``.jsonl``.
        MachineError: the disk is full or the folder cannot be written to.
        TryLaterError: another process writes the same file.
    """
    if not splitting.wakati and path.suffix != ".jsonl":
        raise UsageError(f"--output {path}", "records are written as JSON lines", "end it in .jsonl, or add --wakati")
    job = None
    files = [Path(file) for file in texts.files]
    if files and all(file.is_file() for file in files):
        what = {"analyse": splitting.analyse, "wakati": splitting.wakati, "files": list(map(bulk.identity, files))}
        job = {**splitting.tokenizer.recipe(), **what, **texts.settings}
    with bulk.restartable(path, job) as sink:
        lengths: list[int] = []  # of the blocks that are under way
        rest = _counted(_blocks(itertools.islice(texts, sink.done, None), _BLOCK), lengths)
        with closing(bulk.run(splitting.block, rest, workers=workers, chunk=8)) as results:
            for result in results:
                sink.append(result.encode(), lengths.pop(0))
                yield Progress("tokenizing", sink.done, text=f"{sink.done:,} texts")
        return sink.done


def _blocks(texts: Iterable[Text], size: int) -> Iterator[list[Text]]:
    remaining = iter(texts)
    while block := list(itertools.islice(remaining, size)):
        yield block


def _counted(blocks: Iterable[list[Text]], lengths: list[int]) -> Iterator[list[Text]]:
    for block in blocks:
        lengths.append(len(block))
        yield block
