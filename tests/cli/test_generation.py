"""A language model from the command line: trained, written with, asked, and measured."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Ran, Run, environment, seqcli
from tables import quick

pty = pytest.importorskip("pty", reason="only Unix has pseudo-terminals")

__all__ = ["quick"]  # a fixture

SENTENCES = (
    "私は焼肉をよく食べる。", "猫は魚をよく食べる。", "犬は肉をよく食べる。", "彼は朝にパンを食べる。",
    "私たちは夜にごはんを食べる。", "鳥は木の実をよく食べる。", "友だちは昼にラーメンを食べる。",
)  # fmt: skip
TEXT = "".join(SENTENCES[(k * k) % 7] + ("\n" if k % 3 else "") for k in range(400))
SMALL = ("--epochs", 1, "--hidden", 8, "--threads", 1, "--batch-size", 4, "--bptt", 16, "--order", 4)
HEAVY = {"torch", "pandas", "scipy", "sklearn", "spacy", "sentencepiece", "sudachipy", "matplotlib"}


@pytest.fixture(scope="module")
def trained(folders: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """A folder with a model ``writer`` and its three texts, and what its training said."""
    base = tmp_path_factory.mktemp("generator")
    for name, part in (
        ("train", TEXT),
        ("valid", TEXT[500:1200]),
        ("test", "犬は夜に魚を食べる。\n猫は木の実を食べる。" * 8),
    ):
        (base / f"{name}.txt").write_text(part, encoding="utf-8")
    words = ("train-generator", "train.txt", "--valid", "valid.txt", "--test", "test.txt", "--out", "writer", *SMALL)
    return base, seqcli(*words, folder=base, **folders)


@pytest.fixture
def writer(trained: tuple[Path, Ran], tmp_path: Path) -> Path:
    """The model, beside the folder that a command runs in."""
    shutil.copytree(trained[0], tmp_path, dirs_exist_ok=True)
    return tmp_path / "writer"


def test_a_training_ends_with_a_record_for_the_model_and_for_each_baseline(trained: tuple[Path, Ran]) -> None:
    base, ran = trained
    of_test = [row for row in ran.rows if row["part"] == "test" and row["model"] != "mixture-no-cache"]
    assert [row["model"] for row in of_test] == ["mixture", "lstm", "kneser-ney", "unigram", "uniform"]
    assert all(math.isfinite(row["bits_per_char"]) and row["bpc_open"] >= row["bits_per_char"] for row in of_test)
    assert {"seqcli.json", "config.json", "vocab.json", "model.safetensors", "ngram.safetensors", "README.md"} <= {
        file.name for file in (base / "writer").iterdir()
    }
    assert "Next: seqcli generate writer" in ran.stderr


def test_evaluate_finds_what_the_report_of_the_training_says(quick: Run, writer: Path) -> None:
    reported = json.loads((writer / "seqcli.json").read_text(encoding="utf-8"))["metrics"]
    wanted = {row["model"]: row for row in reported if row["part"] == "test"}
    rows = quick("evaluate", "writer", "test.txt").rows
    assert [row["model"] for row in rows] == ["mixture", "lstm", "kneser-ney"]
    for row in rows:
        for figure in ("n", "characters", "bits_per_char", "bpc_open", "perplexity"):
            assert row[figure] == pytest.approx(wanted[row["model"]][figure], rel=1e-4)


def test_the_same_seed_writes_the_same_text(quick: Run, writer: Path) -> None:
    words = ("generate", "writer", "--prompt", "私は", "--length", 30, "--seed", 4)
    row = quick(*words).rows[0]
    assert list(row) == ["prompt", "text", "log_probability", "ended"]
    assert row["prompt"] == "私は"
    assert len(row["text"]) == 30
    assert quick(*words).rows == [row]
    assert quick(*words[:-1], 5).rows != [row]


def test_a_text_without_a_seed_can_be_had_again(quick: Run, writer: Path) -> None:
    first = quick("generate", "writer", "--length", 40)
    seed = first.stderr.split("--seed ")[1].split()[0]
    again = quick("generate", "writer", "--length", 40, "--seed", seed)
    assert again.rows == first.rows
    assert again.stderr == ""
    assert quick("generate", "writer", "--length", 40).rows != first.rows


def test_many_texts_come_as_json_lines_from_one_run(quick: Run, writer: Path) -> None:
    rows = quick("generate", "writer", "-n", 300, "--length", 12, "--seed", 1).rows
    assert len(rows) == 300
    assert len({row["text"] for row in rows}) > 100
    assert rows[:2] == quick("generate", "writer", "-n", 2, "--length", 12, "--seed", 1).rows


def test_each_line_of_standard_input_is_completed(quick: Run, writer: Path) -> None:
    ran = quick("generate", "writer", "--prompt", "-", "--length", 5, "-n", 2, stdin="私は\n\n象は".encode())
    assert [row["prompt"] for row in ran.rows] == ["私は", "私は", "", "", "象は", "象は"]
    assert ran.stderr.count("warning: ") == 1
    assert "象" in ran.stderr


def test_in_another_encoding_too(quick: Run, writer: Path) -> None:
    ran = quick("generate", "writer", "--prompt", "-", "--length", 5, stdin="私は焼肉をよく食べる\n".encode("euc_jp"))
    assert [row["prompt"] for row in ran.rows] == ["私は焼肉をよく食べる"]


def test_of_equal_texts_there_is_a_warning(quick: Run, writer: Path) -> None:
    greedy = ("generate", "writer", "--prompt", "私は", "--length", 5, "--temperature", 0)
    ran = quick(*greedy, "-n", 3)
    assert ran.rows[0] == ran.rows[1] == ran.rows[2]
    assert ran.stderr == "warning: --temperature 0 always takes the likeliest: the 3 texts of a prompt are equal\n"
    assert quick(*greedy).stderr == ""


def test_a_stream_is_the_text_and_nothing_else(quick: Run, writer: Path) -> None:
    words = ("generate", "writer", "--prompt", "猫は", "--length", 25, "--seed", 2)
    row = quick(*words).rows[0]
    assert quick(*words, "--stream").stdout == "猫は" + row["text"] + "\n"


def test_on_a_terminal_the_text_appears_as_it_is_written(folders: dict[str, str], writer: Path) -> None:
    words = ["generate", "writer", "--prompt", "猫は", "--length", "25", "--seed", "2"]
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "seqcli", *words]
    done = subprocess.run(
        command, stdout=theirs, stderr=subprocess.PIPE, cwd=writer.parent, env=environment(**folders), check=True
    )
    os.close(theirs)
    shown = os.read(ours, 65536).decode().replace("\r\n", "\n")
    os.close(ours)
    plain = seqcli(*words, folder=writer.parent, **folders).rows[0]
    assert shown == "猫は" + plain["text"] + "\n"
    assert done.stderr == b""


def test_a_text_stops_before_what_it_is_to_stop_at(quick: Run, writer: Path) -> None:
    rows = quick("generate", "writer", "-n", 20, "--stop", "。", "--stop", "猫", "--seed", 1).rows
    assert not [row for row in rows if "。" in row["text"] or "猫" in row["text"]]
    assert {row["ended"] for row in rows} <= {"stop", "length", "document"}
    assert [row for row in rows if row["ended"] == "stop"]


def test_the_steps_are_shown_with_what_could_have_been(quick: Run, writer: Path) -> None:
    words = ("generate", "writer", "--prompt", "私は", "--length", 3, "--seed", 1, "--show-probabilities")
    rows = quick(*words).rows
    assert list(rows[0]) == ["prompt", "sample", "step", "piece", "probability", "candidates"]
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert "".join(row["piece"] for row in rows) == quick(*words[:-1]).rows[0]["text"]
    table = quick(*words, "--format", "table").stdout
    assert f"{rows[0]['candidates'][0]['piece']} {rows[0]['candidates'][0]['probability']:.3f}" in table


def test_a_blank_is_filled_with_what_was_read(quick: Run, writer: Path) -> None:
    rows = quick("generate", "writer", "--fill", "私は＿をよく食べる。", "-n", 3).rows
    assert list(rows[0]) == ["rank", "fill", "text", "log_probability", "share"]
    assert rows[0]["fill"] == "焼肉"
    assert rows[0]["text"] == "私は焼肉をよく食べる。"
    assert len(rows) == 3
    assert len(quick("generate", "writer", "--fill", "私は＿をよく食べる。").rows) == 10


def test_the_network_can_be_asked_alone(quick: Run, writer: Path) -> None:
    words = ("generate", "writer", "--temperature", 0, "--length", 30)
    assert quick(*words).rows != quick(*words, "--no-mixture").rows


def test_nothing_heavy_is_imported_to_write(folders: dict[str, str], writer: Path) -> None:
    script = (
        "import sys\nfrom seqcli.__main__ import main\ntry:\n    main()\n"
        "finally:\n    print('imported', *sys.modules, file=sys.stderr)"
    )
    for words in (("--length", "20"), ("--fill", "私は＿を"), ("--show-probabilities", "--length", "3")):
        done = subprocess.run(
            [sys.executable, "-c", script, "generate", "writer", *words],
            cwd=writer.parent, env=environment(**folders), capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert not HEAVY & set(done.stderr.rpartition("imported ")[2].split())


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (("writer", "--temperature", -1), 2, "--temperature: must be 0"),
        (("writer", "--top-p", 0), 2, "--top-p: must be above 0 and at most 1, not 0.0"),
        (("writer", "--top-p", 1.5), 2, "not 1.5"),
        (("writer", "--repetition-penalty", 0), 2, "--repetition-penalty"),
        (("writer", "--stop", ""), 2, "--stop"),
        (("writer", "--fill", "私は魚を食べる"), 2, "--fill: has no blank"),
        (("writer", "--fill", "＿は＿を"), 2, "--fill: has 2 blanks"),
        (("writer", "--fill", "私は＿を", "--prompt", "私"), 2, "--fill: is ranked as a whole"),
        (("writer", "--fill", "私は＿を", "--stream"), 2, "--fill: is ranked as a whole"),
        (("writer", "--fill", "私は＿を", "--show-probabilities"), 2, "--fill: is ranked as a whole"),
        (("writer", "--stream", "--show-probabilities"), 2, "--stream: is plain text"),
        (("writer", "--stream", "--format", "jsonl"), 2, "--stream: is plain text, and --format jsonl records"),
        (("nothing",), 4, "no such model folder"),
    ],
)
def test_what_cannot_be_written_is_refused_in_a_line(
    quick: Run, writer: Path, words: tuple[Any, ...], code: int, what: str
) -> None:
    ran = quick("generate", *words, fails_with=code)
    assert what in ran.stderr
    assert ran.stdout == ""


def test_a_model_of_another_kind_and_a_damaged_one_are_refused(quick: Run, writer: Path, fx: Path) -> None:
    assert "is a forecaster, not a generator" in quick("generate", fx, fails_with=4).stderr
    for name in ("model.safetensors", "ngram.safetensors", "vocab.json", "units.json"):
        kept = (writer / name).read_bytes()
        (writer / name).write_bytes(kept[: len(kept) // 2])
        assert name in quick("generate", "writer", fails_with=4).stderr
        (writer / name).write_bytes(kept)


def test_an_interrupted_training_is_told_apart_from_a_model(quick: Run, tmp_path: Path) -> None:
    (tmp_path / "half" / "resume").mkdir(parents=True)
    assert "--resume" in quick("generate", "half", fails_with=4).stderr


def test_lines_are_measured_one_by_one_in_a_pipe(quick: Run, writer: Path) -> None:
    rows = quick(
        "evaluate", "writer", "-", "--per-line", stdin="私は焼肉をよく食べる。\n\n食はるくよを肉焼私\n".encode()
    ).rows
    assert [row["text"] for row in rows] == ["私は焼肉をよく食べる。", "", "食はるくよを肉焼私"]
    assert rows[0]["bits_per_char"] < rows[2]["bits_per_char"]
    assert rows[1]["bits_per_char"] is None


def test_a_pipe_without_text_is_called_by_its_name(quick: Run, writer: Path) -> None:
    assert quick("evaluate", "writer", "-", stdin="", fails_with=3).stderr.startswith("error: stdin: holds no text\n")


def test_a_measured_table_keeps_its_columns(quick: Run, writer: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("id,text\n7,私は肉を\n8,\n9\n", encoding="utf-8")
    rows = quick("evaluate", "writer", "rows.csv", "--per-line", "--format", "csv").rows
    assert list(rows[0]) == ["id", "text", "bits_per_char", "bpc_open", "log_probability", "error"]
    assert [row["id"] for row in rows] == ["7", "8", "9"]
    assert rows[0]["error"] == rows[2]["text"] == ""
    assert "row 4" in rows[2]["error"]


def test_what_is_measured_stands_under_one_name_though_the_rows_have_other_keys(
    quick: Run, writer: Path, tmp_path: Path
) -> None:
    given = '{"text": "私は肉を"}\n{"text": "私は", "bpc_open": "theirs", "more": 1}\n'
    (tmp_path / "uneven.jsonl").write_text(given, encoding="utf-8")
    ran = quick("evaluate", "writer", "uneven.jsonl", "--per-line", "--format", "csv")
    assert [set(row) for row in ran.rows] == 2 * [{"text", "bits_per_char", "bpc_open", "log_probability", "error"}]
    assert all(float(row["bpc_open"]) > 0 for row in ran.rows)
    assert "the first row has no column 'bpc_open', so it is ours" in ran.stderr
    assert "2 values are not in the CSV" in ran.stderr
    whole = quick("evaluate", "writer", "uneven.jsonl", "--per-line").rows[1]
    assert (whole["bpc_open_1"], whole["more"]) == ("theirs", 1) and whole["bpc_open"] > 0


def test_lines_are_the_same_from_several_processes(run: Run, writer: Path) -> None:
    words = ("evaluate", "writer", "train.txt", "--per-line")
    assert run(*words, "--workers", 2).rows == run(*words).rows


def test_the_probability_of_each_unit_goes_into_a_file(quick: Run, writer: Path, tmp_path: Path) -> None:
    row = quick("evaluate", "writer", "test.txt", "--per-token", "logs.tsv", "--part", "network").rows[1]
    pairs = [line.rsplit("\t", 1) for line in (tmp_path / "logs.tsv").read_text(encoding="utf-8").splitlines()]
    text = (tmp_path / "test.txt").read_text(encoding="utf-8")
    assert "".join(surface for surface, _ in pairs).replace("\\n", "\n") == text
    bits = -math.fsum(float(logs) for _, logs in pairs) / math.log(2)
    assert bits / len(text) == pytest.approx(row["bits_per_char"], rel=1e-6)


def test_a_place_that_holds_a_model_is_refused_before_the_corpus_is_read(quick: Run, writer: Path) -> None:
    ran = quick("train-generator", "no-such-file.txt", "--out", "writer", fails_with=4)
    assert "already holds a model" in ran.stderr


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_no_training_can_begin_with_is_refused_before_the_corpus_is_read(quick: Run, seed: int) -> None:
    ran = quick("train-generator", "no-such-file.txt", "--out", "m", "--seed", seed, fails_with=2)
    assert f"--seed: '{seed}' is " in ran.stderr


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"", "empty.txt"), (bytes(range(256)) * 8, "empty.txt"), ("短い".encode(), "empty.txt")],
    ids=["empty", "binary", "too short"],
)
def test_a_corpus_that_is_none_is_refused(quick: Run, tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "empty.txt").write_bytes(content)
    ran = quick("train-generator", "empty.txt", "--out", "m", *SMALL, fails_with=3)
    assert what in ran.stderr
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("unit", ["word", "subword"])
@pytest.mark.slow
def test_other_units_are_trained_and_written_with(run: Run, writer: Path, unit: str) -> None:
    more = ("--vocabulary-size", 320) if unit == "subword" else ("--min-count", 2)
    run("train-generator", "train.txt", "--out", unit, "--unit", unit, *more, *SMALL)
    assert len(run("generate", unit, "--length", 40, "-n", 3, "--seed", 1).rows) == 3
    rows = run("evaluate", unit, "test.txt", "--per-token", "logs.tsv").rows
    logs = (writer.parent / "logs.tsv").read_text(encoding="utf-8").splitlines()
    assert len(logs) == rows[0]["n"]
    assert "".join(line.rsplit("\t", 1)[0] for line in logs).replace("\\n", "\n") == (
        writer.parent / "test.txt"
    ).read_text(encoding="utf-8")


def test_a_generator_that_is_measured_on_what_it_has_read_is_told_so(quick: Run, writer: Path) -> None:
    again = quick("evaluate", writer, "train.txt").stderr
    assert re.search(r"warning: \d\d% of this text stands line by line in the text that the model has learnt", again)
    assert "stands line by line" not in quick("evaluate", writer, "test.txt").stderr
