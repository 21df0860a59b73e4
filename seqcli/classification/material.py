"""What a classifier is trained from: the texts of all parts, split and numbered, and how they are looked up."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from seqcli.classification import encoding, vectors
from seqcli.classification.config import ClassifierConfig
from seqcli.classification.data import Example, Partition
from seqcli.classification.encoding import Encoded, Features, Floats, Ints, Source, Split, Table
from seqcli.classification.plan import Plan
from seqcli.classification.unit_features import UnitFeatures
from seqcli.core.tokens import Tokenizer
from seqcli.core.word_vectors import open_vectors
from seqcli.results import Progress

PARTS: Final = ("train", "valid", "test")
_TOLD: Final = 2000  # texts between two signs of life


@dataclass(frozen=True, eq=False)
class Material:
    """All that a training reads.

    Arguments:
        plan: how they are trained, with all that hangs on the data.
        config: the shape of the networks.
        labels: by id.
        features: how texts become numbers.
        own: the vectors that are kept with the model; ``None``: they are ja_ginza's, or there are none.
        texts: of each part.
        splits: the same as tokens.
        encoded: the same as the networks read them.
        gold: label ids, ``(n,)`` of each part.
        fingerprint: of texts, labels and vectors.
    """

    plan: Plan
    config: ClassifierConfig
    labels: tuple[str, ...]
    features: Features
    own: vectors.Own | None
    texts: dict[str, list[str]]
    splits: dict[str, Split]
    encoded: dict[str, Encoded]
    gold: dict[str, Ints]
    fingerprint: str

    def normalized(self, part: str) -> list[list[str]]:
        """The normalized forms of a part's tokens, which the linear model counts."""
        return self.splits[part].normalized()

    def words(self, text: str) -> list[str]:
        """The tokens of a text as the model reads them, for people."""
        return [token.surface for token in self.features.tokens(text)]

    def prior(self) -> Floats:
        """The shares of the labels in the training part, ``(c,)``."""
        counts = np.bincount(self.gold["train"], minlength=len(self.labels))
        shares: Floats = (counts / counts.sum()).astype(np.float32)
        return shares


def prepare(partition: Partition, plan: Plan) -> Generator[Progress, None, Material]:
    """Splits all texts and looks their tokens up; yields signs of life.

    Raises:
        MachineError: ja_ginza or SudachiPy is not installed.
        InputError: no such file of vectors.
        ModelError: the folder of vectors is damaged.
    """
    tokenizer = plan.tokenizer
    examples = dict(zip(PARTS, (partition.train, partition.valid, partition.test), strict=True))
    splits = {}
    for part, rows in examples.items():
        splits[part] = yield from _split(tokenizer, rows, plan.config.max_tokens)
    plan = plan.settled(len(examples["train"]), sum(map(len, splits["train"].texts)))
    words, characters = encoding.vocabulary(splits["train"], min_count=plan.min_count)
    source, table, own = _vectors(plan, splits["train"])
    config = replace(
        plan.config,
        tokenizer=tokenizer.recipe(),
        vectors="own" if own else "none" if table is None else "ginza",
        vector_size=0 if table is None else int(table.matrix.shape[1]),
    )
    features = (
        Features(config, words, characters, source, table, dictionary=tokenizer.user_dictionary)
        if plan.donor is None
        else UnitFeatures(config, plan.donor.units, tokenizer.user_dictionary)
    )
    texts = {part: [example.text for example in rows] for part, rows in examples.items()}
    ids = {label: number for number, label in enumerate(partition.labels)}
    return Material(
        plan=plan,
        config=config,
        labels=partition.labels,
        features=features,
        own=own,
        texts=texts,
        splits=splits,
        encoded={part: features.read(texts[part], split) for part, split in splits.items()},
        gold={part: np.array([ids[e.label] for e in rows], dtype=np.int64) for part, rows in examples.items()},
        fingerprint=partition.fingerprint,
    )


def _split(tokenizer: Tokenizer, rows: Sequence[Example], most: int) -> Generator[Progress, None, Split]:
    found = []
    for start in range(0, len(rows), _TOLD):
        yield Progress("splitting texts", start, len(rows))
        part = [encoding.tokens(tokenizer, example.text, most) for example in rows[start : start + _TOLD]]
        found.append(Split.of(part))
    return Split.joined(found)


def _vectors(plan: Plan, seen: Split) -> tuple[Source | None, Table | None, vectors.Own | None]:
    if plan.vectors == "none" or plan.donor is not None:
        return None, None, None
    if plan.vectors == "ginza":
        return *vectors.ginza(), None
    words = [form for kind in seen.kinds for form in kind]
    own = vectors.Own.of(open_vectors(plan.vectors, "--vectors"), words)
    return own.source(), own.table(), own
