"""Classifiers without a training: networks of chance beside a linear model that has really read the texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from seqcli.classification.config import ClassifierConfig, shapes
from seqcli.classification.encoding import Split, vocabulary
from seqcli.classification.linear import LinearModel
from seqcli.classification.predict import KIND, Model, load
from seqcli.core import checkpoint
from seqcli.core.checkpoint import Manifest
from seqcli.core.tokens import Tokenizer

LABELS = ("グルメ", "スポーツ", "携帯電話")
TEXTS = (
    "昨日の焼肉は最高に美味しかった",
    "このラーメンは味が薄くて残念だった",
    "駅前の寿司は安くて美味しい",
    "新しいカフェのケーキを食べた",
    "昨日の試合は最高に楽しかった",
    "サッカーの練習で足を痛めた",
    "野球の試合を見に行った",
    "マラソンで最後まで走った",
    "新しい携帯の電池が長持ちする",
    "電話の画面が割れて残念だった",
    "このアプリは使いにくい",
    "メールの返信が遅い携帯は困る",
)
GOLD = tuple(k for k in range(3) for _ in range(4))

SMALL = ClassifierConfig(
    hidden=6, members=2, vectors="none", vector_size=0, word_size=5, character_embedding=4, character_size=5,
    max_tokens=32, tokenizer=Tokenizer().recipe(), fusion=0.7, temperature=0.8,
)  # fmt: skip


def save(path: Path, labels: Sequence[str] = LABELS, overwrite: bool = False, **changes: Any) -> Model:
    """Writes a model folder that ``load`` reads, and reads it."""
    config = replace(SMALL, **changes)
    words, characters = vocabulary(Split.of(map(Tokenizer().tokens, TEXTS)), min_count=1)
    chance = np.random.default_rng(5)
    wanted = shapes(config, len(words), len(characters), len(labels))
    tensors = {name: chance.normal(0, 0.5, size).astype(np.float32) for name, size in wanted.items()}
    for name in wanted:
        if name.endswith("prior"):
            tensors[name] = np.array([0.5, 0.3, 0.2], np.float32)
        if name.endswith("characters.weight"):
            tensors[name][0] = 0  # padding
    linear = LinearModel.fit(TEXTS, None, GOLD, len(labels))
    fused = config.fusion > 0
    checkpoint.save(
        path,
        Manifest(kind=KIND, created="2026-11-24T00:00:00+00:00", seed=5),
        config=asdict(config),
        tensors=tensors,
        documents={"labels.json": list(labels), "vocab.json": words, "characters.json": characters}
        | ({"linear.json": linear.document()} if fused else {}),
        extra_tensors={"linear.safetensors": linear.tensors()} if fused else {},
        overwrite=overwrite,
    )
    return load(path)
