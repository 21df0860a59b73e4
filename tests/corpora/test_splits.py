"""Parts that are the same every time, in proportion, and without a group on two sides."""

import random
from collections import Counter

import pytest

from seqcli.core.texts import folded
from seqcli.corpora.splits import PARTS, Duplicate, duplicates, split
from seqcli.errors import UsageError

KEYS = [f"text {number}" for number in range(1000)]
LABELS = ["rare" if number % 10 == 0 else "common" for number in range(1000)]


def test_every_label_is_in_proportion() -> None:
    counts = Counter(zip(LABELS, split(KEYS, LABELS), strict=True))
    assert counts == {
        ("rare", "train"): 80, ("rare", "valid"): 10, ("rare", "test"): 10,
        ("common", "train"): 720, ("common", "valid"): 90, ("common", "test"): 90,
    }  # fmt: skip


def test_the_order_of_the_rows_changes_nothing_and_the_seed_does() -> None:
    order = random.Random(1).sample(range(1000), 1000)
    straight = split(KEYS, LABELS)
    shuffled = split([KEYS[row] for row in order], [LABELS[row] for row in order])
    assert [straight[row] for row in order] == shuffled
    assert split(KEYS, LABELS, seed=1) != straight


def test_the_split_of_a_published_version_stays_what_it_is() -> None:
    chosen = split([str(number) for number in range(10)], ["a"] * 10)
    assert [number for number, part in enumerate(chosen) if part == "test"] == [8]
    assert [number for number, part in enumerate(chosen) if part == "valid"] == [1]


def test_a_group_is_never_divided() -> None:
    groups = [str(number // 7) for number in range(1000)]
    parts: dict[str, set[str]] = {}
    for group, part in zip(groups, found := split(KEYS, LABELS, groups), strict=True):
        parts.setdefault(group, set()).add(part)
    assert all(len(its) == 1 for its in parts.values())
    assert abs(found.count("test") - 100) <= 7 and abs(found.count("valid") - 100) <= 7


def test_rows_of_one_key_are_one_group() -> None:
    parts = split(["same"] * 50 + KEYS[:50], ["a"] * 100)
    assert len(set(parts[:50])) == 1


def test_a_label_with_three_texts_is_in_every_part_and_one_with_two_is_trained_on() -> None:
    assert sorted(split(["a", "b", "c"], ["x"] * 3)) == sorted(PARTS)
    assert split(["a", "b"], ["x"] * 2) == ["train", "train"]
    assert split([], []) == []


def test_a_part_without_a_share_is_empty() -> None:
    assert set(split(KEYS, LABELS, shares=(0.5, 0.0, 0.5))) == {"train", "test"}
    with pytest.raises(UsageError, match="not parts of a whole"):
        split(KEYS, LABELS, shares=(0.5, 0.5, 0.5))


def test_duplicates_are_found_through_width_and_space() -> None:
    texts = ["ＡＢＣ　カメラ", "abc", "ABC ｶﾒﾗ", "ABCカメラ\n", "", "", "abc"]
    parts = ["train", "valid", "valid", "test", "train", "test", "valid"]
    assert duplicates(texts, parts) == [Duplicate(2, 0), Duplicate(3, 0)]
    assert folded("Ａ　b\n") == "Ab"


def test_a_text_of_the_test_part_that_the_model_was_chosen_on_is_found() -> None:
    assert duplicates(["x", "x"], ["test", "valid"]) == [Duplicate(0, 1)]
    assert duplicates(["x", "x"], ["train", "train"]) == []
