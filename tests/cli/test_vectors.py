"""embed, similar and train-vectors as they are typed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run, environment
from tables import quick

__all__ = ["quick"]  # the fixture

COURSE = "私は焼肉をよく食べる"


@pytest.fixture(scope="module", autouse=True)
def _store(folders: dict[str, str]) -> None:
    """GiNZA's table in the cache, so that no single test pays for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQCLI_CACHE_DIR", folders["SEQCLI_CACHE_DIR"])
        from seqcli.core.word_vectors import open_vectors

        open_vectors()


def test_similar_prints_records_and_keeps_its_notes_to_stderr(run: Run) -> None:
    ran = run("similar", "焼肉", "-n", 2)
    assert [list(row) for row in ran.rows] == [["query", "rank", "item", "score"]] * 2
    assert [row["item"] for row in ran.rows] == ["焼き鳥", "ステーキ"]
    assert ran.stderr == "焼肉 answers as 焼き肉, its normalized form\n"
    assert run("similar", "焼肉", "-n", 2, "-q").stderr == ""
    assert "\\u" not in ran.stdout


def test_similar_fails_only_if_every_query_failed(run: Run) -> None:
    ran = run("similar", "-", "-n", 1, stdin="テスト\r\nxqzzwv\n薬\n")
    assert [row["item"] for row in ran.rows] == ["試験", "処方"]
    assert ran.stderr.startswith("warning: query xqzzwv: no vector")
    lost = run("similar", "テスツ", fails_with=3)
    assert lost.stdout == ""
    assert "error: query テスツ: no vector; tried テスツ" in lost.stderr
    assert "hint: did you mean テスト" in lost.stderr
    assert "error: query: is empty" in run("similar", "", fails_with=3).stderr
    assert "nothing is asked" in run("similar", fails_with=2).stderr


def test_similar_searches_the_lines_of_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_bytes("犬を飼う。\r\n株が上がった。\r\n".encode("cp932"))
    rows = run("similar", "相場", "--in", "lines.txt").rows
    assert [row["item"] for row in rows] == ["株が上がった。", "犬を飼う。"]
    assert "no such file" in run("similar", "相場", "--in", "none.txt", fails_with=3).stderr


def test_similar_needs_neither_spacy_nor_torch_nor_the_tokenizer(folders: dict[str, str]) -> None:
    code = (
        "import sys; from seqcli.__main__ import load\n"
        "sys.argv = ['seqcli', 'similar', 'テスト', '-n', '1']\n"
        "try: load()()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'spacy', 'sudachipy', 'scipy', 'pandas', 'gensim', 'rich'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment(**folders), check=True)
    assert ran.stdout.decode().splitlines()[-1] == "[]"


def test_vectors_are_learned_without_torch(folders: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("猫と犬\n" * 20, encoding="utf-8")
    code = (
        "import sys; from seqcli.__main__ import load\n"
        "try: load()(['train-vectors', 'corpus.txt', '--out', 'model', '--min-count', '1', '--dim', '2'])\n"
        "except SystemExit as end: assert not end.code\n"
        "print('gensim' in sys.modules, 'torch' in sys.modules)"
    )
    command, env = [sys.executable, "-c", code], environment(**folders)
    ran = subprocess.run(command, capture_output=True, env=env, check=True, cwd=tmp_path, text=True)
    assert ran.stdout.splitlines()[-1] == "True False"


def test_embed_prints_the_table_of_the_course(run: Run) -> None:
    rows = run("embed", COURSE, "--lookup", "surface").rows
    assert [row["token"] for row in rows] == ["私", "は", "焼肉", "を", "よく", "食べる"]
    assert [round(value, 8) for value in rows[0]["vector"][:2]] == [-0.13697676, -0.23937745]
    assert not any(rows[2]["vector"]) and not any(rows[4]["vector"])
    table = run("embed", COURSE, "--lookup", "surface", "--format", "table").stdout.splitlines()
    assert table[1].split()[:3] == ["私", "-0.13697676", "-0.23937745"]
    csv = run("embed", COURSE, "--format", "csv").stdout.splitlines()
    assert csv[0] == "token,vector" and csv[1].startswith('私,"[-0.13697')


def test_embed_is_a_filter_of_tables(run: Run) -> None:
    given = '{"id": 1, "body": "猫が好き"}\n{"id": 2}\n{"id": 3, "body": ["x"]}\n'
    options = ("--unit", "text", "--input-format", "jsonl", "--text-column", "body")
    ran = run("embed", "-", *options, stdin=given)
    assert [list(row) for row in ran.rows] == [
        ["id", "body", "vector"], ["id", "body", "vector", "error"], ["id", "body", "vector", "error"]
    ]  # fmt: skip
    assert ran.rows[1]["vector"] is None and "no text: the row has no such column" in ran.rows[1]["error"]
    assert ran.rows[2]["vector"] is None and "not text" in ran.rows[2]["error"]
    assert [row["id"] for row in run("embed", "-", *options, "--on-error", "skip", stdin=given).rows] == [1]
    failed = run("embed", "-", *options, "--on-error", "fail", stdin=given, fails_with=3)
    assert "row 2: column body: no text" in failed.stderr
    lines = run("embed", "-", *options, "--format", "csv", stdin=given).stdout.splitlines()
    assert lines[0] == "id,body,vector,error" and len(lines) == 4


@pytest.mark.parametrize("unit", ["word", "text"])
@pytest.mark.parametrize("to", [(), ("--output", "x.jsonl")])
def test_embed_fails_where_not_one_row_could_be_used(
    quick: Run, tmp_path: Path, unit: str, to: tuple[str, ...]
) -> None:
    (tmp_path / "t.jsonl").write_text('{"text": null}\n{"text": ["x"]}\n', encoding="utf-8")
    ran = quick("embed", "--file", "t.jsonl", "--unit", unit, *to, fails_with=3)
    error, hint = ran.stderr.splitlines()[-2:]
    assert error.startswith("error: embed: not one row could be used; the first: t.jsonl: row 1: column text: no text")
    assert hint.startswith("hint: check --input-format")
    written = (tmp_path / "x.jsonl").read_text(encoding="utf-8") if to else ran.stdout
    assert written.count('"error"') == (2 if unit == "text" else 0)
    (tmp_path / "t.jsonl").write_text('{"text": null}\n{"text": "猫"}\n', encoding="utf-8")
    assert "1 row could not be used" in quick("embed", "--file", "t.jsonl", "--unit", unit, *to).stderr


def test_embed_writes_a_file_and_says_how_many_rows(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("猫\n犬\n", encoding="utf-8")
    ran = run("embed", "--file", "t.txt", "--unit", "text", "--output", "x.npy")
    assert ran.stdout == "" and "2 rows in x.npy" in ran.stderr
    assert np.load(tmp_path / "x.npy").shape == (2, 300)
    assert "no format of vectors" in run("embed", "猫", "--output", "x.bin", fails_with=2).stderr
    assert "no such folder" in run("embed", "猫", "--model", "hf:none", fails_with=4).stderr


def test_embed_reads_no_more_than_it_is_given(run: Run) -> None:
    assert "no text" in run("embed", fails_with=2).stderr


def test_vectors_are_trained_reported_and_used(run: Run, tmp_path: Path) -> None:
    lines = ["猫と犬が庭で遊ぶ。", "犬と猫が家で眠る。", "円と株が市場で動く。"] * 30
    (tmp_path / "corpus.txt").write_text("\n".join(lines), encoding="utf-8")
    train: tuple[Any, ...] = ("train-vectors", "corpus.txt", "--out", "m", "--method", "ppmi-svd", "--dim", 4)
    ran = run(*train)
    assert [row["model"] for row in ran.rows] == ["ppmi-svd", "ginza"]
    assert "saved in m" in ran.stderr
    again = run(*train, fails_with=4)
    assert "already holds a model" in again.stderr
    assert "tokens from the cache" in run(*train, "--overwrite").stderr
    assert len(run("similar", "猫", "--model", "m", "-n", 1).rows) == 1
    assert len(run("embed", "猫と犬", "--model", "m").rows[0]["vector"]) == 4
    assert json.loads(run("info", "m", "--format", "jsonl").stdout)["kind"] == "vectors"


def test_a_hostile_vectors_file_is_refused_in_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "v.vec").write_text("9999999999 300\na 1 2\n", encoding="utf-8")
    ran = run("similar", "猫", "--model", "v.vec", fails_with=3)
    assert "its header names 9999999999 vectors of 300 dimensions" in ran.stderr
    assert "did you mean ginza" in run("similar", "猫", "--model", "gniza", fails_with=3).stderr


@pytest.mark.parametrize("command", ["embed", "similar", "train-vectors"])
def test_every_command_has_help_with_an_example(run: Run, command: str) -> None:
    assert f"Example: seqcli {command}" in run(command, "--help").stdout
