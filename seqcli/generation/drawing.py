"""How the next unit is chosen from what may follow: how boldly, from how many, and never what is no text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from seqcli.core.units import DOCUMENT, UNKNOWN, Units
from seqcli.errors import UsageError
from seqcli.generation.mixture import Floats, Part
from seqcli.generation.network import Ids

REMEMBERED = 64  # units that a repetition penalty looks back


@dataclass(frozen=True)
class Request:
    """How text is to be written.

    Arguments:
        length: characters of a text at most; one made of words or their pieces ends before the unit that would not fit.
        temperature: 1 draws from the model's probabilities p, below 1 more carefully, above more boldly: from
            p^(1/temperature); 0 takes the likeliest unit each time.
        top_k: draw from the k likeliest units (Fan et al. 2018, arXiv:1805.04833).
        top_p: draw from the fewest units that hold this share of the probability, in (0, 1] (Holtzman et al. 2020,
            arXiv:1904.09751); after ``top_k``.
        repetition_penalty: power to which the probability of a unit is raised that stands among the last
            ``REMEMBERED`` ones; 1 for none, above 1 they become rarer (Keskar et al. 2019, arXiv:1909.05858, but
            on log-probabilities).
        stop: strings before which a text ends.
        count: texts for each prompt.
        seed: of the drawing; text number i is drawn with the seed and i alone.
        allow_unknown: let ``<unk>`` be written.
        part: which of the model's parts is asked.

    Raises:
        UsageError: a value outside its range; names the flag and the value.
    """

    length: int = 200
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    count: int = 1
    seed: int = 1
    allow_unknown: bool = False
    part: Part = "mixture"

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            what = f"must be 0 (always the likeliest) or more, not {self.temperature}"
            raise UsageError("--temperature", what, "1 draws from the model's own probabilities")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise UsageError("--top-p", f"must be above 0 and at most 1, not {self.top_p}", "for example --top-p 0.9")
        if self.top_k is not None and self.top_k < 1:
            raise UsageError("--top-k", f"must be at least 1, not {self.top_k}", "for example --top-k 40")
        if not 0 < self.repetition_penalty < math.inf:
            what = f"must be above 0, not {self.repetition_penalty}"
            raise UsageError("--repetition-penalty", what, "1 for none; 1.2 is much")
        if self.seed < 0:
            raise UsageError("--seed", f"must be 0 or more, not {self.seed}", "for example --seed 1")
        for name, value in (("--length", self.length), ("--count", self.count)):
            if value < 1:
                raise UsageError(name, f"must be at least 1, not {value}")
        if "" in self.stop:
            raise UsageError("--stop", "an empty string stops everything", "give the text to stop at")


def shaped(likely: Floats, request: Request, allowed: NDArray[np.bool_], recent: list[list[int]]) -> Floats:
    """The probabilities that the next units are drawn from, ``(b, V)``; a row adds up to 1.

    Arguments:
        likely: ``(b, V)`` the model's probabilities.
        request: what is asked for.
        allowed: ``(V,)`` or ``(b, V)`` what may be written at all.
        recent: the last units of each text.
    """
    out: Floats = likely * allowed
    if request.repetition_penalty != 1:
        for row, ids in enumerate(recent):
            some = sorted(set(ids[-REMEMBERED:]))
            out[row, some] **= request.repetition_penalty
    highest = out.max(axis=1, keepdims=True)
    if not highest.all():  # what may be written is all but impossible: then it is all the same
        out, highest = np.where(highest > 0, out, allowed), np.where(highest > 0, highest, 1.0)
    if request.temperature == 0:
        return np.asarray(np.arange(out.shape[1]) == out.argmax(axis=1)[:, None], np.float64)
    if request.temperature != 1:
        out = (out / highest) ** (1 / request.temperature)
    size = out.shape[1]
    if request.top_k is not None and request.top_k < size:
        out = _only(out, out.argpartition(size - request.top_k, axis=1)[:, size - request.top_k :])
    out = out / out.sum(axis=1, keepdims=True, dtype=np.float64)
    if request.top_p is not None and request.top_p < 1:
        order = (-out).argsort(axis=1, kind="stable")
        falling = np.take_along_axis(out, order, axis=1)
        before = falling.cumsum(axis=1) - falling  # the share of the likelier ones
        np.put_along_axis(out, order, np.where(before < request.top_p, falling, 0), axis=1)
        out = out / out.sum(axis=1, keepdims=True)
    return out


def _only(values: Floats, places: Ids) -> Floats:
    """Of each row the values at these places, ``(b, k)``, and zeros."""
    kept: Floats = np.zeros_like(values)
    np.put_along_axis(kept, places, np.take_along_axis(values, places, axis=1), axis=1)
    return kept


def draw(shares: Floats, uniform: Floats) -> Ids:
    """One unit for each row of probabilities, ``(b, V)``, by one number in [0, 1) for each, ``(b,)``."""
    sums = shares.cumsum(axis=1, dtype=np.float64)
    wanted = uniform * sums[:, -1]
    found: Ids = (sums <= wanted[:, None]).sum(axis=1)
    return found.clip(max=shares.shape[1] - 1)


class Speller:
    """Turns a text's units into characters one after another, and knows which units may come next.

    Arguments:
        units: of the model.
        before: what stands before the text.
        allow_unknown: whether ``<unk>`` may be written.
    """

    def __init__(self, units: Units, before: str, *, allow_unknown: bool) -> None:
        self._units = units
        self._first_byte = int(units.is_byte.argmax()) if units.is_byte.any() else None
        self._spaced = units.splitter == "whitespace"
        self._gap = not before or before[-1].isspace()  # no space is needed before a word
        self._pending = b""
        self._always = np.ones(len(units), bool)
        self._always[UNKNOWN] = allow_unknown

    def allowed(self, *, first: bool) -> NDArray[np.bool_]:
        """Which units may come next, ``(V,)``: any, but ``<doc>`` as the first; and bytes that make a character."""
        found = self._always
        if first or self._first_byte is not None:
            found = found.copy()
        if first:
            found[DOCUMENT] = False
        if self._first_byte is not None:
            some = slice(self._first_byte, self._first_byte + 256)
            if self._pending:
                found[:] = False
            found[some] = _next_bytes(self._pending)
        return found

    def add(self, one: int) -> str:
        """What a unit adds to the text; nothing while a character still lacks bytes."""
        if self._first_byte is not None and self._first_byte <= one < self._first_byte + 256:
            self._pending += bytes([one - self._first_byte])
            try:
                text = self._pending.decode()
            except UnicodeDecodeError:
                return ""
            self._pending = b""
            return text
        text = self._units.vocab[one]
        if self._spaced:
            text, self._gap = text if self._gap or text == "\n" else f" {text}", text == "\n"
        return text


@cache
def _next_bytes(pending: bytes) -> NDArray[np.bool_]:
    """Which bytes may follow these, so that they become a UTF-8 character, ``(256,)``."""
    return np.array([_begins(pending + bytes([byte])) for byte in range(256)])


def _begins(some: bytes) -> bool:
    """Whether a character is these bytes, or begins with them."""
    try:
        some.decode()
    except UnicodeDecodeError as problem:
        return problem.reason == "unexpected end of data"
    return True
