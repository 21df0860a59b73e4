"""All that rebuilds a classifier, and nothing that needs PyTorch to be read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, get_args

from seqcli.core.encoder import CellName
from seqcli.errors import ModelError

FEATURES: Final = 1  # raise it whenever encoding.Features makes other numbers of the same text

UNKNOWN: Final = 0  # the id of a word or a character that training did not see; of characters, 0 is padding
PADDING: Final = 0
UNKNOWN_CHARACTER: Final = 1

Vectors = Literal["ginza", "none", "own"]
Unit = Literal["token", "char", "word", "subword"]


@dataclass(frozen=True)
class ClassifierConfig:
    """The shape of a classifier and how its texts are cut; JSON holds it as it stands.

    Arguments:
        unit: what the networks read: tokens, or the units of the generator that they start from.
        cell: ``rnn``, ``gru`` or ``lstm``.
        hidden: units of each layer and direction.
        layers: layers on top of each other.
        bidirectional: whether a second encoder reads each text from its end.
        members: networks that differ in their random numbers only; their log probabilities are averaged.
        vectors: where the frozen word vectors come from: ``ginza``, ``none``, or ``own``: kept in the model folder.
        vector_size: numbers in such a vector; 0 with ``none``.
        projection: numbers that are made of it, which is cheaper for the encoder to read.
        word_size: numbers in the trained vector of a word.
        character_embedding: numbers in the trained vector of a character, which the convolution reads.
        character_size: numbers that the convolution makes of a word's spelling; 0: there is none.
        attention: units of the layer that says which tokens matter.
        max_tokens: tokens, or units, of a text that the networks read.
        max_characters: characters of a token that the convolution reads.
        dropout: share of the pooled values that are dropped in training, in [0, 1).
        input_dropout: the same of what goes into the encoder.
        word_dropout: share of the words whose trained vector is that of an unknown one, in training.
        tokenizer: the recipe of ``core.tokens.Tokenizer``.
        fusion: weight of the linear model in the answer, from 0 (none) to 1.
        temperature: what the log probabilities are divided by at the end.
        gains: with ``costs``, which label is said (``decision.py``); none: the most probable.
        costs: of each label, as many as ``gains``.
        features: the version of the encoding that the weights were trained with.
    """

    unit: Unit = "token"
    cell: CellName = "lstm"
    hidden: int = 96
    layers: int = 1
    bidirectional: bool = True
    members: int = 3
    vectors: Vectors = "ginza"
    vector_size: int = 300
    projection: int = 64
    word_size: int = 64
    character_embedding: int = 32
    character_size: int = 32
    attention: int = 64
    max_tokens: int = 128
    max_characters: int = 12
    dropout: float = 0.5
    input_dropout: float = 0.3
    word_dropout: float = 0.1
    tokenizer: Mapping[str, Any] = field(default_factory=dict)
    fusion: float = 0.0
    temperature: float = 1.0
    gains: tuple[float, ...] = ()
    costs: tuple[float, ...] = ()
    features: int = FEATURES

    @property
    def input_size(self) -> int:
        """Numbers that describe one token."""
        return (self.projection if self.vector_size else 0) + self.character_size + self.word_size

    @property
    def output_size(self) -> int:
        """Numbers that the encoder gives for one token."""
        return self.hidden * (2 if self.bidirectional else 1)

    @property
    def pooled_size(self) -> int:
        """Numbers that describe a whole text."""
        return self.output_size * (2 if self.unit == "token" else 3)

    @classmethod
    def from_json(cls, values: Mapping[str, Any], where: str = "config.json") -> ClassifierConfig:
        """Reads what ``dataclasses.asdict`` gave; unknown keys are left alone.

        Raises:
            ModelError: a value is missing, of another type or out of range, or the features are of another version.
        """
        known = {one.name: values.get(one.name) for one in fields(cls)} | {"unit": values.get("unit", "token")}
        gains, costs = (_numbers(where, name, values.get(name, ())) for name in ("gains", "costs"))
        if len(gains) != len(costs):
            raise ModelError(where, f"{len(gains)} 'gains' and {len(costs)} 'costs'")
        known |= {"gains": gains, "costs": costs}
        for name, low, high in (
            ("hidden", 1, 4096), ("layers", 1, 64), ("members", 1, 256), ("vector_size", 0, 65536),
            ("word_size", 1, 4096), ("character_embedding", 1, 4096), ("character_size", 0, 4096),
            ("projection", 1, 4096), ("attention", 1, 4096), ("max_tokens", 1, 1 << 20),
            ("max_characters", 1, 4096), ("features", 1, 1 << 30),
        ):  # fmt: skip
            value = known[name]
            if type(value) is not int or not low <= value <= high:
                raise ModelError(where, f"{name!r} is {str(value)[:60]!r}, not a whole number from {low} to {high}")
        for name, high in (("dropout", 1), ("input_dropout", 1), ("word_dropout", 1), ("fusion", 1)):
            _check_number(where, name, known[name], 0, high)
        _check_number(where, "temperature", known["temperature"], 1e-3, 1e3)
        for name, choices in (
            ("cell", ("rnn", "gru", "lstm")),
            ("vectors", get_args(Vectors)),
            ("unit", get_args(Unit)),
        ):
            if known[name] not in choices:
                raise ModelError(where, f"{name!r} is {str(known[name])[:60]!r}, not one of {', '.join(choices)}")
        if type(known["bidirectional"]) is not bool:
            raise ModelError(where, f"'bidirectional' is {str(known['bidirectional'])[:60]!r}, not true or false")
        if not isinstance(known["tokenizer"], dict):
            raise ModelError(where, f"'tokenizer' is {str(known['tokenizer'])[:60]!r}, not a tokenizer's recipe")
        if known["features"] != FEATURES:
            what = f"made with inputs of version {known['features']}; this seqcli makes version {FEATURES}"
            raise ModelError(where, what, "train it again")
        return cls(**known)  # type: ignore[arg-type]  # every value was looked at above


def _numbers(where: str, name: str, values: object) -> tuple[float, ...]:
    if not isinstance(values, list | tuple):
        raise ModelError(where, f"{name!r} is {str(values)[:60]!r}, not a list of numbers")
    for value in values:
        _check_number(where, name, value, 0, 1e300)
    return tuple(values)


def _check_number(where: str, name: str, value: object, low: float, high: float) -> None:
    flag = isinstance(value, bool)  # which Python takes for a number
    if flag or not isinstance(value, int | float) or not math.isfinite(value) or not low <= value <= high:
        raise ModelError(where, f"{name!r} is {str(value)[:60]!r}, not a number from {low} to {high}")


def prefix(member: int) -> str:
    """What stands before the names of a member's tensors."""
    return f"member.{member}." if member else ""


def shapes(config: ClassifierConfig, words: int, characters: int, labels: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of the networks; ``model.py`` says what they are.

    Arguments:
        config: the shape of the networks.
        words: entries of ``vocab.json``, the unknown word included.
        characters: entries of ``characters.json``, padding and the unknown character included.
        labels: entries of ``labels.json``.
    """
    one: dict[str, tuple[int, ...]] = {
        "words.weight": (words, config.word_size),
        "attention.weight": (config.attention, config.output_size),
        "attention.bias": (config.attention,),
        "query": (config.attention,),
        "output.weight": (labels, config.pooled_size),
        "output.bias": (labels,),
        "prior": (labels,),
    }
    if config.character_size:
        one |= {
            "characters.weight": (characters, config.character_embedding),
            "convolution.weight": (config.character_size, 3 * config.character_embedding),
            "convolution.bias": (config.character_size,),
        }
    if config.vector_size:
        one |= {"projection.weight": (config.projection, config.vector_size), "projection.bias": (config.projection,)}
    gates = {"rnn": 1, "gru": 3, "lstm": 4}[config.cell] * config.hidden
    for encoder in ("encoder", "encoder_reverse")[: 2 if config.bidirectional else 1]:
        for k in range(config.layers):
            layer = f"{encoder}.layers.{k}."
            inputs = config.input_size if k == 0 else config.hidden
            one[f"{layer}weight_ih_l0"], one[f"{layer}weight_hh_l0"] = (gates, inputs), (gates, config.hidden)
            one[f"{layer}bias_ih_l0"] = one[f"{layer}bias_hh_l0"] = (gates,)
    return {prefix(k) + name: shape for k in range(config.members) for name, shape in one.items()}
