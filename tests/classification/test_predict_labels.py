"""A loaded classifier: NumPy and PyTorch say the same, and every text has an answer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from classifiers import GOLD, LABELS, TEXTS, save
from conftest import environment

from seqcli.classification.linear import LinearModel
from seqcli.classification.predict import Handle, Model, load
from seqcli.core import checkpoint
from seqcli.errors import ModelError

ODD = ("", "　\n", "xqzzwv ヷヸ", "焼肉" * 400, "#タグ 🍣\u200d ｶﾞ", "試合 " * 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "topics"
    save(path)
    return path


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return load(folder)


def test_a_text_has_one_answer_whatever_stands_beside_it(model: Model) -> None:
    texts = [*TEXTS, *ODD]
    alone = np.concatenate([model.probabilities([text]) for text in texts])
    np.testing.assert_allclose(model.probabilities(texts), alone, atol=1e-6)
    np.testing.assert_allclose(model.probabilities(texts[::-1])[::-1], alone, atol=1e-6)
    assert model.probabilities([]).shape == (0, 3)


def test_a_text_without_words_is_answered_by_the_labels_shares(model: Model) -> None:
    np.testing.assert_allclose(model.probabilities(["", "　\n"]), [[0.5, 0.3, 0.2]] * 2, atol=1e-6)
    assert model.probabilities(["xqzzwv"]) != pytest.approx(np.array([[0.5, 0.3, 0.2]]), abs=1e-3)


def test_a_megabyte_has_an_answer_and_its_end_counts(tmp_path: Path) -> None:
    model = save(tmp_path / "m", fusion=1.0, temperature=1.0)
    texts = ["あ" * 350_000 + end for end in ("焼肉が美味しい" * 50, "試合が楽しい" * 50)]
    assert model.probabilities(texts).argmax(axis=1).tolist() == [0, 1]
    assert save(tmp_path / "n", fusion=0.0).probabilities(texts[:1]).sum() == pytest.approx(1)


def test_the_linear_model_is_fused_with_its_weight_and_the_temperature(tmp_path: Path, model: Model) -> None:
    alone = save(tmp_path / "alone", fusion=0.0, temperature=1.0)
    assert alone.linear is None and model.linear is not None
    network, linear = np.log(alone.probabilities(TEXTS)), model.linear.log_probabilities(TEXTS)
    mixed = np.exp((0.3 * network + 0.7 * linear) / 0.8)
    np.testing.assert_allclose(model.probabilities(TEXTS), mixed / mixed.sum(axis=1, keepdims=True), atol=1e-5)
    assert (model.probabilities(TEXTS).argmax(axis=1) == GOLD).all()


def test_the_top_labels_come_with_their_probabilities(model: Model) -> None:
    (answer,) = model.answers(TEXTS[:1])
    top = answer.top(LABELS, 2)
    assert [one["label"] for one in top] == ["グルメ", *(one["label"] for one in top[1:])]
    assert top[0]["probability"] == max(answer.probabilities) > top[1]["probability"]
    assert len(answer.top(LABELS, 9)) == 3


def test_a_model_that_was_replaced_meanwhile_is_not_mixed_with_the_old_one(tmp_path: Path) -> None:
    save(tmp_path / "m")
    handle = Handle.of(tmp_path / "m")
    save(tmp_path / "m", overwrite=True, temperature=2.0)
    with pytest.raises(ModelError, match="was replaced by another model"):
        handle.open()


def edit(folder: Path, name: str, change: Any) -> None:
    file = folder / name
    file.write_text(json.dumps(change(json.loads(file.read_text(encoding="utf-8")))), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "change", "what"),
    [
        ("labels.json", lambda labels: labels[:2], "output.bias"),
        ("labels.json", lambda labels: [1, 2, 3], "not a list of strings"),
        ("vocab.json", lambda words: [*words, "x"], "words.weight"),
        ("characters.json", lambda characters: characters[1:], "characters.weight"),
        ("config.json", lambda config: config | {"cell": "mlp"}, "'cell' is 'mlp'"),
        ("config.json", lambda config: config | {"hidden": 7}, "tensor"),
        ("config.json", lambda config: config | {"temperature": 0}, "'temperature' is '0'"),
        ("config.json", lambda config: config | {"fusion": 0.5}, "not the one that was saved"),
        ("linear.json", lambda linear: {}, "linear"),
        ("linear.json", lambda linear: linear | {"parts": []}, "linear"),
        ("seqcli.json", lambda manifest: manifest | {"kind": "forecaster"}, "is a forecaster, not a classifier"),
    ],
)
def test_a_folder_whose_parts_do_not_fit_is_refused(tmp_path: Path, name: str, change: Any, what: str) -> None:
    save(tmp_path / "m")
    edit(tmp_path / "m", name, change)
    with pytest.raises(ModelError, match=what):
        load(tmp_path / "m")


@pytest.mark.parametrize("name", ["labels.json", "vocab.json", "characters.json", "linear.json", "linear.safetensors"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    save(tmp_path / "m")
    (tmp_path / "m" / name).unlink()
    with pytest.raises(ModelError, match=name):
        load(tmp_path / "m")


@pytest.mark.parametrize("name", ["labels.json", "vocab.json", "characters.json", "linear.json"])
def test_a_file_that_was_changed_is_noticed(tmp_path: Path, name: str) -> None:
    save(tmp_path / "m")
    file = tmp_path / "m" / name
    whole = file.read_bytes()
    swapped = whole.replace("試".encode(), b"XYZ") if name != "labels.json" else whole.replace(b"[", b'[ "x",')
    for data in (swapped, whole[: len(whole) // 2], b"", b"null", b"[" * 100_000, whole + b"\xff"):
        assert data != whole
        file.write_bytes(data)
        with pytest.raises(ModelError):
            load(tmp_path / "m")


@pytest.mark.parametrize(
    "change",
    [{"kind": []}, {"strength": {}}, {"parts": 3}, {"parts": [3]}, {"parts": [{"unit": "char"}]}]
    + [{"part": {name: value}} for name in ("low", "high", "symbols", "texts", "most") for value in (1.5, "x", [], -1)],
)
def test_a_model_of_before_the_digests_is_refused_where_it_makes_no_sense(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    save(tmp_path / "m")
    change = dict(change)
    document = json.loads((tmp_path / "m" / "linear.json").read_text(encoding="utf-8"))
    tensors = checkpoint.load_tensors(tmp_path / "m", "linear.safetensors")
    part = change.pop("part", {})
    with pytest.raises(ModelError):
        LinearModel.load(tensors, document | {"parts": [document["parts"][0] | part]} | change)


def test_loading_and_asking_needs_neither_pytorch_nor_scikit_learn(folder: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom seqcli.classification import predict\n"
        f"predict.load(Path({str(folder)!r})).probabilities(['焼肉'])\n"
        "assert not {'torch', 'sklearn', 'scipy', 'pandas', 'spacy', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=environment())
