"""The folds of the validation part, of which each network learns all but one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqcli.classification.data import Example
from seqcli.core.texts import folded


def folds(examples: Sequence[Example], count: int) -> NDArray[np.int64]:
    """Divides examples into so many folds, at most: the number of the fold of each, ``(n,)``.

    Every label comes in proportion. Copies of a text, and texts of one group, come into one fold; so do mostly texts
    that follow each other, which may be variants of one.
    """
    labels: dict[tuple[bool, str], str] = {}
    keys = []
    for example in examples:
        key = (False, folded(example.text)) if example.group is None else (True, example.group)
        labels.setdefault(key, example.label)
        keys.append(key)
    numbers: dict[tuple[bool, str], int] = {}
    for label in sorted(set(labels.values())):
        own = [key for key, its in labels.items() if its == label]
        numbers |= {key: at * count // len(own) for at, key in enumerate(own)}
    found = np.array([numbers[key] for key in keys], dtype=np.int64)
    return np.unique(found, return_inverse=True)[1]  # of few texts, a fold may be empty: numbered are the others
