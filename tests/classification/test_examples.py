"""Labelled texts from every source, what is left out of them, and parts that share nothing."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import random
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import SAMPLES

from seqcli.classification import data
from seqcli.classification.data import Example, Examples, Partition
from seqcli.errors import InputError, UsageError

POSTS = SAMPLES / "posts.csv"
ROWS = [("焼肉を食べた", "グルメ"), ("清水寺へ行った", "京都観光"), ("電池が切れた", "携帯電話")]


def saved(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def table(path: Path, rows: Sequence[tuple[str, str]], encoding: str = "utf-8") -> Path:
    return saved(path, "text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows), encoding)


def pairs(examples: Sequence[Example]) -> list[tuple[str, str]]:
    return [(example.text, example.label) for example in examples]


def made(counts: dict[str, int], group: str | None = None) -> Examples:
    found = []
    for label, count in counts.items():
        for number in range(count):
            belongs = None if group is None else f"{group}{number // 2}"
            found.append(Example(f"{label}についての文章その{number}", label, belongs, f"made: {label} {number}"))
    return Examples("made", found)


# Reading


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932", "euc_jp", "iso2022_jp", "utf-16"])
def test_a_table_is_read_in_every_usual_encoding(tmp_path: Path, encoding: str) -> None:
    assert pairs(data.read(table(tmp_path / "t.csv", ROWS * 3, encoding)).examples) == ROWS * 3


def test_every_kind_of_table_gives_the_same_examples(tmp_path: Path) -> None:
    lines = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in ROWS)
    sources = [
        table(tmp_path / "t.csv", ROWS),
        saved(tmp_path / "t.tsv", "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in ROWS)),
        saved(tmp_path / "t.jsonl", lines),
        saved(tmp_path / "t.txt", "".join(f"__label__{label} {text}\n" for text, label in ROWS)),
    ]
    (tmp_path / "t.txt.gz").write_bytes(gzip.compress(sources[-1].read_bytes()))
    for source in [*sources, tmp_path / "t.txt.gz"]:
        assert pairs(data.read(source).examples) == ROWS, source


def test_parquet_gives_the_same_examples(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {"text": [text for text, _ in ROWS], "label": [label for _, label in ROWS]}
    parquet.write_table(arrow.table(columns), tmp_path / "t.parquet")
    assert pairs(data.read(tmp_path / "t.parquet").examples) == ROWS


@pytest.mark.parametrize("kind", ["jsonl", "fasttext"])
def test_standard_input_needs_its_format_and_is_read(kind: str) -> None:
    lines = {"jsonl": '{"text": "猫", "label": "a"}\n', "fasttext": "__label__a 猫\n"}[kind]
    found = data.read("-", input_format=kind, stdin=io.BytesIO(lines.encode()))
    assert pairs(found.examples) == [("猫", "a")]
    assert found.examples[0].where == "stdin: row 1"
    with pytest.raises(UsageError, match="does not say its format"):
        data.read("-", stdin=io.BytesIO(lines.encode()))


def test_a_folder_and_its_archive_give_a_label_a_folder(tmp_path: Path) -> None:
    for number, (text, label) in enumerate(ROWS):
        (tmp_path / "corpus" / label).mkdir(parents=True)
        saved(tmp_path / "corpus" / label / f"{number}.txt", text)
    with zipfile.ZipFile(tmp_path / "corpus.zip", "w") as archive:
        for file in sorted((tmp_path / "corpus").rglob("*.txt")):
            archive.write(file, file.relative_to(tmp_path))
    for source in (tmp_path / "corpus", tmp_path / "corpus.zip"):
        found = data.read(source)
        assert sorted(pairs(found.examples)) == sorted(ROWS)
        assert all(example.where.startswith(f"{source}: ") for example in found.examples)


def test_every_file_of_a_folder_that_is_left_out_is_counted(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / label).mkdir()
        saved(tmp_path / label / "full.txt", f"{label}の文")
        for number in range(4):
            saved(tmp_path / label / f"{number}.txt", " ")
    found = data.read(tmp_path)
    assert len(found.examples) == 2
    assert found.dropped == {"not readable": (8, "a/0.txt: is empty")}


def test_of_a_news_article_the_text_is_title_and_body_or_the_title_alone(tmp_path: Path) -> None:
    for label in ("sports", "movie"):
        (tmp_path / label).mkdir()
        head = "http://news.example.com/1\n2011-10-30T10:15:00+0900\n"
        saved(tmp_path / label / "1.txt", f"{head}{label}の題\n本文です\n")
    assert [e.text for e in data.read(tmp_path).examples] == ["movieの題\n本文です", "sportsの題\n本文です"]
    assert [e.text for e in data.read(tmp_path, text_column="title").examples] == ["movieの題", "sportsの題"]


def test_numbers_are_labels_and_whitespace_around_a_label_is_none_of_it(tmp_path: Path) -> None:
    source = saved(tmp_path / "t.csv", "text,label\na,0\nb, 1 \nc,\u30001\n")
    assert [example.label for example in data.read(source).examples] == ["0", "1", "1"]
    source = saved(tmp_path / "t.jsonl", '{"text": "a", "label": 0}\n{"text": "b", "label": true}\n')
    assert [example.label for example in data.read(source).examples] == ["0", "true"]


def test_what_cannot_be_used_is_left_out_with_reason_and_first_place(tmp_path: Path) -> None:
    lines = ["text,label", "猫,a", " ,a", "犬,", "x,y,z", "\0,a", "鳥,b", ",b"]
    found = data.read(saved(tmp_path / "t.csv", "\n".join(lines)))
    assert pairs(found.examples) == [("猫", "a"), ("鳥", "b")]
    assert found.dropped["no text"] == (2, f"{tmp_path / 't.csv'}: row 3")
    assert found.dropped["no label"] == (1, f"{tmp_path / 't.csv'}: row 4")
    assert found.dropped["not readable"].rows == 2
    assert "row 5: 3 values" in found.dropped["not readable"].first


def test_a_line_of_another_encoding_is_left_out_and_the_others_stay(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("text,label\n猫です,a\n".encode() + "犬です,b\n".encode("cp932") + b"x,b\n")
    found = data.read(tmp_path / "t.csv")
    assert pairs(found.examples) == [("猫です", "a"), ("x", "b")]
    assert "row 3" in found.dropped["not readable"].first


def test_lines_of_fasttext_without_a_label_or_with_two_are_left_out(tmp_path: Path) -> None:
    source = saved(tmp_path / "t.txt", "__label__a 猫\nただの行\n__label__a __label__b 犬\n\n__label__b\n")
    found = data.read(source)
    assert pairs(found.examples) == [("猫", "a")]
    assert {reason: those.rows for reason, those in found.dropped.items()} == {
        "no __label__ at the beginning": 1,
        "more than one label": 1,
        "no text": 1,
    }
    assert found.dropped["more than one label"].first == f"{source}: row 3"


def test_a_long_row_is_read_whole(tmp_path: Path) -> None:
    long = "猫" * 50_000
    assert data.read(table(tmp_path / "t.csv", [(long, "a")])).examples[0].text == long


def test_a_missing_column_names_those_there_are_and_the_nearest(tmp_path: Path) -> None:
    source = saved(tmp_path / "t.csv", "sentence,label\na,b\n")
    with pytest.raises(InputError, match="no column 'sentense'; there are: sentence, label") as caught:
        data.read(source, text_column="sentense")
    assert caught.value.hint == "did you mean --text-column sentence?"
    with pytest.raises(InputError, match="no column 'author'"):
        data.read(source, text_column="sentence", group_column="author")


def test_a_source_without_a_single_labelled_text_says_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"t\.csv: holds no labelled text: no label \(row 2\)"):
        data.read(saved(tmp_path / "t.csv", "text,label\na,\n"))
    with pytest.raises(InputError, match=r"no __label__ at the beginning \(row 1\)") as caught:
        data.read(saved(tmp_path / "t.txt", "前略\n草々\n"))
    assert "lines of __label__NAME text" in str(caught.value.hint)
    with pytest.raises(InputError, match="no labelled text: it is empty"):
        data.read(saved(tmp_path / "t.txt", ""))


# Parts


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


# The sample


def test_the_sample_has_eighty_posts_a_theme_no_two_alike_and_mixed() -> None:
    from seqcli.corpora.splits import folded

    examples = data.read(POSTS).examples
    counts = Counter(example.label for example in examples)
    assert counts == {"京都観光": 80, "携帯電話": 80, "スポーツ": 80, "グルメ": 80}
    assert len({folded(example.text) for example in examples}) == 320
    lengths = sorted(len(example.text) for example in examples)
    assert lengths[0] < 20 < 120 < lengths[-1]
    runs = sum(a.label != b.label for a, b in itertools.pairwise(examples))
    assert runs > 200


def test_no_post_names_its_own_label_in_full() -> None:
    named = [example.text for example in data.read(POSTS).examples if example.label in example.text]
    assert len(named) < 5


def test_one_label_that_is_left_to_learn_is_not_enough() -> None:
    def of(name: str, *pairs: tuple[str, str]) -> Examples:
        return Examples(name, [Example(text, label, None, f"{name}: {text}") for text, label in pairs])

    train = of("posts.csv", ("焼肉", "a"), ("寿司", "a"), ("試合", "b"), ("選手", "b"))
    with pytest.raises(InputError, match="only the label 'a' is left to learn"):
        data.partition(train, of("v.csv", ("蕎麦", "a")), of("t.csv", ("試合", "a"), ("選手", "a")))
