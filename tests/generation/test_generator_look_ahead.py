"""What a generator may learn from: the validation text chooses, and the test text moves nothing that is saved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from signs import finished

from seqcli.core.place import Place
from seqcli.generation import data, plan, train
from seqcli.results import Result

SENTENCES = ("猫は魚を食べる。\n", "犬は肉を買う。\n", "私は朝にパンを見る。\n", "雨の日は家で本を読む。\n")


def saved(folder: Path, test: str) -> tuple[Path, Result]:
    """A generator of texts that differ in the test part alone, and its report."""
    texts = {
        "train": "".join(SENTENCES[n * n % 4] for n in range(120)),
        "valid": "".join(SENTENCES[n * n % 3] for n in range(40)) + "驫\n",
        "test": test,
    }
    folder.mkdir()
    for part, text in texts.items():
        (folder / f"{part}.txt").write_text(text, encoding="utf-8")
    given = {part: [str(folder / f"{part}.txt")] for part in texts}
    corpus = finished(data.prepare(given["train"], data.Recipe(), valid=given["valid"], test=given["test"]))
    how = plan.make(corpus, {"hidden": 8, "epochs": 2, "batch_size": 4, "threads": 1, "device": "cpu"}, bptt=16)
    return folder / "model", finished(train.train(corpus, Place(folder / "model"), how))


def test_the_test_text_moves_nothing_that_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQCLI_CACHE_DIR", str(tmp_path / "cache"))
    (one, told), (other, _) = saved(tmp_path / "a", "犬は魚を見る。\n" * 9), saved(tmp_path / "b", "麤の驥尾。\n" * 30)
    names = sorted(
        path.name for path in one.iterdir() if path.name not in ("seqcli.json", "README.md", "history.jsonl")
    )
    assert {"model.safetensors", "ngram.safetensors", "vocab.json", "config.json"} < set(names)
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    known = json.loads((one / "vocab.json").read_text(encoding="utf-8"))
    assert "猫" in known and not {*"驫麤驥"} & set(known)  # characters of validation and test text alone
    assert {row["part"] for row in told.records} == {"valid", "test"}
