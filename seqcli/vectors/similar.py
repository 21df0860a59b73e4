"""What ``seqcli similar`` asks: words, characters, analogies and lines of a file, as records."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from seqcli.core.word_vectors import Lookup, open_vectors
from seqcli.errors import InputError, UsageError
from seqcli.vectors.nearest import Answers, Characters, Query, Words
from seqcli.vectors.texts import Recipe, TextVectors, unit

if TYPE_CHECKING:
    from seqcli.results import Record

HF = "hf:"  # before the folder of a pretrained network

_QUERIES = 64  # answered in one pass over the rows
_LINES = 256  # embedded at once


class Embedder(Protocol):
    """Turns texts into vectors: static ones or a network's."""

    def vectors(self, texts: Sequence[str]) -> list[np.ndarray | None]:
        """One vector ``(dim,)`` a text; None where nothing of it is known."""


def words(model: str, unit_: str, recipe: Recipe | None, *, surface_only: bool = False) -> Words:
    """The place to look for neighbours.

    Arguments:
        model: as ``word_vectors.open_vectors`` takes it.
        unit_: ``word`` or ``char``.
        recipe: only its ``post`` concerns words; without one, the plain cosine.
        surface_only: look words up as they stand.

    Raises:
        UsageError: the recipe has steps for texts.
    """
    post = single(recipe)
    store = open_vectors(model)
    kind = Characters if unit_ == "char" and store.about.words != "char" else Words
    return kind(Lookup(store, surface_only=surface_only), post)


def single(recipe: Recipe | None) -> str:
    """What a recipe does to one word alone.

    Raises:
        UsageError: it has steps that need a text.
    """
    if recipe is None:
        return "none"
    if recipe != Recipe(post=recipe.post):
        raise UsageError("--recipe", f"{recipe} is for texts", "one word takes plain, center or abtt")
    return recipe.post


def neighbours(
    words: Words, queries: Iterable[Query], answers: Answers, count: int = 10, threshold: float | None = None
) -> Iterator[Record]:
    """The records ``query, rank, item, score`` of many queries, in their order.

    Arguments:
        words: where to look.
        queries: read in blocks, so that one pass over the rows answers many of them.
        answers: filled on the way; its ``check`` says at the end whether all of it was in vain.
        count: neighbours of each.
        threshold: the least cosine that is still an answer.
    """
    remaining = iter(queries)
    while block := list(itertools.islice(remaining, _QUERIES)):
        asked = [one for query in block if (one := words.ask(query, answers)) is not None]
        if not asked:
            continue
        answers.answered += len(asked)
        for one, found in zip(asked, words.neighbours(asked, count), strict=True):
            yield from _records(str(one.query), found, threshold)


def lines(
    embedder: Embedder,
    queries: Iterable[str],
    within: Iterable[str],
    answers: Answers,
    *,
    count: int = 10,
    threshold: float | None = None,
) -> Iterator[Record]:
    """The lines nearest to each query, as records ``query, rank, item, score``.

    The lines are read once and only the best are kept, so memory stays flat; one that comes twice is listed once.
    """
    asked = [(query, vector) for query in queries if (vector := _asked(embedder, query, answers)) is not None]
    answers.answered += len(asked)
    if not asked:
        return
    directions = np.array([vector for _, vector in asked])
    best = [_Best(count) for _ in asked]
    numbered = enumerate(within)
    while block := list(itertools.islice(numbered, _LINES)):
        vectors = embedder.vectors([line for _, line in block])
        for (number, line), vector in zip(block, vectors, strict=True):
            if vector is not None:
                for one, score in zip(best, (directions @ unit(vector)).tolist(), strict=True):
                    one.offer(score, number, line)
    for (query, _), found in zip(asked, best, strict=True):
        yield from _records(query, found.items(), threshold)


def _asked(embedder: Embedder, query: str, answers: Answers) -> np.ndarray | None:
    vector = embedder.vectors([query])[0] if query.strip() else None
    if vector is None or not np.any(vector):
        what = "no word of it has a vector" if query.strip() else "is empty"
        answers.fail(InputError(f"query {query}".strip(), what, "ask with other words"))
        return None
    return unit(vector)


class _Best:
    """The best lines so far; of equal ones the first in the file."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._heap: list[tuple[float, int, str]] = []
        self._kept: set[str] = set()

    def offer(self, score: float, number: int, line: str) -> None:
        entry = (score, -number, line)
        if line in self._kept or (len(self._heap) == self._count and entry < self._heap[0]):
            return
        self._kept.add(line)
        if len(self._heap) < self._count:
            heapq.heappush(self._heap, entry)
        else:
            self._kept.discard(heapq.heapreplace(self._heap, entry)[2])

    def items(self) -> list[tuple[str, float]]:
        return [(line, score) for score, _, line in sorted(self._heap, reverse=True)]


def _records(query: str, found: Iterable[tuple[str, float]], threshold: float | None) -> Iterator[Record]:
    for rank, (item, score) in enumerate(found, 1):
        if threshold is None or score >= threshold:
            yield {"query": query, "rank": rank, "item": item, "score": score}


@dataclass(frozen=True)
class Request:
    """What is asked, as the command line says it.

    Arguments:
        queries: words, characters or texts; one ``-`` alone is a query a line of standard input.
        unit: ``word``, ``char`` or ``text``; None: text where there are lines to search, else word.
        model: as ``embed.Request`` has it.
        within: the file whose lines are searched, or a pattern that several match.
        plus: words to add up, in an analogy.
        minus: words to take away.
        count: neighbours of each query.
        threshold: the least cosine that is an answer.
        recipe: the steps; None: those of the table for texts, the plain cosine for words.
        surface_only: look words up as they stand.
        encoding: of ``within`` and of standard input.
        plot: a picture of the neighbourhood.
    """

    queries: tuple[str, ...] = ()
    unit: str | None = None
    model: str = "ginza"
    within: str | None = None
    plus: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()
    count: int = 10
    threshold: float | None = None
    recipe: str | None = None
    surface_only: bool = False
    encoding: str = "auto"
    plot: Path | None = None


def answer(request: Request, answers: Answers) -> Iterator[Record]:
    """The records of a request; ``answers`` tells at the end what could not be answered.

    Raises:
        UsageError: nothing is asked, or options that do not go together.
        InputError, ModelError, MachineError: the model or the file cannot be used.
    """
    _check(request)
    recipe = None if request.recipe is None else Recipe.parse(request.recipe)
    queries = _queries(request)
    if request.within is not None:
        embedder = _embedder(request, recipe)
        from seqcli.core.lines import Lines, matching  # like all that a query for a word does not need

        files = [Lines(file, request.encoding) for file in matching(request.within)]
        texts = (line.rstrip("\n") for line in itertools.chain.from_iterable(files))
        return lines(embedder, queries, texts, answers, count=request.count, threshold=request.threshold)
    place = words(request.model, request.unit or "word", recipe, surface_only=request.surface_only)
    asked: Iterable[Query] = (Query((query,)) for query in queries)
    if request.plus or request.minus:
        asked = [Query((*request.queries, *request.plus), request.minus)]
    records = neighbours(place, asked, answers, request.count, request.threshold)
    return records if request.plot is None else _drawn(place, records, request.plot)


def _check(request: Request) -> None:
    if not (request.queries or request.plus):
        raise UsageError("QUERY", "nothing is asked", "seqcli similar テスト, or - for a query a line")
    if (request.unit == "text") != (request.within is not None) and request.unit is not None:
        flag = "--unit text" if request.within is None else f"--unit {request.unit}"
        raise UsageError(flag, "lines are searched in a file, and nothing else is", "--unit text --in FILE")
    analogy = request.plus or request.minus
    if request.within is not None and (analogy or request.plot):
        raise UsageError("--in", "goes with neither --plus, --minus nor --plot", "ask about words without --in")
    if analogy and "-" in request.queries:
        raise UsageError("-", "queries from standard input take no --plus or --minus", "one analogy a call")
    if request.within == "-" and "-" in request.queries:
        raise UsageError("-", "queries and lines cannot both come from standard input", "--in FILE")
    if request.model.startswith(HF) and request.within is None:
        raise UsageError("--model", f"{request.model} has no table of words", "--in FILE searches the lines of a file")
    if request.plot is not None:
        from seqcli.core import figures

        figures.check(request.plot)


def _queries(request: Request) -> Iterable[str]:
    if request.queries != ("-",):
        return request.queries
    from seqcli.core.lines import Lines

    return (line.rstrip("\n") for line in Lines("-", request.encoding))


def _embedder(request: Request, recipe: Recipe | None) -> Embedder:
    if request.model.startswith(HF):
        from seqcli.vectors.contextual import Contextual

        return Contextual(Path(request.model.removeprefix(HF)))
    return TextVectors(Lookup(open_vectors(request.model), surface_only=request.surface_only), recipe)


def _drawn(place: Words, records: Iterable[Record], path: Path) -> Iterator[Record]:
    """The same records; at the end their words are drawn."""
    asked: dict[str, None] = {}
    found: dict[str, None] = {}
    for record in records:
        if place.can_draw(str(record["query"])):
            asked.setdefault(str(record["query"]))
            found.setdefault(str(record["item"]))
        yield record
    if found:
        from seqcli.vectors import picture

        names = [*asked, *(name for name in found if name not in asked)]
        picture.neighbourhood(names, place.drawn(list(asked), names[len(asked) :]), len(asked), path)
