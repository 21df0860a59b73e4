"""What a model has learnt from is known by its hashes, and by nothing that could be read back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seqcli.core import checkpoint, seen
from seqcli.core.checkpoint import Manifest
from seqcli.core.seen import Seen
from seqcli.errors import ModelError


def test_a_text_is_known_again_in_any_width_and_with_any_space() -> None:
    known = Seen.of(["ＡＢＣの 店", "焼肉"])
    assert known.among(["ABCの店", "焼　肉\n", "焼き肉", ""]).tolist() == [True, True, False, False]
    assert Seen.of([]).among(["焼肉"]).tolist() == [False]


def test_only_so_many_texts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "MOST", 2)
    assert Seen.of(iter("abc")).among(list("abc")).tolist() == [True, True, False]


def test_it_lies_in_the_model_folder_and_a_changed_file_is_refused(tmp_path: Path) -> None:
    known = Seen.of(["焼肉", "寿司"])
    manifest = checkpoint.save(
        tmp_path / "m", Manifest("classifier", ""), config={}, tensors={"w": np.zeros(1, np.float32)},
        extra_tensors={seen.FILE: known.tensors()},
    )  # fmt: skip
    again = Seen.load(tmp_path / "m", manifest)
    assert again is not None and again.among(["寿司", "蕎麦"]).tolist() == [True, False]
    assert Seen.load(tmp_path / "m", replace(manifest, digests={})) is None
    data = (tmp_path / "m" / seen.FILE).read_bytes()
    (tmp_path / "m" / seen.FILE).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ModelError):
        Seen.load(tmp_path / "m", manifest)
