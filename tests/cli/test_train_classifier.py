"""train-classifier as it is typed."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest
from conftest import Run
from tables import quick
from test_classification import FOOD, LABELS, SMALL, posts
from test_interrupt import interrupted

__all__ = ["quick"]  # the fixture


def test_a_training_reports_the_model_beside_the_baselines(topics: Path, quick: Run) -> None:
    info = quick("info", topics).rows[0]
    assert info["kind"] == "classifier" and set(info["labels"]) == LABELS
    names = [row["model"] for row in info["metrics"] if row["model"] != "lstm-alone"]  # there if anything was fused
    assert names == ["lstm", "majority", "tfidf-logistic", "tfidf-svc"]
    assert {"accuracy_low", "macro_f1_high", "calibration_error", "log_loss", "n"} < set(info["metrics"][0])
    assert str(topics.name) in info["path"]


def test_a_training_takes_its_place_and_draws_its_curve(quick: Run, tmp_path: Path) -> None:
    posts(tmp_path / "t.csv", 80)
    train = ("train-classifier", "t.csv", *SMALL, "--no-fusion", "--out", "m")
    ran = quick(*train, "--plot", "curve.svg")
    assert ran.rows[0]["model"] == "lstm"
    assert (tmp_path / "curve.svg").read_bytes().startswith(b"<?xml")
    assert not (tmp_path / "m" / "linear.json").exists()
    assert "from the validation texts: the networks from none of them, linear models" in ran.stderr + ran.stdout
    assert "already holds a model" in quick(*train, fails_with=4).stderr
    assert "no picture" in quick(*train, "--overwrite", "--plot", "curve", fails_with=2).stderr
    assert quick(*train, "--overwrite", "-q").stderr.count("\n") == ran.stderr.count("warning: ")


def test_a_training_that_was_stopped_ends_with_the_same_weights(
    quick: Run, tmp_path: Path, folders: dict[str, str]
) -> None:
    file = posts(tmp_path / "t.csv", 120)
    train = ("train-classifier", file, *SMALL, "--members", 2, "--epochs", 4, "--batch-size", 4, "-v", "--out")
    said = interrupted(*train, tmp_path / "cut", until="training network 2", by=signal.SIGTERM, **folders)
    assert "--resume" in said
    assert [child.name for child in (tmp_path / "cut").iterdir()] == ["resume"]
    quick(*train, "cut", "--resume")
    quick(*train, "whole")
    for name in ("model.safetensors", "linear.safetensors", "labels.json", "vocab.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not (tmp_path / "cut" / "resume").exists()


@pytest.mark.parametrize("command", ["train-classifier", "train-generator"])
def test_the_help_names_the_data_before_the_optimizer(quick: Run, command: str) -> None:
    said = quick(command, "--help").stdout
    assert 0 < said.index("--valid") < said.index("--test") < said.index("--seed") < said.index("--learning-rate")


def test_a_model_keeps_the_words_that_it_was_given(quick: Run, tmp_path: Path) -> None:
    posts(tmp_path / "t.csv", 60)
    noun = "名詞,普通名詞,一般,*,*,*,ネコミミ,猫耳喫茶店長,*,*,*,*,*"
    (tmp_path / "words.csv").write_text(f"猫耳喫茶店長,4786,4786,5000,猫耳喫茶店長,{noun}\n", encoding="utf-8")
    train = ("train-classifier", "t.csv", *SMALL, "--out", "m", "--overwrite")
    text = "猫耳喫茶店長の国家公務員"
    quick(*train, "--user-dictionary", "words.csv", "--split-mode", "A")
    (tmp_path / "words.csv").unlink()
    (row,) = quick("classify", "m", text, "--explain").rows
    assert [one["token"] for one in row["explanation"]] == ["猫耳喫茶店長", "の", "国家", "公務", "員"]
    shutil.copytree(tmp_path / "m", tmp_path / "without", ignore=shutil.ignore_patterns("user_dictionary.csv"))
    assert "the user dictionary is missing" in quick("classify", "without", text, fails_with=4).stderr


def test_skill_can_be_required(quick: Run, tmp_path: Path) -> None:
    posts(tmp_path / "t.csv", 60)
    ran = quick("train-classifier", "t.csv", *SMALL, "--out", "m", "--require-skill", fails_with=7)
    assert "error: m: --require-skill: lstm is not" in ran.stderr
    assert ran.rows[0]["model"] == "lstm" and ran.rows[-1]["model"] == "tfidf-svc"  # the report all the same
    assert quick("info", "m").rows[0]["kind"] == "classifier"  # saved all the same


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ("焼肉,a\n寿司,a\n", "only one label: 'a' (2 examples)"),
        ("焼肉,a\n寿司,a\n試合,b\n", "row 4: the label 'b' has a single example"),
        ("焼肉,a\n寿司,a\n試合,b\n選手,b\n", "too few"),
        ("", "has a header but no rows"),
    ],
)
def test_what_nobody_can_learn_from_is_refused(quick: Run, tmp_path: Path, rows: str, what: str) -> None:
    (tmp_path / "t.csv").write_text("text,label\n" + rows, encoding="utf-8")
    said = quick("train-classifier", "t.csv", *SMALL, "--out", "m", fails_with=3).stderr
    assert said.startswith("error: t.csv") and what in said
    assert not (tmp_path / "m").exists()


def test_vectors_that_are_not_there_are_called_as_they_were_given(quick: Run, tmp_path: Path) -> None:
    posts(tmp_path / "t.csv", 60)
    said = quick("train-classifier", "t.csv", "--vectors", "nosuch", "--out", "m", fails_with=3).stderr
    assert "error: --vectors nosuch: no such file, folder or model" in said and "--model" not in said


def test_a_training_can_start_from_a_generator(writer: Path, topics: Path, quick: Run, tmp_path: Path) -> None:
    posts(tmp_path / "t.csv", 60)
    train = ("train-classifier", "t.csv", "--members", 1, "--epochs", 1, "--threads", 1, "--out", "m", "--init-from")
    assert quick(*train, writer).rows[0]["model"] == "lstm"
    begun = json.loads((tmp_path / "m" / "seqcli.json").read_text())["data"]["init_from"]
    assert begun == json.loads((writer / "seqcli.json").read_text())["id"]
    assert quick("classify", "m", FOOD).rows[0]["predicted"]
    assert "is a classifier, not a generator" in quick(*train, topics, "--overwrite", fails_with=4).stderr
    refused = quick(*train, writer, "--overwrite", "--cell", "gru", fails_with=2).stderr
    assert "--cell: gru, and the generator of --init-from has lstm" in refused


def test_a_label_that_training_never_saw_is_refused(quick: Run, tmp_path: Path) -> None:
    posts(tmp_path / "t.csv", 60)
    (tmp_path / "test.csv").write_text("text,label\n猫,動物\n", encoding="utf-8")
    said = quick("train-classifier", "t.csv", *SMALL, "--test", "test.csv", "--out", "m", fails_with=3).stderr
    assert "error: test.csv: row 2: the label '動物' is not among those of training" in said


def test_the_validation_part_can_be_left_out_of_what_is_learnt(quick: Run, tmp_path: Path) -> None:
    posts(tmp_path / "t.csv", 80)
    train = ("train-classifier", "t.csv", *SMALL, "--members", 2, "--overwrite", "--out", "m")
    ran = quick(*train)
    assert "from the validation texts: each network from 1 of their 2 folds" in ran.stderr
    assert "learnt from the training texts alone" in quick(*train, "--no-refit").stderr
