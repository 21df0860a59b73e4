"""A generator's folder as what writes and measures text with it. PyTorch is not imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqcli.core import checkpoint
from seqcli.core.checkpoint import Manifest
from seqcli.core.safe_formats import HINT
from seqcli.core.units import Units
from seqcli.errors import ModelError
from seqcli.generation import ngram
from seqcli.generation.cache import Settings
from seqcli.generation.config import GeneratorConfig, shapes
from seqcli.generation.mixture import Mixture
from seqcli.generation.network import Network
from seqcli.generation.ngram import KneserNey

KIND = "generator"


@dataclass(frozen=True, eq=False)
class Model:
    """A language model, ready to be used.

    Arguments:
        manifest: where it comes from and how good it is.
        config: its shape.
        units: what it reads and writes.
        mixture: its network and its n-grams.
    """

    manifest: Manifest
    config: GeneratorConfig
    units: Units
    mixture: Mixture

    def warnings(self) -> tuple[str, ...]:
        """Sentences about a tokenizer that is installed in another version than at training."""
        return self.units.drift()


def load(path: Path) -> Model:
    """Reads a model folder of the kind ``generator``.

    Raises:
        ModelError: it is missing, damaged, of another kind or too new, or its parts do not belong together.
    """
    manifest, values, tensors = checkpoint.load(path, KIND, lambda found: shapes(_config(path, found)))
    config = _config(path, values)
    units = Units.from_folder(path)
    if len(units) != config.vocabulary or units.kind != config.unit:
        what = f"holds {len(units)} of unit {units.kind}, config.json says {config.vocabulary} of unit {config.unit}"
        raise ModelError(str(path / "vocab.json"), what, HINT)
    counted = None
    if config.mixture:
        counts = checkpoint.load_tensors(path, ngram.FILE, digests=manifest.digests)
        counted = KneserNey.from_tensors(counts, config.vocabulary)
        if counted.order != len(config.mixture):
            what = f"has order {counted.order}, config.json {len(config.mixture)} weights"
            raise ModelError(str(path / ngram.FILE), what, HINT)
    cache = None
    if config.cache_size and config.cache_weight:
        cache = Settings(config.cache_size, config.cache_theta, config.cache_weight)
    network = Network.from_tensors(config, tensors)
    return Model(manifest, config, units, Mixture(network, counted, config.mixture, cache))


def _config(path: Path, values: Mapping[str, Any]) -> GeneratorConfig:
    return GeneratorConfig.from_json(values, str(path / "config.json"))
