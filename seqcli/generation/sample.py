"""Writes text with a language model: many texts in one batch, or one of them unit by unit. PyTorch is not imported."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from seqcli.core.units import DOCUMENT, UNKNOWN
from seqcli.generation.drawing import REMEMBERED, Request, Speller, draw, shaped
from seqcli.generation.loading import Model
from seqcli.generation.mixture import Floats, Mixture, Reading
from seqcli.generation.network import Ids
from seqcli.results import Record

AT_ONCE = 256  # texts that are written side by side; more would not be faster
_CACHED = 1 << 25  # numbers in the caches of the texts that are written side by side
CANDIDATES = 5  # of each step, with ``steps``
_EXAMPLES = 10  # unknown units that are shown


@dataclass
class Tally:
    """What a reader of the texts should know.

    Arguments:
        unknown: the units of the prompts that the model does not know, and how often they stood there.
    """

    unknown: Counter[str] = field(default_factory=Counter)

    def warnings(self) -> tuple[str, ...]:
        """One sentence, or none."""
        if not self.unknown:
            return ()
        shown = ", ".join(unit for unit, _ in self.unknown.most_common(_EXAMPLES))
        more = " …" if len(self.unknown) > _EXAMPLES else ""
        count = self.unknown.total()
        return (f"the model does not know {count} of the prompt's units, and reads <unk> for them: {shown}{more}",)


def texts(model: Model, prompts: Iterable[str], request: Request, tally: Tally) -> Iterator[Record]:
    """Writes ``request.count`` texts for each prompt, in order; as many side by side as make it fast.

    Returns:
        Records of ``prompt, text`` (what follows the prompt), ``log_probability`` (natural, of the text and of the stop
        string behind it by the model, whose cache remembers the prompt alone, however it was drawn) and ``ended``:
        ``length``, ``stop``, or ``document`` where the model ended it.
    """
    mixture = model.mixture.only(request.part)
    for jobs in _batches(_jobs(model, mixture, prompts, request, tally), model.config.hidden):
        writing = _Writing(model, mixture, request, jobs)
        while writing.live:
            writing.step()
        for text in writing.texts:
            yield {
                "prompt": text.prompt,
                "text": text.visible(),
                "log_probability": text.log_probability,
                "ended": text.ended,
            }


def pieces(model: Model, prompts: Iterable[str], request: Request, tally: Tally) -> Iterator[str]:
    """The same texts one after another, with their prompts, as they come into being: strings of a character or more.

    Between two texts stands an empty line.
    """
    mixture = model.mixture.only(request.part)
    for place, job in enumerate(_jobs(model, mixture, prompts, request, tally)):
        yield "\n\n" * (place > 0) + job[0].prompt
        writing = _Writing(model, mixture, request, [job])
        while writing.live:
            writing.step()
            if new := writing.texts[0].news():
                yield new


def steps(model: Model, prompts: Iterable[str], request: Request, tally: Tally) -> Iterator[Record]:
    """The same texts, a record for each unit: what was drawn, and what could have been.

    Returns:
        Records of ``prompt, sample`` (from 1), ``step`` (from 1), ``piece``, ``probability`` with which it was drawn,
        and ``candidates``, the likeliest pieces with their probabilities.
    """
    mixture = model.mixture.only(request.part)
    for number, job in enumerate(_jobs(model, mixture, prompts, request, tally)):
        writing = _Writing(model, mixture, request, [job])
        step = 0
        while writing.live:
            step += 1
            drawn, shares = writing.step()
            best = shares[0].argsort(kind="stable")[::-1][:CANDIDATES]
            yield {
                "prompt": job[0].prompt,
                "sample": number % request.count + 1,
                "step": step,
                "piece": model.units.vocab[drawn[0]],
                "probability": float(shares[0, drawn[0]]),
                "candidates": [
                    {"piece": model.units.vocab[one], "probability": float(shares[0, one])}
                    for one in best
                    if shares[0, one] > 0
                ],
            }


def encoded(model: Model, text: str, tally: Tally) -> Ids:
    """The units of a text; those that the model does not know are told."""
    ids = model.units.encode(text)
    if (ids == UNKNOWN).any():
        tally.unknown.update(surface for one, surface in model.units.pieces(text) if one == UNKNOWN)
    return ids


def _jobs(
    model: Model, mixture: Mixture, prompts: Iterable[str], request: Request, tally: Tally
) -> Iterator[tuple[_Text, Reading]]:
    """The texts that are to be written, each with what the model knows after its prompt."""
    number = itertools.count()
    for prompt in prompts:
        ids = encoded(model, prompt, tally)
        reading = mixture.read(mixture.start(), ids)
        for _ in range(request.count):
            yield _Text(model, request, prompt, ids, next(number)), reading


def _batches(jobs: Iterable[tuple[_Text, Reading]], hidden: int) -> Iterator[list[tuple[_Text, Reading]]]:
    """As many texts as are written side by side; with a cache, each has a state of h numbers a unit to look back at."""
    batch: list[tuple[_Text, Reading]] = []
    longest = 0
    for job in jobs:
        batch.append(job)
        if (memory := job[1].memory) is not None:
            longest = max(longest, memory.units.shape[1])
        if len(batch) == AT_ONCE or len(batch) * longest * hidden >= _CACHED:
            yield batch
            batch, longest = [], 0
    if batch:
        yield batch


class _Text:
    """A text that is being written.

    Arguments:
        model: who writes it.
        request: how.
        prompt: what stands before it.
        ids: the prompt's units.
        number: which of all texts it is, from 0.
    """

    def __init__(self, model: Model, request: Request, prompt: str, ids: Ids, number: int) -> None:
        self.prompt = prompt
        self.ids: list[int] = ids[-REMEMBERED:].tolist()
        self.ended: str | None = None
        self.log_probability = 0.0
        self.speller = Speller(model.units, prompt, allow_unknown=request.allow_unknown)
        self.first = True
        self._random = np.random.default_rng([request.seed, number])
        self._request = request
        self._text = ""
        self._told = 0  # characters that ``news`` has given

    def uniform(self) -> float:
        """The next number in [0, 1) that decides a unit."""
        return self._random.random()

    def add(self, one: int, probability: float) -> None:
        """Takes the next unit; afterwards the text may have ended."""
        self.first = False
        if one == DOCUMENT:
            self.ended = "document"
            return
        text = self._text + self.speller.add(one)
        if len(text) > self._request.length:
            self.ended = "length"
            return
        self.ids.append(one)
        self.log_probability += math.log(probability) if probability > 0 else -math.inf
        # A stop string may have begun in earlier units.
        begin = max(0, len(self._text) - max(map(len, self._request.stop), default=0) + 1)
        self._text = text
        places = [place for stop in self._request.stop if (place := text.find(stop, begin)) >= 0]
        if places:
            self._text, self.ended = text[: min(places)], "stop"
        elif len(text) == self._request.length:
            self.ended = "length"

    def visible(self) -> str:
        """The text, as far as no stop string can take any of it back."""
        if self.ended:
            return self._text
        held = (
            size
            for stop in self._request.stop
            for size in range(min(len(stop) - 1, len(self._text)), 0, -1)
            if self._text.endswith(stop[:size])
        )
        return self._text[: len(self._text) - max(held, default=0)]

    def news(self) -> str:
        """What has become visible since the last call."""
        text = self.visible()
        new, self._told = text[self._told :], len(text)
        return new


class _Writing:
    """Some texts that are written side by side.

    Arguments:
        model: who writes, and which part of it decides: ``mixture``.
        request: how.
        jobs: the texts, and what is known after their prompts.
    """

    def __init__(self, model: Model, mixture: Mixture, request: Request, jobs: list[tuple[_Text, Reading]]) -> None:
        self.texts = [text for text, _ in jobs]
        self.live = list(self.texts)
        self._mixture, self._request = mixture, request
        self._bytewise = bool(model.units.is_byte.any())
        self._reading = Reading.join([reading for _, reading in jobs]) if len(jobs) > 1 else jobs[0][1]

    def step(self) -> tuple[Ids, Floats]:
        """Writes a unit of each text that has not ended: what was drawn, ``(b,)``, from which shares, ``(b, V)``."""
        likely = self._mixture.probabilities(self._reading)
        shares = shaped(likely, self._request, self._allowed(), [text.ids for text in self.live])
        if self._request.temperature == 0:
            drawn: Ids = shares.argmax(axis=1)
        else:
            drawn = draw(shares, np.array([text.uniform() for text in self.live]))
        for text, one, probability in zip(
            self.live, drawn.tolist(), likely[np.arange(len(drawn)), drawn].tolist(), strict=True
        ):
            text.add(one, probability)
        going = [row for row, text in enumerate(self.live) if not text.ended]
        if going:
            rest = drawn
            if len(going) < len(self.live):
                rest = drawn[going]
                self._reading = self._reading.select(np.array(going))
            self._reading = self._mixture.advance(self._reading, rest, own=True)
        self.live = [self.live[row] for row in going]
        return drawn, shares

    def _allowed(self) -> Any:
        """What may be written next, ``(V,)``, or ``(b, V)`` where it differs."""
        if not self._bytewise:
            return self.live[0].speller.allowed(first=self.live[0].first)
        return np.stack([text.speller.allowed(first=text.first) for text in self.live])
