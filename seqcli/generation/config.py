"""All that rebuilds a language model, and nothing that needs PyTorch to be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

from seqcli.core.encoder import CellName
from seqcli.core.equations import CELLS
from seqcli.errors import ModelError

UNITS = ("char", "word", "subword")
MOST_UNITS = 1 << 24  # of a vocabulary; a larger one is a damaged file
_RATES = ("word_dropout", "input_dropout", "hidden_dropout", "output_dropout", "weight_dropout")


@dataclass(frozen=True)
class GeneratorConfig:
    """The shape of a language model and how its parts are mixed; JSON holds it as it stands.

    Arguments:
        vocabulary: V, units that are told apart; 0 is ``<unk>``, 1 the boundary of documents.
        unit: ``char``, ``word`` or ``subword``.
        cell: ``rnn``, ``gru`` or ``lstm``.
        embedding: e, numbers that stand for a unit.
        hidden: h, units of each layer.
        layers: layers on top of each other.
        tied: the output weights are the embedding (Press & Wolf 2017, arXiv:1608.05859).
        cutoffs: ids at which the vocabulary, frequent units first, is cut into the head and the clusters of rarer units
            of a class-based softmax (Goodman 2001; Grave et al. 2017, arXiv:1609.04309); empty: one softmax.
        word_dropout: share of the vocabulary that is left out of a training chunk's input.
        input_dropout, hidden_dropout, output_dropout: share of the values dropped before the first layer, between
            layers and after the last one; the same ones at every step of a chunk (Gal & Ghahramani 2016,
            arXiv:1512.05287).
        weight_dropout: share of the recurrent weights dropped (Merity et al. 2018, arXiv:1708.02182).
        mixture: weight of the network in p = λ p_network + (1 - λ) p_ngram, by the number of preceding units that the
            n-gram model has seen before this place: λ_0, λ_1, …; empty: the network alone.
        cache_size: units that a continuous cache remembers; 0 for none.
        cache_theta: how sharply the cache prefers similar states.
        cache_weight: its share in the probability.
    """

    vocabulary: int
    unit: str = "char"
    cell: CellName = "lstm"
    embedding: int = 256
    hidden: int = 512
    layers: int = 1
    tied: bool = True
    cutoffs: tuple[int, ...] = ()
    word_dropout: float = 0.0
    input_dropout: float = 0.0
    hidden_dropout: float = 0.0
    output_dropout: float = 0.0
    weight_dropout: float = 0.0
    mixture: tuple[float, ...] = ()
    cache_size: int = 0
    cache_theta: float = 0.0
    cache_weight: float = 0.0

    @property
    def output(self) -> int:
        """Numbers from which the next unit is predicted: those of an embedding where the weights are tied."""
        return self.embedding if self.tied else self.hidden

    @property
    def bounds(self) -> tuple[tuple[int, int], ...]:
        """First id and end of the head and of each cluster."""
        ends = (*self.cutoffs, self.vocabulary)
        return tuple(zip((0, *self.cutoffs), ends, strict=True))

    @classmethod
    def from_json(cls, values: Mapping[str, Any], where: str = "config.json") -> GeneratorConfig:
        """Reads what ``dataclasses.asdict`` gave; unknown keys are left alone.

        Raises:
            ModelError: a value is missing, of another type or out of range.
        """
        known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        missing = [field.name for field in fields(cls) if field.name not in known]
        if missing:
            raise ModelError(where, f"{missing[0]!r} is missing", "train the model again")
        for name, fine, wanted in _checks(known):
            if not fine:
                raise ModelError(where, f"{name!r} is {str(known[name])[:60]!r}, not {wanted}")
        return cls(**(known | {"cutoffs": tuple(known["cutoffs"]), "mixture": tuple(known["mixture"])}))


def shapes(config: GeneratorConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor in ``model.safetensors``; ``model.LanguageModel`` says what they are."""
    e, h, gates = config.embedding, config.hidden, {"rnn": 1, "lstm": 4, "gru": 3}[config.cell]
    found: dict[str, tuple[int, ...]] = {"embedding.weight": (config.vocabulary, e)}
    for k in range(config.layers):
        start = f"encoder.layers.{k}."
        found[f"{start}weight_ih_l0"] = (gates * h, e if k == 0 else h)
        found[f"{start}weight_hh_l0"] = (gates * h, h)
        found[f"{start}bias_ih_l0"] = found[f"{start}bias_hh_l0"] = (gates * h,)
    if config.tied and e != h:
        found |= {"projection.weight": (e, h), "projection.bias": (e,)}
    if not config.tied:
        found["decoder.weight"] = (config.vocabulary, h)
    found["decoder.bias"] = (config.vocabulary,)
    if config.cutoffs:
        clusters = len(config.cutoffs)
        found |= {"clusters.weight": (clusters, config.output), "clusters.bias": (clusters,)}
    return found


def _checks(values: Mapping[str, Any]) -> Iterator[tuple[str, bool, str]]:
    """Name, whether its value is fine, and what it should be; each looks only at what was found fine before it."""
    for name, low, high in (
        ("vocabulary", 2, MOST_UNITS), ("embedding", 1, 65536), ("hidden", 1, 65536), ("layers", 1, 64),
        ("cache_size", 0, 1 << 20),
    ):  # fmt: skip
        value = values[name]
        yield name, type(value) is int and low <= value <= high, f"a whole number from {low} to {high}"
    for name in (*_RATES, "cache_weight"):
        yield name, _number(values[name]) and 0 <= values[name] < 1, "a number from 0 to below 1"
    yield "cache_theta", _number(values["cache_theta"]) and 0 <= values["cache_theta"] < 1e6, "a number from 0"
    yield "cell", values["cell"] in tuple(CELLS), f"one of {', '.join(CELLS)}"
    yield "unit", values["unit"] in UNITS, f"one of {', '.join(UNITS)}"
    yield "tied", type(values["tied"]) is bool, "true or false"
    for name in ("mixture", "cutoffs"):
        yield name, isinstance(values[name], list | tuple) and len(values[name]) <= 64, "a short list"
    weights, ends = values["mixture"], [1, *values["cutoffs"], values["vocabulary"]]
    yield "mixture", all(_number(weight) and 0 <= weight <= 1 for weight in weights), "weights from 0 to 1"
    rising = all(type(end) is int for end in ends) and all(a < b for a, b in pairwise(ends))
    yield "cutoffs", rising, "rising ids of the vocabulary"


def _number(value: Any) -> bool:
    return type(value) in (int, float)
