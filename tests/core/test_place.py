"""Where a model may be put, and what is never replaced by one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from model_folders import listing, model

from seqcli.core import checkpoint, files, place
from seqcli.core.place import Place
from seqcli.errors import MachineError, ModelError

__all__ = ["model"]  # the fixture


def test_a_missing_or_empty_output_folder_is_fine(tmp_path: Path) -> None:
    Place(tmp_path / "new" / "model").check()
    (tmp_path / "empty").mkdir()
    Place(tmp_path / "empty").check()
    assert listing(tmp_path) == ["empty"]  # a check makes nothing


def test_an_output_that_holds_something_is_refused_before_training(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="already holds a model") as caught:
        Place(model).check()
    assert caught.value.hint == "--overwrite replaces it"
    Place(model, overwrite=True).check()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").touch()
    with pytest.raises(ModelError, match=r"already holds 'diary\.txt'"):
        Place(tmp_path / "notes").check()
    Place(tmp_path / "notes", overwrite=True).check()  # such files stay where they are
    with pytest.raises(ModelError, match="is a file"):
        Place(model / "README.md", overwrite=True).check()


def test_a_folder_of_data_is_not_even_overwritten(model: Path, tmp_path: Path) -> None:
    for name in ("posts.jsonl", "README.md"):
        (tmp_path / name[:1]).mkdir()
        (tmp_path / name[:1] / name).touch()
        for overwrite in (False, True):
            with pytest.raises(ModelError, match=f"already holds '{name}' and no model") as caught:
                Place(tmp_path / name[:1], overwrite=overwrite).check()
            assert caught.value.hint == place.ELSEWHERE
    (model / "seqcli.json").unlink()  # a damaged model is one
    Place(model, overwrite=True).check()


def test_an_unfinished_training_can_be_resumed_or_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "model"
    (out / "resume").mkdir(parents=True)
    with pytest.raises(ModelError, match="model: holds an interrupted training") as caught:
        Place(out).check()
    assert caught.value.hint == "--resume goes on with it, --overwrite begins anew"
    Place(out, resume=True).check()
    Place(out, overwrite=True).check()
    with pytest.raises(ModelError, match="its training was interrupted"):
        checkpoint.peek(out)


def test_resuming_where_nothing_was_begun_or_all_is_done_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such folder: nothing to resume"):
        Place(tmp_path / "typo", resume=True).check()
    with pytest.raises(ModelError, match="finished model"):
        Place(model, resume=True).check()


def test_overwriting_never_reaches_a_folder_that_holds_folders_or_where_one_stands(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match="holds a folder 'model'"):
        Place(tmp_path, overwrite=True).check()
    monkeypatch.chdir(model)
    with pytest.raises(ModelError, match="the folder you stand in"):
        Place(Path(), overwrite=True).check()
    monkeypatch.setattr(Path, "is_mount", lambda self: self == tmp_path / "volume")
    (tmp_path / "volume").mkdir()
    with pytest.raises(ModelError, match="is a mounted disk"):
        Place(tmp_path / "volume").check()


def test_a_save_point_that_was_killed_does_not_block_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "model"
    out.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: 2**22 + 1)
        files._sibling(out / "resume", "new").mkdir()
    Place(out).check()
    assert listing(out) == []


def test_an_output_below_a_file_is_the_machines_fault(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match="cannot be written"):
        Place(tmp_path / "file" / "model").check()
