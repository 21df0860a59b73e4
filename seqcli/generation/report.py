"""What a training came to: bits per character beside counting, in words, and what there is to worry about."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from seqcli.core.units import Ids
from seqcli.generation.data import Corpus
from seqcli.generation.ngram import KneserNey
from seqcli.results import Record, Result

Floats = NDArray[np.float64]

UNSEEN_BITS: Final = 16
"""What ``bpc_open`` charges for a character that the vocabulary does not hold: its name among 65,536."""

COUNTED: Final = ("kneser-ney", "unigram", "uniform")
MIXTURE: Final = "mixture"
UNCACHED: Final = "mixture-no-cache"

_SHOWN: Final = {
    "model": "model",
    "part": "part",
    "n": "n",
    "bits_per_char": "bits/char",
    "bpc_open": "bpc_open",
    "perplexity": "perplexity",
    "seconds": "seconds",
}  # what a person reads in 80 columns

RECITED: Final = 20  # characters; two people seldom write the same twenty

_DRAWS: Final = 2000
_BLOCKS: Final = 200  # stretches that a text is resampled in: words near each other are easy or hard together
_SHORTEST: Final = 20  # units of a stretch
_SMALL: Final = 100_000  # characters of a training text
_FOREIGN: Final = 0.1  # share of the characters of a text in words that the model does not know
_LEARNED_BY_HEART: Final = 0.7  # bits on the training text as a share of those on the validation text
_RECITES: Final = 0.05  # share of what is written that stands in the training text


@dataclass(frozen=True)
class Scored:
    """How likely a model found a text.

    Arguments:
        model: its name: ``mixture``, ``lstm``, ``kneser-ney``, …
        part: ``valid`` or ``test``.
        logs: ``(n,)`` the natural logarithm of the probability of each unit behind the first ``<doc>``.
        seconds: that its training took.
    """

    model: str
    part: str
    logs: Floats
    seconds: float = 0.0

    def bits(self) -> float:
        """Of the whole text."""
        return -float(self.logs.sum()) / math.log(2)


@dataclass(frozen=True)
class Counts:
    """Those that only count: Kneser–Ney, single units, and no knowledge at all.

    Arguments:
        ngram: the n-gram model.
        single: the same of order 1.
        seconds: that counting for ``ngram`` and for ``single`` took.
    """

    ngram: KneserNey
    single: KneserNey
    seconds: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of(cls, corpus: Corpus, ngram: KneserNey, seconds: float = 0.0) -> Counts:
        """Counts the single units of the training text that ``ngram`` has counted in so many seconds."""
        begun = time.process_time()
        single = KneserNey.fit(corpus.train, len(corpus.units), order=1)
        return cls(ngram, single, (seconds, time.process_time() - begun))

    def scored(self, corpus: Corpus, part: str) -> tuple[Scored, ...]:
        """How likely they find ``valid`` or ``test``."""
        tokens: Ids = getattr(corpus, part)[1:]
        return (
            Scored("kneser-ney", part, self.ngram.log_probabilities(tokens), self.seconds[0]),
            Scored("unigram", part, self.single.log_probabilities(tokens), self.seconds[1]),
            Scored("uniform", part, np.full(len(tokens), -math.log(len(corpus.units)))),
        )


def record(corpus: Corpus, scored: Scored) -> Record:
    """The figures of one model on one part, a row of the report.

    ``bits_per_char`` is all bits by all characters of the text, ``bpc_open`` charges unseen characters besides,
    ``perplexity`` is that of a unit.
    """
    part = corpus.parts[scored.part]
    characters, bits = max(part.characters, 1), scored.bits()
    return {
        "model": scored.model,
        "part": scored.part,
        "n": len(scored.logs),
        "characters": part.characters,
        "bits_per_char": bits / characters,
        "bpc_open": (bits + UNSEEN_BITS * part.unseen) / characters,
        "perplexity": math.exp(-float(scored.logs.mean())) if len(scored.logs) else math.nan,
        "seconds": round(scored.seconds, 2),
    }


def report(
    corpus: Corpus,
    scored: Sequence[Scored],
    *,
    network: str = "lstm",
    train_bits: float | None = None,
    samples: Sequence[str] = (),
    temperature: float = 1.0,
) -> Result:
    """The report of a training.

    Arguments:
        corpus: what it was trained on.
        scored: every model on every part that is reported; the verdict is about ``test`` if it is among them.
        network: the name of the network alone.
        train_bits: bits per character of the network on training text, all of it in use (no dropout).
        samples: what the model has written, to show and to look for in the training text.
        temperature: that the samples are drawn at.
    """
    records = tuple(record(corpus, one) for one in scored)
    part = "test" if any(one.part == "test" for one in scored) else "valid"
    judged = {one.model: one for one in scored if one.part == part}
    figures = {row["model"]: row["bpc_open"] for row in records if row["part"] == part}
    sentences = [*corpus.sentences, *_verdict(corpus, judged, figures, network, part)]
    warnings = [*corpus.warnings]
    if corpus.parts["train"].characters < _SMALL:
        warnings.append(
            f"the training text has {corpus.parts['train'].characters:,} characters: too few for a network to learn "
            "more than what counting finds; give a few hundred thousand"
        )
    valid = next((row["bits_per_char"] for row in records if (row["model"], row["part"]) == (network, "valid")), None)
    if train_bits is not None and valid is not None and train_bits < _LEARNED_BY_HEART * valid:
        warnings.append(
            f"over-fitted: the network needs {train_bits:.2f} bits for a character of the training text and "
            f"{valid:.2f} for one of the validation text; more --dropout, a smaller --hidden or more text may help"
        )
    foreign = corpus.parts[part].unseen / max(1, corpus.parts[part].characters)
    if corpus.units.kind == "word" and foreign > _FOREIGN:
        warnings.append(
            f"{foreign:.0%} of the characters of {part} stand in words that the model does not know: compare models by "
            "bpc_open, or train with --unit subword"
        )
    if samples:
        sentences.append(f"A sample (--temperature {temperature:g}): {samples[0].strip()}")
        share = recited(samples, corpus.text("train"))
        usual = recited(corpus.text(part), corpus.text("train"))
        told = (
            f"{share:.0%} of all stretches of {RECITED} characters that it wrote stand in the training text "
            f"(of the {part} text, {usual:.0%})"
        )
        if share > max(_RECITES, 2 * usual):
            warnings.append(f"it recites: {told}")
        else:
            sentences.append(f"{told[0].upper()}{told[1:]}.")
    table = tuple({shown: one[name] for name, shown in _SHOWN.items()} for one in records)
    return Result(records, table, tuple(sentences), tuple(warnings))


def _verdict(
    corpus: Corpus, judged: dict[str, Scored], figures: dict[str, float], network: str, part: str
) -> Iterator[str]:
    order = [name for name in (MIXTURE, UNCACHED, network, *COUNTED) if name in figures]
    charged = f"Bits per character of {part}, {UNSEEN_BITS} more for each unknown one (bpc_open)"
    yield f"{charged}: {', '.join(f'{name} {figures[name]:.3f}' for name in order)}."
    for name in (MIXTURE, network):
        if name in judged and "kneser-ney" in judged:
            yield compared(judged[name], judged["kneser-ney"], corpus.parts[part].characters)


def compared(model: Scored, other: Scored, characters: int) -> str:
    """Whether a model needs fewer bits than another one for the same text, in words.

    Arguments:
        model: the one that is judged.
        other: the one that it has to beat.
        characters: of the text.
    """
    low, high = interval(model.logs, other.logs, characters)
    gain = (other.bits() - model.bits()) / max(characters, 1)
    if math.isnan(low):
        needs = f"needs {abs(gain):.3f} bits per character {'less' if gain > 0 else 'more'} than {other.model}"
        return f"{model.model} {needs}; the text is too short to say more."
    if low > 0 or high < 0:
        word, between = ("better", (low, high)) if gain > 0 else ("worse", (-high, -low))
        size = f"{abs(gain):.3f} bits per character (95 % interval {between[0]:.3f} to {between[1]:.3f})"
        return f"{model.model} is {word} than {other.model} by {size}."
    return (
        f"{model.model} and {other.model} cannot be told apart: {gain:+.3f} bits per character "
        f"(95 % interval {low:+.3f} to {high:+.3f})."
    )


def interval(model: Floats, other: Floats, characters: int) -> tuple[float, float]:
    """The 95 % interval of the bits per character that a model saves, from resampled stretches of the text.

    Moving blocks as in Künsch 1989 (Annals of Statistics 17) would overlap; these are laid side by side.

    Arguments:
        model: ``(n,)`` natural log-probabilities of the units.
        other: ``(n,)`` those of the model that it is compared with.
        characters: of the text.

    Returns two NaN where the text is too short to say.
    """
    gains = (np.asarray(model) - np.asarray(other)) / math.log(2)
    size = max(_SHORTEST, -(-len(gains) // _BLOCKS))
    count = len(gains) // size
    if count < 2:
        return math.nan, math.nan
    blocks = gains[: count * size].reshape(count, size).mean(axis=1)
    draws = np.random.default_rng(0).integers(0, count, (_DRAWS, count))
    low, high = np.quantile(blocks[draws].mean(axis=1), (0.025, 0.975)) * len(gains) / characters
    return float(low), float(high)


def recited(texts: Iterable[str], training: Iterable[str], length: int = RECITED) -> float:
    """The share of all stretches of some texts that stand in a training text word for word.

    Arguments:
        texts: what was written; a stretch does not reach from one into the next.
        training: the training text in pieces, read once; a stretch across two of them is found.
        length: of a stretch, in characters.
    """
    written = [text for text in texts if len(text) >= length]
    if not written:
        return 0.0
    names = [_names(text, length) for text in written]
    wanted = np.unique(np.concatenate(names))
    found: set[str] = set()
    end = ""
    for block in training:
        text = end + block
        end = text[len(text) - length + 1 :] if len(text) >= length else text
        if len(text) < length:
            continue
        # A name may be that of another stretch, too: what counts are the characters.
        for place in np.flatnonzero(_among(_names(text, length), wanted)).tolist():
            found.add(text[place : place + length])
    stretches = sum(map(len, names))
    return sum(text[i : i + length] in found for text in written for i in range(len(text) - length + 1)) / stretches


def _names(text: str, length: int) -> NDArray[np.uint64]:
    """A number for each stretch of ``length`` characters; equal stretches have equal ones."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint64)
    count = len(codes) - length + 1
    names = np.zeros(count, np.uint64)
    for i in range(length):
        names *= np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ divided by the golden ratio; products wrap
        names += codes[i : i + count]
    return names


def _among(names: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> NDArray[Any]:
    places = np.minimum(np.searchsorted(wanted, names), len(wanted) - 1)
    among: NDArray[Any] = wanted[places] == names
    return among
