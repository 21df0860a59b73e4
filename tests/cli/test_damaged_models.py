"""A model folder that is damaged, of another kind, hostile, or in the way: exit 4 and one clear line."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run
from refusals import DATES, VALUES, lines, names
from safetensors.numpy import load_file, save_file
from tables import TINY, quick, table, walk

__all__ = ["quick"]  # the fixture


@pytest.fixture
def copy(plain: Path, tmp_path: Path) -> Path:
    """The same model, to be damaged."""
    return Path(shutil.copytree(plain, tmp_path / "copy"))


# Where a model goes


@pytest.mark.parametrize(
    ("out", "code", "error"),
    [
        ("file/model", 5, "file: cannot be written"),
        ("file", 4, "file: is a file, not a folder"),
        ("full", 4, "full: already holds 'note.txt'"),
        ("home", 4, "home: holds a folder 'photos'"),
        (".", 4, "is the folder you stand in"),
    ],
)
def test_a_place_that_cannot_hold_a_model_is_refused_before_the_training(
    quick: Run, tmp_path: Path, out: str, code: int, error: str
) -> None:
    table(tmp_path / "x.csv", DATES, x=VALUES)
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "home" / "photos").mkdir(parents=True)
    said = lines(quick("train-forecast", "x.csv", *TINY, "--out", out, fails_with=code))
    assert error in said[0]
    assert names(tmp_path) == ["file", "full", "home", "x.csv"]
    assert (tmp_path / "full" / "note.txt").read_text(encoding="utf-8") == "mine"


def test_a_model_that_is_there_is_kept(quick: Run, copy: Path, tmp_path: Path) -> None:
    before = (copy / "model.safetensors").read_bytes()
    table(tmp_path / "x.csv", DATES, x=walk(seed=1))
    said = lines(quick("train-forecast", "x.csv", *TINY, "--out", "copy", fails_with=4))
    assert said == ["error: copy: already holds a model", "hint: --overwrite replaces it"]
    table(tmp_path / "x.csv", DATES, x=[0, *VALUES[1:]])
    quick("train-forecast", "x.csv", *TINY, "--out", "copy", "--overwrite", fails_with=3)
    assert (copy / "model.safetensors").read_bytes() == before


# A model folder that is damaged, of another kind, or hostile


@pytest.mark.parametrize("name", ["seqcli.json", "config.json", "model.safetensors"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-3],
        lambda content: b"\xff\x00" * 40,
        lambda content: content.replace(b"l", b"\x00", 3),
        lambda content: None,
    ],
    ids=["empty", "half", "three bytes short", "garbled", "zeroes", "missing"],
)
def test_a_damaged_file_of_a_model_is_named(
    quick: Run, copy: Path, name: str, damage: Callable[[bytes], bytes | None]
) -> None:
    content = damage((copy / name).read_bytes())
    if content is None:
        (copy / name).unlink()
    else:
        (copy / name).write_bytes(content)
    said = lines(quick("forecast", copy, copy.parent / "x.csv", fails_with=4))
    assert name in said[0]


def safetensors(header: Any, body: bytes = b"\x00" * 64, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def entry(**changes: Any) -> dict[str, Any]:
    return {"centre": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]} | changes}


@pytest.mark.parametrize(
    "content",
    [
        safetensors(entry(), length=1 << 62),
        safetensors(entry(), length=100_000_000),
        safetensors(entry(shape=[1 << 40, 1 << 40])),
        safetensors(entry(shape=[-4])),
        safetensors(entry(data_offsets=[0, 1 << 50])),
        safetensors(entry(data_offsets=[32, 16])),
        safetensors(entry(dtype="PICKLE")),
        safetensors(entry(shape="4")),
        safetensors([1, 2]),
        safetensors(b"{" * 90_000),
        safetensors(b'{"centre":' * 5000),
        b"\x80\x04\x95\x10\x00\x00\x00",
    ],
    ids=[
        "endless",
        "long",
        "huge",
        "negative",
        "beyond",
        "backwards",
        "dtype",
        "text",
        "list",
        "deep",
        "nested",
        "pickle",
    ],
)
def test_a_hostile_file_of_weights_is_refused_without_taking_memory(quick: Run, copy: Path, content: bytes) -> None:
    (copy / "model.safetensors").write_bytes(content)
    said = lines(quick("forecast", copy, copy.parent / "x.csv", fails_with=4))
    assert "model.safetensors" in said[0]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"hidden": 10**9}, "'hidden'"),
        ({"hidden": "4"}, "'hidden'"),
        ({"hidden": 5}, "config.json wants"),
        ({"members": 200}, "is missing"),
        ({"horizon": 0}, "'horizon'"),
        ({"levels": [0.9, 0.5, 0.1]}, "'levels'"),
        ({"cell": "os.system"}, "'cell'"),
        ({"features": 99}, "inputs of version 99"),
        ({"dropout": None}, "'dropout'"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(quick: Run, copy: Path, change: dict[str, Any], error: str) -> None:
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    (copy / "config.json").write_text(json.dumps(config | change), encoding="utf-8")
    assert error in lines(quick("forecast", copy, copy.parent / "x.csv", fails_with=4))[0]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"kind": "classifier"}, "is a classifier, not a forecaster"),
        ({"format": 99}, "made by a newer seqcli"),
        ({"format": "1"}, "'format'"),
        ({"data": {}}, "does not say what it was trained on"),
        ({"data": {"until": "soon", "source": "rates", "series": ["x"], "log": [True]}}, "does not say"),
        ({"data": {"until": "2024-01-01", "source": "rates", "series": ["x"], "log": []}}, "does not say"),
        ({"kind": "../../x"}, "'kind'"),
    ],
)
@pytest.mark.parametrize("command", ["forecast", "backtest"])
def test_a_manifest_of_something_else_is_refused(
    quick: Run, copy: Path, command: str, change: dict[str, Any], error: str
) -> None:
    manifest = json.loads((copy / "seqcli.json").read_text(encoding="utf-8"))
    (copy / "seqcli.json").write_text(json.dumps(manifest | change), encoding="utf-8")
    assert error in lines(quick(command, copy, copy.parent / "x.csv", fails_with=4))[0]


def test_weights_that_are_no_numbers_are_refused(quick: Run, copy: Path) -> None:
    file = copy / "model.safetensors"
    tensors = load_file(file)
    save_file(tensors | {"centre": np.full_like(tensors["centre"], np.nan)}, file)
    assert "model.safetensors" in lines(quick("forecast", copy, copy.parent / "x.csv", fails_with=4))[0]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"format": 1, "calibrations": [{}]}', b'{"format": 9}'])
def test_a_damaged_calibration_is_refused_and_not_ignored(quick: Run, copy: Path, content: bytes) -> None:
    (copy / "calibration.json").write_bytes(content)
    assert "calibration.json" in lines(quick("forecast", copy, copy.parent / "x.csv", fails_with=4))[0]


def test_a_model_that_is_not_there_is_said_by_the_real_command(run: Run) -> None:
    said = lines(run("forecast", "nothing", fails_with=4))
    assert said[0] == "error: nothing: no such model folder"


def test_warm_starts_and_forecasts_refuse_a_folder_that_is_no_model(quick: Run, tmp_path: Path) -> None:
    table(tmp_path / "x.csv", DATES, x=VALUES)
    (tmp_path / "folder").mkdir()
    for command in (
        ("forecast", "folder"),
        ("train-forecast", "x.csv", *TINY, "--init-from", "folder", "--out", "new"),
    ):
        assert "folder: is not a model folder" in lines(quick(*command, fails_with=4))[0]
    assert not (tmp_path / "new").exists()
