"""Starting from a generator: ULMFiT (Howard & Ruder 2018, arXiv:1801.06146).

A language model has read more text than anybody labelled. The classifier adopts its units, its embedding and its
recurrent layers, and is trained gently: the lower a layer, the smaller its learning rate (discriminative fine-tuning),
and the later it begins to learn at all (gradual unfreezing).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from seqcli.classification.config import ClassifierConfig, shapes
from seqcli.core import checkpoint
from seqcli.core.checkpoint import ModelFolder
from seqcli.core.safe_formats import HINT, tensor_shapes
from seqcli.core.units import Units
from seqcli.errors import ModelError

if TYPE_CHECKING:
    from seqcli.classification.model import Classifier

KIND: Final = "generator"
# Howard & Ruder divide by 2.6 and let a layer more learn with each epoch. An encoder that has read for minutes, not for
# days, has less to lose: on the development part of livedoor's titles that was five points of macro-F1 worse.
SLOWER: Final = 1.3  # times, from a layer to the one below it
STAGE: Final = 0.05  # share of the steps after which one more layer begins to learn

_EMBEDDING = "embedding.weight"
_WORDS = "words.weight"  # what a classifier calls it


@dataclass(frozen=True, eq=False)
class Donor:
    """A generator whose units, embedding and encoder a classifier starts from.

    Arguments:
        id: of the model.
        shape: what of a classifier's shape it settles.
        units: what it reads.
        tensors: the embedding and the encoder, by the names that a classifier gives them.
    """

    id: str
    shape: Mapping[str, Any]
    units: Units
    tensors: Mapping[str, NDArray[np.float32]]

    @classmethod
    def load(cls, path: Path) -> Donor:
        """Reads a model folder of the kind ``generator``.

        Raises:
            ModelError: it is missing, damaged, of another kind or too new, or its parts do not belong together.
        """
        manifest = checkpoint.peek(path, KIND)
        units = Units.from_folder(path, manifest.digests)

        def expected(values: dict[str, Any]) -> dict[str, tuple[int, ...]]:
            wanted = shapes(replace(ClassifierConfig(), **_shape(values, units, path)), len(units), 0, 0)
            adopted = {name: wanted[name] for name in wanted if name == _WORDS or name.startswith("encoder.")}
            adopted[_EMBEDDING] = adopted.pop(_WORDS)
            return tensor_shapes(ModelFolder(path).weights) | adopted  # the output layer is not ours to judge

        manifest, values, tensors = checkpoint.load(path, KIND, expected)
        own = {name: value for name, value in tensors.items() if name.startswith("encoder.")}
        return cls(manifest.id, _shape(values, units, path), units, own | {_WORDS: tensors[_EMBEDDING]})

    def config(self, config: ClassifierConfig) -> ClassifierConfig:
        """The shape of a classifier that starts from it."""
        length = config.max_tokens * (2 if self.units.kind == "char" else 1)  # about as much text
        return replace(config, **self.shape, max_tokens=length)

    def give(self, model: Classifier) -> None:
        """Puts its weights into a new classifier of its shape."""
        import torch

        own = {name: torch.from_numpy(value) for name, value in self.tensors.items()}
        model.load_state_dict(model.state_dict() | own)

    def rate(self, name: str, progress: float) -> float:
        """What the learning rate of a tensor is multiplied by.

        Arguments:
            name: of the tensor.
            progress: share of the steps that are behind us, in [0, 1].
        """
        layers = self.shape["layers"]
        if name == _WORDS:
            depth = layers + 1
        elif name.startswith("encoder.layers."):
            depth = layers - int(name.split(".")[2])
        else:
            depth = 0
        return SLOWER**-depth if progress >= STAGE * depth else 0.0


def _shape(values: Mapping[str, Any], units: Units, path: Path) -> dict[str, Any]:
    """What a generator's config.json settles of a classifier's shape."""
    where = str(path / "config.json")
    sizes = {name: values.get(name) for name in ("embedding", "hidden", "layers")}
    for name, size in sizes.items():
        if type(size) is not int or not 1 <= size <= 65536:
            raise ModelError(where, f"{name!r} is {str(size)[:60]!r}, not a whole number from 1 to 65536", HINT)
    if values.get("cell") not in ("rnn", "gru", "lstm"):
        raise ModelError(where, f"'cell' is {str(values.get('cell'))[:60]!r}, not one of rnn, gru, lstm", HINT)
    return {
        "unit": units.kind,
        "cell": values["cell"],
        "hidden": sizes["hidden"],
        "layers": sizes["layers"],
        "bidirectional": False,
        "vectors": "none",
        "vector_size": 0,
        "word_size": sizes["embedding"],
        "character_size": 0,
    }
