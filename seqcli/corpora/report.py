"""What a reader of corpora has to say besides its records: deviations, and the parts with their duplicates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from seqcli.corpora.splits import PARTS, duplicates, split

_SHOWN = 5  # deviations of one kind of trouble that are told one by one


def told(deviations: Sequence[str], many: str) -> list[str]:
    """The first deviations one by one, and how many there are.

    Arguments:
        deviations: each with file and line.
        many: what there are more of, such as "deviations from the format".
    """
    warnings = list(deviations[:_SHOWN])
    if len(deviations) > _SHOWN:
        warnings.append(f"{len(deviations) - _SHOWN:,} more {many}")
    return warnings


def divide(records: Sequence[dict[str, Any]], label: str, group: str, seed: int) -> tuple[list[str], list[str]]:
    """Adds ``split`` and ``duplicate_of`` (the id of the same text in an earlier part) to each record.

    Arguments:
        records: with ``id`` and ``text``.
        label: the column whose values are held in proportion.
        group: the column whose values are never divided.
        seed: another one gives another split.

    Returns:
        Sentences about the parts, and warnings about texts that stand in two of them.
    """
    groups = [str(record[group]) for record in records]
    parts = split(
        [str(record["id"]) for record in records], [str(record[label]) for record in records], groups, seed=seed
    )
    twice = duplicates([str(record["text"]) for record in records], parts)
    originals = {found.row: records[found.original]["id"] for found in twice}
    for row, (record, part) in enumerate(zip(records, parts, strict=True)):
        record |= {"split": part, "duplicate_of": originals.get(row)}
    counts = Counter(parts)
    sentences = ["split: " + ", ".join(f"{part} {counts[part]:,}" for part in PARTS)]
    if not twice:
        return sentences, []
    row, original = twice[0]
    those = (
        "1 text of valid and test also stands"
        if len(twice) == 1
        else f"{len(twice):,} texts of valid and test also stand"
    )
    return sentences, [
        f"{those} in an earlier part (column duplicate_of); the first: "
        f"{records[row]['id']} in {parts[row]} is {records[original]['id']} in {parts[original]}"
    ]
