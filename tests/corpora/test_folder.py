"""A folder a label: what is a label, what is a title, what is left out; livedoor's corpus where it is there."""

import os
from collections import Counter
from pathlib import Path

import pytest
from blog_corpus import as_folder, as_tar, as_zip

from seqcli.corpora import folder
from seqcli.errors import InputError

HERE = Path(__file__).parents[2]
LIVEDOOR = Path(os.environ.get("LIVEDOOR", HERE.parent / "shared/data/livedoor/livedoor-news-corpus.tar.gz"))

POSTS = {
    "猫/1.txt": "猫は魚が好きだ。\n毎日食べる。\n".encode(),
    "猫/2.txt": "猫は寝てばかりいるし、魚しか食べない。".encode("cp932"),
    "犬/1.txt": "犬は散歩が好きだし、毎日歩いている。".encode("euc_jp"),
}
NEWS = "http://example.com/1/\n2010-05-22T14:30:00+0900\n題\n　本文。\n\n続き。\n"


def test_the_folder_is_the_label_in_any_encoding(tmp_path: Path) -> None:
    rows = folder.records(as_folder(tmp_path, POSTS)).records
    assert rows == (
        {"id": "犬/1", "label": "犬", "title": None, "text": "犬は散歩が好きだし、毎日歩いている。"},
        {"id": "猫/1", "label": "猫", "title": None, "text": "猫は魚が好きだ。\n毎日食べる。"},
        {"id": "猫/2", "label": "猫", "title": None, "text": "猫は寝てばかりいるし、魚しか食べない。"},
    )


def test_one_text_of_one_label_is_counted_as_one(tmp_path: Path) -> None:
    one = folder.records(as_folder(tmp_path, {"猫/1.txt": POSTS["猫/1.txt"]}))
    assert one.sentences == ("1 text in 1 label: 猫 1",)


def test_an_archive_of_the_folder_gives_the_same(tmp_path: Path) -> None:
    expected = folder.records(as_folder(tmp_path / "posts", POSTS)).records
    inside = {f"posts/{name}": data for name, data in POSTS.items()}
    assert folder.records(as_zip(tmp_path / "posts.zip", inside)).records == expected
    assert folder.records(as_tar(tmp_path / "posts.tar.gz", inside, "w:gz")).records == expected
    assert folder.records(as_folder(tmp_path / "outer", inside)).records == expected


def test_the_outermost_folder_that_tells_texts_apart_is_the_label(tmp_path: Path) -> None:
    deep = {"root/a/2020/x.txt": b"x", "root/a/2021/x.txt": b"y", "root/b/x.txt": b"z", "root/stray.txt": b"s"}
    result = folder.records(as_zip(tmp_path / "deep.zip", deep))
    assert [(row["id"], row["label"]) for row in result.records] == [("a/2020/x", "a"), ("a/2021/x", "a"), ("b/x", "b")]
    assert result.warnings == ("root/stray.txt: is in no label's folder",)
    one = folder.records(as_zip(tmp_path / "one.zip", {"root/a/x.txt": b"x", "root/a/y.txt": b"y"}))
    assert {row["label"] for row in one.records} == {"a"}


def test_livedoors_layout_has_a_title(tmp_path: Path) -> None:
    given = {"news/1.txt": NEWS.encode(), "news/2.txt": b"http://example.com/\nno date\n", "other/LICENSE.txt": b"x"}
    rows = folder.records(as_folder(tmp_path, given | {"other/3.txt": NEWS.replace("\n", "\r\n").encode()})).records
    assert (rows[0]["title"], rows[0]["text"]) == ("題", "本文。\n\n続き。")
    assert (rows[1]["title"], rows[1]["text"]) == (None, "http://example.com/\nno date")
    assert rows[2]["text"] == rows[0]["text"]
    assert len(rows) == 3


def test_what_is_no_text_is_told_and_left_out(tmp_path: Path) -> None:
    bad = {"猫/empty.txt": b" \n", "猫/picture.png": b"\x89PNG\0", "stray.txt": b"x"}
    hidden = {"猫/.DS_Store": b"\0", ".git/x/y": b"x", "猫/README.md": b"x", "犬/LICENSE.txt": b"x"}
    result = folder.records(as_folder(tmp_path, POSTS | bad | hidden))
    assert len(result.records) == 3
    assert sorted(warning.partition(":")[0] for warning in result.warnings) == sorted(bad)


def test_two_files_of_one_stem_are_two_ids(tmp_path: Path) -> None:
    rows = folder.records(as_folder(tmp_path, {"a/1.md": b"x", "a/1.txt": b"y", "b/1.txt": b"z"})).records
    assert [row["id"] for row in rows] == ["a/1", "a/1#2", "b/1"]


def test_no_label_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no text in a label's folder: a\.txt: is in no label's folder"):
        folder.records(as_folder(tmp_path / "flat", {"a.txt": b"x"}))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no files"):
        folder.records(tmp_path / "empty")


def test_a_split_tells_its_parts_and_its_duplicates(tmp_path: Path) -> None:
    posts = {f"{label}/{n}.txt": f"{label} {n}".encode() for label in ("a", "b") for n in range(20)}
    result = folder.records(as_folder(tmp_path / "posts", posts), split=True)
    assert Counter((row["label"], row["split"]) for row in result.records)["a", "test"] == 2
    assert "split: train 32, valid 4, test 4" in result.sentences and not result.warnings
    kept, test = (next(row for row in result.records if row["split"] == part) for part in ("train", "test"))
    (tmp_path / "posts" / f"{test['id']}.txt").write_text(kept["text"].replace(" ", "　\n"), encoding="utf-8")
    again = folder.records(tmp_path / "posts", split=True)
    assert [row["duplicate_of"] for row in again.records if row["id"] == test["id"]] == [kept["id"]]
    assert "1 text of valid and test also stands" in again.warnings[0]


@pytest.mark.skipif(not LIVEDOOR.exists(), reason="the livedoor news corpus is not there; LIVEDOOR names its archive")
def test_livedoors_corpus_is_read_whole() -> None:
    result = folder.records(LIVEDOOR, split=True)
    assert len(result.records) == 7_367
    assert len({row["id"] for row in result.records}) == 7_367
    assert Counter(row["label"] for row in result.records)["sports-watch"] == 900
    assert all(row["title"] and row["text"] for row in result.records)
    assert Counter(row["split"] for row in result.records) == {"train": 5_895, "valid": 736, "test": 736}
    assert sum(row["duplicate_of"] is not None for row in result.records) == 5
