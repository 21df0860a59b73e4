"""seqcli corpus, as a person or a script runs it."""

from pathlib import Path

import pytest
from blog_corpus import as_folder, as_tar, files
from conftest import Run
from tables import quick  # noqa: F401  a fixture

COLUMNS = ["id", "article", "theme", "text", "tokens", "polarity", "evaluations"]


@pytest.fixture
def knbc(tmp_path: Path) -> Path:
    return as_tar(tmp_path / "knbc.tar.bz2", files())


@pytest.fixture
def posts(tmp_path: Path) -> Path:
    given = {f"{label}/{n}.txt": f"{label}の話{n}".encode() for label in ("犬", "猫") for n in range(10)}
    return as_folder(tmp_path / "posts", given)


def test_the_blog_corpus_is_a_record_an_article_or_a_sentence(run: Run, knbc: Path) -> None:
    articles = run("corpus", "knbc", knbc)
    assert [list(row) for row in articles.rows] == [COLUMNS] * 4
    assert "the theme in brackets was taken away from 4 sentences" in articles.stderr
    assert "warning: " in articles.stderr and "the published corpus has 249 and 4,186" in articles.stderr
    sentences = run("corpus", "knbc", knbc, "--unit", "sentence", "--split").rows
    assert [list(row) for row in sentences] == [[*COLUMNS, "split", "duplicate_of"]] * 6
    assert sentences[0]["tokens"] == ["焼肉", "が", "旨い", "。"]


def test_every_format_has_the_same_records(quick: Run, posts: Path) -> None:  # noqa: F811
    lines = quick("corpus", "folder", posts, "--split").rows
    assert len(lines) == 20 and {row["split"] for row in lines} == {"train", "valid", "test"}
    assert quick("corpus", "folder", posts, "--split", "--format", "json").rows == lines
    told = quick("corpus", "folder", posts, "--split", "--format", "csv").rows
    assert [(row["id"], row["title"], row["duplicate_of"]) for row in told] == [(row["id"], "", "") for row in lines]
    assert quick("corpus", "folder", posts, "--split").rows == lines
    assert quick("corpus", "folder", posts, "--split", "--seed", 1).rows != lines


def test_what_is_said_stays_off_stdout_and_quiet_leaves_the_warnings(quick: Run, posts: Path) -> None:  # noqa: F811
    (posts / "猫" / "broken.txt").write_bytes(b"\0")
    loud = quick("corpus", "folder", posts)
    assert "20 texts in 2 labels: 犬 10, 猫 10" in loud.stderr and "NUL" in loud.stderr
    quiet = quick("corpus", "folder", posts, "--quiet")
    assert quiet.stdout == loud.stdout
    assert "20 texts" not in quiet.stderr and "NUL" in quiet.stderr


def test_aozora_is_cleaned(quick: Run, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "a.txt").write_bytes("題\n作者\n\n私《わたくし》だ。\n\n底本：「本」\n".encode("cp932"))
    assert quick("corpus", "aozora", "a.txt").rows == [{"id": "a", "title": "題", "author": "作者", "text": "私だ。"}]
    assert quick("corpus", "aozora", "a.txt", "--encoding", "cp932").rows[0]["text"] == "私だ。"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("novel", "a.txt"), 2, "novel"),
        (("knbc", "missing.zip"), 3, "error: missing.zip: no such file"),
        (("knbc", "a.txt"), 3, "neither a folder nor a zip or tar archive"),
        (("folder", "posts/猫"), 3, "hint: it needs a folder for each label"),
        (("aozora", "a.txt", "--split"), 2, "error: --split"),
        (("folder", "posts", "--unit", "sentence"), 2, "error: --unit"),
        (("aozora", "a.txt", "--encoding", "klingon"), 2, "no such encoding: 'klingon'"),
        (("aozora", "a.txt", "--encoding", "euc_jp"), 3, "line 1: byte 0x82 is not euc_jp"),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(
    quick: Run, posts: Path, tmp_path: Path, words: tuple[str, ...], code: int, said: str  # noqa: F811
) -> None:  # fmt: skip
    (tmp_path / "a.txt").write_bytes("あ私だ。\n".encode("cp932"))
    ran = quick("corpus", *words, fails_with=code)
    assert said in " ".join(ran.stderr.split()) and ran.stdout == ""
