"""Train, validation and test parts: the same for the same rows in any order, stratified, groups kept whole."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from seqcli.core.texts import folded
from seqcli.errors import UsageError

PARTS = ("train", "valid", "test")
SHARES = (0.8, 0.1, 0.1)


class Duplicate(NamedTuple):
    """A row whose text also stands in a part that models are fitted or chosen on.

    Arguments:
        row: index of the row that is judged on.
        original: index of the first row with the same text in an earlier part.
    """

    row: int
    original: int


def split(
    keys: Sequence[str],
    labels: Sequence[str],
    groups: Sequence[str] | None = None,
    *,
    shares: tuple[float, float, float] = SHARES,
    seed: int = 0,
) -> list[str]:
    """The part of each row: ``train``, ``valid`` or ``test``.

    A row's place is decided by a hash of its key, so that it does not depend on the order of the rows. Every label is
    divided on its own. Where rows are grouped, a group counts under its most frequent label and is never divided.

    Arguments:
        keys: what names a row for good: an identifier or its text; rows of the same key come into the same part.
        labels: what is held in proportion.
        groups: of each row, such as its article or author; by default every key is its own group.
        shares: of train, valid and test among the rows; a label of three groups or more is in every part that has one.
        seed: another one gives another split.

    Raises:
        UsageError: the shares are negative or do not add up to 1.
    """
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
        raise UsageError("shares", f"{shares} are not parts of a whole", "for example 0.8, 0.1, 0.1")
    members: dict[str, list[int]] = defaultdict(list)
    for row, group in enumerate(keys if groups is None else groups):
        members[group].append(row)
    strata: dict[str, list[str]] = defaultdict(list)
    for group, rows in members.items():
        counts = Counter(labels[row] for row in rows)
        strata[min(counts, key=lambda label: (-counts[label], label))].append(group)
    parts = [PARTS[0]] * len(keys)
    for stratum in strata.values():
        waiting = sorted(stratum, key=lambda group: (_hash(group, seed), group))
        total = sum(len(members[group]) for group in waiting)
        for part, share in ((PARTS[2], shares[2]), (PARTS[1], shares[1])):
            for group in _taken(
                waiting, members, share * total, at_least=int(share > 0 and len(stratum) >= len(PARTS))
            ):
                for row in members[group]:
                    parts[row] = part
    return parts


def duplicates(texts: Sequence[str], parts: Sequence[str]) -> list[Duplicate]:
    """Rows of ``valid`` whose text is in ``train``, and rows of ``test`` whose text is in either.

    Two texts are the same if they are so once width variants (NFKC) are made one and whitespace is left out.

    Arguments:
        texts: of each row; an empty one is no duplicate.
        parts: of each row, as :func:`split` gives them.
    """
    seen: dict[str, int] = {}
    found = []
    for part in PARTS:
        rows = [row for row, its in enumerate(parts) if its == part]
        new: dict[str, int] = {}
        for row in rows:
            text = folded(texts[row])
            if text in seen:
                found.append(Duplicate(row, seen[text]))
            elif text:
                new.setdefault(text, row)
        seen |= new
    return sorted(found)


def _taken(waiting: list[str], members: dict[str, list[int]], target: float, at_least: int) -> list[str]:
    """Groups from the front of ``waiting``, which lose their place there, until about ``target`` rows are reached."""
    taken: list[str] = []
    rows = 0
    while waiting and (len(taken) < at_least or rows + len(members[waiting[0]]) / 2 <= target):
        group = waiting.pop(0)
        taken.append(group)
        rows += len(members[group])
    return taken


def _hash(key: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()
