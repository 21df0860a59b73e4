"""The folds of the validation part: none knows a text of another."""

from __future__ import annotations

from collections import Counter

from seqcli.classification.data import Example
from seqcli.classification.folds import folds


def test_folds_hold_every_label_in_proportion_and_divide_neither_groups_nor_copies() -> None:
    rows = [Example(f"文{k}", "犬" if k % 3 else "猫", None, "") for k in range(60)]
    found = folds(rows, 3)
    for label in "犬猫":
        counts = Counter(int(fold) for fold, row in zip(found, rows, strict=True) if row.label == label)
        assert set(counts) == {0, 1, 2} and max(counts.values()) - min(counts.values()) <= 1
    copies = folds([*rows, *(row._replace(text=f" {row.text}　") for row in rows)], 3)
    assert copies[:60].tolist() == copies[60:].tolist()
    grouped = folds([row._replace(group=f"g{k % 7}") for k, row in enumerate(rows)], 3)
    assert all(len({int(grouped[k]) for k in range(first, 60, 7)}) == 1 for first in range(7))
    assert set(grouped.tolist()) == {0, 1, 2}


def test_texts_that_follow_each_other_come_into_one_fold() -> None:
    rows = [Example(f"文{k}", "犬猫"[k % 2], None, "") for k in range(60)]
    found = folds(rows, 3).reshape(-1, 2)  # such as pairs that differ in a word and in the label
    assert (found[:, 0] == found[:, 1]).all()


def test_of_few_texts_no_fold_is_empty() -> None:
    rows = [Example(f"文{k}", "犬猫"[k // 2], None, "") for k in range(4)]
    for count in (1, 2, 3, 4, 9):
        found = folds(rows, count)
        assert set(found.tolist()) == set(range(found.max() + 1))
        assert found.max() < count
