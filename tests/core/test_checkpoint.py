from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from model_folders import MANIFEST, TENSORS, listing, model, save

from seqcli.core import checkpoint
from seqcli.core.checkpoint import ModelFolder
from seqcli.errors import ModelError

__all__ = ["model"]  # the fixture


def test_what_is_saved_is_read_back(model: Path) -> None:
    manifest = checkpoint.peek(model, "forecaster")
    assert manifest.command == MANIFEST.command
    assert manifest.seed == 7
    assert manifest.data == MANIFEST.data
    assert manifest.metrics == ({"model": "lstm", "crps_ratio": 0.96, "dm_p": None},)
    assert {"seqcli", "python", "numpy"} <= set(manifest.versions)
    assert checkpoint.load_config(model) == {"hidden": 2, "cell": "lstm"}
    assert checkpoint.load_history(model) == [{"epoch": 1, "train_loss": 0.5}]
    tensors = checkpoint.load_tensors(model, expected={"encoder.weight": (2, 3), "scale": ()})
    assert {name: (value.dtype, value.tolist()) for name, value in tensors.items()} == {
        name: (value.dtype, value.tolist()) for name, value in TENSORS.items()
    }
    assert all(value.flags.writeable for value in tensors.values())


def test_the_folder_holds_what_the_interface_promises(model: Path) -> None:
    assert listing(model) == ["README.md", "config.json", "history.jsonl", "model.safetensors", "seqcli.json"]
    assert json.loads((model / "seqcli.json").read_text())["format"] == 1
    assert "為替" in (model / "seqcli.json").read_text(encoding="utf-8")
    assert listing(model.parent) == ["model"]


def test_the_weights_are_a_standard_safetensors_file(model: Path) -> None:
    tensors = safetensors.numpy.load_file(ModelFolder(model).weights)
    np.testing.assert_array_equal(tensors["encoder.weight"], TENSORS["encoder.weight"])


def test_a_transposed_view_is_written_as_it_reads_and_not_as_it_lies(tmp_path: Path) -> None:
    view = TENSORS["encoder.weight"].T
    save(tmp_path / "model", tensors={"view": view, "part": np.arange(10)[::3]})
    read = checkpoint.load_tensors(tmp_path / "model")
    np.testing.assert_array_equal(read["view"], view)
    np.testing.assert_array_equal(read["part"], [0, 3, 6, 9])


def test_the_id_names_weights_and_config_and_nothing_else(tmp_path: Path) -> None:
    first = save(tmp_path / "a").id
    assert save(tmp_path / "b", card="another card").id == first
    assert save(tmp_path / "c", config={"hidden": 3}).id != first
    assert save(tmp_path / "d", tensors={"encoder.weight": TENSORS["encoder.weight"] + 1}).id != first
    assert checkpoint.peek(tmp_path / "a").id == first


def test_further_documents_and_tensor_files_travel_along(tmp_path: Path) -> None:
    save(
        tmp_path / "model",
        documents={"labels.json": ["京都", "携帯"]},
        extra_tensors={"linear.safetensors": {"w": np.ones(3)}},
    )
    assert checkpoint.load_list(tmp_path / "model", "labels.json") == ["京都", "携帯"]
    assert checkpoint.load_tensors(tmp_path / "model", "linear.safetensors")["w"].tolist() == [1, 1, 1]


def test_overwriting_replaces_the_model_and_keeps_the_users_own_files(model: Path) -> None:
    (model / "resume").mkdir()
    (model / "journal.sqlite").write_text("mine")
    (model / "calibration.json").write_text("{}")  # belongs to the old weights
    with pytest.raises(ModelError, match="already holds something"):
        save(model)
    save(model, config={"hidden": 9}, overwrite=True)
    assert checkpoint.load_config(model) == {"hidden": 9}
    assert (model / "journal.sqlite").read_text() == "mine"
    assert not (model / "calibration.json").exists()
    assert not (model / "resume").exists()


def test_what_is_the_users_and_what_the_models_is_told_by_the_manifest(tmp_path: Path) -> None:
    path = tmp_path / "model"
    save(path, documents={"labels.json": ["京都"]}, blobs={"user_dictionary.csv": b"words"})
    (path / "forecasts.jsonl").write_text("mine")
    save(path, overwrite=True)
    assert (path / "forecasts.jsonl").read_text() == "mine"
    assert not (path / "user_dictionary.csv").exists() and not (path / "labels.json").exists()
    (path / "seqcli.json").write_text("{")  # nobody can tell any more: what looks like a model's goes
    (path / "notes.txt").write_text("mine")
    save(path, overwrite=True)
    assert not (path / "forecasts.jsonl").exists() and (path / "notes.txt").read_text() == "mine"


def test_info_needs_neither_numpy_nor_torch_and_weights_need_no_torch(model: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from seqcli.core import checkpoint, files\n"
        "checkpoint.peek(Path(sys.argv[1])); print('numpy' in sys.modules, 'torch' in sys.modules)\n"
        "checkpoint.load_tensors(Path(sys.argv[1])); print('numpy' in sys.modules, 'torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script, str(model)], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False", "True", "False"]


# --- kill -9 ---------------------------------------------------------------------------------------------------

# Saves twice over a model; at the n-th change to the disk of the second save, the process kills itself.
KILLED = """
import itertools, os, signal, sys
from pathlib import Path
import numpy as np
from seqcli.core import checkpoint
path, stop = Path(sys.argv[1]), int(sys.argv[2])
def save(number):
    checkpoint.save(path, checkpoint.Manifest(kind="forecaster", created=""), config={"number": number},
                    tensors={"number": np.full(1000, float(number))}, overwrite=True)
save(1)
count = itertools.count(1)
def watch(event, arguments):
    ours = event == "open" and ".seqcli" in str(arguments[0])
    if (ours or event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir")) and next(count) == stop:
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
save(2)
"""


def test_a_process_killed_at_any_change_to_the_disk_leaves_a_whole_model(tmp_path: Path) -> None:
    path, seen = tmp_path / "model", set()
    for stop in itertools.count(1):
        run = subprocess.run([sys.executable, "-c", KILLED, str(path), str(stop)], check=False, capture_output=True)
        if run.returncode == 0:
            break
        assert run.returncode == -signal.SIGKILL, run.stderr
        number = checkpoint.load_config(path)["number"] if path.exists() else None
        checkpoint.peek(path, "forecaster")  # the reader puts a cut swap right
        config, tensors = checkpoint.load_config(path), checkpoint.load_tensors(path)
        assert set(tensors["number"]) == {config["number"]}
        seen.add((number, config["number"]))
    assert stop > 15
    assert {(1, 1), (None, 1), (2, 2)} <= seen  # before, between and after the two renames
    save(path, overwrite=True)
    assert listing(tmp_path) == ["model"]  # the next run took away what the killed ones left
