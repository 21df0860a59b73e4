"""Columns that a filter adds: one name for the run, and nothing of the input is lost."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from seqcli.core.columns import Columns, beside
from seqcli.core.texts import Item


def row(**columns: object) -> Item:
    return Item("猫", columns)


def test_ours_are_called_as_the_first_row_leaves_room() -> None:
    columns, items = beside([row(text="猫", predicted="x", predicted_1="y"), row(text="犬")], ["predicted", "error"])
    assert (columns["predicted"], columns["error"]) == ("predicted_2", "error")
    assert list(columns.sentences()) == ["the input has a column 'predicted' already: ours is 'predicted_2'"]
    assert [item.columns for item in items] == [{"text": "猫", "predicted": "x", "predicted_1": "y"}, {"text": "犬"}]


def test_no_two_of_ours_are_called_alike() -> None:
    columns, _ = beside([row(label="x")], ["label", "label_1"])
    assert (columns["label"], columns["label_1"]) == ("label_1", "label_1_1")


def test_what_a_later_row_has_under_our_name_moves_and_is_told_once() -> None:
    columns, _ = beside([row(text="猫")], ["predicted"])
    assert columns.row(row(predicted="x", predicted_1="y")) == {"predicted_2": "x", "predicted_1": "y"}
    assert columns.row(row(predicted="z")) == {"predicted_1": "z"}
    assert list(columns.warnings()) == [
        "the first row has no column 'predicted', so it is ours; what a later row has there is in 'predicted_2'"
    ]


def test_a_row_is_never_the_one_of_the_input() -> None:
    given = row(text="猫")
    columns, _ = beside([given], ["predicted"])
    columns.row(given)["predicted"] = 1
    assert given.columns == {"text": "猫"}
    assert columns.row(Item("行")) == {"text": "行"}


def test_one_item_is_read_for_the_names_and_none_is_needed() -> None:
    read: list[int] = []

    def source() -> Iterator[Item]:
        for number in itertools.count():
            read.append(number)
            yield Item(str(number))

    _, items = beside(source(), ["predicted"])
    assert read == [0]
    assert [item.text for item in itertools.islice(items, 2)] == ["0", "1"]
    columns, items = beside([], ["predicted"])
    assert columns["predicted"] == "predicted" and list(items) == []


def test_what_was_moved_elsewhere_is_noted_behind_what_was_before() -> None:
    one, other = Columns(moved={"a": "a_1"}), Columns(moved={"a": "a_2", "b": "b_1"})
    one.add(other)
    assert one.moved == {"a": "a_1", "b": "b_1"}
