"""A model folder is read with suspicion: damaged, hostile, of another kind or of another saving."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_folders import model, safetensors_bytes, save

from seqcli.core import checkpoint, safe_formats
from seqcli.core.checkpoint import ModelFolder
from seqcli.errors import ModelError

__all__ = ["model"]  # the fixture


def test_a_missing_folder_a_file_and_a_folder_of_other_things_are_told_apart(model: Path, tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "none", "no such model folder"),
        (model / "README.md", "is a file"),
        (tmp_path, "is not a model folder"),
        (tmp_path / ("x" * 300), "cannot be read"),
    ):
        with pytest.raises(ModelError, match=message):
            checkpoint.peek(path)


def test_a_model_of_another_kind_says_what_it_is(model: Path) -> None:
    with pytest.raises(ModelError, match="is a forecaster, not a classifier"):
        checkpoint.peek(model, "classifier")
    with pytest.raises(ModelError, match="is a forecaster, not a table of vectors"):
        checkpoint.peek(model, "vectors")


def change_manifest(model: Path, **changes: Any) -> None:
    file = ModelFolder(model).manifest
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_a_newer_format_asks_for_an_upgrade_whatever_else_it_holds(model: Path) -> None:
    change_manifest(model, format=2, kind={"new": "structure"})
    with pytest.raises(ModelError, match="made by a newer seqcli") as caught:
        checkpoint.peek(model)
    assert "upgrade" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "1"},
        {"format": True},
        {"format": 0},
        {"kind": 3},
        {"kind": "../../etc"},
        {"kind": "\x1b[31mred"},
        {"created": 5},
        {"seed": "x"},
        {"data": []},
        {"metrics": {"a": 1}},
        {"metrics": [1]},
        {"digests": None},
    ],
)
def test_a_manifest_with_a_wrong_value_is_refused_in_one_printable_line(model: Path, changes: dict[str, Any]) -> None:
    change_manifest(model, **changes)
    with pytest.raises(ModelError) as caught:
        checkpoint.peek(model)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not valid JSON"),
        (b'{"a": ', "not valid JSON"),
        (b'{"a": NaN}', "not valid JSON"),
        (b'{"a": -Infinity}', "not valid JSON"),
        (b'{"a": 1e999}', "not valid JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b'{"a": 1, "a": 2}', "a key stands twice"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b"[]", "is not an object"),
    ],
)
def test_a_hostile_config_is_refused(model: Path, content: bytes, message: str) -> None:
    ModelFolder(model).config.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        checkpoint.load_config(model)


def test_a_huge_document_is_refused_before_it_is_read(model: Path) -> None:
    os.truncate(ModelFolder(model).config, 2**40)  # sparse: it takes no disk, but would take all memory
    with pytest.raises(ModelError, match="is too large"):
        checkpoint.load_config(model)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_links_pipes_and_folders_in_place_of_files_are_refused(model: Path, name: str) -> None:
    file = model / name
    file.rename(model.parent / name)
    for make, message in (
        (lambda: file.symlink_to(model.parent / name), "is a link"),
        (lambda: os.mkfifo(file), "not a regular file"),
        (lambda: None, "is missing"),
    ):
        make()
        with pytest.raises(ModelError, match=message):
            checkpoint.load_config(model) if name == "config.json" else checkpoint.load_tensors(model)
        file.unlink(missing_ok=True)


def test_lists_hold_strings_only(model: Path) -> None:
    (model / "labels.json").write_text('["a", 1]')
    with pytest.raises(ModelError, match="is not a list of strings"):
        checkpoint.load_list(model, "labels.json")


F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cut short"),
        (b"\x00" * 7, "cut short"),
        (struct.pack("<Q", 2**63) + b"{}", "cut short"),
        (struct.pack("<Q", 100) + b"{}", "cut short"),
        (safetensors_bytes(b" " * (5 << 20)), "has a header of"),
        (safetensors_bytes([]), "has no header"),
        (safetensors_bytes(b'{"a": 1'), "not valid JSON"),
        (safetensors_bytes({"t": 1}), "is not described"),
        (safetensors_bytes({"t": F32 | {"class": "os.system"}}, bytes(8)), "is not described"),
        (safetensors_bytes({"t": F32 | {"dtype": "BF16"}}, bytes(8)), "dtype"),
        (safetensors_bytes({"t": F32 | {"dtype": ["F32"]}}, bytes(8)), "dtype"),
        (safetensors_bytes({"t": F32 | {"shape": [-1, -2]}}, bytes(8)), "shape"),
        (safetensors_bytes({"t": F32 | {"shape": [2.0]}}, bytes(8)), "shape"),
        (safetensors_bytes({"t": F32 | {"shape": "\x1b[31m"}}, bytes(8)), "shape"),
        (safetensors_bytes({"t": F32 | {"shape": [True, 2]}}, bytes(8)), "shape"),
        (safetensors_bytes({"t": F32 | {"shape": [1] * 40 + [2]}}, bytes(8)), "shape"),
        (safetensors_bytes({"t": F32 | {"shape": [2**32, 2**32]}}, bytes(8)), "shape"),
        (safetensors_bytes({"t": F32 | {"data_offsets": [0, 2**60]}}, bytes(8)), "offsets"),
        (safetensors_bytes({"t": F32 | {"data_offsets": [8, 0]}}, bytes(8)), "offsets"),
        (safetensors_bytes({"t": F32 | {"data_offsets": [0, 4, 8]}}, bytes(8)), "offsets"),
        (safetensors_bytes({"t": F32}, bytes(7)), "its tensors take 8 bytes, but the file holds 7"),
        (safetensors_bytes({"t": F32}, bytes(9)), "its tensors take 8 bytes, but the file holds 9"),
        (safetensors_bytes({"t": F32, "u": F32}, bytes(8)), "lies at byte 0, not at 8"),
        (safetensors_bytes({"t": F32, "u": F32 | {"data_offsets": [12, 20]}}, bytes(20)), "lies at byte 12, not at 8"),
        (safetensors_bytes({str(i): F32 for i in range(10_001)}, bytes(8)), "claims 10001 tensors"),
    ],
)
def test_a_hostile_tensor_file_is_refused_by_its_header(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        safe_formats.tensor_shapes(file)
    assert str(caught.value).isprintable()


def test_tensors_that_are_not_the_configs_are_refused_by_the_header(model: Path) -> None:
    for expected, message in (
        ({"encoder.weight": (2, 4), "scale": ()}, r"has shape \[2, 3\], config.json wants \[2, 4\]"),
        ({"encoder.weight": (2, 3)}, "'scale' has shape .* config.json knows none"),
        ({"encoder.weight": (2, 3), "scale": (), "bias": (3,)}, "'bias' is missing"),
    ):
        with pytest.raises(ModelError, match=message):
            checkpoint.load_tensors(model, expected=expected)


def test_one_changed_bit_in_the_weights_is_noticed(model: Path) -> None:
    file = ModelFolder(model).weights
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelError, match="is not the file that was saved"):
        checkpoint.load_tensors(model)


def test_an_edited_document_is_noticed_where_its_digest_was_kept(tmp_path: Path) -> None:
    def shapes(_config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
        return {"encoder.weight": (2, 3), "scale": ()}

    save(tmp_path / "model", documents={"vocab.json": ["猫", "犬"]})
    save(tmp_path / "older")
    for name in ("model", "older"):
        (tmp_path / name / "vocab.json").write_text('["犬", "猫"]', encoding="utf-8")
    with pytest.raises(ModelError, match=r"vocab\.json: is not the file that was saved") as caught:
        checkpoint.load(tmp_path / "model", "forecaster", shapes)
    assert "copy the folder again" in str(caught.value.hint)
    assert checkpoint.load(tmp_path / "older", "forecaster", shapes)[1] == {"hidden": 2, "cell": "lstm"}


def test_weights_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "model", tensors={"w": np.array([1.0, np.nan])})
    with pytest.raises(ModelError, match="'w' holds NaN or infinity"):
        checkpoint.load_tensors(tmp_path / "model")


VALID = safetensors_bytes({"a": F32, "b": F32 | {"data_offsets": [8, 16]}}, bytes(range(16)))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
near_entries = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F64", "BOOL", "U8", "F8"]) | json_values,
        "shape": st.lists(st.integers(-2, 2**62), max_size=3) | json_values,
        "data_offsets": st.lists(st.integers(-8, 24), min_size=2, max_size=2) | json_values,
    }
)
headers = st.dictionaries(st.text(max_size=5), near_entries | json_values, max_size=3).map(
    lambda header: json.dumps(header).encode()
)
mutations = st.lists(st.tuples(st.integers(0, len(VALID) - 1), st.integers(0, 255)), min_size=1, max_size=6)


def mutate(changes: list[tuple[int, int]]) -> bytes:
    content = bytearray(VALID)
    for position, value in changes:
        content[position] = value
    return bytes(content)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.builds(safetensors_bytes, headers, st.binary(max_size=24)),
        mutations.map(mutate),
        st.binary(max_size=64),
        st.integers(0, len(VALID)).map(lambda end: VALID[:end]),
    )
)
def test_any_tensor_file_is_either_read_as_the_library_reads_it_or_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "fuzz.safetensors"
    file.write_bytes(content)
    try:
        tensors = safe_formats.read_tensors(file)
    except ModelError as error:
        assert str(error).isprintable()
    else:
        assert sum(value.nbytes for value in tensors.values()) <= len(content)
        reference = safetensors.numpy.load(content)
        assert {name: value.tolist() for name, value in tensors.items()} == {
            name: value.tolist() for name, value in reference.items()
        }


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.sampled_from(["kind", "created", "seed", "data", "metrics", "digests", "format"]), json_values)
)
def test_any_manifest_is_either_read_or_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    folder = tmp_path / "fuzz"
    folder.mkdir(exist_ok=True)
    (folder / "seqcli.json").write_text(json.dumps({"format": 1, "kind": "forecaster"} | changes))
    try:
        manifest = checkpoint.peek(folder)
    except ModelError as error:
        assert str(error).isprintable()
    else:
        assert isinstance(manifest.kind, str)
        assert manifest.format == 1
