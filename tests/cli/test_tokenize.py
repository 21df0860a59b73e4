"""seqcli tokenize, as a person or a script runs it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Run, environment

COLUMNS = ["text", "token", "dictionary", "normalized", "pos", "start", "end"]


def test_a_record_a_token(run: Run) -> None:
    rows = run("tokenize", "猫が好きだった", "# 犬").rows
    assert list(rows[0]) == COLUMNS
    assert [(row["text"], row["token"]) for row in rows] == [
        (1, "猫"), (1, "が"), (1, "好き"), (1, "だっ"), (1, "た"), (2, "#"), (2, "犬"),
    ]  # fmt: skip
    assert rows[3] == dict(zip(COLUMNS, [1, "だっ", "だ", "だ", "助動詞", 4, 6], strict=True))


def test_every_format_has_the_same_records(run: Run) -> None:
    lines = run("tokenize", "猫,犬").rows
    assert run("tokenize", "猫,犬", "--format", "json").rows == lines
    assert [row["token"] for row in run("tokenize", "猫,犬", "--format", "csv").rows] == ["猫", ",", "犬"]
    table = run("tokenize", "猫,犬", "--format", "table").stdout.splitlines()
    assert table[0].split() == COLUMNS and len(table) == 4


def test_wakati_gives_a_line_for_each_line(run: Run) -> None:
    given = "# 今日は　雨\r\n\n国家公務員\n終わり"
    expected = "# 今日 は 雨\n\n国家公務員\n終わり\n"
    assert run("tokenize", "--wakati", "-", stdin=given).stdout == expected
    assert run("tokenize", "--wakati", "--split-mode", "A", "国家公務員").stdout == "国家 公務 員\n"
    assert run("tokenize", "--wakati", "--form", "normalized", "引越した").stdout == "引っ越し 為る た\n"
    assert run("tokenize", "--wakati", "--tokenizer", "char", "the 猫").stdout == "t h e 猫\n"
    assert run("tokenize", "--wakati", "--tokenizer", "whitespace", "the 猫だ").stdout == "the 猫だ\n"
    assert run("tokenize", "--wakati", "--normalize", "nfkc", "ｶﾞｽとＡ").stdout == "ガス と A\n"


def test_a_bad_line_does_not_stop_the_pipe(run: Run) -> None:
    given = "猫です\n".encode() * 12 + b"\xe7\x8c\xab\xff\n" + "犬".encode()
    marked = run("tokenize", "--wakati", "-", stdin=given)
    assert marked.stdout.splitlines()[12:] == ["猫 �", "犬"]
    assert "warning: 1 line" in marked.stderr and "row 13" in marked.stderr
    assert run("tokenize", "--wakati", "--on-error", "skip", "-", stdin=given).stdout.splitlines()[12:] == ["犬"]
    failed = run("tokenize", "--wakati", "--on-error", "fail", "-", stdin=given, fails_with=3)
    assert failed.stdout.count("猫 です") == 12 and "row 13" in failed.stderr


def test_a_file_over_two_processes_keeps_its_order(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"{number}番の国家公務員\n" for number in range(700)), encoding="cp932")
    one = run("tokenize", "--wakati", "--file", path)
    assert one.stdout.splitlines()[699] == "699 番 の 国家公務員"
    assert run("tokenize", "--wakati", "--file", path, "--workers", 2).stdout == one.stdout
    rows = run("tokenize", "--file", path, "--workers", 2).rows
    assert [row["text"] for row in rows[::4]] == list(range(1, 701))
    run("tokenize", "--wakati", "--file", path, "--workers", 2, "--output", "out.txt")
    assert (tmp_path / "out.txt").read_text(encoding="utf-8") == one.stdout
    run("tokenize", "--file", path, "--output", "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text(encoding="utf-8") == run("tokenize", "--file", path).stdout


@pytest.mark.parametrize("workers", [1, 2])
def test_head_is_quiet(tmp_path: Path, workers: int) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("国家公務員の引越し。\n" * 20_000, encoding="utf-8")
    command = [sys.executable, "-m", "seqcli", "tokenize", "--wakati", "--workers", str(workers), "--file", str(path)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    assert running.stdout is not None and running.stderr is not None
    assert running.stdout.readline().decode() == "国家公務員 の 引越し 。\n"
    running.stdout.close()
    with running.stderr:
        assert running.stderr.read() == b""
    assert running.wait(20) == 0


def test_a_pipe_that_is_still_written_is_answered_line_by_line() -> None:
    command = [sys.executable, "-m", "seqcli", "tokenize", "--wakati", "-"]
    running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment())
    assert running.stdin is not None and running.stdout is not None
    for _ in range(2):
        running.stdin.write("猫です\n".encode())
        running.stdin.flush()
        assert running.stdout.readline().decode() == "猫 です\n"
    running.communicate(timeout=20)
    assert running.returncode == 0


KILLED = """
import os, signal
from seqcli.__main__ import main
from seqcli.core import bulk

class Sink(bulk.Sink):
    def append(self, data, items=1):
        super().append(data, items)
        if self.done > 500:
            self.save()
            os.kill(os.getpid(), signal.SIGKILL)

bulk.Sink = Sink
main()
"""


def test_a_killed_run_into_a_file_goes_on(run: Run, tmp_path: Path) -> None:
    path, out = tmp_path / "lines.txt", tmp_path / "out.txt"
    path.write_text("国家公務員の引越しである。\n" * 2_000, encoding="utf-8")
    words = ("tokenize", "--wakati", "--file", path, "--output", out)
    killed = subprocess.run([sys.executable, "-c", KILLED, *map(str, words)], env=environment(), check=False)
    assert killed.returncode == -signal.SIGKILL
    journal, partial = tmp_path / "out.txt.partial.json", tmp_path / "out.txt.partial"
    assert journal.exists() and not out.exists()
    with partial.open("r+b") as file:
        file.write("犬".encode())  # what was made to last is not written again
    run(*words)
    assert out.read_text(encoding="utf-8") == ("国家公務員 の 引越し で ある 。\n" * 2_000).replace("国", "犬", 1)
    assert not journal.exists()


def test_words_of_the_user(run: Run, tmp_path: Path) -> None:
    noun = "猫耳喫茶店長,4786,4786,-5000,猫耳喫茶店長,名詞,普通名詞,一般,*,*,*,ネコミミ,猫耳喫茶店長,*,*,*,*,*\n"
    (tmp_path / "words.csv").write_text(noun, encoding="utf-8")
    command = ("tokenize", "--wakati", "--user-dictionary", "words.csv")
    assert run(*command, "猫耳喫茶店長だ").stdout == "猫耳喫茶店長 だ\n"
    (tmp_path / "words.csv").write_text(noun + "猫,1\n", encoding="utf-8")
    assert "error: words.csv: row 2: 2 columns" in run(*command, "猫", fails_with=3).stderr


def test_what_does_not_go_together_is_said(run: Run) -> None:
    assert "no text was given" in run("tokenize", fails_with=2).stderr
    assert "--wakati" in run("tokenize", "--wakati", "--analyze", "猫", fails_with=2).stderr
    assert (
        "needs a dictionary"
        in run("tokenize", "--tokenizer", "char", "--form", "normalized", "猫", fails_with=2).stderr
    )
    assert ".jsonl" in run("tokenize", "猫", "--output", "out.csv", fails_with=2).stderr
    assert "no such file" in run("tokenize", "--file", "missing.txt", fails_with=3).stderr


def test_analyze_adds_the_tree(run: Run) -> None:
    pytest.importorskip("ja_ginza")
    rows = run("tokenize", "--analyze", "# 猫が走る。").rows
    assert list(rows[0]) == [
        "text", "sentence", "id", "token", "dictionary", "normalized", "pos", "upos", "reading", "head", "deprel",
        "entity", "bunsetsu", "start", "end",
    ]  # fmt: skip
    assert [row["token"] for row in rows] == ["#", "猫", "が", "走る", "。"]
    assert rows[2]["head"] == 2 and rows[3]["head"] == 0
