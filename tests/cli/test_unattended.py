"""The benchmark of unattended runs, with twenty kills of each command and a fortnight of mornings."""

from pathlib import Path

import pytest
import unattended


@pytest.fixture(autouse=True)
def own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEQCLI_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SEQCLI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("SEQCLI_OFFLINE", raising=False)


def test_whatever_is_killed_leaves_whole_files_and_a_rerun_that_completes(tmp_path: Path) -> None:
    for command, found in unattended.kills(tmp_path, 20).items():
        assert found["not whole"] == 0, command
        assert found["left behind"] == [], command
        assert found["too late to kill"] < 15, f"{command} was hardly ever killed in time"


def test_after_a_fortnight_of_mornings_the_track_record_is_what_a_backtest_says(tmp_path: Path) -> None:
    found = unattended.year(tmp_path, 12)
    assert found["rows"] == 12 * 5
    assert all(ours == theirs for ours, theirs in found["n"].values())
    assert found["largest difference"] < 1e-9
