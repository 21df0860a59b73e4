"""A network's vectors: a tiny BERT, made here, and what is said where there is none."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seqcli.core.texts import items
from seqcli.errors import MachineError, ModelError, UsageError
from seqcli.vectors import embed, similar
from seqcli.vectors.contextual import Contextual
from seqcli.vectors.embed import Request, Tally
from seqcli.vectors.nearest import Answers


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    transformers = pytest.importorskip("transformers", reason="the extra hf is not installed")
    import torch

    folder = tmp_path_factory.mktemp("bert")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"私は猫の好き犬も"]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    tokenizer = transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt"), tokenize_chinese_chars=True)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(pieces), hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=8,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    return folder


def test_a_text_is_the_mean_of_its_pieces_without_the_special_ones(bert: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    network = Contextual(bert)
    tokenizer, model = AutoTokenizer.from_pretrained(bert), AutoModel.from_pretrained(bert).eval()
    inputs = tokenizer("私 猫", return_tensors="pt")
    with torch.inference_mode():
        hidden = model(**inputs).last_hidden_state[0].numpy()
    wanted = hidden[1:-1].mean(axis=0)
    found = network.vectors(["私 猫", "", "猫 の 好 き 犬 も 私 は 猫"])
    assert found[0] is not None and found[1] is None
    np.testing.assert_allclose(found[0], wanted, atol=1e-5)


def test_a_text_does_not_depend_on_its_neighbours_in_the_batch(bert: Path) -> None:
    network = Contextual(bert)
    texts = ["私", "猫 の 好 き 犬 も 私 は 猫 も", "犬 も"]  # one longer than the network's window of 8
    alone = [network.vectors([text])[0] for text in texts]
    for one, other in zip(alone, network.vectors(texts), strict=True):
        assert one is not None and other is not None
        np.testing.assert_allclose(one, other, atol=1e-5)
    names = [name for name, _ in network.pieces(texts)[1]]
    assert names == texts[1].split()


def test_what_is_missing_is_said(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        Contextual(tmp_path / "none")
    with pytest.raises(ModelError, match=r"has no config\.json"):
        Contextual(tmp_path)
    (tmp_path / "config.json").write_text((bert / "config.json").read_text())
    with pytest.raises(ModelError, match="cannot be loaded"):
        Contextual(tmp_path)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MachineError, match="transformers is not installed") as caught:
        Contextual(bert)
    assert caught.value.hint == "pip install 'seqcli[hf]'"


@pytest.mark.parametrize(
    ("name", "damaged"),
    [
        ("model.safetensors", lambda data: data[:200]),
        ("model.safetensors", lambda _: b""),
        ("config.json", lambda _: b"[]"),
        ("config.json", lambda data: data.replace(b'"hidden_size": 8', b'"hidden_size": 12')),
        ("tokenizer.json", lambda data: data[:100]),
    ],
    ids=["cut weights", "no weights", "no settings", "another size", "cut tokenizer"],
)
def test_a_damaged_folder_is_said_to_be_so(
    bert: Path, tmp_path: Path, name: str, damaged: Callable[[bytes], bytes]
) -> None:
    folder = tmp_path / "bert"
    shutil.copytree(bert, folder)
    (folder / name).write_bytes(damaged((folder / name).read_bytes()))
    with pytest.raises(ModelError, match="cannot be loaded"):
        Contextual(folder)


def test_a_network_embeds_rows_and_searches_lines(bert: Path, tmp_path: Path) -> None:
    request = Request(unit="text", model=f"hf:{bert}")
    found = list(embed.stream(request, items(["猫 の 好 き", ""], None), Tally()))
    assert [len(record["vector"]) for record in found] == [8, 8]
    assert any(found[0]["vector"]) and not any(found[1]["vector"])
    pieces = list(embed.stream(Request(model=f"hf:{bert}"), items(["猫 犬"], None), Tally()))
    assert [record["token"] for record in pieces] == ["猫", "犬"]
    (tmp_path / "lines.txt").write_text("犬 も\n猫 の 好 き\n", encoding="utf-8")
    asked = similar.Request(("猫 の 好 き",), within=str(tmp_path / "lines.txt"), model=f"hf:{bert}")
    first = next(similar.answer(asked, Answers()))
    assert first["item"] == "猫 の 好 き" and first["score"] == pytest.approx(1, abs=1e-5)
    with pytest.raises(UsageError, match="no table of words"):
        similar.answer(similar.Request(("猫",), model=f"hf:{bert}"), Answers())
