"""A trained classifier: loaded without PyTorch and scikit-learn, and asked for the probabilities of texts.

However many texts there are, NumPy answers: on one thread it is faster than PyTorch, which works each token out anew,
and it takes a third of the memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.classification import vectors
from seqcli.classification.config import ClassifierConfig, shapes
from seqcli.classification.decision import Decision
from seqcli.classification.encoding import Features, Split
from seqcli.classification.fusion import fuse
from seqcli.classification.linear import LinearModel
from seqcli.classification.network import Network
from seqcli.core import checkpoint
from seqcli.core.checkpoint import Manifest
from seqcli.core.safe_formats import read_json
from seqcli.core.tokens import Token, version_drift
from seqcli.errors import ModelError

Floats = NDArray[np.floating[Any]]

KIND = "classifier"
LINEAR = "linear.safetensors"

# Tokens of texts that the networks read together. What is known of a word is worked out once for all of them, and kept
# so long: four kilobytes a distinct word.
_TOKENS = 131_072


@dataclass(frozen=True)
class Answer:
    """What a model says of one text.

    Arguments:
        log_probabilities: ``(labels,)``, natural logarithms.
        label: which label is said, by number; not always the most probable (``decision.py``).
        empty: the text has no tokens.
    """

    log_probabilities: Floats
    label: int
    empty: bool

    @property
    def probabilities(self) -> Floats:
        """``(labels,)``, adding up to 1."""
        return np.asarray(np.exp(self.log_probabilities))

    def top(self, labels: Sequence[str], count: int) -> list[dict[str, Any]]:
        """The most probable labels, the best first."""
        order = np.argsort(-self.log_probabilities, kind="stable")[:count]
        return [{"label": labels[k], "probability": float(self.probabilities[k])} for k in order]


@dataclass(frozen=True, eq=False)
class Model:
    """A model as it was loaded.

    Arguments:
        manifest: what its folder says about itself.
        config: its shape.
        labels: by id.
        features: how texts become numbers.
        tensors: of the networks.
        linear: the model that is fused with them; None with ``--no-fusion``.
    """

    manifest: Manifest
    config: ClassifierConfig
    labels: tuple[str, ...]
    features: Features
    tensors: dict[str, NDArray[np.float32]]
    linear: LinearModel | None

    def warnings(self) -> tuple[str, ...]:
        """What is installed here in another version than where the model was trained, and may split words otherwise."""
        return version_drift(self.config.tokenizer)

    def probabilities(self, texts: Sequence[str]) -> Floats:
        """Of each label, ``(texts, labels)``; of a text without tokens, how frequent the labels were in training.

        Arguments:
            texts: of any length and content.
        """
        return np.asarray(np.exp(self.log_probabilities(texts, self.split(texts))))

    def answers(self, texts: Sequence[str]) -> list[Answer]:
        """The same, a text at a time."""
        split = self.split(texts)
        logs = self.log_probabilities(texts, split)
        said = self.decision.of(logs).tolist()
        return [
            Answer(of_one, label, not len(tokens))
            for of_one, label, tokens in zip(logs, said, split.texts, strict=True)
        ]

    def log_probabilities(self, texts: Sequence[str], split: Split) -> Floats:
        """Natural logarithms of the probabilities of texts that were split already, ``(texts, labels)``."""
        logs = np.tile(np.log(self.tensors["prior"]), (len(texts), 1)).astype(float)
        told = [k for k, tokens in enumerate(split.texts) if len(tokens)]
        if told:
            logs[told] = self._told([texts[k] for k in told], Split(split.kinds, tuple(split.texts[k] for k in told)))
        return logs

    def _told(self, texts: Sequence[str], split: Split) -> Floats:
        """The same of texts with at least one token."""
        encoded = self.features.read(texts, split)
        logs = np.empty((len(texts), len(self.labels)), np.float32)
        order = np.argsort(encoded.lengths, kind="stable")  # texts of one length need no padding
        parts = encoded.lengths[order].cumsum() // _TOKENS
        for rows in np.split(order, np.flatnonzero(np.diff(parts)) + 1):
            logs[rows] = self._network.log_probabilities(encoded.batch(rows))
        linear = None
        if self.linear is not None and self.config.fusion:
            linear = self.linear.log_probabilities(texts, split.normalized())
        return fuse(logs, linear, self.config.fusion, self.config.temperature)

    def attention(self, text: str, tokens: Sequence[Token]) -> Floats:
        """How much the networks look at each token, ``(tokens,)``, adding up to 1."""
        if not tokens:
            return np.zeros(0)
        attention = self._network.forward(self.features.read([text], Split.of([tokens])).batch([0]))[1][0]
        return self.features.shares(text, tokens, attention)

    def split(self, texts: Sequence[str]) -> Split:
        """The tokens of each text that the networks read."""
        return self.features.split(texts)

    @property
    def decision(self) -> Decision:
        """Which label is said."""
        return Decision(self.config.gains, self.config.costs)

    @cached_property
    def _network(self) -> Network:
        return Network.from_tensors(self.config, self.tensors)


@dataclass(frozen=True)
class Handle:
    """A model by its name, cheap to send to another process.

    Arguments:
        path: its folder.
        id: which model must be there.
    """

    path: Path
    id: str

    @classmethod
    def of(cls, path: Path) -> Handle:
        """The model that a folder holds.

        Raises:
            ModelError: as ``load``.
        """
        return cls(path, checkpoint.peek(path, KIND).id)

    def open(self) -> Model:
        """The model, loaded once in a process.

        Raises:
            ModelError: as ``load``; or another model has taken its place.
        """
        return _opened(self.path, self.id)


def load(path: Path) -> Model:
    """Reads a model folder.

    Raises:
        ModelError: it is missing, damaged, of another kind or too new, or its parts are not of one saving.
        MachineError: it reads with ja_ginza's vectors, and that is not installed.
    """
    checkpoint.peek(path, KIND)
    labels, words = (checkpoint.load_list(path, name) for name in ("labels.json", "vocab.json"))
    characters: list[str] = []

    def expected(values: dict[str, Any]) -> dict[str, tuple[int, ...]]:
        config = ClassifierConfig.from_json(values, str(path))
        characters[:] = checkpoint.load_list(path, "characters.json") if config.character_size else []
        return shapes(config, len(words), len(characters), len(labels))

    manifest, values, tensors = checkpoint.load(path, KIND, expected)
    config = ClassifierConfig.from_json(values, str(path))
    if len(config.gains) not in (0, len(labels)):
        raise ModelError(str(path), f"decides between {len(config.gains)} labels, and labels.json has {len(labels)}")
    features = vectors.features(config, words, characters, path, manifest.digests)
    return Model(manifest, config, tuple(labels), features, tensors, _linear(path, manifest, len(labels)))


def _linear(path: Path, manifest: Manifest, labels: int) -> LinearModel | None:
    """The linear model of a folder, if it has one."""
    if LINEAR not in manifest.digests:
        return None
    tensors = checkpoint.load_tensors(path, LINEAR, digests=manifest.digests)
    linear = LinearModel.load(tensors, read_json(path / "linear.json", dict))
    if linear.bias.shape != (labels,):
        raise ModelError(str(path / LINEAR), f"knows {len(linear.bias)} labels, and labels.json has {labels}")
    return linear


@cache
def _opened(path: Path, identity: str) -> Model:
    model = load(path)
    if model.manifest.id != identity:
        raise ModelError(str(path), "was replaced by another model while it was used", "run the command again")
    return model
