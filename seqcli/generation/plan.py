"""What a training is asked to do: the defaults that were chosen for a corpus, and what the user said instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from seqcli.errors import UsageError
from seqcli.generation import cache, ngram
from seqcli.generation.config import GeneratorConfig
from seqcli.generation.data import Corpus

if TYPE_CHECKING:
    from seqcli.core.training import FitSettings

LEARNING_RATE: Final = 5e-3
WARMUP: Final = 0.03  # share of the steps in which the learning rate rises; then a cosine to zero
WEIGHT_DECAY: Final = 0.02
CLIP_NORM: Final = 1.0
ROWS: Final = 24
BPTT: Final = 32
TAUGHT: Final = 0.1  # of the loss is the n-grams', for characters; of words they know less than the network does

_NOVEL: Final = 300_000  # units of a text that is read _NOVEL_EPOCHS times: ten minutes of one core
_NOVEL_EPOCHS: Final = 14
_MOST_EPOCHS: Final = 40
_MILD: Final = 0.3  # of dropout is used at the beginning
_ALL_NEW: Final = 1  # epochs in which nothing is met again
_WELL_KNOWN: Final = 10  # epochs that need dropout in full
_LOOKED_AT: Final = 5_000_000  # units by which the clusters are chosen
_MANY: Final = 1_000  # kinds of units; below, one softmax is as fast as clusters of it
_GRID: Final = 24  # places at which the vocabulary may be cut
_CLUSTER: Final = 150  # logits that the choice of a cluster's places costs as much as
_HEAD: Final = 0.8  # of all places are the head's at least: what is told apart directly is told apart best


@dataclass(frozen=True)
class Plan:
    """What is trained and how.

    Arguments:
        config: the network's shape.
        fit: how it is trained.
        rows: places of the text that are read side by side.
        bptt: steps of a chunk, through which gradients go back.
        order: of the n-gram model.
        mixture: whether the model that is saved mixes the network with the n-grams.
        cache: units that its continuous cache remembers; 0: none.
        device: auto, cpu, cuda or mps.
        threads: of the processor.
        spared: whether a training that reads the text only a few times gets less dropout than its rates say.
        taught: share of the loss that is for what n-grams would have written, not for what stands there.
        command: as the user typed it, for the record.
        sources: of the corpus, for the record.
    """

    config: GeneratorConfig
    fit: FitSettings
    rows: int = ROWS
    bptt: int = BPTT
    order: int = ngram.ORDER
    mixture: bool = True
    cache: int = cache.SIZE
    device: str = "auto"
    threads: int = 1
    spared: bool = True
    taught: float = TAUGHT
    command: str = ""
    sources: tuple[str, ...] = ()

    def strength(self, progress: float, epochs: float) -> float:
        """The share of the dropout rates that is in use.

        It grows while the training goes on (curriculum dropout, Morerio et al. 2017, arXiv:1703.06229): in the
        beginning nothing is learned by heart yet, and it would only slow the net down. Nor is there much to be learned
        by heart from a text that is read once.

        Arguments:
            progress: the share of the training that is done, 0 to 1.
            epochs: how often the text is read in all of it.

        Returns:
            0, for a text that is read once, to 1, at the end of a training that reads it ten times or more.
        """
        needed = (epochs - _ALL_NEW) / (_WELL_KNOWN - _ALL_NEW) if self.spared else 1.0
        return min(1.0, max(0.0, needed)) * (_MILD + (1 - _MILD) * progress)


def make(
    corpus: Corpus,
    flags: Mapping[str, Any],
    *,
    bptt: int | None = None,
    tied: bool = True,
    mixture: bool = True,
    remembered: int = cache.SIZE,
    order: int = ngram.ORDER,
    sources: tuple[str, ...] = (),
) -> Plan:
    """The defaults that were chosen for a corpus of this size, with what the user said instead.

    Arguments:
        corpus: what is learned from.
        flags: what was said of ``--cell``, ``--hidden``, ``--epochs`` and the other flags that every training has.
        bptt: steps of a chunk.
        tied: whether the output weights are the embedding.
        mixture: whether the model is to mix the network with n-grams.
        remembered: units of its continuous cache; 0: none.
        order: of the n-grams.
        sources: what the corpus was read from, for the record.

    Raises:
        UsageError: a value is out of range.
    """
    from seqcli.core.training import FitSettings

    for option, value in (("--bptt", bptt), ("--order", order)):
        if value is not None and value < 1:
            raise UsageError(option, f"must be at least 1, not {value}")
    units = max(1, corpus.parts["train"].tokens)
    hidden = flags.get("hidden") or _hidden(units)
    dropout = flags.get("dropout", 0.5)
    config = GeneratorConfig(
        vocabulary=len(corpus.units),
        unit=corpus.units.kind,
        cell=flags.get("cell", "lstm"),
        embedding=min(256, hidden),
        hidden=hidden,
        layers=flags.get("layers", 1),
        tied=tied,
        cutoffs=cutoffs(np.bincount(corpus.train[:_LOOKED_AT], minlength=len(corpus.units))),
        word_dropout=0.2 * dropout,
        input_dropout=0.6 * dropout,
        hidden_dropout=0.6 * dropout,
        output_dropout=dropout,
        weight_dropout=dropout,
    )
    minutes = flags.get("max_minutes")
    fit = FitSettings(
        epochs=flags.get("epochs") or (_MOST_EPOCHS if minutes else _epochs(units)),
        steps=flags.get("steps"),
        max_minutes=minutes,
        learning_rate=flags.get("learning_rate", LEARNING_RATE),
        schedule="cosine",
        warmup=WARMUP,
        weight_decay=WEIGHT_DECAY,
        clip_norm=flags.get("clip_norm", CLIP_NORM),
        seed=flags.get("seed", 1),
    )
    return Plan(
        config,
        fit,
        rows=flags.get("batch_size", ROWS),
        bptt=bptt or BPTT,
        order=order,
        mixture=mixture,
        cache=remembered,
        device=flags.get("device", "auto"),
        threads=flags.get("threads", 1),
        spared="dropout" not in flags,
        taught=TAUGHT if corpus.units.kind == "char" else 0.0,
        command=flags.get("command", ""),
        sources=sources,
    )


def cutoffs(counts: NDArray[np.integer[Any]]) -> tuple[int, ...]:
    """Where the vocabulary is cut into a head and clusters, so that a place costs the fewest logits on average.

    Arguments:
        counts: ``(V,)`` how often each id stands in the training text; the frequent ids should come first.

    Returns:
        Up to two ids; none where one softmax costs hardly more.
    """
    vocabulary, total = len(counts), max(1, int(counts.sum()))
    if vocabulary < _MANY:
        return ()
    ends = sorted({round(vocabulary ** (step / _GRID)) for step in range(_GRID // 2, _GRID)})
    seen = {end: float(counts[:end].sum()) / total for end in [*ends, vocabulary]}  # share of the ids below

    def cost(cuts: tuple[int, ...]) -> float:
        bounds = [*cuts, vocabulary]
        rare = sum((seen[end] - seen[start]) * (end - start) for start, end in pairwise(bounds))
        return bounds[0] + _CLUSTER * len(cuts) + rare

    heads = [end for end in ends if seen[end] >= _HEAD]
    best = min((cuts for number in (1, 2) for cuts in combinations(heads, number)), key=cost, default=())
    return best if best and cost(best) < 0.75 * vocabulary else ()


def _hidden(units: int) -> int:
    """Units of a layer: as many as a text of this length can fill."""
    return next((hidden for limit, hidden in ((30_000, 128), (120_000, 256)) if units < limit), 512)


def _epochs(units: int) -> int:
    """A text ten times as long is read about half as often, and takes about five times as long."""
    epochs: float = _NOVEL_EPOCHS * (_NOVEL / units) ** 0.25
    return max(1, min(_MOST_EPOCHS, round(epochs)))
