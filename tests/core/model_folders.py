"""A small model that is saved, and safetensors files made by hand."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqcli.core import checkpoint
from seqcli.core.checkpoint import Manifest

TENSORS = {"encoder.weight": np.arange(6.0, dtype=np.float32).reshape(2, 3), "scale": np.array(2.5)}
MANIFEST = Manifest(
    kind="forecaster",
    created="2024-06-28T12:00:00+00:00",
    command="seqcli train-forecast --out 為替",
    seed=7,
    data={"fingerprint": "abc", "since": "2010-01-04"},
    metrics=({"model": "lstm", "crps_ratio": 0.96, "dm_p": float("nan")},),
)


def save(path: Path, **changes: Any) -> Manifest:
    parts: dict[str, Any] = {"config": {"hidden": 2, "cell": "lstm"}, "tensors": TENSORS, "card": "# A model\n"}
    return checkpoint.save(path, MANIFEST, **(parts | changes))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save(tmp_path / "model", history=[{"epoch": 1, "train_loss": np.float32(0.5)}])
    return tmp_path / "model"


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def safetensors_bytes(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data
