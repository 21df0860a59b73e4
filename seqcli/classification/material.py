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
from seqcli.classification.folds import folds
from seqcli.classification.plan import Plan
from seqcli.classification.unit_features import UnitFeatures
from seqcli.core.tokens import Tokenizer
from seqcli.core.word_vectors import open_vectors
from seqcli.results import Progress

PARTS: Final = ("train", "valid", "test")
LABELLED: Final = "labelled"  # the training part and then the validation part
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
        encoded: what the networks read: ``labelled``, the training part and then the validation part, and ``test``.
        gold: label ids, ``(n,)`` of each part, and of ``labelled``.
        folds: of each validation text the fold that it is in, ``(n,)``; ``plan.refit`` says what for.
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
    folds: Ints
    fingerprint: str

    def rows(self, member: int) -> tuple[Ints, Ints]:
        """The rows of ``labelled`` that a network learns from, and those that it is validated on."""
        held = self.folds == member % (1 + int(self.folds.max()))
        start = len(self.gold["train"])
        valid = start + np.arange(len(held))
        return np.concatenate([np.arange(start), valid[~held]]), valid[held]

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
    labelled = Split.joined([splits["train"], splits["valid"]])
    learnt = labelled if plan.refit else splits["train"]
    words, characters = encoding.vocabulary(learnt, min_count=plan.min_count)
    source, table, own = _vectors(plan, learnt)
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
    gold = {part: np.array([ids[e.label] for e in rows], dtype=np.int64) for part, rows in examples.items()}
    return Material(
        plan=plan,
        config=config,
        labels=partition.labels,
        features=features,
        own=own,
        texts=texts,
        splits=splits,
        encoded={
            LABELLED: features.read([*texts["train"], *texts["valid"]], labelled),
            "test": features.read(texts["test"], splits["test"]),
        },
        gold=gold | {LABELLED: np.concatenate([gold["train"], gold["valid"]])},
        folds=folds(partition.valid, plan.config.members if plan.refit else 1),
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
