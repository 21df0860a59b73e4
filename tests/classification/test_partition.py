"""Parts of labelled texts that share nothing, and what cannot be divided."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from labelled import POSTS, pairs, saved, table

from seqcli.classification import data
from seqcli.classification.data import Example, Examples, Partition
from seqcli.errors import InputError, UsageError


def made(counts: dict[str, int], group: str | None = None) -> Examples:
    found = []
    for label, count in counts.items():
        for number in range(count):
            belongs = None if group is None else f"{group}{number // 2}"
            found.append(Example(f"{label}についての文章その{number}", label, belongs, f"made: {label} {number}"))
    return Examples("made", found)


def test_the_posts_are_held_out_in_proportion_and_lost_nowhere() -> None:
    parts = data.prepare(POSTS)
    counts = [Counter(example.label for example in part) for part in (parts.train, parts.valid, parts.test)]
    assert [set(count.values()) for count in counts] == [{64}, {8}, {8}]
    assert parts.labels == ("グルメ", "スポーツ", "京都観光", "携帯電話")
    whole = [*parts.train, *parts.valid, *parts.test]
    assert sorted(pairs(whole)) == sorted(pairs(data.read(POSTS).examples))
    assert parts.notes == ()


def test_the_parts_do_not_depend_on_the_order_of_the_rows_and_a_seed_changes_them() -> None:
    examples = data.read(POSTS).examples
    shuffled = random.Random(0).sample(examples, len(examples))
    first, again = (data.partition(Examples("posts", rows)) for rows in (examples, shuffled))
    assert sorted(first.test) == sorted(again.test)
    assert sorted(first.valid) == sorted(again.valid)
    other = data.partition(Examples("posts", examples), seed=1)
    assert sorted(first.test) != sorted(other.test)


def test_what_is_given_is_not_held_out(tmp_path: Path) -> None:
    train = made({"a": 30, "b": 30})
    valid, test = (Examples(name, [Example(f"{name}の文", "a", None, f"{name}: row 2")]) for name in ("v", "t"))
    both = data.partition(train, valid, test)
    assert (both.train, both.valid, both.test) == (train.examples, valid.examples, test.examples)
    one = data.partition(train, test=test)
    assert one.test == test.examples
    assert len(one.valid) == 6
    assert sorted([*one.train, *one.valid]) == sorted(train.examples)
    other = data.partition(train, valid)
    assert other.valid == valid.examples
    assert len(other.test) == 6


def test_another_test_part_moves_nothing_else() -> None:
    train = made({"a": 30, "b": 30})
    tests = [Examples("t", [Example(f"試験{name}", "a", None, "t: row 2")] * 9) for name in "xy"]
    first, second = (data.partition(train, test=test) for test in tests)
    assert (first.train, first.valid) == (second.train, second.valid)
    assert first.fingerprint != second.fingerprint


def test_a_group_is_never_divided() -> None:
    parts = data.partition(made({"a": 60, "b": 60}, group="article"))
    groups = [{example.group for example in part} for part in (parts.train, parts.valid, parts.test)]
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    assert not groups[1] & groups[2]
    assert all(groups)


def test_rows_without_a_group_are_on_their_own_beside_rows_with_one(tmp_path: Path) -> None:
    lines = [f"{label}の文{number},{label},{'g' if number < 3 else ''}" for label in "ab" for number in range(30)]
    parts = data.prepare(saved(tmp_path / "t.csv", "text,label,article\n" + "\n".join(lines)), group_column="article")
    assert parts.test
    assert parts.valid
    homes = [name for name in ("train", "valid", "test") for example in getattr(parts, name) if example.group == "g"]
    assert len(homes) == 6
    assert len(set(homes)) == 1


def test_a_text_of_the_test_part_is_not_learnt_and_not_chosen_on() -> None:
    train = made({"a": 30, "b": 30})
    twin = Example("ａについての文章　その0", "a", None, "t: row 2")  # the same but for width and space
    new = Example("別の文", "b", None, "t: row 3")
    parts = data.partition(train, Examples("v", [new, train.examples[1]]), Examples("t", [twin, new]))
    assert [example.text for example in parts.train] == [example.text for example in train.examples[2:]]
    assert parts.valid == [train.examples[1]]
    assert parts.test == [twin, new]
    assert parts.notes[0] == (
        "1 text of the validation part also stands in test: left out of validation (the first: t: row 3 is t: row 3)"
    )
    assert parts.notes[1] == (
        "2 texts of the training part also stand in validation or test: left out of training "
        "(the first: made: a 0 is t: row 2)"
    )


def test_copies_of_a_text_are_held_out_together() -> None:
    rows = made({"a": 40, "b": 40}).examples
    parts = data.partition(Examples("twice", [*rows, *rows]))
    assert parts.notes == ()
    assert len(parts.test) == 16
    assert not {example.text for example in parts.test} & {example.text for example in parts.train}


def test_one_label_is_too_few() -> None:
    with pytest.raises(InputError, match=r"only one label: 'a' \(10 examples\)"):
        data.partition(made({"a": 10}))


def test_a_label_with_one_example_is_named_with_its_place() -> None:
    with pytest.raises(InputError, match="made: c 0: the label 'c' has a single example") as caught:
        data.partition(made({"a": 10, "b": 10, "c": 1}))
    assert "add more" in str(caught.value.hint)


def test_all_labels_with_one_example_are_named_at_once() -> None:
    with pytest.raises(InputError) as caught:
        data.partition(made({"a": 10, "b": 10, "c": 1, "d": 1}))
    assert str(caught.value) == "made: c 0: the labels 'c', 'd' have a single example each"
    with pytest.raises(InputError, match="'l19' and 5 more have a single example each"):
        data.partition(made({"a": 10} | {f"l{number}": 1 for number in range(25)}))


def test_a_column_that_is_no_label_is_recognised(tmp_path: Path) -> None:
    source = saved(tmp_path / "t.csv", "text,label,kind\n" + "".join(f"文{n},{n},x\n" for n in range(9)))
    with pytest.raises(InputError, match="the labels '0', '1', ") as caught:
        data.prepare(source)
    assert caught.value.hint == "is another column the label? --label-column (there are: kind)"
    with pytest.raises(InputError) as caught:
        data.prepare(saved(tmp_path / "u.csv", "text,label\n" + "".join(f"文{n},{n}\n" for n in range(9))))
    assert "add more" in str(caught.value.hint)


def test_a_label_that_training_never_saw_is_named_with_its_place_and_the_nearest() -> None:
    train = made({"sports": 10, "movies": 10})
    for valid, test in ((None, "movie"), ("movie", None)):
        given = [name and Examples("t.csv", [Example("文", name, None, "t.csv: row 2")]) for name in (valid, test)]
        with pytest.raises(InputError, match=r"t\.csv: row 2: the label 'movie' is not among") as caught:
            data.partition(train, *given)
        assert "movies, sports" in str(caught.value)
        assert caught.value.hint == "did you mean movies?"


def test_too_few_examples_to_hold_any_out_say_what_to_do() -> None:
    with pytest.raises(InputError, match="4 examples are too few") as caught:
        data.partition(made({"a": 2, "b": 2}))
    assert "three different texts of each label" in str(caught.value.hint)


def test_three_examples_of_a_label_are_enough_for_a_place_in_every_part() -> None:
    parts = data.partition(made({"a": 3, "b": 50}))
    assert [Counter(e.label for e in part)["a"] for part in (parts.train, parts.valid, parts.test)] == [1, 1, 1]


def test_a_label_that_a_part_has_not_is_told() -> None:
    parts = data.partition(made({"rare": 2, "b": 50}))
    assert parts.notes == (
        "no example of rare in the validation part",
        "no example of rare in the test part",
    )


def test_a_text_with_two_labels_is_told() -> None:
    train = made({"a": 30, "b": 30})
    again = [train.examples[0]._replace(label="b", where="again"), train.examples[1]._replace(where="again too")]
    test, valid = (Examples(name, [Example(f"{name}の文", "a", None, name)]) for name in "tv")
    parts = data.partition(Examples("made", [*train.examples, *again]), valid, test)
    assert parts.notes[0] == (
        "1 row has the text of an earlier training row and another label (the first: made: a 0 is a, again is b)"
    )


def test_standard_input_is_only_one_of_the_parts() -> None:
    with pytest.raises(UsageError, match="only one of the training, validation and test texts"):
        data.prepare("-", test="-", input_format="csv")


def test_a_part_that_is_all_duplicates_is_an_error() -> None:
    train = made({"a": 5, "b": 5})
    with pytest.raises(InputError, match="every text of the training part"):
        data.partition(train, Examples("v", train.examples), Examples("t", [Example("新", "a", None, "t")]))


def test_a_label_whose_only_group_is_held_out_is_an_error() -> None:
    rows = [Example(f"文{n}", "a", f"g{n // 4}", f"row {n}") for n in range(80)]
    others = [Example(f"他{n}", "c", None, f"other {n}") for n in range(20)]
    refused = []
    for group in (f"g{number}" for number in range(20)):
        rare = [Example(f"唯一{n}", "b", group, f"rare {n}") for n in range(2)]
        try:
            data.partition(Examples("made", [*rows, *others, *rare]))
        except InputError as problem:
            assert str(problem) == "made: every example of the label 'b' is in a group held out"
            refused.append(group)
    assert 1 < len(refused) < 10


def test_the_fingerprint_names_texts_labels_and_parts() -> None:
    def name(parts: Partition) -> str:
        return parts.fingerprint

    rows = made({"a": 20, "b": 20}).examples
    same = name(data.partition(Examples("x", rows)))
    assert name(data.partition(Examples("another name", rows))) == same
    assert name(data.partition(Examples("x", rows), seed=3)) != same
    assert name(data.partition(Examples("x", [rows[0]._replace(label="b"), *rows[1:]]))) != same


def test_rows_left_out_of_all_sources_are_counted_together(tmp_path: Path) -> None:
    rows = [(f"文{n}", "ab"[n % 2]) for n in range(20)]
    train = table(tmp_path / "train.csv", [*rows, ("", "a")])
    test = table(tmp_path / "test.csv", [("新しい", "a"), ("", "b"), ("", "b")])
    parts = data.prepare(train, test=test)
    assert parts.dropped == {"no text": (3, f"{train}: row 22")}


def test_the_same_file_for_two_parts_is_refused_with_what_to_do() -> None:
    train = made({"a": 10, "b": 10})
    with pytest.raises(InputError, match="every text of the training part also stands in a later part") as caught:
        data.partition(train, None, train)
    assert caught.value.hint == "give files that have no texts in common"


def test_one_label_that_is_left_to_learn_is_not_enough() -> None:
    def of(name: str, *pairs: tuple[str, str]) -> Examples:
        return Examples(name, [Example(text, label, None, f"{name}: {text}") for text, label in pairs])

    train = of("posts.csv", ("焼肉", "a"), ("寿司", "a"), ("試合", "b"), ("選手", "b"))
    with pytest.raises(InputError, match="only the label 'a' is left to learn"):
        data.partition(train, of("v.csv", ("蕎麦", "a")), of("t.csv", ("試合", "a"), ("選手", "a")))
