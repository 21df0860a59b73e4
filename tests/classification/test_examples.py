"""Labelled texts from every source, what is left out of them, and the posts that come with the package."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from labelled import POSTS, pairs, saved, table

from seqcli.classification import data
from seqcli.errors import InputError, UsageError

ROWS = [("焼肉を食べた", "グルメ"), ("清水寺へ行った", "京都観光"), ("電池が切れた", "携帯電話")]


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


# The sample


def test_the_sample_has_eighty_posts_a_theme_no_two_alike_and_mixed() -> None:
    from seqcli.core.texts import folded

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
