"""classify and evaluate as they are typed."""

from __future__ import annotations

import csv
import itertools
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import SAMPLES, Run, environment
from tables import quick

from seqcli.classification import explain

__all__ = ["quick"]  # the fixture

POSTS = SAMPLES / "posts.csv"
SMALL = ("--members", 1, "--epochs", 1, "--hidden", 4, "--threads", 1, "--vectors", "none")
FOOD = "昨日の焼肉は最高に美味しかった"
LABELS = {"グルメ", "スポーツ", "京都観光", "携帯電話"}


def posts(path: Path, rows: int = 40, **columns: Callable[[int], Any]) -> Path:
    """The first sample posts, with more columns."""
    with POSTS.open(encoding="utf-8", newline="") as file:
        kept = list(csv.DictReader(file))[:rows]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["text", "label", *columns], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | {name: value(k) for name, value in columns.items()} for k, row in enumerate(kept))
    return path


# classify


def test_a_text_gets_a_label_and_a_probability(quick: Run, topics: Path) -> None:
    ran = quick("classify", topics, FOOD, "")
    assert [list(row) for row in ran.rows] == [["text", "predicted", "probability"]] * 2
    assert ran.rows[0]["text"] == FOOD and ran.rows[0]["predicted"] in LABELS
    assert 0.25 <= ran.rows[0]["probability"] <= 1
    label = ran.rows[0]["predicted"]
    assert ran.stderr == f"{label}: 1; 1 row without a word was answered by how frequent the labels are\n"
    assert quick("classify", topics, "-", stdin=f"{FOOD}\r\n\r\n").rows == ran.rows
    assert quick("classify", topics, FOOD, "-q").stderr == ""


def test_a_table_keeps_its_columns_and_their_order(quick: Run, topics: Path, tmp_path: Path) -> None:
    file = posts(tmp_path / "t.csv", 30, id=lambda k: 100 - k, predicted=lambda _: "human")
    given = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    ran = quick("classify", topics, "--file", file, "--format", "csv")
    assert ran.stdout.splitlines()[0] == "text,label,id,predicted,predicted_1,probability,error"
    assert [{name: row[name] for name in given[0]} for row in ran.rows] == given
    assert "the input has a column 'predicted' already: ours is 'predicted_1'" in ran.stderr
    lines = quick("classify", topics, "--file", file)
    assert [row["predicted_1"] for row in lines.rows] == [row["predicted_1"] for row in ran.rows]
    assert set(lines.rows[0]) == {"text", "label", "id", "predicted", "predicted_1", "probability"}


@pytest.mark.parametrize("workers", [1, 2])
def test_lines_with_other_keys_never_stand_under_a_foreign_header(
    run: Run, quick: Run, topics: Path, tmp_path: Path, workers: int
) -> None:
    texts = ["焼肉", "清水寺", "試合", "携帯"]
    more: list[dict[str, str]] = [{"predicted": "x"}, {}, {"predicted_1": "y", "error": "e"}, {"author": "z"}]
    given = [other | {"text": text} for _ in range(5) for text, other in zip(texts, more, strict=True)]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(one) + "\n" for one in given), encoding="utf-8")
    answers = [quick("classify", topics, text).rows[0]["predicted"] for text in texts] * 5
    command = ("classify", topics, "--file", "p.jsonl", "--batch-size", 3)
    called = run if workers > 1 else quick
    table = called(*command, "--workers", workers, "--format", "csv")
    (header, *lines) = csv.reader(table.stdout.splitlines())
    assert header == ["predicted", "text", "predicted_1", "probability", "error"]
    assert {len(line) for line in lines} == {5}
    assert [line[0] for line in lines] == ["x", "", "", ""] * 5 and [line[1] for line in lines] == texts * 5
    assert [line[2] for line in lines] == answers and {line[4] for line in lines} == {""}
    assert [said for said in table.stderr.splitlines() if said.startswith("warning")] == [
        "warning: 15 values are not in the CSV, whose header has no such column: record 3 has 'predicted_1_1' "
        "(--format jsonl keeps all)",
        "warning: the first row has no column 'predicted_1', so it is ours; what a later row has there is in "
        "'predicted_1_1'",
        "warning: the first row has no column 'error', so it is ours; what a later row has there is in 'error_1'",
    ]
    kept = called(*command, "--workers", workers).rows
    assert [row["predicted_1"] for row in kept] == answers
    assert [(row.get("predicted_1_1"), row.get("error_1"), row.get("author")) for row in kept[:4]] == [
        (None, None, None), (None, None, None), ("y", "e", None), (None, None, "z"),
    ]  # fmt: skip
    assert not any("error" in row for row in kept)


def test_a_row_that_comes_first_and_is_bad_costs_no_column(quick: Run, topics: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('text,predicted\n"焼肉"x,1\n寿司,2\n', encoding="utf-8")
    rows = quick("classify", topics, "--file", "t.csv", "--format", "csv").rows
    assert list(rows[0]) == ["text", "predicted", "predicted_1", "probability", "error"]
    assert (rows[0]["text"], rows[1]["text"], rows[1]["predicted"]) == ("", "寿司", "2")


def test_more_is_said_where_it_is_asked_for(quick: Run, topics: Path) -> None:
    (row,) = quick("classify", topics, FOOD, "--top-k", 2, "--probabilities", "--threshold", "1").rows
    names = ["text", "predicted", "probability", "top", *(f"probability.{label}" for label in sorted(LABELS))]
    assert list(row) == names
    assert row["predicted"] == "unsure"
    assert sum(row[f"probability.{label}"] for label in LABELS) == pytest.approx(1)
    assert [one["probability"] for one in row["top"]] == sorted((row[n] for n in names[4:]), reverse=True)[:2]
    assert (
        "--threshold: 7.0 is no probability" in quick("classify", topics, FOOD, "--threshold", 7, fails_with=2).stderr
    )


@pytest.mark.parametrize("encoding", ["cp932", "euc_jp", "iso2022_jp", "utf-8-sig", "utf-16"])
def test_the_encoding_changes_nothing(quick: Run, topics: Path, tmp_path: Path, encoding: str) -> None:
    lines = ["text,id", f"{FOOD},1", "新しい携帯の電池,2"]
    (tmp_path / "t.csv").write_bytes("\r\n".join(lines).encode(encoding))
    rows = quick("classify", topics, "--file", "t.csv").rows
    assert [(row["text"], row["id"]) for row in rows] == [(FOOD, "1"), ("新しい携帯の電池", "2")]
    assert rows[0] == {**quick("classify", topics, FOOD).rows[0], "id": "1"} | {
        "probability": pytest.approx(rows[0]["probability"], abs=1e-6)
    }


def test_one_bad_row_never_stops_the_others(quick: Run, topics: Path, tmp_path: Path) -> None:
    good = f'{{"id": 1, "text": "{FOOD}"}}\n'
    bad = '{"id": 2, "text": ["x"]}\n{"id": 3, \n' + '{"id": 4, "text": "NUL \0"}\n'
    (tmp_path / "t.jsonl").write_text(good + bad + good, encoding="utf-8")
    ran = quick("classify", topics, "--file", "t.jsonl")
    assert [row.get("error", "")[:18] for row in ran.rows] == [
        "",
        "t.jsonl: row 2: co",
        "t.jsonl: row 3: no",
        "t.jsonl: row 4: ch",
        "",
    ]
    assert ran.rows[1]["predicted"] is None and ran.rows[1]["probability"] is None
    assert "3 rows could not be used: marked with an error" in ran.stderr
    skipped = quick("classify", topics, "--file", "t.jsonl", "--on-error", "skip")
    assert [row["id"] for row in skipped.rows] == [1, 1] and "3 rows could not be used: left out" in skipped.stderr
    failed = quick("classify", topics, "--file", "t.jsonl", "--on-error", "fail", "--batch-size", 1, fails_with=3)
    assert len(failed.rows) == 1 and "error: t.jsonl: row 2: column text: not text: ['x']" in failed.stderr


def test_a_csv_with_too_many_values_and_one_without_end_go_on(quick: Run, topics: Path, tmp_path: Path) -> None:
    long = "焼肉" * 8192  # 49,152 bytes: more than Sudachi takes at once
    (tmp_path / "t.csv").write_text(f"text,id\n{long},1\n寿司,2,3\n試合,4\n", encoding="utf-8")
    (tmp_path / "u.csv").write_text("text,id\n携帯,5\n", encoding="utf-8")
    rows = quick("classify", topics, "--file", "*.csv", "--format", "csv").rows
    assert [row["id"] for row in rows] == ["1", "2", "4", "5"]
    assert [row["predicted"] in LABELS for row in rows] == [True, False, True, True]
    assert rows[1]["error"] == "t.csv: row 3: 3 values, but the header names 2 columns"


def test_a_number_is_a_text_and_a_missing_value_is_none(quick: Run, topics: Path, tmp_path: Path) -> None:
    given = '{"text": 5}\n{"text": null}\n{"other": 1}\n{"text": ""}\n'
    ran = quick("classify", topics, "-", "--input-format", "jsonl", stdin=given)
    assert [row["predicted"] in LABELS for row in ran.rows] == [True, False, False, True]
    assert [row.get("error") for row in ran.rows] == [
        None,
        "stdin: row 2: column text: no text: it is null",
        "stdin: row 3: column text: no text: the row has no such column",
        None,
    ]
    assert "1 row without a word" in ran.stderr and "2 rows could not be used" in ran.stderr
    (tmp_path / "t.jsonl").write_text(given, encoding="utf-8")
    refused = quick("classify", topics, "--file", "t.jsonl", "--on-error", "fail", "--batch-size", 1, fails_with=3)
    assert len(refused.rows) == 1 and "error: t.jsonl: row 2: column text: no text" in refused.stderr
    assert len(quick("classify", topics, "--file", "t.jsonl", "--on-error", "skip").rows) == 2


@pytest.mark.parametrize("more", [(), ("--on-error", "skip"), ("--output", "out.jsonl")])
def test_a_job_whose_every_row_failed_has_failed(
    quick: Run, topics: Path, tmp_path: Path, more: tuple[str, ...]
) -> None:
    (tmp_path / "t.jsonl").write_text('{"text": null}\n' * 2, encoding="utf-8")
    ran = quick("classify", topics, "--file", "t.jsonl", *more, fails_with=3)
    assert ran.stderr.splitlines()[-2:] == [
        "error: classify: not one row could be used; the first: t.jsonl: row 1: column text: no text: it is null",
        "hint: check --input-format, --text-column and --encoding",
    ]
    kept = (tmp_path / "out.jsonl").read_text(encoding="utf-8") if "--output" in more else ran.stdout
    assert kept.count("no text") == 2 * ("skip" not in more)


def test_a_table_in_a_pipe_without_its_format_is_warned_of(quick: Run, topics: Path) -> None:
    ran = quick("classify", topics, "-", stdin="text,label\n焼肉,グルメ\n")
    assert [row["text"] for row in ran.rows] == ["text,label", "焼肉,グルメ"]
    assert ran.stderr.count("warning: stdin: the first line, 'text,label', is the header of a table") == 1
    table = quick("classify", topics, "-", "--input-format", "csv", stdin="text,label\n焼肉,グルメ\n")
    assert [row["text"] for row in table.rows] == ["焼肉"] and "warning" not in table.stderr


def test_a_missing_column_names_those_there_are(quick: Run, topics: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("body,id\nx,1\n", encoding="utf-8")
    said = quick("classify", topics, "--file", "t.csv", fails_with=3).stderr
    assert "error: t.csv: no column 'text'; there are: body, id" in said
    assert "--text-column" in said
    assert quick("classify", topics, "--file", "t.csv", "--text-column", "body").rows[0]["id"] == "1"


def test_reasons_are_records_in_a_pipe_and_marks_on_a_terminal(quick: Run, topics: Path) -> None:
    (row,) = quick("classify", topics, FOOD, "--explain").rows
    assert [list(one) for one in row["explanation"]] == [["token", "start", "end", "attention", "effect"]] * len(
        row["explanation"]
    )
    assert [FOOD[one["start"] : one["end"]] for one in row["explanation"]] == [o["token"] for o in row["explanation"]]
    plain = quick("classify", topics, FOOD, "--explain", "--format", "table").stdout.splitlines()
    assert plain[0].split()[0] == row["predicted"]
    assert "[+" in plain[1] and "\x1b" not in plain[1]
    bright = quick("classify", topics, FOOD, "--explain", "--format", "table", FORCE_COLOR="1")
    assert "\x1b[30;48;5;" in bright.stdout and bright.stderr.startswith("blue speaks for the label, red against it\n")
    plain = quick("classify", topics, FOOD, "--explain", "--format", "table", "--text-column", "body")
    assert "[+ ] speaks for the label, [- ] against it" in plain.stderr and FOOD[:2] in plain.stdout


def test_an_explanation_is_drawn(quick: Run, topics: Path, tmp_path: Path) -> None:
    assert "explanation" in quick("classify", topics, FOOD, "試合", "--plot", "x.png").rows[1]
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "t.csv").write_text(f"body,id\n,0\n{FOOD},1\n", encoding="utf-8")
    table = ("classify", topics, "--file", "t.csv", "--text-column", "body", "--format", "csv", "--plot")
    assert "x.svg shows the first text" in quick(*table, "x.svg").stderr
    assert (
        "no text has a word to draw: there is no none.svg" in quick("classify", topics, "", "--plot", "none.svg").stderr
    )
    assert not (tmp_path / "none.svg").exists()
    assert "no picture" in quick("classify", topics, FOOD, "--plot", "x.pdf", fails_with=2).stderr


def test_processes_change_nothing(run: Run, topics: Path, tmp_path: Path) -> None:
    file = posts(tmp_path / "t.csv", 60)
    one = run("classify", topics, "--file", file, "--batch-size", 8)
    two = run("classify", topics, "--file", file, "--batch-size", 8, "--workers", 2)
    assert one.stdout == two.stdout and one.stderr == two.stderr


def test_a_file_that_was_stopped_is_finished_by_the_same_command(
    quick: Run, topics: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    posts(tmp_path / "t.csv", 30)
    words = ("classify", topics, "--file", "t.csv", "--batch-size", 4, "--explain", "--output")
    explained, before = itertools.count(1), explain.explanation

    def stopping(*arguments: Any) -> Any:
        if next(explained) == 15:
            signal.raise_signal(signal.SIGINT)
        return before(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(explain, "explanation", stopping)
        said = quick(*words, "cut.jsonl", fails_with=130).stderr
    assert "error: cut.jsonl: stopped after 12" in said and "it goes on from there" in said
    assert not (tmp_path / "cut.jsonl").exists()
    again = quick(*words, "cut.jsonl", "-v").stderr
    assert "going on after 12 rows" in again and "30 rows in cut.jsonl" in again
    quick(*words, "whole.jsonl")
    assert (tmp_path / "cut.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    refused = quick(*words, "x.csv", fails_with=2).stderr
    assert "records are written as JSON lines" in refused and "--format csv > out.csv" in refused


def test_a_line_needs_no_heavy_package(topics: Path, folders: dict[str, str]) -> None:
    code = (
        "import sys; from seqcli.__main__ import load\n"
        f"sys.argv = ['seqcli', 'classify', {str(topics)!r}, '-']\n"
        "try: load()()\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'sklearn', 'scipy', 'pandas', 'spacy', 'gensim', 'matplotlib', 'pydantic', 'rich'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", code], input=FOOD.encode(), capture_output=True, env=environment(**folders), check=True
    )


def test_a_reader_that_goes_away_is_no_error(topics: Path, tmp_path: Path, folders: dict[str, str]) -> None:
    file = posts(tmp_path / "t.csv", 320)
    command = [
        sys.executable,
        "-m",
        "seqcli",
        "classify",
        str(topics),
        "--file",
        str(file),
        "--batch-size",
        "4",
        "--explain",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(**folders)
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert json.loads(process.stdout.readline())["predicted"] in LABELS
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_a_live_pipe_is_answered_line_by_line(topics: Path, folders: dict[str, str]) -> None:
    command = [sys.executable, "-m", "seqcli", "classify", str(topics), "-", "--batch-size", "1"]
    pipe: Any = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment(**folders)) as process:
        assert process.stdin is not None and process.stdout is not None
        for text in (FOOD, "試合"):
            process.stdin.write(f"{text}\n".encode())
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["text"] == text
        process.stdin.close()
    assert process.returncode == 0


def test_only_a_whole_classifier_classifies(quick: Run, topics: Path, fx: Path, tmp_path: Path) -> None:
    assert "is a forecaster, not a classifier" in quick("classify", fx, FOOD, fails_with=4).stderr
    assert "no such model folder" in quick("classify", "none", FOOD, fails_with=4).stderr
    copy = shutil.copytree(topics, tmp_path / "copy")
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    assert "model.safetensors" in quick("classify", "copy", FOOD, fails_with=4).stderr


def test_something_must_be_given_to_classify(quick: Run, topics: Path) -> None:
    assert "no text" in quick("classify", topics, fails_with=2).stderr
    assert "both arguments and --file" in quick("classify", topics, FOOD, "--file", "t.txt", fails_with=2).stderr
    assert "no such file" in quick("classify", topics, "--file", "t.txt", fails_with=3).stderr


# evaluate


def test_a_model_is_measured_on_labelled_texts(quick: Run, topics: Path) -> None:
    ran = quick("evaluate", topics, POSTS)
    (row,) = ran.rows
    scores = ("accuracy", "macro_f1", "log_loss", "calibration_error")
    names = [name + end for name in scores for end in ("", "_low", "_high")]
    assert list(row) == ["n", *names, "seconds"]
    assert row["n"] == 320
    for name in scores[:3]:
        assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]
    assert f"accuracy {row['accuracy']:.4f}" in ran.stderr
    answers = quick("classify", topics, "--file", POSTS).rows
    assert row["accuracy"] == sum(one["label"] == one["predicted"] for one in answers) / 320


def test_each_label_is_measured_too(quick: Run, topics: Path) -> None:
    rows = quick("evaluate", topics, POSTS, "--per-class", "--workers", 2).rows
    assert [list(row) for row in rows] == [["label", "n", "precision", "recall", "f1"]] * 4
    assert {row["label"] for row in rows} == LABELS and sum(row["n"] for row in rows) == 320


def test_what_cannot_be_evaluated_is_said(quick: Run, topics: Path, fx: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,label\n焼肉,グルメ\n猫,動物\n", encoding="utf-8")
    said = quick("evaluate", topics, "t.csv", fails_with=3).stderr
    assert "error: t.csv: row 3: the label '動物' (1 row) is none of the model's: " in said
    assert f"hint: seqcli backtest {fx}" in quick("evaluate", fx, "t.csv", fails_with=4).stderr
    assert (
        "--per-line: a classifier has nothing" in quick("evaluate", topics, "t.csv", "--per-line", fails_with=2).stderr
    )
    assert "no column 'tag'" in quick("evaluate", topics, "t.csv", "--label-column", "tag", fails_with=3).stderr


def test_what_was_left_out_is_counted(quick: Run, topics: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("__label__グルメ 焼肉\n__label__スポーツ\nno label\n", encoding="utf-8")
    ran = quick("evaluate", topics, "t.txt")
    assert ran.rows[0]["n"] == 1
    assert "1 row left out: no __label__ at the beginning" in ran.stderr


def test_a_model_that_is_measured_on_its_own_lessons_is_told_so(quick: Run, topics: Path) -> None:
    assert "warning: the model has learnt from 288 of these 320 texts" in quick("evaluate", topics, POSTS).stderr
