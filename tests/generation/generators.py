"""Generators without a training: a network of chance with n-grams that have really read the text."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from seqcli.core import checkpoint
from seqcli.core.checkpoint import Manifest
from seqcli.core.units import DOCUMENT, Units
from seqcli.generation import ngram
from seqcli.generation.config import GeneratorConfig, shapes
from seqcli.generation.loading import KIND, Model, load
from seqcli.generation.ngram import KneserNey

TEXT = """私は焼肉をよく食べる。
猫は魚をよく食べる。
犬は肉をよく食べる。
私は朝にパンを食べる。
彼は夜にラーメンを食べる。
私たちは毎日ごはんを食べる。
"""
ENGLISH = "the cat eats fish\nthe dog eats meat\nthe cat sees the dog\n"


def save(path: Path, text: str = TEXT, kind: Any = "char", order: int = 4, mixed: bool = True, **shape: Any) -> Model:
    """Writes a model folder that ``load`` reads, and reads it."""
    units = Units.fit(kind, [text], size=300 if kind == "subword" else 0)
    config = GeneratorConfig(
        len(units), kind, **({"embedding": 6, "hidden": 8} | shape), mixture=(0.2,) * order if mixed else ()
    )
    chance = np.random.default_rng(5)
    tensors = {name: chance.normal(0, 0.4, size).astype(np.float32) for name, size in shapes(config).items()}
    counted = KneserNey.fit(np.concatenate([[DOCUMENT], units.encode(text), [DOCUMENT]]), len(units), order)
    checkpoint.save(
        path,
        Manifest(kind=KIND, created="2026-11-24T00:00:00+00:00", seed=5),
        config=asdict(config),
        tensors=tensors,
        documents=units.documents(),
        blobs=units.blobs(),
        extra_tensors={ngram.FILE: counted.tensors()} if mixed else {},
    )
    return load(path)
